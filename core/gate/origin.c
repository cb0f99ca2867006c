#include "gate/origin.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "tls/session.h"

#define POOL_SLOTS 256
#define ORIGIN_OUT_CEILING (1024 * 1024)
/* Behind the slots: those that were let go and have yet to send their last bytes. */
#define LEAVING POOL_SLOTS
#define LEAVING_MS 10000

/* One attempt's socket. Apart from the connection, so that a second address can be tried while the first socket closes. */
struct origin_socket {
    struct moon_stream stream;
    struct moon_origin_conn *origin; /* NULL once given up for another address */
};

struct moon_origin_conn {
    struct origin_socket *socket; /* NULL while there is none; the memory of both goes when it has closed */
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
    uint64_t expect_ms;
    uint64_t mark; /* bytes that the origin had taken when the deadline was set */
    bool ready;    /* connected, TLS established */
    bool warm;     /* came from the pool */
    bool handing;  /* a `bytes` event is under way */
    bool returned; /* given back during it */
    bool leaving;  /* let go: only its last bytes go out */
    bool dead;
};

void moon_origin_pools_init(struct moon_worker *worker) {
    worker->origin_pools = moon_alloc((LEAVING + 1) * sizeof *worker->origin_pools);
    for (int i = 0; i <= LEAVING; i++)
        moon_list_init(&worker->origin_pools[i]);
    moon_buf_init(&worker->origin_plain_out, ORIGIN_OUT_CEILING);
    moon_buf_init(&worker->origin_cipher_out, ORIGIN_OUT_CEILING * 2);
}

static struct moon_link *slot_of(struct moon_worker *worker, const struct moon_origin_terms *terms,
                                 struct moon_str name) {
    return &worker->origin_pools[(terms->hash ^ moon_hash(name)) % POOL_SLOTS];
}

static void release(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    moon_tls_session_free(&origin->tls);
    moon_origin_terms_unref(&origin->terms);
    free((char *)origin->name.data);
    worker->origin_conn_count--;
    free(origin);
}

/* Ends it. The borrower, if any, must have been told or have let go. */
static void destroy(struct moon_origin_conn *origin) {
    if (origin->dead)
        return;
    origin->dead = true;
    origin->borrower = NULL;
    moon_deadline_clear(&origin->deadline);
    moon_resolve_cancel(&origin->resolve);
    moon_list_remove(&origin->link);
    if (origin->worker->origin_out_owner == origin) {
        moon_buf_clear(&origin->worker->origin_plain_out);
        origin->worker->origin_out_owner = NULL;
    }
    if (origin->socket)
        moon_stream_close(&origin->socket->stream);
    else
        release(origin);
}

static void fail(struct moon_origin_conn *origin, enum moon_origin_failure failure, const char *detail) {
    void *borrower = origin->borrower;
    const struct moon_origin_events *events = origin->events;
    char text[256]; /* what the detail views may die with the session */
    snprintf(text, sizeof text, "%s", detail ? detail : "");
    destroy(origin);
    if (borrower)
        events->failed(borrower, failure, text);
}

static void become_ready(struct moon_origin_conn *origin) {
    origin->ready = true;
    moon_deadline_clear(&origin->deadline);
    moon_stream_read(&origin->socket->stream, true);
    origin->events->ready(origin->borrower);
}

/* Sends what the TLS session has put together. */
static int send_cipher(struct moon_origin_conn *origin) {
    struct moon_buf *out = &origin->worker->origin_cipher_out;
    int rc = out->len ? moon_stream_send(&origin->socket->stream, moon_buf_view(out)) : 0;
    moon_buf_clear(out);
    return rc;
}

static void tls_failed(struct moon_origin_conn *origin) {
    bool certificate = moon_tls_session_certificate_refused(origin->tls);
    send_cipher(origin); /* the alert */
    fail(origin, certificate ? MOON_ORIGIN_CERTIFICATE : MOON_ORIGIN_TLS_FAILED, moon_tls_session_failure(origin->tls));
}

