/* script/outgoing.h — requests of the control thread to the outside (webhooks, revocation lists, proofs of ownership):
 * libcurl on the control loop. http and https only, no redirects, certificates verified, nothing from the environment;
 * each request has a deadline and a ceiling for its answer, and addresses of this machine or its links are refused
 * after the name was resolved, unless they are allowed. Made use of by script/errand.c; nothing here knows Lua. The
 * loop's thread only. */
#ifndef MOON_SCRIPT_OUTGOING_H
#define MOON_SCRIPT_OUTGOING_H

#include <uv.h>

#include "base/error.h"
#include "base/str.h"

#define MOON_OUTGOING_HEADERS 32
#define MOON_OUTGOING_BYTES (16 * 1024 * 1024) /* of an answer, at most */
#define MOON_OUTGOING_MS (5 * 60 * 1000)       /* of a request, at most */

struct moon_outgoing; /* the client: one per loop */
struct moon_outgoing_request;

/* What is asked for; copied. */
struct moon_outgoing_options {
    struct moon_str method;         /* empty: GET, or POST when there is a body */
    struct moon_str url;            /* http or https, without user and password */
    const struct moon_str *headers; /* "Name: value" each */
    size_t header_count;
    struct moon_str body;
    struct moon_str ca;  /* PEM: these are trusted in place of the system's; empty: the system's */
    unsigned timeout_ms; /* for all of it */
    size_t max_bytes;    /* of the answer's body */
    bool allow_local;
};

/* Called once, last, and never from within begin: there is an answer, or it failed. The request may be freed in it. */
typedef void (*moon_outgoing_done_fn)(void *data);

int moon_outgoing_open(struct moon_outgoing **out, uv_loop_t *loop, struct moon_diag *diag);
/* All requests must be freed before. Its handles close in the loop's next rounds. Clears; NULL inside is fine. */
void moon_outgoing_close(struct moon_outgoing **client);

/* 0; MOON_EREFUSED with diag (where: url, method, headers, ca) and NULL in *out. */
int moon_outgoing_begin(struct moon_outgoing_request **out, struct moon_outgoing *client,
                        const struct moon_outgoing_options *options, moon_outgoing_done_fn done, void *data,
                        struct moon_diag *diag);
/* Ends it, whatever its state; `done` is not called any more. Clears; NULL inside is fine. */
void moon_outgoing_free(struct moon_outgoing_request **request);

/* Of one that is done. The status, or 0: there is no answer, and `moon_outgoing_failure` says why. Borrowed. */
unsigned moon_outgoing_status(const struct moon_outgoing_request *request);
struct moon_str moon_outgoing_body(const struct moon_outgoing_request *request);
const char *moon_outgoing_failure(const struct moon_outgoing_request *request);

#endif
