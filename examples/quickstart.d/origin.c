/* origin.c — a small HTTP/1.1 origin over poll(2): it stands behind the gateway in the quickstart and in the flow specs. What it
 * answers is chosen by the path (origin_answer.c). It binds to a loopback address, trusts nobody with anything, and
 * can write one JSON line per connection and request, so that a spec can say what reached the origin and what did not.
 *
 *   moongate-test-origin [--listen 127.0.0.1:0] [--log FILE] [--raw DIRECTORY]
 *
 * The first line on stdout is "listening ADDRESS:PORT". */
#include "origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONN_MAX 2048

static struct conn *conns[CONN_MAX];
static FILE *log_file;
static unsigned long next_id;

int64_t origin_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void origin_put(struct conn *conn, const void *data, size_t len) {
    if (conn->state == STATE_GONE) return;
    if (conn->out_sent == conn->out_len) conn->out_sent = conn->out_len = 0;
    if (conn->out_len + len > OUT_MAX && conn->out_sent > 0) {
        memmove(conn->out, conn->out + conn->out_sent, conn->out_len - conn->out_sent);
        conn->out_len -= conn->out_sent;
        conn->out_sent = 0;
    }
    if (conn->out_len + len > OUT_MAX) {
        conn->state = STATE_GONE;
        return;
    }
    memcpy(conn->out + conn->out_len, data, len);
    conn->out_len += len;
}

void origin_printf(struct conn *conn, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len > 0) origin_put(conn, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

/* --- the record --- */

static void log_string(const char *text, size_t len) {
    fputc('"', log_file);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') fprintf(log_file, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) fprintf(log_file, "\\u%04x", c);
        else fputc(c, log_file);
    }
    fputc('"', log_file);
}

static void log_event(const struct conn *conn, const char *what) {
    if (!log_file) return;
    fprintf(log_file, "{\"what\":\"%s\",\"connection\":%lu,\"bytes\":%" PRIu64 "}\n", what, conn->id, conn->bytes_read);
    fflush(log_file);
}

static void log_request(const struct conn *conn) {
    if (!log_file) return;
    const char *line = strstr(conn->request.text, "\r\n") + 2;
    const char *separator = "";
    fprintf(log_file, "{\"what\":\"request\",\"connection\":%lu,\"number\":%lu,\"method\":\"%s\",\"target\":", conn->id,
            conn->requests, conn->request.method);
    log_string(conn->request.target, strlen(conn->request.target));
    fprintf(log_file, ",\"fields\":[");
    for (const char *end; (end = strstr(line, "\r\n")) && end != line; line = end + 2) {
        const char *colon = memchr(line, ':', (size_t)(end - line));
        if (!colon) continue;
        const char *value = colon + 1 + strspn(colon + 1, " \t");
        fprintf(log_file, "%s[", separator);
        log_string(line, (size_t)(colon - line));
        fputc(',', log_file);
        log_string(value, value < end ? (size_t)(end - value) : 0);
        fputc(']', log_file);
        separator = ",";
    }
    fprintf(log_file, "]}\n");
    fflush(log_file);
}

static void log_body(const struct conn *conn) {
    if (!log_file) return;
    fprintf(log_file, "{\"what\":\"body\",\"connection\":%lu,\"number\":%lu,\"bytes\":%" PRIu64 ",\"complete\":%s}\n",
            conn->id, conn->requests, conn->body.seen, conn->body.state == BODY_DONE ? "true" : "false");
    fflush(log_file);
}

/* --- one connection --- */

static void conn_free(struct conn *conn) {
    log_event(conn, "closed");
    close(conn->fd);
    free(conn->request.text);
    free(conn);
}

static void consume(struct conn *conn, size_t len) {
    memmove(conn->in, conn->in + len, conn->in_len - len);
    conn->in_len -= len;
}

static bool field_is(const char *line, const char *end, const char *name, const char **value) {
    size_t len = strlen(name);
    if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':') return false;
    *value = line + len + 1 + strspn(line + len + 1, " \t");
    return true;
}

