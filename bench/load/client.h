/* load/client.h — one client: connects, shakes hands, sends its requests, reads the answers, and begins again. Lives
 * on one thread's epoll set, edge triggered; knows no other client. */
#ifndef MOON_LOAD_CLIENT_H
#define MOON_LOAD_CLIENT_H

#include <stdatomic.h>

#include "answer.h"
#include "histogram.h"
#include "wire.h"

enum moon_load_state {
    MOON_LOAD_CONNECTING,
    MOON_LOAD_SHAKING,
    MOON_LOAD_TALKING,
    MOON_LOAD_HELD, /* had its one answer; stays open and says nothing */
    MOON_LOAD_DEAD
};

/* Written by one thread, read by main while it runs: relaxed, since nothing hangs on their order. */
struct moon_load_counters {
    _Atomic uint64_t answers;
    _Atomic uint64_t errors;
    _Atomic uint64_t handshakes;
    _Atomic uint64_t resumed;
    _Atomic uint64_t reconnects; /* the server closed between two requests */
    _Atomic uint64_t body_in;
    _Atomic uint64_t body_out;
    _Atomic unsigned served; /* clients that have had an answer */
};

/* What all clients of one thread share. */
struct moon_load_thread {
    const struct moon_load_options *options;
    const struct moon_load_contexts *contexts;
    struct moon_load_counters counters;
    struct moon_load_histogram latency; /* filled while `measuring` */
    const _Atomic bool *measuring;
    char *room; /* MOON_LOAD_ROOM bytes for whatever is read */
    char first_error[256];
    int epoll;
    unsigned opening; /* clients that are connecting or shaking hands */
    uint32_t sources; /* counts connections, to spread them over source addresses */
    struct moon_load_client *clients;
    unsigned client_count;
    unsigned started;
};

#define MOON_LOAD_ROOM (128 * 1024)

struct moon_load_client {
    struct moon_load_thread *thread;
    enum moon_load_state state;
    int fd;
    SSL *ssl;
    SSL_CTX *ctx;         /* borrowed; NULL: plain */
    SSL_SESSION *session; /* kept for resumption */
    const char *host;     /* borrowed from the options */
    char *requests;       /* all that is sent at once, without the upload */
    size_t requests_len;
    size_t sent; /* of requests_len */
    uint64_t upload_left;
    unsigned unanswered;
    uint64_t answers;
    bool was_served;   /* had an answer, or all it was to have */
    uint64_t begun_ns; /* of the requests; of the connection when each request has its own */
    struct moon_load_answer answer;
};

/* `number` counts the clients of all threads, `of` is how many there are. Allocates the requests; nothing is opened. */
void moon_load_client_init(struct moon_load_client *client, struct moon_load_thread *thread, unsigned number,
                           unsigned of);

/* Opens the connection; may get as far as the first request. Failures are counted. */
void moon_load_client_start(struct moon_load_client *client);

/* Goes on as far as it can; called when epoll says that something changed. */
void moon_load_client_advance(struct moon_load_client *client);

/* Closes and frees; for the end of the run. */
void moon_load_client_deinit(struct moon_load_client *client);

#endif
