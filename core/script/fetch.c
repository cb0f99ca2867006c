#include "script/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/body.h"
#include "http/parse.h"

#define HEAD_CEILING (64 * 1024)
#define INTERIM_MAX 8
#define PIECE (64 * 1024)

struct moon_fetch {
    struct moon_worker *worker;
    struct moon_origin_terms *terms;
    struct moon_origin_conn *origin; /* NULL before and after */
    struct moon_buf bytes;           /* the request; kept for one retry */
    struct moon_buf head;            /* of the answer, as received */
    size_t scanned;
    struct moon_http_body reader;
    struct moon_buf body;
    moon_fetch_done_fn done;
    void *data;
    unsigned interim;
    bool is_head;
    bool idempotent;
    bool retried;
    bool connected;
    bool head_read;
    bool keeps; /* the connection may be used again */
    bool is_done;
    char failure[320]; /* empty: none */
};

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

static void finish(struct moon_fetch *fetch, bool clean, const char *failure, const char *detail) {
    moon_origin_return(&fetch->origin, clean && fetch->keeps);
    fetch->is_done = true;
    if (failure)
        snprintf(fetch->failure, sizeof fetch->failure, "%s%s%s", failure, detail && detail[0] ? ": " : "",
                 detail ? detail : "");
    fetch->done(fetch->data);
}

/* In pieces: what is put together for an origin in one go has a ceiling. A failure is told by the origin's own event.
 */
static void send_request(struct moon_fetch *fetch) {
    struct moon_str rest = moon_buf_view(&fetch->bytes);
    fetch->connected = true;
    while (rest.len) {
        size_t len = rest.len < PIECE ? rest.len : PIECE;
        if (moon_origin_write(fetch->origin, moon_str(rest.data, len)) != 0)
            return;
        rest.data += len;
        rest.len -= len;
    }
    moon_origin_flush(fetch->origin);
}

static void borrow(struct moon_fetch *fetch, bool fresh) {
    fetch->connected = false;
    fetch->origin = moon_origin_borrow(fetch->worker, fetch->terms, MOON_STR_NONE, fresh, &events, fetch);
    if (moon_origin_is_warm(fetch->origin))
        send_request(fetch);
}

static void set_limits(struct moon_http_limits *limits) {
    moon_http_limits_init(limits);
    limits->start_line = HEAD_CEILING;
    limits->fields = HEAD_CEILING;
}

/* Looks for the end of the answer's head in what has come. What lies behind it goes to *rest. True when it was found;
 * false: more is needed, or the fetch is done. */
static bool read_head(struct moon_fetch *fetch, struct moon_str *rest) {
    struct moon_http_head *head = &fetch->worker->answer;
    struct moon_http_limits limits;
    const char *reason = "";
    set_limits(&limits);
    for (;;) {
        struct moon_str all = moon_buf_view(&fetch->head);
        int length = moon_http_scan(all, &fetch->scanned, &limits);
        if (length == 0)
            return false;
        if (length < 0 ||
            moon_http_parse_response(head, moon_str(all.data, (size_t)length), &limits, fetch->is_head, &reason) != 0) {
            finish(fetch, false, "the answer's head is malformed or too large", reason);
            return false;
        }
        fetch->scanned = 0;
        if (head->status < 200 && head->status != 101) { /* interim: the final one follows */
            if (++fetch->interim > INTERIM_MAX) {
                finish(fetch, false, "too many interim answers", NULL);
                return false;
            }
            moon_buf_consume(&fetch->head, (size_t)length);
            continue;
        }
        if (head->status == 101) {
            finish(fetch, false, "the other side switched protocols without being asked", NULL);
            return false;
        }
        fetch->head_read = true;
        fetch->keeps = head->keep_alive && head->framing != MOON_HTTP_UNTIL_CLOSE;
        moon_http_body_init(&fetch->reader, head->framing, head->content_length);
        *rest = moon_str(all.data + length, all.len - (size_t)length);
        return true;
    }
}

static void read_body(struct moon_fetch *fetch, struct moon_str *input) {
    while (!fetch->reader.done && input->len) {
        struct moon_str payload = MOON_STR_NONE;
        if (moon_http_body_read(&fetch->reader, input, &payload) != 0) {
            finish(fetch, false, "the answer's body is malformed", NULL);
            return;
        }
        if (moon_buf_append_str(&fetch->body, payload) != 0) {
            finish(fetch, false, "the answer's body is too large", NULL);
            return;
        }
    }
    if (fetch->reader.done)
        finish(fetch, input->len == 0, NULL, NULL);
}

