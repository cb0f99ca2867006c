#include "gate/conn.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "gate/admission.h"
#include "gate/crowd.h"
#include "gate/forward_certificate.h"
#include "gate/proxy.h"
#include "gate/record.h"
#include "gate/request.h"
#include "http/parse.h"

/* What may wait while a request is under way: one receive beyond a full one. */
#define CARRY_CEILING (4 * MOON_RECEIVE_ROOM)
#define LINGER_MS 2000
#define LINGER_BYTES (64 * 1024)
/* A body must come at this rate, looked at in windows as long as it may pause; with short ones any progress will do. */
#define BODY_BYTES_PER_SECOND 500
#define BODY_RATE_FROM_MS 10000
/* What a handler's answer may come to when its client is slow: our own answers, not strangers' streams. */
#define HANDLER_ANSWER_CEILING (64 * 1024 * 1024)

static void process(struct moon_conn *conn, struct moon_str *input);
static void on_deadline(struct moon_deadline *deadline);

struct moon_str moon_conn_server_name(const struct moon_conn *conn) {
    return conn->tls ? moon_tls_session_server_name(conn->tls) : MOON_STR_NONE;
}

struct moon_buf *moon_conn_out(struct moon_conn *conn) {
    moon_assert(conn->worker->turn == conn);
    return &conn->worker->plain_out;
}

bool moon_conn_is_full(const struct moon_conn *conn) {
    return moon_stream_unsent(&conn->stream) > MOON_STREAM_HIGH;
}

/* Everything that was put together goes to the socket: one record, one send. */
static void flush(struct moon_conn *conn) {
    struct moon_worker *worker = conn->worker;
    struct moon_buf *plain = &worker->plain_out;
    struct moon_buf *cipher = &worker->cipher_out;
    int rc = 0;
    if (plain->len && !conn->failed) {
        if (conn->tls) {
            struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = cipher};
            rc = conn->established ? moon_tls_session_write(conn->tls, &wire, moon_buf_view(plain)) : MOON_ETLS;
        } else {
            rc = moon_stream_send(&conn->stream, moon_buf_view(plain));
        }
    }
    moon_buf_clear(plain);
    if (rc == 0 && cipher->len && !conn->failed)
        rc = moon_stream_send(&conn->stream, moon_buf_view(cipher));
    moon_buf_clear(cipher);
    if (rc != 0)
        conn->failed = true;
}

void moon_conn_flush_if_large(struct moon_conn *conn) {
    if (conn->worker->plain_out.len > MOON_OUT_FLUSH)
        flush(conn);
}

/* ---- turns ---- */

/* True when the carry can be gone on with. */
static bool can_process(const struct moon_conn *conn) {
    if (conn->dead || conn->failed || conn->close_soon || conn->finishing || !conn->carry.len)
        return false;
    if (conn->tunnel)
        return !conn->request || moon_proxy_takes_body(conn->request);
    if (conn->request)
        return moon_request_takes_body(conn->request);
    return !moon_conn_is_full(conn);
}

static void process_carry(struct moon_conn *conn) {
    while (can_process(conn)) {
        struct moon_str input = moon_buf_view(&conn->carry);
        size_t before = input.len;
        process(conn, &input);
        moon_buf_consume(&conn->carry, before - input.len);
        if (input.len == before)
            break;
    }
    if (!conn->carry.len || conn->close_soon)
        moon_buf_free(&conn->carry);
}

static bool wants_bytes(const struct moon_conn *conn) {
    if (conn->ended || conn->failed)
        return false;
    if (conn->finishing)
        return conn->linger;
    if (!conn->established)
        return true;
    if (conn->close_soon)
        return conn->linger;
    if (conn->tunnel)
        return !conn->carry.len && (!conn->request || moon_proxy_takes_body(conn->request));
    if (conn->request)
        return !conn->carry.len && (conn->request->body.done || moon_request_takes_body(conn->request));
    return !moon_conn_is_full(conn);
}

static void wait_for(struct moon_conn *conn, enum moon_conn_deadline what, uint64_t ms, bool anew) {
    if (conn->waiting == what && !anew)
        return;
    conn->waiting = what;
    moon_crowd_wait(conn);
    if (what == MOON_WAIT_NOTHING)
        moon_deadline_clear(&conn->deadline);
    else
        moon_deadline_set(&conn->worker->clock, &conn->deadline, ms);
}

