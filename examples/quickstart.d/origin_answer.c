/* What the small origin answers, by path:
 *
 *   /echo              the body, framed as it came          /bytes/N        N bytes with a length
 *   /sink              how many bytes the body had          /chunks/N/SIZE  N chunks of SIZE bytes
 *   /sink-slow/MS      the same, but waits before reading   /until-close/N  N bytes without a length
 *   /status/N          that status, no body                 /early-hints    103, then 200
 *   /wait/MS           answers later                        /trailers       chunks, then trailer fields
 *   /hold/X /release/X answers when the other one is asked  /upgrade        101, then sends back what comes
 *   /drop              closes without an answer             /drop-next      answers; drops the next one on the connection
 *   /truncated/N       half of what it announces            /truncated-chunks
 *   /raw/NAME          the bytes of a file, then closes     anything else   the request's head as text
 */
#include "origin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *origin_raw_directory;

static const char filler[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ\n";

static bool is_head_request(const struct conn *conn) {
    return strcmp(conn->request.method, "HEAD") == 0;
}

/* "/bytes/12?x" with prefix "/bytes/" gives "12?x"; NULL when the path is another one. */
static const char *after(const struct conn *conn, const char *prefix) {
    size_t len = strlen(prefix);
    return strncmp(conn->request.target, prefix, len) == 0 ? conn->request.target + len : NULL;
}

static bool is_path(const struct conn *conn, const char *path) {
    size_t len = strcspn(conn->request.target, "?");
    return len == strlen(path) && strncmp(conn->request.target, path, len) == 0;
}

static void start(struct conn *conn, int status) {
    origin_printf(conn, "HTTP/1.1 %d %s\r\nServer: test-origin\r\n", status, status == 200 ? "OK" : "Other");
    if (!conn->request.keep_alive) conn->close_after = true;
    if (conn->close_after) origin_printf(conn, "Connection: close\r\n");
}

static void text(struct conn *conn, int status, const char *body, size_t len) {
    start(conn, status);
    origin_printf(conn, "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", len);
    if (!is_head_request(conn)) origin_put(conn, body, len);
}

static void filled(struct conn *conn, uint64_t announced, uint64_t sent) {
    start(conn, 200);
    origin_printf(conn, "Content-Type: text/plain\r\nContent-Length: %" PRIu64 "\r\n\r\n", announced);
    if (!is_head_request(conn)) conn->fill_left = sent;
}

static void chunked(struct conn *conn, uint64_t count, uint64_t size, const char *tail) {
    start(conn, 200);
    origin_printf(conn, "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (is_head_request(conn)) return;
    conn->chunks_left = count;
    conn->chunk_size = size;
    conn->tail = tail;
}

static void status_only(struct conn *conn, int status) {
    start(conn, status);
    if (status == 204 || status == 304) origin_printf(conn, "X-Empty: yes\r\n\r\n");
    else origin_printf(conn, "Content-Length: 0\r\n\r\n");
}

static void raw_file(struct conn *conn, const char *name) {
    char path[4600], buffer[4096];
    size_t got;
    if (!origin_raw_directory || strchr(name, '/') || strstr(name, "..")) {
        text(conn, 404, "no such file\n", 13);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", origin_raw_directory, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        text(conn, 404, "no such file\n", 13);
        return;
    }
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0 && conn->out_len < OUT_HIGH) origin_put(conn, buffer, got);
    fclose(file);
    conn->close_after = true;
}

static void upgrade(struct conn *conn) {
    if (!conn->request.wants_upgrade) {
        text(conn, 426, "upgrade wanted\n", 15);
        return;
    }
    origin_printf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    conn->state = STATE_TUNNEL;
}

void origin_route(struct conn *conn) {
    const char *rest;
    conn->body_use = BODY_IGNORE;
    conn->wake_at = 0;
    if (is_path(conn, "/echo")) {
        conn->body_use = BODY_ECHO;
        start(conn, 200);
        if (conn->request.chunked) origin_printf(conn, "Transfer-Encoding: chunked\r\n\r\n");
        else origin_printf(conn, "Content-Length: %" PRIu64 "\r\n\r\n", conn->request.length);
    } else if ((rest = after(conn, "/sink-slow/"))) {
        conn->wake_at = origin_now() + atoi(rest);
    }
}

void origin_answer(struct conn *conn) {
    const char *rest;
    if (conn->drop_next || is_path(conn, "/drop")) {
        conn->state = STATE_GONE;
    } else if ((rest = after(conn, "/wait/"))) {
        conn->wake_at = origin_now() + atoi(rest);
        conn->state = STATE_WAIT;
    } else if ((rest = after(conn, "/hold/"))) {
        snprintf(conn->hold, sizeof conn->hold, "%.63s", rest);
        conn->state = STATE_HELD;
    } else {
        conn->state = STATE_SEND;
        origin_answer_now(conn);
    }
}

void origin_answer_now(struct conn *conn) {
    const char *rest;
    char line[96];
    uint64_t count, size;
    if (conn->state != STATE_TUNNEL) conn->state = STATE_SEND;
    if (conn->body_use == BODY_ECHO) {
        if (conn->request.chunked) origin_printf(conn, "0\r\n\r\n");
    } else if (is_path(conn, "/sink") || after(conn, "/sink-slow/")) {
        text(conn, 200, line, (size_t)snprintf(line, sizeof line, "%" PRIu64 " bytes\n", conn->body.seen));
    } else if ((rest = after(conn, "/bytes/"))) {
        count = strtoull(rest, NULL, 10);
        filled(conn, count, count);
    } else if ((rest = after(conn, "/truncated/"))) {
        conn->close_after = true;
        count = strtoull(rest, NULL, 10);
        filled(conn, count, count / 2);
    } else if (is_path(conn, "/truncated-chunks")) {
        conn->close_after = true;
        chunked(conn, 3, 100, NULL);
    } else if ((rest = after(conn, "/chunks/")) && sscanf(rest, "%" SCNu64 "/%" SCNu64, &count, &size) == 2) {
        chunked(conn, count, size, "0\r\n\r\n");
    } else if (is_path(conn, "/trailers")) {
        chunked(conn, 2, 10, "0\r\nX-Trailer: from the origin\r\n\r\n");
    } else if ((rest = after(conn, "/until-close/"))) {
        conn->close_after = true;
        start(conn, 200);
        origin_printf(conn, "Content-Type: text/plain\r\n\r\n");
        conn->fill_left = strtoull(rest, NULL, 10);
    } else if ((rest = after(conn, "/status/"))) {
        status_only(conn, atoi(rest));
    } else if (is_path(conn, "/early-hints")) {
        origin_printf(conn, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
        text(conn, 200, "after the hints\n", 16);
    } else if ((rest = after(conn, "/release/"))) {
        text(conn, 200, line, (size_t)snprintf(line, sizeof line, "%u released\n", origin_release(rest)));
    } else if ((rest = after(conn, "/raw/"))) {
        raw_file(conn, rest);
    } else if (is_path(conn, "/upgrade")) {
        upgrade(conn);
    } else {
        if (is_path(conn, "/drop-next")) conn->drop_next = true;
        text(conn, 200, conn->request.text, strlen(conn->request.text));
    }
}

static void put_filler(struct conn *conn, uint64_t len) {
    while (len > 0) {
        size_t piece = len < sizeof filler - 1 ? (size_t)len : sizeof filler - 1;
        origin_put(conn, filler, piece);
        len -= piece;
    }
}

void origin_fill(struct conn *conn) {
    while (conn->fill_left > 0 && conn->out_len - conn->out_sent < OUT_HIGH) {
        uint64_t piece = conn->fill_left < 32768 ? conn->fill_left : 32768;
        put_filler(conn, piece);
        conn->fill_left -= piece;
    }
    while (conn->chunks_left > 0 && conn->out_len - conn->out_sent < OUT_HIGH) {
        uint64_t size = conn->chunk_size < 65536 ? conn->chunk_size : 65536;
        origin_printf(conn, "%" PRIx64 "\r\n", size);
        put_filler(conn, size);
        origin_put(conn, "\r\n", 2);
        if (--conn->chunks_left == 0 && conn->tail) origin_printf(conn, "%s", conn->tail);
    }
}
