/* A worker of nothing but admissions, for spec/core/gate/admission_spec.lua: addresses of every kind without their connections. */
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "base/mem.h"
#include "gate/admission.h"

struct moon_spec_admission;

struct moon_spec_admission *moon_spec_admission_new(unsigned connections, unsigned per_address, bool control);
bool moon_spec_admission_enter(struct moon_spec_admission *it, const char *address);
void moon_spec_admission_leave(struct moon_spec_admission *it, const char *address);
unsigned moon_spec_admission_total(struct moon_spec_admission *it);
void moon_spec_admission_free(struct moon_spec_admission *it);

struct moon_spec_admission {
    uv_loop_t loop;
    struct moon_log *log;
    struct moon_gateway *gateway; /* without listeners */
    struct moon_options options;
    struct moon_worker worker;
};

struct moon_spec_admission *moon_spec_admission_new(unsigned connections, unsigned per_address, bool control) {
    struct moon_spec_admission *it = moon_new(struct moon_spec_admission);
    moon_options_init(&it->options);
    it->options.workers = 1;
    it->options.limits.connections = connections;
    it->options.limits.connections_per_address = per_address;
    it->log = moon_log_open(2, NULL, NULL, MOON_LOG_ERROR);
    moon_assert(uv_loop_init(&it->loop) == 0);
    moon_assert(moon_gateway_new(&it->gateway, &it->loop, &it->options, NULL, NULL, it->log, NULL) == 0);
    it->worker.gateway = it->gateway;
    it->worker.options = &it->options;
    it->worker.is_control = control;
    moon_admission_init(&it->worker);
    return it;
}

static struct moon_address read_address(const char *text) {
    struct moon_address address;
    moon_assert(moon_address_read(&address, moon_str_of(text)));
    return address;
}

bool moon_spec_admission_enter(struct moon_spec_admission *it, const char *text) {
    struct moon_address address = read_address(text);
    bool in = moon_admission_enter(&it->worker, &address) == MOON_ADMITTED;
    it->worker.conn_count += in;
    return in;
}

void moon_spec_admission_leave(struct moon_spec_admission *it, const char *text) {
    struct moon_address address = read_address(text);
    moon_admission_leave(&it->worker, &address);
    it->worker.conn_count--;
}

unsigned moon_spec_admission_total(struct moon_spec_admission *it) {
    return *moon_gateway_connections(it->gateway);
}

void moon_spec_admission_free(struct moon_spec_admission *it) {
    moon_admission_deinit(&it->worker);
    moon_gateway_close(it->gateway, NULL, NULL);
    uv_run(&it->loop, UV_RUN_DEFAULT);
    moon_assert(uv_loop_close(&it->loop) == 0);
    moon_log_close(&it->log);
    free(it);
}