/* Milliseconds: until it was idle for too long, or its client's certificate is not valid any more. */
static uint64_t tunnel_may_last(const struct moon_conn *conn) {
    uint64_t idle = conn->worker->options->timeouts.tunnel_idle;
    int64_t now = moon_worker_now(conn->worker), until = conn->standing.until;
    if (until <= now)
        return 0;
    uint64_t left = (uint64_t)(until - now);
    return left < idle / 1000 ? left * 1000 : idle;
}

static void update_deadline(struct moon_conn *conn) {
    const struct moon_timeouts *timeouts = &conn->worker->options->timeouts;
    struct moon_request *request = conn->request;
    if (!conn->established) {
        wait_for(conn, MOON_WAIT_HANDSHAKE, timeouts->handshake, false);
    } else if (moon_stream_unsent(&conn->stream)) {
        if (conn->waiting != MOON_WAIT_WRITE)
            conn->mark = moon_stream_delivered(&conn->stream);
        wait_for(conn, MOON_WAIT_WRITE, timeouts->write_idle, false);
    } else if (conn->finishing) {
        wait_for(conn, MOON_WAIT_LINGER, LINGER_MS, false);
    } else if (conn->tunnel) {
        wait_for(conn, MOON_WAIT_TUNNEL, tunnel_may_last(conn), true);
    } else if (request && !request->body.done && moon_request_takes_body(request)) {
        if (conn->waiting != MOON_WAIT_BODY)
            conn->mark = request->body.payload;
        wait_for(conn, MOON_WAIT_BODY, timeouts->body_idle, false);
    } else if (request) {
        wait_for(conn, MOON_WAIT_NOTHING, 0, false);
    } else if (conn->carry.len) {
        wait_for(conn, MOON_WAIT_HEAD, timeouts->head, conn->served);
    } else {
        wait_for(conn, MOON_WAIT_REQUEST, conn->requests ? timeouts->keep_alive : timeouts->head, conn->served);
    }
    conn->served = false;
}

static void destroy(struct moon_conn *conn) {
    if (conn->dead)
        return;
    conn->dead = true;
    moon_deadline_clear(&conn->deadline);
    moon_crowd_leave(conn);
    if (conn->reset)
        moon_stream_abort(&conn->stream);
    else
        moon_stream_close(&conn->stream);
}

/* All is said: close_notify and FIN follow what is queued. */
static void finish(struct moon_conn *conn) {
    if (conn->finishing)
        return;
    conn->finishing = true;
    if (conn->tls && conn->established) {
        struct moon_tls_wire wire = {.in = MOON_STR_NONE, .out = &conn->worker->cipher_out};
        moon_tls_session_shutdown(conn->tls, &wire);
        flush(conn);
    }
    if (conn->linger || moon_stream_unsent(&conn->stream))
        moon_stream_end(&conn->stream);
}

void moon_conn_turn_begin(struct moon_conn *conn) {
    struct moon_worker *worker = conn->worker;
    moon_assert(!conn->dead);
    moon_assert(!worker->turn || worker->turn == conn);
    worker->turn = conn;
    conn->depth++;
}

/* The client has sent its last byte, and all of it was handed on: what waits for more bytes ends. A request that is complete is still
 * answered. */
static void request_cannot_go_on(struct moon_conn *conn) {
    struct moon_request *request = conn->request;
    if (conn->tunnel) {
        moon_proxy_let_go(request);
        moon_request_finish(request, false);
    } else if (!request->body.done) {
        conn->failed = !request->finished; /* what was answered already still goes out */
        moon_request_client_gone(request, "the client closed before the end of its request");
    }
}

void moon_conn_turn_end(struct moon_conn *conn) {
    struct moon_worker *worker = conn->worker;
    moon_assert(worker->turn == conn);
    if (conn->depth > 1) {
        conn->depth--;
        return;
    }
    process_carry(conn);
    if (conn->ended && conn->request && !conn->carry.len && !conn->failed)
        request_cannot_go_on(conn);
    flush(conn);
    if (conn->request && conn->request->consumer == MOON_CONSUME_PROXY)
        moon_proxy_turn_ends(conn->request);
    if (!conn->failed && conn->ended && !conn->request && !conn->finishing && !can_process(conn))
        conn->close_soon = true; /* nothing more can come */
    if (conn->failed && conn->request)
        moon_request_client_gone(conn->request, "the client broke the connection");
    if (!conn->failed && conn->close_soon && !conn->request)
        finish(conn);
    moon_buf_clear(&worker->plain_out);
    moon_buf_clear(&worker->cipher_out);
    conn->depth = 0;
    worker->turn = NULL;
    moon_request_trim(worker);
    bool over = conn->finishing && !moon_stream_unsent(&conn->stream) && (!conn->linger || conn->ended);
    if (conn->failed || over) {
        destroy(conn);
        return;
    }
    moon_stream_read(&conn->stream, wants_bytes(conn));
    update_deadline(conn);
}

