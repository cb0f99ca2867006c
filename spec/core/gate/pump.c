/* Runs a control loop on a thread of its own, for specs whose client blocks the only other one. While it runs nobody else may touch what
 * belongs to that loop. For spec/support/gate.lua. */
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "base/mem.h"

struct moon_spec_pump;

struct moon_spec_pump *moon_spec_pump_start(uv_loop_t *loop);
void moon_spec_pump_stop(struct moon_spec_pump *pump);

struct moon_spec_pump {
    uv_loop_t *loop;
    uv_async_t stop;
    pthread_t thread;
};

static void on_stop(uv_async_t *async) {
    uv_stop(async->loop);
}

static void *run(void *data) {
    struct moon_spec_pump *pump = data;
    uv_run(pump->loop, UV_RUN_DEFAULT);
    return NULL;
}

struct moon_spec_pump *moon_spec_pump_start(uv_loop_t *loop) {
    struct moon_spec_pump *pump = moon_new(struct moon_spec_pump);
    pump->loop = loop;
    moon_assert(uv_async_init(loop, &pump->stop, on_stop) == 0);
    moon_assert(pthread_create(&pump->thread, NULL, run, pump) == 0);
    return pump;
}

/* The loop is the caller's again. */
void moon_spec_pump_stop(struct moon_spec_pump *pump) {
    uv_async_send(&pump->stop);
    pthread_join(pump->thread, NULL);
    uv_close((uv_handle_t *)&pump->stop, NULL);
    uv_run(pump->loop, UV_RUN_NOWAIT);
    free(pump);
}
