/* gate/origin_conn.h — a connection to an origin from inside: for gate/origin.c, which speaks over it, gate/origin_connect.c, which
 * brings it about, and gate/origin_pool.c, where it waits between two borrowers. Everybody else knows gate/origin.h. */
#ifndef MOON_GATE_ORIGIN_CONN_H
#define MOON_GATE_ORIGIN_CONN_H

#include "gate/origin.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "tls/session.h"

/* Plaintext that is put together for one origin. */
#define MOON_ORIGIN_OUT_CEILING (1024 * 1024)

/* One attempt's socket. Apart from the connection, so that a second address can be tried while the first socket closes. */
struct moon_origin_socket {
    struct moon_stream stream;
    struct moon_origin_conn *origin; /* NULL once given up for another address */
};

struct moon_origin_conn {
    struct moon_origin_socket *socket; /* NULL while there is none; the memory of both goes when it has closed */
    struct moon_link link;        /* in a slot of the pool while idle */
    struct moon_worker *worker;
    struct moon_origin_terms *terms; /* counted */
    struct moon_str name;            /* SNI and the name to verify where the terms leave it to the request; owned */
    struct moon_tls_session *tls;
    struct moon_resolve *resolve;
    struct moon_address addresses[MOON_RESOLVE_MAX];
    unsigned address_count;
    unsigned next_address;
    const struct moon_origin_events *events;
    void *borrower; /* NULL while idle */
    struct moon_deadline deadline;
    uint64_t connect_until; /* loop time by which it has to be ready */
    uint64_t expect_ms;
    uint64_t mark; /* bytes that the origin had taken when the deadline was set */
    bool ready;    /* connected, TLS established */
    bool warm;     /* came from the pool */
    bool handing;  /* a `bytes` event is under way */
    bool returned; /* given back during it */
    bool leaving;  /* let go: only its last bytes go out */
    bool dead;
};

/* Ends it. The borrower, if any, must have been told or have let go. */
void moon_origin_destroy(struct moon_origin_conn *origin);
/* Ends it and tells the borrower. */
void moon_origin_fail(struct moon_origin_conn *origin, enum moon_origin_failure failure, const char *detail);
/* What happens on its socket. */
extern const struct moon_stream_events moon_origin_stream_events;

/* Begins to connect as its terms say. A failure is never reported from within. */
void moon_origin_connect(struct moon_origin_conn *origin);
/* The attempt failed (`why`): goes on with the next address, or fails. */
void moon_origin_connect_next(struct moon_origin_conn *origin, const char *why);
/* Its socket is connected: TLS has all the time that is left. */
void moon_origin_connected(struct moon_origin_conn *origin);
/* The deadline has passed before it was ready. */
void moon_origin_connect_late(struct moon_origin_conn *origin);

/* A warm connection for these terms and this name; NULL: none. */
struct moon_origin_conn *moon_origin_pool_take(struct moon_worker *worker, const struct moon_origin_terms *terms,
                                               struct moon_str name);
/* Lets it wait for its next borrower, or ends it where enough are waiting. */
void moon_origin_pool_put(struct moon_origin_conn *origin);
/* Nothing more will be sent; it stays until its last bytes are out and the origin has closed. */
void moon_origin_pool_leave(struct moon_origin_conn *origin);

#endif