/* ---- bytes ---- */

/* Takes what it can off *input: heads, bodies, tunnelled bytes. */
static void process(struct moon_conn *conn, struct moon_str *input) {
    const struct moon_limits *set = &conn->worker->options->limits;
    struct moon_http_limits limits = {
        .start_line = set->start_line, .field = set->field, .fields = set->head, .field_count = set->fields};
    while (input->len && !conn->close_soon && !conn->failed) {
        if (conn->tunnel) {
            if (conn->request && !moon_proxy_takes_body(conn->request))
                return;
            if (conn->request)
                moon_proxy_tunnel(conn->request, *input);
            input->len = 0;
            return;
        }
        if (conn->request) {
            if (!moon_request_takes_body(conn->request))
                return; /* pipelined bytes wait for their turn */
            moon_request_read_body(conn->request, input);
            continue;
        }
        if (moon_conn_is_full(conn))
            return;
        int length = moon_http_scan(*input, &conn->scanned, &limits);
        if (length == 0)
            return;
        conn->scanned = 0;
        if (length < 0) {
            moon_request_refuse_head(conn, (unsigned)-length, "the head is malformed or too large");
            input->len = 0;
            return;
        }
        struct moon_str head = moon_str(input->data, (size_t)length);
        input->data += length;
        input->len -= (size_t)length;
        moon_request_begin(conn, head);
        moon_conn_flush_if_large(conn);
    }
}

/* Plaintext has come. */
static void take(struct moon_conn *conn, struct moon_str bytes) {
    if (conn->close_soon || conn->finishing) { /* lingering: read and dropped, within bounds */
        if (conn->linger && conn->stream.received - conn->linger_mark > LINGER_BYTES)
            conn->ended = true;
        return;
    }
    if (!conn->carry.len)
        process(conn, &bytes);
    if (bytes.len && !conn->close_soon && moon_buf_append_str(&conn->carry, bytes) != 0)
        conn->failed = true; /* cannot happen while reading is paused in time; never grow beyond it */
}

/* No close_notify: the session never came about. What the client still sends is dropped, so that it reads our last word. */
static void end_at_once(struct moon_conn *conn) {
    moon_conn_close_soon(conn, true);
    conn->finishing = true;
    moon_stream_end(&conn->stream);
}

static void handshake_failed(struct moon_conn *conn) {
    moon_worker_count(conn->worker, handshakes_failed);
    moon_record_handshake(conn, moon_tls_session_failure(conn->tls));
    flush(conn); /* the alert */
    end_at_once(conn);
}

/* A plain HTTP request on a TLS port: say so, in words that every client shows. */
static bool answer_plain_http(struct moon_conn *conn, struct moon_str bytes) {
    static const char page[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                               "Content-Length: 52\r\n\r\nThis port speaks HTTPS; the request came without it.";
    if (conn->stream.received != bytes.len || bytes.len < 4)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (bytes.data[i] < 'A' || bytes.data[i] > 'Z')
            return false;
    moon_stream_send(&conn->stream, moon_str(page, sizeof page - 1));
    moon_worker_count(conn->worker, refused);
    end_at_once(conn);
    return true;
}

/* The client has sent its last byte (FIN, or close_notify). What follows from it is seen at the end of the turn. */
static void client_ended(struct moon_conn *conn) {
    conn->ended = true;
    if (!conn->established) {
        if (conn->stream.received && !conn->finishing) {
            moon_worker_count(conn->worker, handshakes_failed);
            moon_record_handshake(conn, "the client closed during the handshake");
        }
        conn->failed = true;
    }
}

static void remember_standing(struct moon_conn *conn) {
    struct moon_str name = moon_conn_server_name(conn);
    moon_recheck_remember(conn, name.len ? moon_snapshot_find(conn->worker->snapshot, name) : NULL, false);
}

static void take_cipher(struct moon_conn *conn, struct moon_str bytes) {
    struct moon_worker *worker = conn->worker;
    struct moon_tls_wire wire = {.in = bytes, .out = &worker->cipher_out};
    if (conn->finishing)
        return take(conn, MOON_STR_NONE);
    if (!conn->established) {
        if (bytes.data[0] != 0x16 && answer_plain_http(conn, bytes))
            return;
        int rc = moon_tls_session_handshake(conn->tls, &wire);
        if (rc == MOON_EAGAIN) {
            moon_crowd_wait(conn);
            return;
        }
        if (rc != 0) {
            handshake_failed(conn);
            return;
        }
        conn->established = true;
        moon_worker_count(worker, handshakes);
        if (!conn->service->handler)
            remember_standing(conn);
        moon_record_certificate(conn);
    }
    while (!conn->failed) {
        size_t got = 0;
        int rc = moon_tls_session_read(conn->tls, &wire, worker->plain_room, MOON_PLAIN_ROOM, &got);
        if (rc == 0) {
            take(conn, moon_str(worker->plain_room, got));
            continue;
        }
        if (rc == MOON_ECLOSED)
            client_ended(conn);
        else if (rc != MOON_EAGAIN)
            conn->failed = true;
        return;
    }
}

static void on_bytes(struct moon_stream *stream, struct moon_str bytes) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    if (conn->tls)
        take_cipher(conn, bytes);
    else
        take(conn, bytes);
    moon_conn_turn_end(conn);
}