/* Reads a head that the gateway wrote: well formed or not worth an answer. */
static bool parse_head(struct conn *conn, size_t len) {
    struct request *request = &conn->request;
    const char *value;
    free(request->text);
    memset(request, 0, sizeof *request);
    request->text = strndup(conn->in, len);
    if (sscanf(request->text, "%31s %4095s HTTP/1.%d\r\n", request->method, request->target, &request->minor_version) != 3)
        return false;
    request->keep_alive = request->minor_version >= 1;
    const char *line = strstr(request->text, "\r\n") + 2;
    for (const char *end; (end = strstr(line, "\r\n")) && end != line; line = end + 2) {
        if (field_is(line, end, "content-length", &value)) {
            request->has_length = true;
            request->length = strtoull(value, NULL, 10);
        } else if (field_is(line, end, "transfer-encoding", &value)) {
            request->chunked = true;
        } else if (field_is(line, end, "connection", &value)) {
            if (strncasecmp(value, "close", 5) == 0) request->keep_alive = false;
        } else if (field_is(line, end, "upgrade", &value)) {
            request->wants_upgrade = true;
        } else if (field_is(line, end, "expect", &value)) {
            request->wants_continue = true;
        }
    }
    return true;
}

static bool step_head(struct conn *conn) {
    const char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4);
    if (!end) {
        if (conn->in_len == IN_MAX) conn->state = STATE_GONE;
        return false;
    }
    size_t len = (size_t)(end - conn->in) + 4;
    conn->requests++;
    if (!parse_head(conn, len)) {
        conn->state = STATE_GONE;
        return false;
    }
    consume(conn, len);
    log_request(conn);
    origin_body_start(&conn->body, conn->request.chunked, conn->request.length);
    if (conn->request.wants_continue) origin_printf(conn, "HTTP/1.1 100 Continue\r\n\r\n");
    conn->state = STATE_BODY;
    origin_route(conn);
    return true;
}

static bool step_body(struct conn *conn) {
    const char *piece;
    size_t len, taken = 0;
    if (conn->wake_at > origin_now()) return false;
    while (conn->out_len - conn->out_sent < OUT_HIGH) {
        size_t now = origin_body_take(&conn->body, conn->in + taken, conn->in_len - taken, &piece, &len);
        if (now == 0) break;
        if (conn->body_use == BODY_ECHO && len > 0) {
            if (conn->request.chunked) origin_printf(conn, "%zx\r\n", len);
            origin_put(conn, piece, len);
            if (conn->request.chunked) origin_put(conn, "\r\n", 2);
        }
        taken += now;
    }
    consume(conn, taken);
    if (conn->body.state == BODY_BAD) conn->state = STATE_GONE;
    if (conn->body.state != BODY_DONE) return taken > 0 && conn->state == STATE_BODY;
    log_body(conn);
    origin_answer(conn);
    return true;
}

static void after_answer(struct conn *conn) {
    if (conn->close_after) conn->state = STATE_GONE;
    else conn->state = STATE_HEAD;
}

/* Goes on until nothing more can be done without the peer or the clock. */
static void advance(struct conn *conn) {
    for (bool again = true; again && conn->state != STATE_GONE;) {
        again = false;
        switch (conn->state) {
            case STATE_HEAD:
                again = step_head(conn);
                break;
            case STATE_BODY:
                again = step_body(conn);
                break;
            case STATE_WAIT:
                if (conn->wake_at <= origin_now()) {
                    origin_answer_now(conn);
                    again = true;
                }
                break;
            case STATE_SEND:
                origin_fill(conn);
                if (conn->out_sent == conn->out_len && conn->fill_left == 0 && conn->chunks_left == 0) {
                    after_answer(conn);
                    again = true;
                }
                break;
            case STATE_TUNNEL:
                if (conn->in_len > 0 && conn->out_len - conn->out_sent < OUT_HIGH) {
                    origin_put(conn, conn->in, conn->in_len);
                    consume(conn, conn->in_len);
                }
                break;
            case STATE_HELD:
            case STATE_GONE:
                break;
        }
    }
}

unsigned origin_release(const char *name) {
    unsigned count = 0;
    for (size_t i = 0; i < CONN_MAX; i++) {
        struct conn *conn = conns[i];
        if (!conn || conn->state != STATE_HELD || strcmp(conn->hold, name) != 0) continue;
        origin_answer_now(conn);
        count++;
    }
    return count;
}

