#include "gate/conn.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "gate/admission.h"
#include "gate/conn_bytes.h"
#include "gate/conn_deadline.h"
#include "gate/crowd.h"
#include "gate/forward_certificate.h"
#include "gate/proxy.h"
#include "gate/request.h"

/* What may wait while a request is under way: one receive beyond a full one. */
#define CARRY_CEILING (4 * MOON_RECEIVE_ROOM)
/* What a handler's answer may come to when its client is slow: our own answers, not strangers' streams. */
#define HANDLER_ANSWER_CEILING (64 * 1024 * 1024)

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
void moon_conn_flush(struct moon_conn *conn) {
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
        moon_conn_flush(conn);
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
        moon_conn_take(conn, &input);
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
        moon_conn_flush(conn);
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
    moon_conn_flush(conn);
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
    moon_conn_watch(conn);
}

/* ---- life ---- */

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
    .bytes = moon_conn_on_bytes,
    .end = moon_conn_on_end,
    .failed = moon_conn_on_failed,
    .drained = moon_conn_on_drained,
    .closed = on_closed,
};

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
    moon_deadline_init(&conn->deadline, moon_conn_deadline_passed);
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
    moon_conn_watch(conn);
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
    moon_conn_flush(conn);
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
