#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOURCES 64 /* loopback addresses that connections leave from: closed ones keep their ports for a minute */
#define UPLOAD_PIECE (256 * 1024)

static const char zeros[UPLOAD_PIECE];

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count(_Atomic uint64_t *counter, uint64_t by) {
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

__attribute__((format(printf, 2, 3))) static void count_error(struct moon_load_client *client, const char *format,
                                                              ...) {
    struct moon_load_thread *thread = client->thread;
    count(&thread->counters.errors, 1);
    if (thread->first_error[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(thread->first_error, sizeof thread->first_error, format, arguments);
    va_end(arguments);
}

static const char *why(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : strerror(errno);
}

static void close_connection(struct moon_load_client *client) {
    if (client->state == MOON_LOAD_CONNECTING || client->state == MOON_LOAD_SHAKING)
        client->thread->opening--;
    SSL_free(client->ssl);
    client->ssl = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->state = MOON_LOAD_DEAD;
    moon_load_answer_reset(&client->answer);
}

/* A connection ended that should not have. Stays dead when that keeps happening: main sees the count and gives up. */
static void broke(struct moon_load_client *client, const char *what) {
    count_error(client, "%s: %s", what, why());
    close_connection(client);
}

/* ---- opening ---- */

/* Only loopback has addresses to spare, and only many connections need them. */
static void choose_source(struct moon_load_client *client) {
    struct moon_load_thread *thread = client->thread;
    const struct moon_load_options *options = thread->options;
    bool loopback = ntohl(options->target.sin_addr.s_addr) >> 24 == 127;
    if (!loopback || !(options->fresh || options->connections > 10000))
        return;
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f010001u + thread->sources++ % SOURCES);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&source, sizeof source) != 0)
        count_error(client, "bind: %s", strerror(errno));
}

static bool open_socket(struct moon_load_client *client) {
    const struct sockaddr_in *target = &client->thread->options->target;
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    choose_source(client);
    if (connect(client->fd, (const struct sockaddr *)target, sizeof *target) != 0 && errno != EINPROGRESS)
        return false;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};
    return epoll_ctl(client->thread->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

void moon_load_client_start(struct moon_load_client *client) {
    client->state = MOON_LOAD_CONNECTING;
    client->thread->opening++;
    client->begun_ns = now_ns();
    if (!open_socket(client))
        broke(client, "connect");
}

static bool begin_tls(struct moon_load_client *client) {
    bool resume = client->thread->options->resume;
    client->ssl = moon_load_tls_new(client->ctx, client->fd, client->host, resume ? client->session : NULL,
                                    resume ? &client->session : NULL);
    if (!client->ssl)
        broke(client, "TLS");
    return client->ssl != NULL;
}

/* ---- requests ---- */

static void begin_requests(struct moon_load_client *client) {
    const struct moon_load_options *options = client->thread->options;
    client->sent = 0;
    client->upload_left = options->upload;
    client->unanswered = options->pipeline;
    if (!options->fresh)
        client->begun_ns = now_ns();
}

/* False when the connection is gone. */
static bool send_requests(struct moon_load_client *client) {
    while (client->sent < client->requests_len || client->upload_left) {
        bool head = client->sent < client->requests_len;
        size_t piece = client->upload_left < UPLOAD_PIECE ? (size_t)client->upload_left : UPLOAD_PIECE;
        long n = head ? moon_load_write(client->ssl, client->fd, client->requests + client->sent,
                                        client->requests_len - client->sent)
                      : moon_load_write(client->ssl, client->fd, zeros, piece);
        if (n == MOON_LOAD_AGAIN)
            return true;
        if (n < 0) {
            broke(client, "write");
            return false;
        }
        if (head) {
            client->sent += (size_t)n;
        } else {
            client->upload_left -= (uint64_t)n;
            count(&client->thread->counters.body_out, (uint64_t)n);
        }
    }
    return true;
}

static void first_answer(struct moon_load_client *client) {
    if (client->was_served)
        return;
    client->was_served = true;
    atomic_fetch_add_explicit(&client->thread->counters.served, 1, memory_order_relaxed);
}

static void on_answer(struct moon_load_client *client, uint64_t now) {
    struct moon_load_thread *thread = client->thread;
    if (client->answer.status != thread->options->expect)
        count_error(client, "status %u instead of %u", client->answer.status, thread->options->expect);
    count(&thread->counters.answers, 1);
    if (atomic_load_explicit(thread->measuring, memory_order_relaxed))
        moon_load_histogram_add(&thread->latency, (now - client->begun_ns) / 1000);
    client->unanswered--;
    client->answers++;
    if (!thread->options->requests)
        first_answer(client);
}

/* Politely: the server's way of ending a connection is part of what a connection costs it. */
static void end_connection(struct moon_load_client *client) {
    if (client->ssl)
        SSL_shutdown(client->ssl);
    close_connection(client);
}

static void begin_again(struct moon_load_client *client) {
    end_connection(client);
    moon_load_client_start(client);
}

static void all_answered(struct moon_load_client *client) {
    const struct moon_load_options *options = client->thread->options;
    if (options->requests && client->answers >= options->requests) {
        if (options->fresh)
            end_connection(client);
        client->state = MOON_LOAD_HELD;
        first_answer(client);
    } else if (options->fresh || client->answer.closes) {
        if (!options->fresh)
            count(&client->thread->counters.reconnects, 1);
        begin_again(client);
    } else if (options->idle) {
        client->state = MOON_LOAD_HELD;
    } else {
        begin_requests(client);
        send_requests(client);
    }
}

/* False when there is something after the answers that nobody asked for, or what came cannot be read. */
static bool take(struct moon_load_client *client, const char *data, size_t len) {
    uint64_t now = now_ns();
    while (len) {
        size_t used;
        uint64_t body;
        int rc = client->unanswered ? moon_load_answer_feed(&client->answer, data, len, &used, &body) : -1;
        if (rc < 0)
            return false;
        if (body)
            count(&client->thread->counters.body_in, body);
        if (rc == 1)
            on_answer(client, now);
        data += used;
        len -= used;
    }
    return true;
}

/* Stops when all is answered, without waiting for EAGAIN: whatever comes later makes an edge of its own. */
static void receive(struct moon_load_client *client) {
    while (client->state == MOON_LOAD_TALKING && client->unanswered) {
        long n = moon_load_read(client->ssl, client->fd, client->thread->room, MOON_LOAD_ROOM);
        if (n == MOON_LOAD_AGAIN)
            return;
        if (n < 0) {
            bool between = n == MOON_LOAD_ENDED && client->answers && !client->thread->options->fresh &&
                           client->unanswered == client->thread->options->pipeline && !client->answer.in_body;
            if (!between) {
                broke(client, n == MOON_LOAD_ENDED ? "the server closed" : "read");
                return;
            }
            count(&client->thread->counters.reconnects, 1);
            begin_again(client);
            return;
        }
        if (!take(client, client->thread->room, (size_t)n)) {
            count_error(client, "an answer without Content-Length, or bytes after it");
            close_connection(client);
            return;
        }
        if (!client->unanswered)
            all_answered(client);
    }
}

/* ---- the states, one after the other ---- */

static bool connected(struct moon_load_client *client) {
    int error = 0;
    socklen_t len = sizeof error;
    struct tcp_info info;
    socklen_t info_len = sizeof info;
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error) {
        errno = error ? error : errno;
        broke(client, "connect");
        return false;
    }
    return getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) == 0 && info.tcpi_state == TCP_ESTABLISHED;
}