/* True when established. False: waits, or has failed (then the origin is dead). */
static bool shake_hands(struct moon_origin_conn *origin, struct moon_tls_wire *wire) {
    int rc = moon_tls_session_handshake(origin->tls, wire);
    if (rc == 0 || rc == MOON_EAGAIN) {
        if (send_cipher(origin) != 0) {
            fail(origin, MOON_ORIGIN_TLS_FAILED, "the connection was lost during the handshake");
            return false;
        }
        return rc == 0;
    }
    tls_failed(origin);
    return false;
}

static struct moon_origin_conn *of_stream(struct moon_stream *stream) {
    return MOON_CONTAINER(stream, struct origin_socket, stream)->origin;
}

static void connect_next(struct moon_origin_conn *origin, const char *why);

static void on_connected(struct moon_stream *stream, int status) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (!origin || origin->dead)
        return;
    if (status != 0) {
        origin->socket->origin = NULL;
        origin->socket = NULL;
        moon_stream_close(stream);
        connect_next(origin, uv_strerror(status));
        return;
    }
    if (!origin->terms->tls) {
        become_ready(origin);
        return;
    }
    struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = &origin->worker->origin_cipher_out};
    origin->tls = moon_tls_session_connect(origin->terms->client,
                                           origin->name.len ? origin->name : origin->terms->server_name);
    if (!origin->tls) { /* never plain where TLS was meant */
        fail(origin, MOON_ORIGIN_TLS_FAILED, "no TLS session could be made");
        return;
    }
    moon_stream_read(stream, true);
    if (shake_hands(origin, &wire))
        become_ready(origin);
}

/* Hands one span to the borrower. False when reading this wake-up's bytes is over. */
static bool hand_out(struct moon_origin_conn *origin, struct moon_str plaintext) {
    if (!origin->borrower) { /* bytes that nobody asked for: never let them become somebody's answer */
        destroy(origin);
        return false;
    }
    if (origin->expect_ms)
        moon_deadline_set(&origin->worker->clock, &origin->deadline, origin->expect_ms);
    origin->handing = true;
    origin->events->bytes(origin->borrower, &plaintext);
    origin->handing = false;
    if (origin->dead)
        return false;
    if (plaintext.len) { /* more than the answer: response-queue poisoning, or a fault */
        if (origin->borrower)
            fail(origin, MOON_ORIGIN_RESET, "bytes were left over");
        else
            destroy(origin);
        return false;
    }
    return true;
}

static void put_into_pool(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct moon_link *slot = slot_of(worker, origin->terms, origin->name);
    unsigned idle = 0;
    for (struct moon_link *link = slot->next; link != slot; link = link->next)
        idle++;
    if (idle >= worker->options->limits.idle_origin_connections || worker->draining) {
        destroy(origin);
        return;
    }
    origin->expect_ms = 0;
    origin->warm = true;
    moon_stream_read(&origin->socket->stream, true); /* so that we hear at once when the origin closes it */
    moon_list_prepend(slot, &origin->link);
    moon_deadline_set(&worker->clock, &origin->deadline, worker->options->timeouts.origin_keep_alive);
}

static void after_hand_out(struct moon_origin_conn *origin) {
    if (!origin->dead && origin->returned) {
        origin->returned = false;
        put_into_pool(origin);
    }
}

static void on_bytes(struct moon_stream *stream, struct moon_str bytes) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (!origin || origin->dead || origin->leaving)
        return;
    if (!origin->terms->tls) {
        if (hand_out(origin, bytes))
            after_hand_out(origin);
        return;
    }
    struct moon_worker *worker = origin->worker;
    struct moon_tls_wire wire = {.in = bytes, .out = &worker->origin_cipher_out};
    if (!origin->ready) {
        if (!shake_hands(origin, &wire))
            return;
        become_ready(origin);
        if (origin->dead)
            return;
    }
    for (;;) {
        size_t got = 0;
        int rc = moon_tls_session_read(origin->tls, &wire, worker->plain_room, MOON_PLAIN_ROOM, &got);
        if (rc == 0) {
            /* What the session has to say itself (an alert) goes out now: the buffer is every origin's. */
            if (worker->origin_cipher_out.len && send_cipher(origin) != 0) {
                fail(origin, MOON_ORIGIN_RESET, "the connection was lost");
                return;
            }
            if (!hand_out(origin, moon_str(worker->plain_room, got)))
                return;
            continue;
        }
        if (worker->origin_cipher_out.len && send_cipher(origin) != 0)
            rc = MOON_ETLS;
        if (rc == MOON_EAGAIN)
            break;
        if (rc == MOON_ECLOSED && origin->borrower)
            origin->events->ended(origin->borrower);
        else if (rc == MOON_ECLOSED)
            destroy(origin);
        else
            fail(origin, MOON_ORIGIN_RESET, moon_tls_session_failure(origin->tls));
        return;
    }
    after_hand_out(origin);
}

