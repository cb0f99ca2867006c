/* gate/options.h — process settings of a gateway: where it listens, how many workers, limits and deadlines. Filled by
 * moon_options_init and then by the program; copied by moon_gateway_new. */
#ifndef MOON_GATE_OPTIONS_H
#define MOON_GATE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOON_LISTEN_MAX 32

/* ffi: begin */
/* Bytes and counts. */
struct moon_limits {
    size_t start_line;
    size_t field;
    size_t head;
    size_t fields;
    uint64_t body;              /* of a request; 0 refuses every body */
    unsigned connections;       /* of the whole gateway; fewer when the process may not open enough descriptors */
    unsigned connections_per_address;
    unsigned handshakes;        /* at once, all workers together */
    unsigned idle_origin_connections; /* kept warm per origin and worker */
    unsigned tls_sessions;            /* kept for resumption, all workers together; 0: no resumption */
};

/* Milliseconds. */
struct moon_timeouts {
    uint64_t handshake;
    uint64_t head;         /* from the first byte of a request to the end of its head; not reset by bytes */
    uint64_t body_idle;    /* between two pieces of a request's body */
    uint64_t keep_alive;   /* between two requests */
    uint64_t write_idle;   /* the client takes nothing */
    uint64_t origin_connect;
    uint64_t origin_head;  /* to the head of the origin's answer */
    uint64_t origin_idle;  /* between two pieces of the origin's answer */
    uint64_t origin_keep_alive;
    uint64_t tunnel_idle;  /* nothing in either direction after an upgrade */
    uint64_t drain;        /* from the first TERM to the end */
};

struct moon_options {
    char listen[32][64];       /* HTTPS for the world: "0.0.0.0:443"; empty text ends the list */
    char listen_http[32][64];  /* plain HTTP, same rules */
    char admin_listen[64];     /* empty: no admin listener */
    char admin_certificate[4096]; /* paths; both or none */
    char admin_key[4096];
    unsigned workers;          /* 0: one per core */
    bool one_loop;             /* one worker, on the control loop itself: no thread is started; `workers` says nothing then */
    struct moon_limits limits;
    struct moon_timeouts timeouts;
};
/* ffi: end */

/* Defaults for everything; no listener. */
void moon_options_init(struct moon_options *options);

#endif
