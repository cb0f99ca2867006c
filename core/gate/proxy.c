#include "gate/proxy.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "gate/forward.h"
#include "gate/forward_certificate.h"
#include "gate/request.h"
#include "gate/respond.h"
#include "http/parse.h"
#include "http/write.h"

#define HEAD_TO_ORIGIN_MAX (96 * 1024)
#define INTERIM_MAX 8
#define LOOPS_MAX 4 /* as many gateways of ours in a row are plausible, more are a loop */

static void on_ready(void *borrower);
static void on_bytes(void *borrower, struct moon_str *plaintext);
static void on_ended(void *borrower);
static void on_failed(void *borrower, enum moon_origin_failure failure, const char *detail);
static void on_drained(void *borrower);

static const struct moon_origin_events events = {
    .ready = on_ready,
    .bytes = on_bytes,
    .ended = on_ended,
    .failed = on_failed,
    .drained = on_drained,
};

static const struct moon_timeouts *timeouts(const struct moon_request *request) {
    return &request->conn->worker->options->timeouts;
}

/* RFC 9110 section 9.2.2: what may be sent twice without asking. */
static bool is_idempotent(struct moon_str method) {
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    for (size_t i = 0; i < MOON_COUNT(methods); i++)
        if (moon_str_equal(method, moon_str_of(methods[i])))
            return true;
    return false;
}