static bool shaken(struct moon_load_client *client) {
    int rc = moon_load_handshake(client->ssl);
    if (rc < 0)
        broke(client, "handshake");
    if (rc != 1)
        return false;
    count(&client->thread->counters.handshakes, 1);
    if (SSL_session_reused(client->ssl))
        count(&client->thread->counters.resumed, 1);
    return true;
}

static void begin_talking(struct moon_load_client *client) {
    client->state = MOON_LOAD_TALKING;
    client->thread->opening--;
    begin_requests(client);
}

void moon_load_client_advance(struct moon_load_client *client) {
    if (client->state == MOON_LOAD_CONNECTING) {
        if (!connected(client))
            return;
        if (!client->ctx)
            begin_talking(client);
        else if (begin_tls(client))
            client->state = MOON_LOAD_SHAKING;
        else
            return;
    }
    if (client->state == MOON_LOAD_SHAKING) {
        if (!shaken(client))
            return;
        begin_talking(client);
    }
    if (client->state == MOON_LOAD_TALKING && send_requests(client))
        receive(client);
}

/* ---- the beginning and the end ---- */

void moon_load_client_init(struct moon_load_client *client, struct moon_load_thread *thread, unsigned number,
                           unsigned of) {
    const struct moon_load_options *options = thread->options;
    const struct moon_load_contexts *contexts = thread->contexts;
    char one[2048], length[64] = "";
    *client = (struct moon_load_client){.thread = thread, .fd = -1, .state = MOON_LOAD_DEAD};
    client->host = options->hosts[(size_t)number * options->host_count / of];
    client->ctx = contexts->count ? contexts->list[number % contexts->count] : NULL;
    if (options->upload)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)options->upload);
    int len =
        snprintf(one, sizeof one, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: moongate-load\r\nAccept: */*\r\n%s\r\n",
                 options->upload ? "POST" : "GET", options->path, client->host, length);
    if (len < 0 || (size_t)len >= sizeof one)
        abort();
    client->requests_len = (size_t)len * options->pipeline;
    client->requests = malloc(client->requests_len);
    if (!client->requests)
        abort();
    for (unsigned i = 0; i < options->pipeline; i++)
        memcpy(client->requests + (size_t)len * i, one, (size_t)len);
}

void moon_load_client_deinit(struct moon_load_client *client) {
    close_connection(client);
    SSL_SESSION_free(client->session);
    free(client->requests);
    free(client->answer.carry);
}