static void on_end(struct moon_stream *stream) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    client_ended(conn);
    moon_conn_turn_end(conn);
}

static void on_failed(struct moon_stream *stream, int status) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    conn->failed = true;
    moon_conn_turn_end(conn);
}

static void on_drained(struct moon_stream *stream) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    if (conn->request && conn->request->consumer == MOON_CONSUME_PROXY)
        moon_proxy_client_drained(conn->request);
    moon_conn_turn_end(conn);
}

static void on_closed(struct moon_stream *stream) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    struct moon_worker *worker = conn->worker;
    moon_assert(!conn->request);
    moon_forward_certificate_free(&conn->forwarded); /* what was written of the session's certificate */
    moon_tls_session_free(&conn->tls);
    moon_buf_free(&conn->carry);
    moon_list_remove(&conn->link);
    moon_conn_give_place(conn);
    free(conn);
    moon_worker_conn_gone(worker);
}

void moon_conn_give_place(struct moon_conn *conn) {
    if (conn->admitted)
        moon_admission_leave(conn->worker, &conn->peer);
    conn->admitted = false;
}

static const struct moon_stream_events stream_events = {
    .bytes = on_bytes,
    .end = on_end,
    .failed = on_failed,
    .drained = on_drained,
    .closed = on_closed,
};

/* ---- deadlines ---- */

static void on_deadline(struct moon_deadline *deadline) {
    struct moon_conn *conn = MOON_CONTAINER(deadline, struct moon_conn, deadline);
    enum moon_conn_deadline what = conn->waiting;
    conn->waiting = MOON_WAIT_NOTHING;
    moon_crowd_leave(conn);
    moon_conn_turn_begin(conn);
    switch (what) {
    case MOON_WAIT_HANDSHAKE:
        if (conn->stream.received) {
            moon_worker_count(conn->worker, handshakes_failed);
            moon_record_handshake(conn, "the deadline for the handshake has passed");
        }
        conn->failed = true;
        break;
    case MOON_WAIT_REQUEST:
        conn->close_soon = true;
        break;
    case MOON_WAIT_HEAD:
        moon_request_refuse_head(conn, 408, "the deadline for the head has passed");
        break;
    case MOON_WAIT_BODY: {
        uint64_t window = conn->worker->options->timeouts.body_idle;
        uint64_t least = window < BODY_RATE_FROM_MS ? 1 : window / 1000 * BODY_BYTES_PER_SECOND;
        if (conn->request && conn->request->body.payload - conn->mark < least) {
            moon_request_client_gone(conn->request, "the body came too slowly");
            conn->failed = true;
        }
        break;
    }
    case MOON_WAIT_WRITE:
        if (moon_stream_delivered(&conn->stream) == conn->mark) {
            if (conn->request)
                moon_request_client_gone(conn->request, "the client took nothing for too long");
            conn->failed = true;
        }
        break;
    case MOON_WAIT_TUNNEL:
        if (conn->request)
            moon_request_client_gone(conn->request, conn->standing.until <= moon_worker_now(conn->worker)
                                                        ? "the client's certificate is not valid any more"
                                                        : "the tunnel was idle for too long");
        conn->failed = true;
        break;
    case MOON_WAIT_LINGER:
        conn->failed = true;
        break;
    case MOON_WAIT_NOTHING:
        break;
    }
    moon_conn_turn_end(conn);
}