/* Connected: the head goes out, and the client may send its body. */
static void send_head(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    bool held_back = request->inspected || request->wants_body; /* read already, by rules or a policy: in `collected` */
    exchange->connected = true;
    if (request->body.done && exchange->to_origin != MOON_HTTP_CHUNKED && !held_back)
        exchange->upload_done = true;
    moon_origin_write(exchange->origin, exchange->head); /* a stale connection is heard of by its own event */
    if (held_back) {
        moon_proxy_upload(request, moon_buf_view(&request->collected), request->body.done);
        moon_buf_free(&request->collected);
    }
    moon_origin_flush(exchange->origin);
    if (request->expect_continue && !request->body.done)
        moon_buf_append_str(moon_conn_out(request->conn), MOON_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void borrow(struct moon_request *request, bool fresh) {
    struct moon_exchange *exchange = &request->exchange;
    exchange->connected = false;
    exchange->expecting = 0;
    exchange->origin = moon_origin_borrow(request->conn->worker, exchange->terms, request->host, fresh, &events, request);
    if (moon_origin_is_warm(exchange->origin))
        send_head(request);
}

/* The head toward the origin, into the arena. False when there is no room for it. */
static bool write_head(struct moon_request *request, const struct moon_host *host) {
    struct moon_exchange *exchange = &request->exchange;
    struct moon_str certificate;
    struct moon_buf out;
    moon_buf_init(&out, HEAD_TO_ORIGIN_MAX);
    int rc = moon_forward_certificate(request->conn, host, &certificate);
    if (rc == 0)
        rc = moon_forward_request(&out, request, &request->conn->worker->head, certificate);
    exchange->head = rc == 0 ? moon_arena_copy(&request->arena, moon_buf_view(&out)) : MOON_STR_NONE;
    moon_buf_free(&out);
    return exchange->head.data;
}

void moon_proxy_begin(struct moon_request *request, const struct moon_host *host, struct moon_origin_terms *terms) {
    struct moon_exchange *exchange = &request->exchange;
    struct moon_worker *worker = request->conn->worker;
    const struct moon_http_head *head = &worker->head;
    *exchange = (struct moon_exchange){.terms = moon_origin_terms_ref(terms)};
    moon_buf_init(&exchange->carry, worker->options->limits.head + MOON_RECEIVE_ROOM);
    exchange->websocket = head->upgrade_websocket && head->framing == MOON_HTTP_NO_BODY && !host->terms.no_websockets;
    exchange->true_client_ip = host->terms.true_client_ip;
    exchange->idempotent = is_idempotent(request->method);
    exchange->to_origin = head->framing;
    request->consumer = MOON_CONSUME_PROXY;
    if (moon_forward_loops(head) >= LOOPS_MAX) {
        moon_respond_page(request, 508, "the request came through this gateway too often", true);
        return;
    }
    if (!write_head(request, host)) {
        moon_respond_page(request, 431, "the head toward the origin is too large", true);
        return;
    }
    borrow(request, false);
}

bool moon_proxy_takes_body(const struct moon_request *request) {
    const struct moon_exchange *exchange = &request->exchange;
    return exchange->connected && exchange->origin && !moon_origin_is_full(exchange->origin);
}

void moon_proxy_upload(struct moon_request *request, struct moon_str payload, bool end) {
    struct moon_exchange *exchange = &request->exchange;
    struct moon_origin_conn *origin = exchange->origin;
    int rc = 0;
    if (!origin || exchange->upload_done)
        return;
    exchange->uploaded += payload.len;
    if (exchange->to_origin == MOON_HTTP_CHUNKED) {
        if (payload.len) {
            struct moon_buf *out = moon_origin_out(origin);
            if (out->len + payload.len > 256 * 1024)
                rc = moon_origin_flush(origin);
            if (rc == 0)
                rc = moon_http_write_chunk(moon_origin_out(origin), payload);
        }
        if (rc == 0 && end)
            rc = moon_http_write_last_chunk(moon_origin_out(origin));
    } else {
        rc = moon_origin_write(origin, payload);
    }
    if (end)
        exchange->upload_done = true;
    /* A failure to write is not the end: the origin may have answered before it closed. Its events tell. */
}

/* The origin has a deadline only while we wait for it: for its answer to a complete request, or for room for our bytes. Otherwise it is
 * the client who is slow, and the client's own deadlines watch. */
void moon_proxy_turn_ends(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    uint64_t expected = 0;
    if (!exchange->origin || !exchange->connected)
        return;
    moon_origin_flush(exchange->origin);
    bool full = moon_origin_is_full(exchange->origin);
    if (exchange->tunnel)
        expected = full ? timeouts(request)->write_idle : 0; /* the client's deadline watches all but this */
    else if ((exchange->upload_done || full) && !exchange->origin_paused)
        expected = exchange->head_read ? timeouts(request)->origin_idle : timeouts(request)->origin_head;
    if (expected != exchange->expecting)
        moon_origin_expect(exchange->origin, expected);
    exchange->expecting = expected;
}

void moon_proxy_tunnel(struct moon_request *request, struct moon_str bytes) {
    struct moon_exchange *exchange = &request->exchange;
    moon_assert(exchange->tunnel);
    if (exchange->origin) {
        moon_origin_write(exchange->origin, bytes);
        exchange->uploaded += bytes.len;
    }
}

void moon_proxy_let_go(struct moon_request *request) {
    moon_assert(request->exchange.tunnel);
    moon_origin_let_go(&request->exchange.origin);
}

void moon_proxy_release(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    moon_origin_return(&exchange->origin, false);
    moon_origin_terms_unref(&exchange->terms);
    moon_buf_free(&exchange->carry);
}

/* The answer is complete. */
static void finish(struct moon_request *request, bool origin_clean) {
    struct moon_exchange *exchange = &request->exchange;
    struct moon_buf *out = moon_conn_out(request->conn);
    if (exchange->to_client == MOON_HTTP_CHUNKED)
        moon_http_write_last_chunk(out);
    moon_origin_return(&exchange->origin, origin_clean && exchange->origin_keeps && exchange->upload_done);
    moon_request_finish(request, request->keep_alive && request->answer_framed);
}

/* The answer cannot be completed, and the client must be able to tell. */
static void cut_short(struct moon_request *request, const char *why) {
    struct moon_conn *conn = request->conn;
    request->refusal = why;
    moon_worker_count(conn->worker, origin_failed);
    moon_proxy_release(request);
    moon_conn_abort(conn, !request->answer_framed && !conn->tls);
    moon_request_finish(request, false);
}

static void answer_fault(struct moon_request *request, unsigned status, const char *why) {
    if (request->answered) {
        cut_short(request, why);
        return;
    }
    moon_worker_count(request->conn->worker, origin_failed);
    moon_origin_return(&request->exchange.origin, false);
    moon_respond_page(request, status, why, true);
}

static void begin_tunnel(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    exchange->tunnel = true;
    exchange->to_client = MOON_HTTP_NO_BODY;
    moon_conn_begin_tunnel(request->conn);
}

/* Writes the head of the answer to the client, once the origin's is known. */
static void start_answer(struct moon_request *request, struct moon_http_head *answer) {
    const struct moon_http_head *head = answer;
    struct moon_exchange *exchange = &request->exchange;
    struct moon_conn *conn = request->conn;
    struct moon_buf *out = moon_conn_out(conn);
    size_t mark = out->len;
    bool has_date;
    bool old_client = request->minor_version == 0;
    bool upgraded = head->status == 101;
    if (upgraded && conn->parting) { /* while the origin was asked */
        moon_origin_return(&exchange->origin, false);
        moon_respond_page(request, 403, "the client is not trusted any more", false);
        return;
    }
    if (conn->worker->hooks->response && !conn->worker->hooks->response(conn->worker->script, request, answer)) {
        moon_origin_return(&exchange->origin, false);
        moon_respond_page(request, 500, "a policy failed", true);
        return;
    }
    exchange->to_client = head->framing;
    if (head->framing == MOON_HTTP_CHUNKED || head->framing == MOON_HTTP_UNTIL_CLOSE)
        exchange->to_client = old_client ? MOON_HTTP_UNTIL_CLOSE : MOON_HTTP_CHUNKED;
    request->answer_framed = exchange->to_client != MOON_HTTP_UNTIL_CLOSE;
    if (!request->body.done || conn->parting || conn->worker->draining)
        request->keep_alive = false;
    bool keep = request->keep_alive && request->answer_framed;

    int rc = moon_http_write_status_line(out, head->status);
    if (rc == 0)
        rc = moon_forward_response_fields(out, head, &has_date);
    if (rc == 0)
        rc = moon_forward_added_fields(out, &request->to_client);
    if (rc == 0 && !has_date)
        rc = moon_http_write_field(out, MOON_STR("Date"), moon_worker_date(conn->worker));
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("CF-Ray"), moon_str_of(request->ray));
    if (rc == 0 && exchange->to_client == MOON_HTTP_LENGTH)
        rc = moon_http_write_field_number(out, MOON_STR("Content-Length"), head->content_length);
    else if (rc == 0 && exchange->to_client == MOON_HTTP_CHUNKED)
        rc = moon_http_write_field(out, MOON_STR("Transfer-Encoding"), MOON_STR("chunked"));
    else if (rc == 0 && head->framing == MOON_HTTP_NO_BODY && (request->is_head || head->status == 304)) {
        const struct moon_http_field *length = moon_http_find(head, MOON_STR("content-length"));
        if (length) /* tells what a GET would have brought */
            rc = moon_http_write_field(out, MOON_STR("Content-Length"), length->value);
    }
    if (rc == 0 && upgraded) {
        rc = moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("Upgrade"));
        if (rc == 0)
            rc = moon_http_write_field(out, MOON_STR("Upgrade"), MOON_STR("websocket"));
    } else if (rc == 0 && !keep) {
        rc = moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("close"));
    } else if (rc == 0 && old_client) {
        rc = moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("keep-alive"));
    }
    if (rc == 0)
        rc = moon_http_write_end(out);
    if (rc != 0) {
        out->len = mark;
        answer_fault(request, 502, "the origin's head cannot be forwarded");
        return;
    }
    request->answered = true;
    request->status = head->status;
    if (upgraded)
        begin_tunnel(request);
}

