/* gate/worker.h — one loop and everything that lives on it: listeners, client connections, warm origin connections, the snapshot
 * that is served, and the thread's scratch memory. The control thread has one too, for the admin listener. A worker is touched
 * by its own thread only, but for the fields marked atomic and the mailbox. */
#ifndef MOON_GATE_WORKER_H
#define MOON_GATE_WORKER_H

#include <pthread.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "gate/facts.h"
#include "gate/gateway.h"
#include "gate/hooks.h"
#include "gate/options.h"
#include "gate/snapshot.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/mailbox.h"
#include "tls/hello.h"

#define MOON_RECEIVE_ROOM (64 * 1024)
#define MOON_PLAIN_ROOM (32 * 1024)
/* Plaintext put together for one client in one turn; flushed in between when it passes MOON_OUT_FLUSH. */
#define MOON_OUT_CEILING (2 * 1024 * 1024)
#define MOON_OUT_FLUSH (192 * 1024)

struct moon_conn;
struct moon_request;
struct moon_origin_conn;
struct moon_admission;

/* What a listener's connections are for. */
struct moon_service {
    struct moon_worker *worker;
    bool tls;
    const struct moon_handler *handler; /* NULL: the world, with rules and origins */
    struct moon_tls_policy *policy;     /* of a handler's listener with TLS; counted */
    struct moon_listener listener;
};

/* Counted by the worker's thread, read by any (relaxed atomics). */
struct moon_tally {
    uint64_t connections, open, handshakes, handshakes_failed, requests, blocked, misdirected, refused, origin_failed;
};

/* Connections that wait for their client, and what gives way when there are too many of them (gate/crowd.h). */
struct moon_crowd {
    struct moon_link shaking; /* in handshakes, whoever is silent longest in front */
    struct moon_link idle;    /* for a request, in the same order */
    unsigned shaking_count;
    bool resting;             /* listeners do not accept */
    struct moon_deadline look;
    uint64_t idle_closed;
    uint64_t handshakes_closed;
    int64_t logged; /* loop time in ms of the last line about it; 0: none */
};

/* Log lines of one kind that outsiders can bring about: so many a second (gate/record.c). */
struct moon_sample {
    int64_t second; /* of the loop's time, plus 1 */
    unsigned lines;
    uint64_t left_out; /* since the last line */
};

struct moon_worker {
    struct moon_gateway *gateway;
    unsigned index;
    bool is_control;
    bool opened; /* by the hooks */
    const struct moon_options *options; /* the gateway's */
    const struct moon_hooks *hooks;     /* NULL fields allowed */
    uv_loop_t *loop;
    uv_loop_t own_loop; /* of a worker with a thread; of another one it is not used */
    pthread_t thread;
    struct moon_mailbox mailbox;
    struct moon_clock clock;
    struct moon_log_channel *log;
    struct moon_service services[2 * MOON_LISTEN_MAX];
    unsigned service_count;
    int sockets[2 * MOON_LISTEN_MAX]; /* bound, waiting for the first snapshot; -1 once a listener has taken it */

    struct moon_snapshot *snapshot; /* NULL until the first one is adopted */
    uint64_t generation;            /* atomic: what is served */
    uint64_t serial;                /* of adoptions: two snapshots may have one generation */
    struct moon_tls_acceptor *acceptor;
    void *script;
    struct moon_facts facts;
    struct moon_verdict verdict;

    struct moon_link conns;    /* all client connections, newcomers last */
    uv_idle_t recheck;         /* gate/recheck.c; runs while connections are to be looked at */
    struct moon_crowd crowd;
    struct moon_link requests; /* spare request structs */
    unsigned spare_requests;
    unsigned conn_count;
    struct moon_link *origin_pools; /* gate/origin.c */
    unsigned origin_conn_count;
    struct moon_admission *admission;

    /* One turn's scratch. */
    struct moon_conn *turn;
    char *receive_room;
    char *plain_room;
    struct moon_buf plain_out;  /* for worker->turn */
    struct moon_buf cipher_out; /* for worker->turn */
    struct moon_origin_conn *origin_out_owner;
    struct moon_buf origin_plain_out;
    struct moon_buf origin_cipher_out;
    struct moon_http_head head;   /* of the request being begun */
    struct moon_http_head answer; /* of the origin's response being read */

