/* Two gateways in one process that do not see each other, under traffic, publications and their ends. Prints one line per step and ends
 * with "fine"; anything else is an abort (moon_assert) or a sanitizer's report. Run by spec/core/gate/gateways_spec.lua.
 *
 * Arguments: a PEM file with a certificate chain and key for "one.test" and "two.test", and for how many milliseconds traffic runs. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "gate/gateway.h"
#include "net/address.h"
#include "tls/crypto.h"

#define CLIENTS 3

/* ---- an origin that names itself ---- */

struct origin {
    const char *name;
    int fd;
    unsigned port;
    pthread_t thread;
};

static void *serve_connection(void *data) {
    int fd = (int)(intptr_t)data & 0xffffff;
    char name = (char)((intptr_t)data >> 24), request[4096], answer[256];
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, request + have, sizeof request - 1 - have, 0);
        if (n <= 0)
            break;
        have += (size_t)n;
        request[have] = 0;
        if (!strstr(request, "\r\n\r\n"))
            continue;
        have = 0;
        int len = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\norigin %c", name);
        if (send(fd, answer, (size_t)len, MSG_NOSIGNAL) != len)
            break;
    }
    close(fd);
    return NULL;
}

static void *serve_origin(void *data) {
    struct origin *origin = data;
    for (;;) {
        int fd = accept(origin->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        pthread_t thread;
        intptr_t both = (intptr_t)fd | (intptr_t)origin->name[0] << 24;
        moon_assert(pthread_create(&thread, NULL, serve_connection, (void *)both) == 0);
        pthread_detach(thread);
    }
}

static void open_origin(struct origin *origin, const char *name) {
    struct moon_address address, bound;
    moon_assert(moon_address_read(&address, MOON_STR("127.0.0.1:0")));
    origin->name = name;
    origin->fd = socket(AF_INET, SOCK_STREAM, 0);
    moon_assert(bind(origin->fd, &address.sock.any, address.len) == 0 && listen(origin->fd, 64) == 0);
    bound.len = sizeof bound.sock;
    moon_assert(getsockname(origin->fd, &bound.sock.any, &bound.len) == 0);
    origin->port = moon_address_port(&bound);
    moon_assert(pthread_create(&origin->thread, NULL, serve_origin, origin) == 0);
}

static void close_origin(struct origin *origin) {
    shutdown(origin->fd, SHUT_RDWR);
    pthread_join(origin->thread, NULL);
    close(origin->fd);
}

/* ---- a gateway ---- */

struct side {
    const char *host; /* "one.test" */
    struct origin origin;
    struct moon_log *log;
    struct moon_gateway *gateway;
    struct moon_tls_policy *policy;
    uint32_t next_id;
    uint64_t generation;
    unsigned port, plain_port;
    atomic_uint served;
    bool gone;
};

static void read_pem(struct moon_buf *out, const char *path) {
    char piece[4096];
    size_t n;
    FILE *file = fopen(path, "r");
    moon_assert(file);
    moon_buf_init(out, 65536);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        moon_assert(moon_buf_append(out, piece, n) == 0);
    moon_assert(moon_buf_append(out, "", 1) == 0); /* with its NUL, for strstr */
    fclose(file);
}

static void publish(struct side *side) {
    struct moon_snapshot *snapshot;
    struct moon_origin_terms *terms;
    struct moon_diag diag = {0};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", side->origin.port);
    struct moon_origin_options options = {.url = moon_str_of(url)};
    moon_assert(moon_origin_terms_new(&terms, &options, &diag) == 0);
    struct moon_section *section = moon_section_new(moon_str_of(side->host), MOON_STR(""), side->policy);
    struct moon_host_terms host = {.origin = terms};
    moon_assert(moon_section_add(section, moon_str_of(side->host), &host, &diag) == 0);
    moon_section_seal(section, &side->next_id);
    moon_assert(moon_snapshot_new(&snapshot, ++side->generation, &section, 1, side->policy, &diag) == 0);
    int rc = moon_gateway_publish(side->gateway, snapshot, 20000, &diag);
    if (rc)
        fprintf(stderr, "publish: %d: %s: %s\n", rc, diag.where, diag.text);
    moon_assert(rc == 0);
    for (unsigned i = 0; i < moon_gateway_workers(side->gateway); i++)
        moon_assert(moon_gateway_generation(side->gateway, i) == side->generation);
    moon_snapshot_unref(&snapshot);
    moon_section_unref(&section);
    moon_origin_terms_unref(&terms);
}

static unsigned port_of(struct side *side, int kind) {
    char text[64];
    moon_assert(moon_gateway_address(side->gateway, kind, 0, text, sizeof text));
    return (unsigned)strtoul(strrchr(text, ':') + 1, NULL, 10);
}

static void open_side(struct side *side, uv_loop_t *loop, const char *host, const char *pem_path) {
    struct moon_options options;
    struct moon_diag diag = {0};
    struct moon_buf pem;
    side->host = host;
    open_origin(&side->origin, host);
    read_pem(&pem, pem_path);
    struct moon_tls_terms terms = {
        .min_version = TLS1_2_VERSION, .certificates = moon_buf_view(&pem), .private_key = moon_buf_view(&pem)};
    /* One file for both: what a reader does not know it passes over. */
    char *key = strstr(pem.data, "-----BEGIN PRIVATE KEY");
    moon_assert(key);
    terms.private_key = moon_str_of(key);
    terms.certificates = moon_str(pem.data, (size_t)(key - pem.data));
    if (moon_tls_policy_new(&side->policy, &terms, &diag)) {
        fprintf(stderr, "%s: %s\n", diag.where, diag.text);
        abort();
    }
    moon_buf_free(&pem);
    moon_options_init(&options);
    strcpy(options.listen[0], "127.0.0.1:0");
    strcpy(options.listen_http[0], "127.0.0.1:0");
    options.workers = 2;
    side->log = moon_log_open(2, NULL, NULL, MOON_LOG_ERROR);
    side->next_id = 1;
    moon_assert(moon_gateway_new(&side->gateway, loop, &options, NULL, NULL, side->log, &diag) == 0);
    publish(side);
    side->port = port_of(side, 0);
    side->plain_port = port_of(side, 1);
}

/* ---- a client ---- */

static int dial(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 20};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The status of an answer; its body into `body`; 0 when the connection ended. `ssl` NULL: plain. */
static unsigned ask(int fd, SSL *ssl, const char *host, char *body, size_t room) {
    char bytes[4096];
    size_t have = 0;
    int len = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    if ((ssl ? SSL_write(ssl, bytes, len) : send(fd, bytes, (size_t)len, MSG_NOSIGNAL)) != len)
        return 0;
    for (;;) {
        ssize_t n = ssl ? SSL_read(ssl, bytes + have, (int)(sizeof bytes - 1 - have))
                        : recv(fd, bytes + have, sizeof bytes - 1 - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        bytes[have] = 0;
        char *end = strstr(bytes, "\r\n\r\n"), *length = strstr(bytes, "Content-Length: ");
        if (!end || !length)
            continue;
        if (have < (size_t)(end + 4 - bytes) + strtoul(length + 16, NULL, 10))
            continue;
        snprintf(body, room, "%s", end + 4);
        return (unsigned)strtoul(bytes + 9, NULL, 10);
    }
}

/* Opens a connection and asks once. 0 when that fails. */
static unsigned ask_once(struct side *side, bool tls, const char *name, const char *host, char *body, size_t room) {
    int fd = dial(tls ? side->port : side->plain_port);
    unsigned status = 0;
    if (fd < 0)
        return 0;
    if (!tls) {
        status = ask(fd, NULL, host, body, room);
    } else {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        SSL_set_tlsext_host_name(ssl, name);
        if (SSL_connect(ssl) == 1)
            status = ask(fd, ssl, host, body, room);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
    }
    close(fd);
    return status;
}

static atomic_bool stop;

struct client {
    struct side *side;
    pthread_t thread;
    bool may_fail; /* its gateway may close */
};

/* Connections with a few requests each, in TLS and plain, until told to stop. */
static void *run_client(void *data) {
    struct client *client = data;
    struct side *side = client->side;
    char body[256], own[16];
    snprintf(own, sizeof own, "origin %c", side->host[0]);
    for (unsigned round = 0; !stop; round++) {
        unsigned status = ask_once(side, round % 2, side->host, side->host, body, sizeof body);
        if (status == 0 && client->may_fail)
            break;
        moon_assert(status == 200 && strcmp(body, own) == 0);
        atomic_fetch_add(&side->served, 1);
    }
    return NULL;
}

/* ---- the story ---- */

static void check_names(struct side *own, struct side *other) {
    char body[2048];
    moon_assert(ask_once(own, true, own->host, own->host, body, sizeof body) == 200 && body[7] == own->host[0]);
    moon_assert(ask_once(own, false, NULL, own->host, body, sizeof body) == 200 && body[7] == own->host[0]);
    moon_assert(ask_once(own, true, own->host, other->host, body, sizeof body) == 404);
    moon_assert(ask_once(own, false, NULL, other->host, body, sizeof body) == 404);
    printf("%s serves its own name only\n", own->host);
}

static void on_done(void *data) {
    struct side *side = data;
    side->gone = true;
}

static void close_side(struct side *side, uv_loop_t *loop, bool at_once) {
    moon_gateway_close(side->gateway, on_done, side);
    if (at_once)
        moon_gateway_close(side->gateway, NULL, NULL);
    while (!side->gone)
        uv_run(loop, UV_RUN_ONCE);
    moon_log_close(&side->log);
    moon_tls_policy_unref(&side->policy);
    close_origin(&side->origin);
    printf("%s is gone\n", side->host);
}

int main(int argc, char **argv) {
    static struct side sides[2];
    static const char *const hosts[] = {"one.test", "two.test"};
    struct client clients[2 * CLIENTS];
    uv_loop_t loop;
    moon_assert(argc == 3 && uv_loop_init(&loop) == 0);
    moon_crypto_init();
    signal(SIGPIPE, SIG_IGN); /* libssl writes to sockets that a gateway has closed */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < 2; i++)
        open_side(&sides[i], &loop, hosts[i], argv[1]);
    check_names(&sides[0], &sides[1]);
    check_names(&sides[1], &sides[0]);

    for (int i = 0; i < 2 * CLIENTS; i++) {
        clients[i] = (struct client){.side = &sides[i % 2], .may_fail = i % 2 == 0};
        moon_assert(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) == 0);
    }
    uint64_t until = uv_hrtime() + strtoull(argv[2], NULL, 10) * 1000000u;
    struct moon_counters counters;
    while (uv_hrtime() < until) {
        publish(&sides[0]);
        publish(&sides[1]);
        moon_gateway_counters(sides[0].gateway, &counters);
        usleep(5000);
    }
    moon_assert(counters.requests > 0 && sides[0].served > 0 && sides[1].served > 0);
    printf("both serve under publications\n");

    close_side(&sides[0], &loop, true);
    unsigned before = sides[1].served;
    check_names(&sides[1], &sides[0]);
    for (int i = 0; i < 10; i++)
        publish(&sides[1]);
    for (int i = 0; sides[1].served < before + 10 && i < 20000; i++)
        usleep(1000);
    moon_assert(sides[1].served >= before + 10);
    printf("the other goes on\n");

    stop = true;
    for (int i = 0; i < 2 * CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    close_side(&sides[1], &loop, false);
    moon_assert(uv_loop_close(&loop) == 0);
    printf("fine\n");
    return 0;
}