/* ---- the rest of the face ---- */

static struct moon_tls_choice choose(void *data, struct moon_str sni) {
    struct moon_conn *conn = data;
    const struct moon_snapshot *snapshot = conn->worker->snapshot;
    const struct moon_host *host = NULL;
    if (conn->service->handler)
        return (struct moon_tls_choice){.policy = conn->service->policy};
    if (!snapshot)
        return (struct moon_tls_choice){0};
    if (sni.len)
        host = moon_snapshot_find(snapshot, sni);
    if (!host)
        return (struct moon_tls_choice){.policy = moon_snapshot_fallback(snapshot)};
    const struct moon_host_terms *terms = &host->terms;
    return (struct moon_tls_choice){.policy = terms->policy, .trust = terms->trust, .resumable = !terms->no_resumption};
}

/* At the ceiling an idle connection goes for the newcomer. */
static bool admit(struct moon_worker *worker, const struct moon_address *peer) {
    enum moon_admitted admitted = moon_admission_enter(worker, peer);
    if (admitted == MOON_ADMITTED_FULL && !worker->is_control && moon_crowd_take_place(worker))
        admitted = moon_admission_enter(worker, peer);
    return admitted == MOON_ADMITTED;
}

void moon_conn_open(const struct moon_service *service, int fd, const struct moon_address *peer) {
    struct moon_worker *worker = service->worker;
    if (worker->draining || !admit(worker, peer)) {
        close(fd);
        return;
    }
    struct moon_conn *conn = moon_new(struct moon_conn);
    conn->worker = worker;
    conn->service = service;
    conn->admitted = true;
    conn->peer = *peer;
    moon_list_init(&conn->order);
    moon_worker_count(worker, connections);
    conn->id = worker->tally.connections;
    conn->established = !service->tls;
    moon_address_print_ip(peer, conn->peer_ip);
    moon_buf_init(&conn->carry, CARRY_CEILING);
    moon_deadline_init(&conn->deadline, on_deadline);
    if (moon_stream_open(&conn->stream, worker->loop, fd, &stream_events, worker->receive_room, MOON_RECEIVE_ROOM)) {
        moon_admission_leave(worker, peer);
        free(conn);
        return;
    }
    if (service->handler)
        conn->stream.tail.ceiling = HANDLER_ANSWER_CEILING;
    if (service->tls) {
        conn->tls = moon_tls_session_accept(worker->acceptor, choose, conn);
        conn->failed = !conn->tls; /* never plain where TLS was meant */
    }
    conn->checked = worker->serial;
    conn->standing.until = INT64_MAX;
    moon_list_append(&worker->conns, &conn->link);
    worker->conn_count++;
    __atomic_store_n(&worker->tally.open, worker->conn_count, __ATOMIC_RELAXED);
    if (conn->failed) {
        destroy(conn);
        return;
    }
    moon_stream_read(&conn->stream, true);
    update_deadline(conn);
    if (!conn->established)
        moon_crowd_limit_handshakes(worker);
}

void moon_conn_request_done(struct moon_conn *conn, bool keep) {
    conn->request = NULL;
    conn->requests++;
    conn->served = true;
    /* Lingering, since the client may be sending still (the next request, the end of a tunnel): closing a socket with unread bytes
     * is a reset, and what we sent last would be lost with it. */
    if (!keep || conn->tunnel || conn->parting || conn->worker->draining)
        moon_conn_close_soon(conn, true);
}

void moon_conn_begin_tunnel(struct moon_conn *conn) {
    conn->tunnel = true;
}

void moon_conn_close_soon(struct moon_conn *conn, bool linger) {
    conn->close_soon = true;
    conn->linger |= linger;
    conn->linger_mark = conn->stream.received;
}

void moon_conn_abort(struct moon_conn *conn, bool reset) {
    flush(conn);
    conn->reset = reset;
    conn->failed = true;
}

void moon_conn_close_if_idle(struct moon_conn *conn) {
    if (conn->dead || conn->request)
        return;
    moon_conn_turn_begin(conn);
    conn->close_soon = true;
    if (!conn->established)
        conn->failed = true;
    moon_conn_turn_end(conn);
}

void moon_conn_close_now(struct moon_conn *conn, const char *why) {
    if (conn->dead)
        return;
    if (conn->request)
        moon_request_client_gone(conn->request, why);
    destroy(conn);
}