/* Reads the head of the answer off *input; false when the request has ended or needs more bytes. */
static bool read_head(struct moon_request *request, struct moon_str *input) {
    struct moon_exchange *exchange = &request->exchange;
    struct moon_worker *worker = request->conn->worker;
    struct moon_http_head *head = &worker->answer;
    const char *reason = "";
    struct moon_http_limits limits;
    moon_http_limits_init(&limits);
    limits.start_line = worker->options->limits.head;
    int length = moon_http_scan(*input, &exchange->scanned, &limits);
    if (length == 0)
        return false;
    if (length < 0 || moon_http_parse_response(head, moon_str(input->data, (size_t)length), &limits,
                                               request->is_head, &reason) != 0) {
        answer_fault(request, 502, length < 0 ? "the origin's head is malformed or too large" : reason);
        return false;
    }
    exchange->scanned = 0;
    input->data += length;
    input->len -= (size_t)length;
    if (head->status < 200 && head->status != 101) {
        if (++exchange->interim > INTERIM_MAX) {
            answer_fault(request, 502, "the origin sent too many interim answers");
            return false;
        }
        return true; /* dropped; the final one follows */
    }
    if (head->status == 101 && !(exchange->websocket && head->upgrade_websocket)) {
        answer_fault(request, 502, "the origin switched protocols without being asked");
        return false;
    }
    exchange->head_read = true;
    exchange->origin_keeps = head->keep_alive && head->framing != MOON_HTTP_UNTIL_CLOSE;
    moon_http_body_init(&exchange->body, head->framing, head->content_length);
    start_answer(request, head);
    return exchange->origin != NULL;
}