static void on_end(struct moon_stream *stream) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (!origin || origin->dead)
        return;
    if (!origin->borrower)
        destroy(origin);
    else if (!origin->ready)
        fail(origin, MOON_ORIGIN_TLS_FAILED, "the origin closed during the handshake");
    else if (origin->terms->tls) /* FIN without close_notify may be an attacker's: never a clean end */
        fail(origin, MOON_ORIGIN_RESET, "closed without close_notify");
    else
        origin->events->ended(origin->borrower);
}

static void on_failed(struct moon_stream *stream, int status) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (origin && !origin->dead)
        fail(origin, MOON_ORIGIN_RESET, uv_strerror(status));
}

static void on_drained(struct moon_stream *stream) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (origin && !origin->dead && origin->ready && origin->borrower)
        origin->events->drained(origin->borrower);
}

static void on_closed(struct moon_stream *stream) {
    struct origin_socket *socket = MOON_CONTAINER(stream, struct origin_socket, stream);
    if (socket->origin)
        release(socket->origin);
    free(socket);
}

static const struct moon_stream_events stream_events = {
    .connected = on_connected,
    .bytes = on_bytes,
    .end = on_end,
    .failed = on_failed,
    .drained = on_drained,
    .closed = on_closed,
};

/* Begins to connect to the next address; negative errno when that cannot even be begun. */
static int begin_connect(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct origin_socket *socket = moon_new(struct origin_socket);
    int rc = moon_stream_connect(&socket->stream, worker->loop, &origin->addresses[origin->next_address++],
                                 &stream_events, worker->receive_room, MOON_RECEIVE_ROOM);
    if (rc) {
        free(socket);
        return rc;
    }
    socket->origin = origin;
    origin->socket = socket;
    return 0;
}

static void connect_next(struct moon_origin_conn *origin, const char *why) {
    while (origin->next_address < origin->address_count) {
        int rc = begin_connect(origin);
        if (rc == 0)
            return;
        why = uv_strerror(rc);
    }
    fail(origin, MOON_ORIGIN_REFUSED, why);
}

/* A name leads wherever whoever keeps it likes, at every look anew: never to this machine, its links or what is secret there. Who
 * means such a place says its address, or "localhost". */
static bool may_lead_to(struct moon_str name, const struct moon_address *address) {
    if (!moon_address_is_local(address))
        return true;
    return moon_address_is_loopback(address) &&
           (moon_str_equal(name, MOON_STR("localhost")) || moon_str_ends_with(name, MOON_STR(".localhost")));
}

