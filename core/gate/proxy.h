/* gate/proxy.h — forwards a request to its origin and streams the answer back, with back-pressure both ways. Knows HTTP; the
 * connection to the origin (TCP, TLS, pool) is gate/origin.c's. All functions within a turn of the request's connection. */
#ifndef MOON_GATE_PROXY_H
#define MOON_GATE_PROXY_H

#include "base/buf.h"
#include "gate/origin.h"
#include "http/body.h"

struct moon_host;
struct moon_request;

struct moon_exchange {
    struct moon_origin_conn *origin; /* NULL before and after */
    struct moon_origin_terms *terms; /* counted */
    struct moon_str head;            /* as sent to the origin; kept for one retry */
    struct moon_buf carry;           /* pieces of the answer's head */
    size_t scanned;
    struct moon_http_body body;      /* reader of the answer's body */
    enum moon_http_framing to_origin; /* how the request's body is framed */
    enum moon_http_framing to_client; /* how the answer's body is framed */
    uint64_t uploaded;
    unsigned interim;
    bool connected;
    bool upload_done;
    bool head_read;
    bool origin_keeps;  /* the origin's connection may be used again */
    bool origin_paused; /* the client is slow */
    bool retried;
    bool websocket;     /* an upgrade was asked for */
    bool true_client_ip; /* the client's address goes to the origin under that name, too */
    bool tunnel;
    bool idempotent;
    uint64_t expecting; /* the deadline that the origin has now; 0: we do not wait for it */
};

/* Builds the head toward the origin from worker->head and begins. `terms` are those of `host`, or what a policy chose instead. The
 * request is detached already. */
void moon_proxy_begin(struct moon_request *request, const struct moon_host *host, struct moon_origin_terms *terms);
/* True when the origin can take more of the request's body. */
bool moon_proxy_takes_body(const struct moon_request *request);
/* One span of the request's body; `end` after the last (payload may be empty then). */
void moon_proxy_upload(struct moon_request *request, struct moon_str payload, bool end);
/* After the upgrade: bytes from the client. */
void moon_proxy_tunnel(struct moon_request *request, struct moon_str bytes);
/* After the upgrade: the client has ended. What was put together and what waits still goes to the origin. */
void moon_proxy_let_go(struct moon_request *request);
/* The client's socket has room again. */
void moon_proxy_client_drained(struct moon_request *request);
/* At the end of a turn: sends what was put together for the origin, and sees to the deadline for what it owes us. */
void moon_proxy_turn_ends(struct moon_request *request);
/* Drops the origin's connection, whatever its state. */
void moon_proxy_release(struct moon_request *request);

#endif
