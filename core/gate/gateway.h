/* gate/gateway.h — the whole: workers on their threads, their listeners, the control loop, the snapshot that is served. No global
 * state: two gateways in one process do not see each other. All functions are for the control thread unless they say otherwise. */
#ifndef MOON_GATE_GATEWAY_H
#define MOON_GATE_GATEWAY_H

#include <uv.h>

#include "base/error.h"
#include "base/log.h"
#include "gate/handler.h"
#include "gate/hooks.h"
#include "gate/options.h"
#include "gate/snapshot.h"

struct moon_gateway;

/* `loop` is the control thread's, owned by the caller. `options`, `hooks` and `handler` are copied; what they point to must
 * outlive the gateway. `handler` (may be NULL) answers the admin listener, on the control thread. `log` is borrowed. Binds all listeners (so that a port in
 * use is known before anything is served) and starts the workers' threads; nothing is accepted yet. On failure *out is NULL, diag says
 * which address or option and why, and what was begun ends while `loop` runs on. With options->one_loop there is one worker, on
 * `loop`, and no thread: it serves while the caller runs the loop. */
int moon_gateway_new(struct moon_gateway **out, uv_loop_t *loop, const struct moon_options *options,
                     const struct moon_hooks *hooks, const struct moon_handler *handler, struct moon_log *log,
                     struct moon_diag *diag);

/* Hands `snapshot` (counted) to every worker and waits, at most `deadline_ms`, until each of them serves it. 0;
 * MOON_ETIMEOUT; MOON_ECLOSED once the gateway is draining or closing; or what a worker's adopt refused (the others may serve it already: the caller publishes the former one again,
 * or a mended one). The first publication also opens the listeners. */
int moon_gateway_publish(struct moon_gateway *gateway, struct moon_snapshot *snapshot, unsigned deadline_ms,
                         struct moon_diag *diag);

/* What is served: the generation of each worker. Any thread. */
unsigned moon_gateway_workers(const struct moon_gateway *gateway);
uint64_t moon_gateway_generation(const struct moon_gateway *gateway, unsigned worker);

/* ffi: begin */
struct moon_counters {
    uint64_t connections;   /* accepted */
    uint64_t open;          /* now */
    uint64_t handshakes;
    uint64_t handshakes_failed;
    uint64_t requests;
    uint64_t blocked;
    uint64_t misdirected;   /* 421 */
    uint64_t refused;       /* malformed or beyond a limit */
    uint64_t origin_failed;
};
/* ffi: end */
/* Sum over all workers. Any thread. */
void moon_gateway_counters(const struct moon_gateway *gateway, struct moon_counters *sum);

/* The real address of a listener (port 0 was given): kind 0 HTTPS, 1 HTTP, 2 admin. False when there is none of that index. */
bool moon_gateway_address(const struct moon_gateway *gateway, int kind, unsigned index, char *text, size_t size);

/* True on a worker's own thread, or within a turn of a worker on the control loop: who is called from there can neither publish nor
 * close, for both wait for that very worker. */
bool moon_gateway_is_within(const struct moon_gateway *gateway);

/* Stops accepting and closes idle connections; requests go on and end when they end. moon_gateway_counters tells how many
 * connections are open still; moon_gateway_close has to follow. */
void moon_gateway_drain(struct moon_gateway *gateway);

/* Stops accepting, lets requests end within the drain deadline, closes idle connections now; then `done` is called on the control
 * loop and the gateway is freed after it returned. Calling it again ends everything at once. */
typedef void (*moon_gateway_done_fn)(void *data);
void moon_gateway_close(struct moon_gateway *gateway, moon_gateway_done_fn done, void *data);

#endif
