/* gate/recheck.h — open connections after a change. Every request is decided by the snapshot of its moment (gate/route.c), but an
 * idle connection makes none and a tunnel makes no more: when a snapshot is adopted, each worker goes through its connections in
 * slices and ends those whose client has lost what it had under the name they are for, and tunnels that the rules would not let begin
 * any more. A request that is under way may finish; then its connection is closed. The worker's thread. */
#ifndef MOON_GATE_RECHECK_H
#define MOON_GATE_RECHECK_H

#include <stdint.h>

#include "tls/trust.h"

struct moon_conn;
struct moon_host;
struct moon_worker;

/* What a connection's client was worth when that was looked at last. */
struct moon_standing {
    bool of_request; /* under the host of the request under way, which asks for a tunnel; else under the server name */
    uint32_t host_id; /* 0: nobody answered for the name. As long as it is the same, so is everything about the host */
    bool served;     /* the host had an origin */
    bool trusted;    /* verified, not revoked */
    bool has_trust;
    unsigned char identity[MOON_TRUST_IDENTITY]; /* of the host's trust set */
    int64_t until;   /* UNIX seconds; by then the certificate is not verified any more. INT64_MAX: no such moment */
};

/* Takes the client's standing: at the end of the handshake under the server name, and for a request that asks for a tunnel, once the
 * rules have let it pass, under its own host. `host` NULL: nobody answers for the name. */
void moon_recheck_remember(struct moon_conn *conn, const struct moon_host *host, bool of_request);

/* A snapshot was adopted: all connections are gone through, the longest waiting first. Begins anew when that is under way. */
void moon_recheck_begin(struct moon_worker *worker);

/* With the worker's other handles. */
int moon_recheck_open(struct moon_worker *worker);
void moon_recheck_close(struct moon_worker *worker);

#endif