static void on_readable(struct conn *conn) {
    ssize_t got = recv(conn->fd, conn->in + conn->in_len, IN_MAX - conn->in_len, 0);
    if (got > 0) {
        conn->in_len += (size_t)got;
        conn->bytes_read += (uint64_t)got;
    } else if (got == 0) {
        conn->end_of_input = true;
        if (conn->state == STATE_BODY) log_body(conn);
        if (conn->state != STATE_SEND || conn->request.chunked) conn->state = STATE_GONE;
    } else if (errno != EAGAIN && errno != EINTR) {
        if (conn->state == STATE_BODY) log_body(conn);
        conn->state = STATE_GONE;
    }
}

static void flush(struct conn *conn) {
    while (conn->out_sent < conn->out_len) {
        ssize_t sent = send(conn->fd, conn->out + conn->out_sent, conn->out_len - conn->out_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) conn->state = STATE_GONE;
            return;
        }
        conn->out_sent += (size_t)sent;
        if (conn->state == STATE_SEND && conn->out_sent == conn->out_len) origin_fill(conn);
    }
}

static bool wants_bytes(const struct conn *conn) {
    if (conn->in_len == IN_MAX || conn->end_of_input) return false;
    if (conn->state == STATE_BODY) return conn->wake_at <= origin_now() && conn->out_len - conn->out_sent < OUT_HIGH;
    return true;
}

/* --- the loop --- */

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        size_t slot = 0;
        while (slot < CONN_MAX && conns[slot]) slot++;
        struct conn *conn = slot < CONN_MAX ? calloc(1, sizeof *conn) : NULL;
        if (!conn) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        conn->fd = fd;
        conn->id = ++next_id;
        conns[slot] = conn;
        log_event(conn, "open");
    }
}

static void turn(int listener) {
    static struct pollfd polls[CONN_MAX + 1];
    static size_t slots[CONN_MAX + 1];
    size_t count = 1;
    int timeout = 1000;
    polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < CONN_MAX; i++) {
        struct conn *conn = conns[i];
        if (!conn) continue;
        short events = 0;
        if (wants_bytes(conn)) events |= POLLIN;
        if (conn->out_sent < conn->out_len) events |= POLLOUT;
        if (conn->wake_at > origin_now()) {
            int64_t left = conn->wake_at - origin_now() + 1;
            if (left < timeout) timeout = (int)left;
        }
        slots[count] = i;
        polls[count++] = (struct pollfd){.fd = conn->fd, .events = events};
    }
    if (poll(polls, (nfds_t)count, timeout) < 0 && errno != EINTR) exit(1);
    for (size_t i = 1; i < count; i++) {
        struct conn *conn = conns[slots[i]];
        /* Whoever waits for an answer and hangs up is noticed too: poll reports POLLHUP and POLLERR unasked. */
        if (polls[i].revents & (POLLIN | POLLHUP | POLLERR)) on_readable(conn);
        if (conn->state != STATE_GONE) advance(conn);
    }
    for (size_t i = 1; i < count; i++) {
        struct conn *conn = conns[slots[i]];
        flush(conn); /* also what was said before the end */
        if (conn->state != STATE_GONE) advance(conn);
        if (conn->state != STATE_GONE) continue;
        conns[slots[i]] = NULL;
        conn_free(conn);
    }
    if (polls[0].revents & POLLIN) accept_all(listener);
}

static int listen_on(const char *address) {
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t len = sizeof name;
    char host[64];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host) return -1;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    name.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &name.sin_addr) != 1) return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&name, len) != 0 || listen(fd, 1024) != 0) return -1;
    getsockname(fd, (struct sockaddr *)&name, &len);
    printf("listening %s:%u\n", host, ntohs(name.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    const char *address = "127.0.0.1:0";
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--listen") == 0) address = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "--log") == 0) log_file = fopen(argv[i + 1], "a");
        else if (i + 1 < argc && strcmp(argv[i], "--raw") == 0) origin_raw_directory = argv[i + 1];
        else {
            fprintf(stderr, "usage: %s [--listen ADDRESS:PORT] [--log FILE] [--raw DIRECTORY]\n", argv[0]);
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(address);
    if (listener < 0) {
        fprintf(stderr, "%s: cannot listen on %s: %s\n", argv[0], address, strerror(errno));
        return 1;
    }
    for (;;) turn(listener);
}
