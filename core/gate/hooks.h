/* gate/hooks.h — the table through which an upper floor takes part, without an include that climbs. Filled before the gateway
 * starts and constant afterwards. The gateway works without it too (NULL hooks): then no rule exists and nothing is blocked
 * but what the core itself refuses. */
#ifndef MOON_GATE_HOOKS_H
#define MOON_GATE_HOOKS_H

#include "base/error.h"
#include "base/log.h"
#include "gate/facts.h"

struct moon_handler;
struct moon_snapshot;
struct moon_request;
struct moon_http_head;

/* What becomes of a request. */
enum moon_hook_step {
    MOON_STEP_ON = 0,   /* to its origin */
    MOON_STEP_ANSWERED, /* moon_respond was called: the request has ended */
    MOON_STEP_WAITS     /* moon_request_keep was called; the upper floor comes back: moon_request_go_on, or an answer */
};

struct moon_hooks {
    void *data; /* handed to `open` */

    /* On a worker's thread, before it serves. *state is the upper floor's (a Lua state); facts and verdict stay at their
     * addresses until close. Returns 0, or a code with diag. */
    int (*open)(void *data, void **state, struct moon_facts *facts, struct moon_verdict *verdict,
                struct moon_log_channel *log, struct moon_diag *diag);

    /* On a worker's thread: `snapshot` is about to be served; prepare for it. After it returned 0 the verdict's views into the
     * former one are invalid. On failure the worker keeps what it serves and the publication fails. `snapshot` is
     * borrowed until the next adopt has returned, or close. */
    int (*adopt)(void *state, struct moon_snapshot *snapshot, struct moon_diag *diag);

    /* Per request: reads the facts, fills the verdict. Never fails: what goes wrong inside is a verdict too (fail closed). */
    void (*rules)(void *state);

    /* The operator's policies; all four are NULL when there are none. A request that needs to be known later gets
     * request->script, which is the upper floor's until `gone`. Within a turn of the request's connection. */
    /* Per request that the rules let pass; worker->facts and worker->head are its own still. */
    enum moon_hook_step (*request)(void *state, struct moon_request *request);
    /* The head of its origin's answer, before it is written to the client: may change status (not whether there is a
     * body) and take fields out; adds to request->to_client. False: withhold it and answer with 500. */
    bool (*response)(void *state, struct moon_request *request, struct moon_http_head *head);
    /* The body that request->wants_body asked for is complete. Not before `request` has returned. */
    void (*body)(void *state, struct moon_request *request);
    /* A request with request->script has ended: must clear it. */
    void (*gone)(void *state, struct moon_request *request);

    /* Content of the program that the gateway is part of: who answers a request that rules and policies let pass, instead of its
     * origin. NULL: nobody. On any worker's thread; the handler stays constant as long as the gateway lives. */
    const struct moon_handler *(*content)(void *content_data, struct moon_str host, struct moon_str method,
                                          struct moon_str path);
    void *content_data;

    /* On the worker's thread, at its end. */
    void (*close)(void *state);
};

#endif