static void write_payload(struct moon_request *request, struct moon_str payload) {
    struct moon_conn *conn = request->conn;
    struct moon_buf *out = moon_conn_out(conn);
    if (request->exchange.to_client == MOON_HTTP_CHUNKED)
        moon_http_write_chunk(out, payload);
    else
        moon_buf_append_str(out, payload);
    request->sent += payload.len;
    moon_conn_flush_if_large(conn);
}

/* A client that is slower than its origin makes the origin wait. */
static void pause_if_full(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    if (!exchange->origin || !moon_conn_is_full(request->conn))
        return;
    exchange->origin_paused = true;
    moon_origin_read(exchange->origin, false);
}

/* Takes what it can off *input. The request may have ended afterwards. */
static void relay(struct moon_request *request, struct moon_str *input) {
    struct moon_exchange *exchange = &request->exchange;
    while (!exchange->head_read) {
        if (!read_head(request, input))
            return;
    }
    if (exchange->tunnel) {
        write_payload(request, *input);
        input->len = 0;
        pause_if_full(request);
        return;
    }
    for (;;) {
        struct moon_str payload = MOON_STR_NONE;
        if (exchange->body.done) {
            finish(request, input->len == 0);
            return;
        }
        if (!input->len)
            break;
        if (moon_http_body_read(&exchange->body, input, &payload) != 0) {
            cut_short(request, "the origin's body is malformed");
            return;
        }
        if (payload.len)
            write_payload(request, payload);
    }
    pause_if_full(request);
}

static void on_bytes(void *borrower, struct moon_str *plaintext) {
    struct moon_request *request = borrower;
    struct moon_exchange *exchange = &request->exchange;
    struct moon_conn *conn = request->conn;
    moon_conn_turn_begin(conn);
    if (!exchange->carry.len) {
        relay(request, plaintext);
        if (conn->request == request && !exchange->head_read && exchange->origin && plaintext->len) {
            if (moon_buf_append_str(&exchange->carry, *plaintext) != 0)
                answer_fault(request, 502, "the origin's head is too large");
            plaintext->len = 0;
        }
    } else if (moon_buf_append_str(&exchange->carry, *plaintext) != 0) {
        answer_fault(request, 502, "the origin's head is too large");
    } else {
        /* Rare: a head in pieces. The whole is read from a buffer that outlives the request's end. */
        struct moon_buf whole = exchange->carry;
        struct moon_str input = moon_buf_view(&whole);
        moon_buf_init(&exchange->carry, whole.ceiling);
        plaintext->len = 0;
        relay(request, &input);
        if (conn->request == request && !exchange->head_read && exchange->origin)
            moon_buf_append_str(&exchange->carry, input);
        else
            plaintext->len = conn->request == request ? 0 : input.len; /* left over: origin.c must know */
        moon_buf_free(&whole);
    }
    moon_conn_turn_end(conn);
}