static void on_resolved(void *data, int status, const struct moon_address *addresses, unsigned count) {
    struct moon_origin_conn *origin = data;
    origin->resolve = NULL;
    if (status != 0) {
        fail(origin, MOON_ORIGIN_UNRESOLVED, uv_strerror(status));
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (may_lead_to(origin->terms->host, &addresses[i]))
            origin->addresses[origin->address_count++] = addresses[i];
    if (origin->address_count)
        connect_next(origin, "");
    else
        fail(origin, MOON_ORIGIN_UNRESOLVED, "the name leads to this machine or its links: give the address itself if that is meant");
}

static void on_deadline(struct moon_deadline *deadline) {
    struct moon_origin_conn *origin = MOON_CONTAINER(deadline, struct moon_origin_conn, deadline);
    if (!origin->borrower)
        destroy(origin);
    else if (!origin->ready)
        fail(origin, MOON_ORIGIN_CONNECT_TIMEOUT, "the deadline for connecting has passed");
    else if (moon_stream_unsent(&origin->socket->stream) &&
             moon_stream_delivered(&origin->socket->stream) != origin->mark)
        moon_origin_expect(origin, origin->expect_ms); /* slow, but not silent */
    else
        fail(origin, MOON_ORIGIN_SILENT, "the deadline for the answer has passed");
}

static struct moon_origin_conn *take_warm(struct moon_worker *worker, const struct moon_origin_terms *terms,
                                          struct moon_str name) {
    struct moon_link *slot = slot_of(worker, terms, name);
    for (struct moon_link *link = slot->next; link != slot; link = link->next) {
        struct moon_origin_conn *origin = MOON_LINKED(link, struct moon_origin_conn, link);
        bool same = origin->terms == terms ||
                    (origin->terms->hash == terms->hash && moon_str_equal(origin->terms->key, terms->key));
        if (same && moon_str_equal(origin->name, name)) {
            moon_list_remove(link);
            moon_deadline_clear(&origin->deadline);
            return origin;
        }
    }
    return NULL;
}

/* The addresses that the terms name, beginning with another one each time. A failure here (no descriptor left) is reported
 * by the deadline: never from within. */
static void connect_in_turn(struct moon_origin_conn *origin) {
    struct moon_origin_terms *terms = origin->terms;
    unsigned first = __atomic_fetch_add(&terms->turn, 1, __ATOMIC_RELAXED);
    origin->address_count = terms->address_count < MOON_RESOLVE_MAX ? terms->address_count : MOON_RESOLVE_MAX;
    for (unsigned i = 0; i < origin->address_count; i++)
        origin->addresses[i] = terms->addresses[(first + i) % terms->address_count];
    while (begin_connect(origin) != 0)
        if (origin->next_address == origin->address_count) {
            moon_deadline_set(&origin->worker->clock, &origin->deadline, 0);
            return;
        }
}

struct moon_origin_conn *moon_origin_borrow(struct moon_worker *worker, struct moon_origin_terms *terms,
                                            struct moon_str name, bool fresh, const struct moon_origin_events *events,
                                            void *borrower) {
    if (!terms->request_name)
        name = MOON_STR_NONE;
    struct moon_origin_conn *origin = fresh ? NULL : take_warm(worker, terms, name);
    if (origin) {
        origin->events = events;
        origin->borrower = borrower;
        return origin;
    }
    origin = moon_new(struct moon_origin_conn);
    worker->origin_conn_count++;
    origin->worker = worker;
    origin->terms = moon_origin_terms_ref(terms);
    if (name.len)
        origin->name = moon_str(moon_strdup(name), name.len);
    origin->events = events;
    origin->borrower = borrower;
    moon_list_init(&origin->link);
    moon_deadline_init(&origin->deadline, on_deadline);
    moon_deadline_set(&worker->clock, &origin->deadline, worker->options->timeouts.origin_connect);
    if (terms->address_count) {
        connect_in_turn(origin);
    } else if (moon_resolve_literal(&origin->addresses[0], terms->host, terms->port)) {
        origin->address_count = 1;
        /* A failure here (no descriptor left) is reported by the deadline: never from within. */
        if (begin_connect(origin) != 0)
            moon_deadline_set(&worker->clock, &origin->deadline, 0);
    } else {
        origin->resolve = moon_resolve_open(worker->loop, terms->host, terms->port, on_resolved, origin);
        if (!origin->resolve)
            moon_deadline_set(&worker->clock, &origin->deadline, 0);
    }
    return origin;
}

bool moon_origin_is_warm(const struct moon_origin_conn *origin) {
    return origin->warm;
}

struct moon_buf *moon_origin_out(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    if (worker->origin_out_owner != origin) {
        if (worker->origin_out_owner)
            moon_origin_flush(worker->origin_out_owner);
        worker->origin_out_owner = origin;
    }
    return &worker->origin_plain_out;
}

int moon_origin_write(struct moon_origin_conn *origin, struct moon_str plaintext) {
    moon_assert(origin->ready && !origin->dead);
    struct moon_buf *out = moon_origin_out(origin);
    if (out->len + plaintext.len > ORIGIN_OUT_CEILING / 2) {
        int rc = moon_origin_flush(origin);
        if (rc)
            return rc;
        out = moon_origin_out(origin);
    }
    return moon_buf_append_str(out, plaintext);
}

int moon_origin_flush(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct moon_buf *out = &worker->origin_plain_out;
    int rc = 0;
    if (worker->origin_out_owner != origin)
        return 0;
    worker->origin_out_owner = NULL;
    if (out->len && origin->tls) {
        struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = &worker->origin_cipher_out};
        rc = moon_tls_session_write(origin->tls, &wire, moon_buf_view(out));
        if (rc == 0)
            rc = send_cipher(origin);
        else
            moon_buf_clear(&worker->origin_cipher_out);
    } else if (out->len) {
        rc = moon_stream_send(&origin->socket->stream, moon_buf_view(out));
    }
    moon_buf_clear(out);
    return rc;
}

