#include "gate/origin.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "gate/origin_conn.h"

static void release(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    moon_tls_session_free(&origin->tls);
    moon_origin_terms_unref(&origin->terms);
    free((char *)origin->name.data);
    worker->origin_conn_count--;
    free(origin);
}

void moon_origin_destroy(struct moon_origin_conn *origin) {
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

void moon_origin_fail(struct moon_origin_conn *origin, enum moon_origin_failure failure, const char *detail) {
    void *borrower = origin->borrower;
    const struct moon_origin_events *events = origin->events;
    char text[256]; /* what the detail views may die with the session */
    snprintf(text, sizeof text, "%s", detail ? detail : "");
    moon_origin_destroy(origin);
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
    moon_origin_fail(origin, certificate ? MOON_ORIGIN_CERTIFICATE : MOON_ORIGIN_TLS_FAILED,
                     moon_tls_session_failure(origin->tls));
}

/* True when established. False: waits, or has failed (then the origin is dead). */
static bool shake_hands(struct moon_origin_conn *origin, struct moon_tls_wire *wire) {
    int rc = moon_tls_session_handshake(origin->tls, wire);
    if (rc == 0 || rc == MOON_EAGAIN) {
        if (send_cipher(origin) != 0) {
            moon_origin_fail(origin, MOON_ORIGIN_TLS_FAILED, "the connection was lost during the handshake");
            return false;
        }
        return rc == 0;
    }
    tls_failed(origin);
    return false;
}

static struct moon_origin_conn *of_stream(struct moon_stream *stream) {
    return MOON_CONTAINER(stream, struct moon_origin_socket, stream)->origin;
}

static void on_connected(struct moon_stream *stream, int status) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (!origin || origin->dead)
        return;
    if (status != 0) {
        moon_origin_connect_next(origin, uv_strerror(status));
        return;
    }
    if (!origin->terms->tls) {
        become_ready(origin);
        return;
    }
    moon_origin_connected(origin);
    struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = &origin->worker->origin_cipher_out};
    origin->tls = moon_tls_session_connect(origin->terms->client,
                                           origin->name.len ? origin->name : origin->terms->server_name);
    if (!origin->tls) { /* never plain where TLS was meant */
        moon_origin_fail(origin, MOON_ORIGIN_TLS_FAILED, "no TLS session could be made");
        return;
    }
    moon_stream_read(stream, true);
    if (shake_hands(origin, &wire))
        become_ready(origin);
}

/* Hands one span to the borrower. False when reading this wake-up's bytes is over. */
static bool hand_out(struct moon_origin_conn *origin, struct moon_str plaintext) {
    if (!origin->borrower) { /* bytes that nobody asked for: never let them become somebody's answer */
        moon_origin_destroy(origin);
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
            moon_origin_fail(origin, MOON_ORIGIN_RESET, "bytes were left over");
        else
            moon_origin_destroy(origin);
        return false;
    }
    return true;
}

static void after_hand_out(struct moon_origin_conn *origin) {
    if (!origin->dead && origin->returned) {
        origin->returned = false;
        moon_origin_pool_put(origin);
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
                moon_origin_fail(origin, MOON_ORIGIN_RESET, "the connection was lost");
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
            moon_origin_destroy(origin);
        else
            moon_origin_fail(origin, MOON_ORIGIN_RESET, moon_tls_session_failure(origin->tls));
        return;
    }
    after_hand_out(origin);
}

static void on_end(struct moon_stream *stream) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (!origin || origin->dead)
        return;
    if (!origin->borrower)
        moon_origin_destroy(origin);
    else if (!origin->ready)
        moon_origin_fail(origin, MOON_ORIGIN_TLS_FAILED, "the origin closed during the handshake");
    else if (origin->terms->tls) /* FIN without close_notify may be an attacker's: never a clean end */
        moon_origin_fail(origin, MOON_ORIGIN_RESET, "closed without close_notify");
    else
        origin->events->ended(origin->borrower);
}

static void on_failed(struct moon_stream *stream, int status) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (origin && !origin->dead)
        moon_origin_fail(origin, MOON_ORIGIN_RESET, uv_strerror(status));
}

static void on_drained(struct moon_stream *stream) {
    struct moon_origin_conn *origin = of_stream(stream);
    if (origin && !origin->dead && origin->ready && origin->borrower)
        origin->events->drained(origin->borrower);
}

static void on_closed(struct moon_stream *stream) {
    struct moon_origin_socket *socket = MOON_CONTAINER(stream, struct moon_origin_socket, stream);
    if (socket->origin)
        release(socket->origin);
    free(socket);
}

const struct moon_stream_events moon_origin_stream_events = {
    .connected = on_connected,
    .bytes = on_bytes,
    .end = on_end,
    .failed = on_failed,
    .drained = on_drained,
    .closed = on_closed,
};

static void on_deadline(struct moon_deadline *deadline) {
    struct moon_origin_conn *origin = MOON_CONTAINER(deadline, struct moon_origin_conn, deadline);
    if (!origin->borrower)
        moon_origin_destroy(origin);
    else if (!origin->ready)
        moon_origin_connect_late(origin);
    else if (moon_stream_unsent(&origin->socket->stream) &&
             moon_stream_delivered(&origin->socket->stream) != origin->mark)
        moon_origin_expect(origin, origin->expect_ms); /* slow, but not silent */
    else
        moon_origin_fail(origin, MOON_ORIGIN_SILENT, "the deadline for the answer has passed");
}

struct moon_origin_conn *moon_origin_borrow(struct moon_worker *worker, struct moon_origin_terms *terms,
                                            struct moon_str name, bool fresh, const struct moon_origin_events *events,
                                            void *borrower) {
    if (!terms->request_name)
        name = MOON_STR_NONE;
    struct moon_origin_conn *origin = fresh ? NULL : moon_origin_pool_take(worker, terms, name);
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
    origin->connect_until = uv_now(worker->loop) + worker->options->timeouts.origin_connect;
    moon_deadline_set(&worker->clock, &origin->deadline, worker->options->timeouts.origin_connect);
    moon_origin_connect(origin);
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
    if (out->len + plaintext.len > MOON_ORIGIN_OUT_CEILING / 2) {
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
        moon_origin_destroy(origin);
    else if (origin->handing)
        origin->returned = true; /* into the pool once it is sure that nothing was left over */
    else
        moon_origin_pool_put(origin);
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
        moon_origin_destroy(origin);
        return;
    }
    moon_origin_pool_leave(origin);
}