static void on_bytes(void *borrower, struct moon_str *plaintext) {
    struct moon_fetch *fetch = borrower;
    if (fetch->head_read) {
        read_body(fetch, plaintext);
        if (!fetch->is_done)
            plaintext->len = 0;
        return;
    }
    struct moon_str rest;
    if (moon_buf_append_str(&fetch->head, *plaintext) != 0) {
        finish(fetch, false, "the answer's head is malformed or too large", NULL);
    } else if (read_head(fetch, &rest)) {
        read_body(fetch, &rest);
    }
    plaintext->len = 0;
}

static void on_ready(void *borrower) {
    send_request(borrower);
}

/* As in gate/proxy.c: a warm connection that died before it answered was most likely closed while idle. */
static bool retry(struct moon_fetch *fetch, bool was_warm) {
    if (!was_warm || fetch->retried || !fetch->idempotent || fetch->head.len || fetch->interim || fetch->head_read)
        return false;
    fetch->retried = true;
    moon_origin_return(&fetch->origin, false);
    borrow(fetch, true);
    return true;
}

static void on_ended(void *borrower) {
    struct moon_fetch *fetch = borrower;
    if (fetch->head_read && moon_http_body_eof(&fetch->reader))
        finish(fetch, false, NULL, NULL);
    else if (!retry(fetch, moon_origin_is_warm(fetch->origin)))
        finish(fetch, false, "the other side closed before the end of its answer", NULL);
}

static const char *const failure_texts[] = {
    [MOON_ORIGIN_UNRESOLVED] = "the name could not be resolved",
    [MOON_ORIGIN_REFUSED] = "the connection was refused",
    [MOON_ORIGIN_CONNECT_TIMEOUT] = "the connection was not taken in time",
    [MOON_ORIGIN_TLS_FAILED] = "the TLS handshake failed",
    [MOON_ORIGIN_CERTIFICATE] = "the certificate was refused",
    [MOON_ORIGIN_RESET] = "the connection broke",
    [MOON_ORIGIN_SILENT] = "there was no answer in time",
};

static void on_failed(void *borrower, enum moon_origin_failure failure, const char *detail) {
    struct moon_fetch *fetch = borrower;
    bool was_warm = fetch->connected && moon_origin_is_warm(fetch->origin);
    fetch->origin = NULL; /* gone already */
    if (failure == MOON_ORIGIN_RESET && retry(fetch, was_warm))
        return;
    finish(fetch, false, failure_texts[failure], detail);
}

static void on_drained(void *borrower) {
    (void)borrower; /* the request went out as a whole */
}

struct moon_fetch *moon_fetch_open(struct moon_worker *worker, struct moon_origin_terms *terms, struct moon_buf *bytes,
                                   bool is_head, bool idempotent, size_t body_ceiling, moon_fetch_done_fn done,
                                   void *data) {
    struct moon_fetch *fetch = moon_new(struct moon_fetch);
    fetch->worker = worker;
    fetch->terms = moon_origin_terms_ref(terms);
    fetch->bytes = *bytes;
    moon_buf_init(bytes, bytes->ceiling);
    moon_buf_init(&fetch->head, HEAD_CEILING + MOON_RECEIVE_ROOM);
    moon_buf_init(&fetch->body, body_ceiling);
    fetch->is_head = is_head;
    fetch->idempotent = idempotent;
    fetch->done = done;
    fetch->data = data;
    borrow(fetch, false);
    return fetch;
}

void moon_fetch_free(struct moon_fetch **pointer) {
    struct moon_fetch *fetch = *pointer;
    *pointer = NULL;
    if (!fetch)
        return;
    moon_origin_return(&fetch->origin, false);
    moon_origin_terms_unref(&fetch->terms);
    moon_buf_free(&fetch->bytes);
    moon_buf_free(&fetch->head);
    moon_buf_free(&fetch->body);
    free(fetch);
}

bool moon_fetch_is_done(const struct moon_fetch *fetch) {
    return fetch->is_done;
}

const char *moon_fetch_failure(const struct moon_fetch *fetch) {
    return fetch->failure[0] ? fetch->failure : NULL;
}

void moon_fetch_head(const struct moon_fetch *fetch, struct moon_http_head *head) {
    struct moon_http_limits limits;
    const char *reason;
    size_t scanned = 0;
    set_limits(&limits);
    struct moon_str all = moon_buf_view(&fetch->head);
    int length = moon_http_scan(all, &scanned, &limits);
    moon_assert(length > 0);
    /* It was parsed before: the same bytes give the same answer. */
    moon_assert(moon_http_parse_response(head, moon_str(all.data, (size_t)length), &limits, fetch->is_head, &reason) ==
                0);
}

struct moon_str moon_fetch_body(const struct moon_fetch *fetch) {
    return moon_buf_view(&fetch->body);
}
