#include "gate/conn_bytes.h"

#include "base/error.h"
#include "gate/crowd.h"
#include "gate/proxy.h"
#include "gate/record.h"
#include "gate/request.h"
#include "http/parse.h"

#define LINGER_BYTES (64 * 1024)

void moon_conn_take(struct moon_conn *conn, struct moon_str *input) {
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
static void take_plain(struct moon_conn *conn, struct moon_str bytes) {
    if (conn->close_soon || conn->finishing) { /* lingering: read and dropped, within bounds */
        if (conn->linger && conn->stream.received - conn->linger_mark > LINGER_BYTES)
            conn->ended = true;
        return;
    }
    if (!conn->carry.len)
        moon_conn_take(conn, &bytes);
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
    moon_conn_flush(conn); /* the alert */
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
        return take_plain(conn, MOON_STR_NONE);
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
            take_plain(conn, moon_str(worker->plain_room, got));
            continue;
        }
        if (rc == MOON_ECLOSED)
            client_ended(conn);
        else if (rc != MOON_EAGAIN)
            conn->failed = true;
        return;
    }
}

void moon_conn_on_bytes(struct moon_stream *stream, struct moon_str bytes) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    if (conn->tls)
        take_cipher(conn, bytes);
    else
        take_plain(conn, bytes);
    moon_conn_turn_end(conn);
}

void moon_conn_on_end(struct moon_stream *stream) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    client_ended(conn);
    moon_conn_turn_end(conn);
}

void moon_conn_on_failed(struct moon_stream *stream, int status) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    conn->failed = true;
    moon_conn_turn_end(conn);
}

void moon_conn_on_drained(struct moon_stream *stream) {
    struct moon_conn *conn = MOON_CONTAINER(stream, struct moon_conn, stream);
    if (conn->dead)
        return;
    moon_conn_turn_begin(conn);
    if (conn->request && conn->request->consumer == MOON_CONSUME_PROXY)
        moon_proxy_client_drained(conn->request);
    moon_conn_turn_end(conn);
}
