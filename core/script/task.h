/* script/task.h — what policy files do with requests: the hooks of gate/hooks.h, and coroutines that wait. A task is a
 * request that the policies have to come back to: parked on a timer, on a fetch or on its own body, or on the way to
 * its origin while the answer is still to be asked about. Resumed from the loop, on the worker's own thread, within a
 * turn of the request's connection. A task ends with its request, whatever it was waiting for. */
#ifndef MOON_SCRIPT_TASK_H
#define MOON_SCRIPT_TASK_H

#include "gate/hooks.h"
#include "script/policy.h"

/* ffi: begin */
struct moon_policy;
struct moon_http_field;

/* A request of a policy. Views are copied. */
struct moon_ffi_fetch {
    struct moon_str base;   /* "https://host:port" */
    struct moon_str target; /* "/path?query" */
    struct moon_str method;
    struct moon_str ca; /* PEM instead of the system's CAs; empty: those */
    const struct moon_http_field *fields;
    size_t field_count;
    struct moon_str body;
    bool has_body;
    double seconds; /* until it is given up */
};

/* Another origin (gate/origin_terms.h), with the server verified. Empty texts: not given. */
struct moon_ffi_route {
    struct moon_str url;
    struct moon_str host_header;
    struct moon_str sni;
    struct moon_str ca;
};

/* Of the request whose turn it is. Each says that it will be resumed, so the coroutine must yield: 0; a negative code
 * with diag when there is nothing to wait for. */
MOON_FFI int moon_ffi_task_sleep(struct moon_policy *policy, double seconds, struct moon_diag *diag);
MOON_FFI int moon_ffi_task_fetch(struct moon_policy *policy, const struct moon_ffi_fetch *fetch,
                                 struct moon_diag *diag);
/* 1: the whole body is in the call's `body`. 0: wait. More than `limit` bytes are answered with 413. */
MOON_FFI int moon_ffi_task_body(struct moon_policy *policy, size_t limit, struct moon_diag *diag);
/* The request goes there instead of its host's origin, once the policies let it. */
MOON_FFI int moon_ffi_task_route(struct moon_policy *policy, const struct moon_ffi_route *route,
                                 struct moon_diag *diag);
/* ffi: end */

enum moon_hook_step moon_task_request(struct moon_policy *policy, struct moon_request *request);
bool moon_task_response(struct moon_policy *policy, struct moon_request *request, struct moon_http_head *head);
void moon_task_body(struct moon_policy *policy, struct moon_request *request);
void moon_task_gone(struct moon_policy *policy, struct moon_request *request);

#endif
