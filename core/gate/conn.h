/* gate/conn.h — an accepted connection: stream, TLS session, reader of requests, keep-alive, deadlines. It takes requests one at a
 * time and in order; what comes too early waits in `carry`, and reading stops meanwhile. An idle connection owns no buffer.
 *
 * A turn is everything that happens for one connection in one wake-up: bytes arrive or an origin answers, requests are begun and
 * ended, and at the end of the turn all output goes out in one send. Turns of one connection may nest (an origin fails while a
 * request is being begun); turns of two connections never do. */
#ifndef MOON_GATE_CONN_H
#define MOON_GATE_CONN_H

#include "base/buf.h"
#include "gate/recheck.h"
#include "gate/worker.h"
#include "net/stream.h"
#include "tls/session.h"

struct moon_forwarded_certificate;

enum moon_conn_deadline {
    MOON_WAIT_NOTHING = 0, /* somebody else watches: the origin's deadline */
    MOON_WAIT_HANDSHAKE,
    MOON_WAIT_REQUEST, /* idle */
    MOON_WAIT_HEAD,    /* part of a head has come */
    MOON_WAIT_BODY,
    MOON_WAIT_WRITE,   /* the client takes nothing */
    MOON_WAIT_TUNNEL,
    MOON_WAIT_LINGER
};

struct moon_conn {
    struct moon_stream stream;
    struct moon_link link;  /* worker->conns */
    struct moon_link order; /* in one of worker->crowd's lists, while it waits there */
    uint64_t heard;         /* loop time in ms: since then it waits there */
    struct moon_worker *worker;
    const struct moon_service *service;
    struct moon_tls_session *tls; /* NULL on plain connections */
    struct moon_request *request; /* the one under way */
    struct moon_buf carry;
    size_t scanned; /* how far carry was looked through for the end of a head */
    struct moon_deadline deadline;
    enum moon_conn_deadline waiting;
    uint64_t mark;        /* progress seen when the deadline was set */
    uint64_t linger_mark; /* bytes received when closing was decided */
    struct moon_address peer;
    char peer_ip[MOON_ADDRESS_TEXT];
    uint64_t id;
    unsigned requests;
    unsigned depth; /* of turns */
    bool in_handshakes; /* counted in worker->crowd */
    bool admitted;      /* counted by gate/admission.c */
    bool established;
    bool tunnel;
    bool ended;      /* the client has sent its last byte */
    bool parting;    /* no further request: its client has lost what it had (gate/recheck.h) */
    bool close_soon; /* after what is under way, and once everything is out */
    bool linger;     /* there may be unread bytes: read and drop for a while, so that the client gets our answer */
    bool finishing;  /* close_notify and FIN are sent or queued */
    bool failed;     /* nothing can be sent any more */
    bool reset;      /* close with RST: a FIN would look like a clean end */
    bool dead;       /* closing; no turn begins any more */
    bool served;     /* a request was answered in this turn */
    /* What the Host of the next request is compared with, valid while the worker's serial is `sni_serial`. */
    const struct moon_host *sni_host;
    uint64_t sni_serial;
    struct moon_standing standing;
    uint64_t checked; /* the worker's serial when the standing was compared */
    struct moon_forwarded_certificate *forwarded; /* gate/forward_certificate.c; NULL while nothing was forwarded */
};

/* Takes `fd`. */
void moon_conn_open(const struct moon_service *service, int fd, const struct moon_address *peer);

void moon_conn_turn_begin(struct moon_conn *conn);
void moon_conn_turn_end(struct moon_conn *conn); /* `conn` may be gone afterwards */

/* Where the present turn's output goes: plaintext, sent at the end of the turn. Only within a turn. */
struct moon_buf *moon_conn_out(struct moon_conn *conn);
/* Sends what was put together so far; when it is much. Within a turn. */
void moon_conn_flush(struct moon_conn *conn);
void moon_conn_flush_if_large(struct moon_conn *conn);
/* True when the client is slower than what feeds it. */
bool moon_conn_is_full(const struct moon_conn *conn);

/* The request under way has ended; `keep` false: close when everything is out. Within a turn. */
void moon_conn_request_done(struct moon_conn *conn, bool keep);
/* From here on bytes pass through both ways (after an upgrade). Within a turn. */
void moon_conn_begin_tunnel(struct moon_conn *conn);
/* Cuts the connection after what was put together so far, so that the client can tell: no close_notify; with `reset` RST instead of
 * FIN. Within a turn. */
void moon_conn_abort(struct moon_conn *conn, bool reset);
/* Close once everything is out; with `linger` what the client still sends is read and dropped for a while. Within a turn. */
void moon_conn_close_soon(struct moon_conn *conn, bool linger);
/* Nothing is under way: closes now, politely. Outside of any turn. */
void moon_conn_close_if_idle(struct moon_conn *conn);
/* Ends it and what is under way, at once; `why` (constant) goes into its record. Outside of any turn. */
void moon_conn_close_now(struct moon_conn *conn, const char *why);
/* Its place among the admitted is somebody else's from here on, though it is still closing. */
void moon_conn_give_place(struct moon_conn *conn);
/* The normalised SNI; {NULL,0} without. */
struct moon_str moon_conn_server_name(const struct moon_conn *conn);

#endif