bool moon_origin_is_full(const struct moon_origin_conn *origin) {
    return moon_stream_unsent(&origin->socket->stream) > MOON_STREAM_HIGH;
}

void moon_origin_read(struct moon_origin_conn *origin, bool on) {
    moon_stream_read(&origin->socket->stream, on);
}

void moon_origin_expect(struct moon_origin_conn *origin, uint64_t within_ms) {
    origin->expect_ms = within_ms;
    /* Asked of the system only when something waits: bytes that come to wait later are progress of their own. */
    origin->mark = within_ms && moon_origin_is_full(origin) ? moon_stream_delivered(&origin->socket->stream) : 0;
    if (within_ms)
        moon_deadline_set(&origin->worker->clock, &origin->deadline, within_ms);
    else
        moon_deadline_clear(&origin->deadline);
}

void moon_origin_return(struct moon_origin_conn **pointer, bool keep) {
    struct moon_origin_conn *origin = *pointer;
    *pointer = NULL;
    if (!origin)
        return;
    origin->borrower = NULL;
    if (!keep || !origin->ready || origin->socket->stream.ended || origin->socket->stream.broken ||
        moon_stream_unsent(&origin->socket->stream))
        destroy(origin);
    else if (origin->handing)
        origin->returned = true; /* into the pool once it is sure that nothing was left over */
    else
        put_into_pool(origin);
}

void moon_origin_let_go(struct moon_origin_conn **pointer) {
    struct moon_origin_conn *origin = *pointer;
    *pointer = NULL;
    if (!origin)
        return;
    struct moon_worker *worker = origin->worker;
    bool lost = !origin->ready || moon_origin_flush(origin) != 0;
    origin->borrower = NULL;
    if (!lost && origin->tls) {
        struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = &worker->origin_cipher_out};
        moon_tls_session_shutdown(origin->tls, &wire);
        lost = send_cipher(origin) != 0;
    }
    if (lost || worker->closing) {
        destroy(origin);
        return;
    }
    origin->leaving = true;
    moon_stream_end(&origin->socket->stream);
    moon_stream_read(&origin->socket->stream, true); /* unread bytes would turn our end into a reset */
    moon_list_append(&worker->origin_pools[LEAVING], &origin->link);
    moon_deadline_set(&worker->clock, &origin->deadline, LEAVING_MS);
}

void moon_origin_pools_close(struct moon_worker *worker) {
    for (int i = 0; i <= LEAVING; i++) {
        struct moon_link *slot = &worker->origin_pools[i];
        while (!moon_list_is_empty(slot))
            destroy(MOON_LINKED(slot->next, struct moon_origin_conn, link));
    }
}

void moon_origin_pools_deinit(struct moon_worker *worker) {
    free(worker->origin_pools);
    worker->origin_pools = NULL;
    moon_buf_free(&worker->origin_plain_out);
    moon_buf_free(&worker->origin_cipher_out);
}