static void on_ready(void *borrower) {
    struct moon_request *request = borrower;
    struct moon_conn *conn = request->conn;
    moon_conn_turn_begin(conn);
    send_head(request);
    moon_conn_turn_end(conn);
}

/* A warm connection that died before it answered was most likely closed by the origin while idle: another try is safe when nothing
 * but an idempotent head was sent. */
static bool may_retry(const struct moon_request *request, bool was_warm) {
    const struct moon_exchange *exchange = &request->exchange;
    return was_warm && !exchange->retried && exchange->idempotent && !exchange->head_read && !exchange->interim &&
           !exchange->carry.len && exchange->to_origin == MOON_HTTP_NO_BODY && !exchange->websocket;
}

static void retry(struct moon_request *request) {
    request->exchange.retried = true;
    borrow(request, true);
}

static void on_ended(void *borrower) {
    struct moon_request *request = borrower;
    struct moon_exchange *exchange = &request->exchange;
    struct moon_conn *conn = request->conn;
    bool was_warm = moon_origin_is_warm(exchange->origin);
    moon_conn_turn_begin(conn);
    if (exchange->tunnel) {
        moon_origin_return(&exchange->origin, false);
        moon_request_finish(request, false);
    } else if (exchange->head_read) {
        if (moon_http_body_eof(&exchange->body))
            finish(request, false);
        else
            cut_short(request, "the origin closed before the end of its answer");
    } else if (may_retry(request, was_warm)) {
        moon_origin_return(&exchange->origin, false);
        retry(request);
    } else {
        answer_fault(request, 502, "the origin closed without an answer");
    }
    moon_conn_turn_end(conn);
}

static const struct fault {
    unsigned status;
    const char *text;
} faults[] = {
    [MOON_ORIGIN_UNRESOLVED] = {502, "the origin's name could not be resolved"},
    [MOON_ORIGIN_REFUSED] = {502, "the origin could not be connected to"},
    [MOON_ORIGIN_CONNECT_TIMEOUT] = {504, "the origin did not take the connection in time"},
    [MOON_ORIGIN_TLS_FAILED] = {525, "the TLS handshake with the origin failed"},
    [MOON_ORIGIN_CERTIFICATE] = {526, "the origin's certificate was refused"},
    [MOON_ORIGIN_RESET] = {502, "the origin broke the connection"},
    [MOON_ORIGIN_SILENT] = {504, "the origin did not answer in time"},
};

static void on_failed(void *borrower, enum moon_origin_failure failure, const char *detail) {
    struct moon_request *request = borrower;
    struct moon_exchange *exchange = &request->exchange;
    struct moon_conn *conn = request->conn;
    bool was_warm = exchange->connected && moon_origin_is_warm(exchange->origin);
    exchange->origin = NULL; /* gone already */
    moon_conn_turn_begin(conn);
    request->origin_error = moon_arena_copy(&request->arena, moon_str_of(detail));
    if (exchange->tunnel)
        moon_request_finish(request, false);
    else if (failure == MOON_ORIGIN_RESET && may_retry(request, was_warm))
        retry(request);
    else
        answer_fault(request, faults[failure].status, faults[failure].text);
    moon_conn_turn_end(conn);
}

static void on_drained(void *borrower) {
    struct moon_request *request = borrower;
    struct moon_conn *conn = request->conn;
    moon_conn_turn_begin(conn); /* its end looks at what waits */
    moon_conn_turn_end(conn);
}

void moon_proxy_client_drained(struct moon_request *request) {
    struct moon_exchange *exchange = &request->exchange;
    if (exchange->origin && exchange->origin_paused && !moon_conn_is_full(request->conn)) {
        exchange->origin_paused = false;
        moon_origin_read(exchange->origin, true);
    }
}