    struct moon_tally tally;
    uint64_t ray_state[2];
    int64_t exhausted_logged; /* loop time in ms of the last line about it */
    struct moon_sample failed_handshakes;
    struct moon_sample refused_certificates;
    int64_t date_second;
    char date[32];
    bool draining;
    bool closing;
};

/* Adds to one of the tally's counters. */
#define moon_worker_count(worker, field) \
    __atomic_store_n(&(worker)->tally.field, (worker)->tally.field + 1, __ATOMIC_RELAXED)

/* UNIX seconds now, for certificates and dates; cheap. */
int64_t moon_worker_now(struct moon_worker *worker);
/* IMF-fixdate of now; borrowed until the next call. */
struct moon_str moon_worker_date(struct moon_worker *worker);
/* A fresh ray id: 16 hex digits, "-", three letters, NUL: 21 bytes. */
void moon_worker_ray(struct moon_worker *worker, char *out);

/* Prepares memory, loop (its own, or `loop` when not NULL: then the worker has no thread but that of the loop) and mailbox. On the
 * control thread, before the worker's own starts. `is_control`: its listeners are for handlers only. After a failure
 * moon_worker_deinit cannot be called: the process is about to end. */
int moon_worker_init(struct moon_worker *worker, struct moon_gateway *gateway, unsigned index, uv_loop_t *loop,
                     bool is_control, struct moon_diag *diag);
/* Adds a bound socket; it is listened on once the first snapshot is adopted, or moon_worker_listen is called. */
void moon_worker_add_service(struct moon_worker *worker, int fd, bool tls, const struct moon_handler *handler,
                             struct moon_tls_policy *policy);
/* On its own thread. */
void moon_worker_listen(struct moon_worker *worker);
/* The thread's main function: opens hooks, runs the loop, closes. */
void *moon_worker_main(void *worker);
/* The same in two halves, for a worker on a loop that others run: what comes before the loop, and what comes after, when the
 * worker has closed and is empty. */
int moon_worker_begin(struct moon_worker *worker, struct moon_diag *diag);
void moon_worker_end(struct moon_worker *worker);
/* On its own thread: makes `snapshot` the one that is served. */
int moon_worker_adopt(struct moon_worker *worker, struct moon_snapshot *snapshot, struct moon_diag *diag);
/* On its own thread: no new connections, idle ones closed; the rest end with their request, then the worker closes. */
void moon_worker_drain(struct moon_worker *worker);
/* On its own thread: closes everything at once; the loop ends when all is closed. */
void moon_worker_close(struct moon_worker *worker);
/* True when all connections and listeners of a closed worker have gone. */
bool moon_worker_is_empty(const struct moon_worker *worker);
/* After the thread has ended (or the loop of others has closed its handles). */
void moon_worker_deinit(struct moon_worker *worker);

/* The same, from any thread, as messages. MOON_EBUSY when the mailbox is full, MOON_ECLOSED when the worker has closed. */
int moon_worker_post_adopt(struct moon_worker *worker, struct moon_snapshot *snapshot, uint64_t ticket);
int moon_worker_post_drain(struct moon_worker *worker);
int moon_worker_post_close(struct moon_worker *worker);

/* What a worker's thread tells the gateway (gate/gateway.c); thread safe. */
void moon_gateway_opened(struct moon_gateway *gateway, int rc, const struct moon_diag *diag);
void moon_gateway_adopted(struct moon_gateway *gateway, uint64_t ticket, int rc, const struct moon_diag *diag);
void moon_gateway_worker_closed(struct moon_gateway *gateway);

/* Where all workers keep their TLS sessions; NULL when none are to be resumed. */
struct moon_tls_sessions *moon_gateway_sessions(struct moon_gateway *gateway);
/* How many client connections the whole gateway has open: an atomic counter. */
unsigned *moon_gateway_connections(struct moon_gateway *gateway);
/* Called when a connection has gone: a draining worker without any closes. */
void moon_worker_conn_gone(struct moon_worker *worker);

#endif
