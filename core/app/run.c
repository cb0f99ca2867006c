#include "app/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "app/settings.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/gateway.h"
#include "script/errand.h"
#include "script/geo.h"
#include "script/phases.h"
#include "script/policy.h"

#define TICK_MS 1000
#define ADDRESS_SIZE 128

enum { ON_TERM, ON_INT, ON_HUP, SIGNALS };
static const int signal_numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

/* Everything of one run, in the order in which it is made; undone in reverse. */
struct run {
    lua_State *L;
    struct moon_settings settings;
    struct moon_script_options script;
    int log_fd;  /* -1: stderr */
    int lock_fd; /* held open as long as the data directory is ours */
    struct moon_log *log;
    struct moon_log_channel *channel;
    struct moon_local_ca *local_ca;
    struct moon_policies *policies; /* NULL: the operator has none */
    struct moon_geo *geo;           /* NULL: no database of addresses */
    struct moon_policy *policy;     /* what they declare, for the control plane */
    struct moon_control control;
    struct moon_plane *plane;
    uv_loop_t loop;
    struct moon_gateway *gateway;
    uv_signal_t signals[SIGNALS];
    uv_timer_t tick;
    bool stopping;
};

static int complain(const struct moon_diag *diag, int rc) {
    const char *text = diag->text[0] ? diag->text : rc < 0 && rc > -20000 ? uv_strerror(rc) : moon_strerror(rc);
    fprintf(stderr, "moongate: %s%s%s\n", diag->where, diag->where[0] ? ": " : "", text);
    return 1;
}

/* ---- before anything is served ---- */

static int make_data_dir(const char *path, struct moon_diag *diag) {
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0; /* who may write to one that is there is looked at when the store opens */
    moon_diag_set(diag, path, "the data directory cannot be made: %s", strerror(errno));
    return MOON_ESYSTEM;
}

/* One gateway a data directory: two would each take the other's last good snapshot for their own. The kernel lets go of the lock
 * when the process ends, however it ends; the command line works beside it. */
static int lock_data_dir(struct run *run, struct moon_diag *diag) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/lock", run->settings.data_dir);
    run->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (run->lock_fd < 0) {
        moon_diag_set(diag, path, "cannot be opened: %s", strerror(errno));
        return MOON_ESYSTEM;
    }
    if (flock(run->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        moon_diag_set(diag, run->settings.data_dir, "another moongate serves from this data directory");
    else
        moon_diag_set(diag, path, "cannot be locked: %s", strerror(errno));
    return MOON_ESYSTEM;
}

static int open_log(struct run *run, struct moon_diag *diag) {
    const char *path = run->settings.log_file;
    run->log_fd = -1;
    if (path[0]) {
        run->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (run->log_fd < 0) {
            moon_diag_set(diag, path, "the log file cannot be opened: %s", strerror(errno));
            return MOON_ESYSTEM;
        }
    }
    run->log = moon_log_open(run->log_fd >= 0 ? run->log_fd : STDERR_FILENO, NULL, NULL, run->settings.log_level);
    run->channel = moon_log_channel_open(run->log);
    return 0;
}

static int open_local_ca(struct run *run, struct moon_diag *diag) {
    char certificate[PATH_MAX + 16], key[PATH_MAX + 16];
    snprintf(certificate, sizeof certificate, "%s/local-ca.pem", run->settings.data_dir);
    snprintf(key, sizeof key, "%s/local-ca.key", run->settings.data_dir);
    return moon_local_ca_open(&run->local_ca, certificate, key, diag);
}

/* The operator's files, as the configuration names them. Loaded here first: a mistake in one is told before anything
 * listens. */
static int open_policies(struct run *run, int config, struct moon_diag *diag) {
    lua_State *L = run->L;
    int rc = 0;
    lua_getfield(L, config, "policies");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    if (count) {
        struct moon_str *paths = moon_alloc(count * sizeof *paths);
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (int)i + 1); /* stays alive in the list */
            paths[i] = moon_str_of(lua_tostring(L, -1));
            lua_pop(L, 1);
        }
        lua_getfield(L, config, "policy_budget_ms");
        lua_getfield(L, config, "policy_jit");
        run->policies = moon_policies_new(paths, count, (unsigned)lua_tointeger(L, -2), lua_toboolean(L, -1),
                                          run->script.source_dir);
        lua_pop(L, 2);
        free(paths);
        rc = moon_policy_open(&run->policy, run->policies, NULL, run->channel, diag);
    }
    lua_pop(L, 1);
    run->script.policies = run->policies;
    run->control.policy = run->policy;
    return rc;
}

static int open_geo(struct run *run, int config, struct moon_diag *diag) {
    lua_State *L = run->L;
    int rc = 0;
    lua_getfield(L, config, "geoip");
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    if (count) {
        struct moon_str *paths = moon_alloc(count * sizeof *paths);
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (int)i + 1); /* stays alive in the list */
            paths[i] = moon_str_of(lua_tostring(L, -1));
            lua_pop(L, 1);
        }
        rc = moon_geo_open(&run->geo, paths, count, diag);
        free(paths);
    }
    lua_pop(L, 1);
    run->script.geo = run->geo;
    return rc;
}

/* ---- the end ---- */

static void close_handles(struct run *run) {
    for (int i = 0; i < SIGNALS; i++) {
        uv_close((uv_handle_t *)&run->signals[i], NULL);
        /* libuv has put the default back, which would end us before the last good snapshot is written. */
        signal(signal_numbers[i], SIG_IGN);
    }
    uv_close((uv_handle_t *)&run->tick, NULL);
}

static void on_gateway_closed(void *data) {
    struct run *run = data;
    run->control.gateway = NULL; /* freed when this returns; the admin API may still write its last good snapshot */
    run->gateway = NULL;
    moon_errands_close(&run->control.errands);
    close_handles(run);
}

static void stop(struct run *run) {
    run->stopping = true;
    moon_gateway_close(run->gateway, on_gateway_closed, run);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct run *run = handle->data;
    if (number == SIGHUP) {
        moon_log_line(run->channel, MOON_LOG_INFO, "gateway", "SIGHUP: nothing to do",
                      "what is served changes through the admin API; the configuration file is read at start");
        return;
    }
    if (run->stopping) {
        static const char text[] = "moongate: told to stop twice: stopped at once\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        _exit(1); /* threads are still at work: nothing may be freed under them */
    }
    moon_log_line(run->channel, MOON_LOG_INFO, "gateway", "stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop(run);
}

static void on_tick(uv_timer_t *handle) {
    struct run *run = handle->data;
    moon_plane_tick(run->plane);
}

static void open_handles(struct run *run) {
    for (int i = 0; i < SIGNALS; i++) {
        moon_assert(uv_signal_init(&run->loop, &run->signals[i]) == 0);
        run->signals[i].data = run;
        moon_assert(uv_signal_start(&run->signals[i], on_signal, signal_numbers[i]) == 0);
    }
    moon_assert(uv_timer_init(&run->loop, &run->tick) == 0);
    run->tick.data = run;
    moon_assert(uv_timer_start(&run->tick, on_tick, TICK_MS, TICK_MS) == 0);
}

/* ---- serving ---- */

static void put_addresses(struct moon_buf *out, const struct moon_gateway *gateway, int kind, const char *quote,
                          const char *separator) {
    char address[ADDRESS_SIZE];
    for (unsigned i = 0; moon_gateway_address(gateway, kind, i, address, sizeof address); i++)
        moon_buf_printf(out, "%s%s%s%s", i ? separator : "", quote, address, quote);
}

/* Whoever started us waits for this line; with port 0 it is also the only place that tells the ports. In one write, so
 * that the log's lines do not come between. */
static void tell_ready(const struct run *run) {
    char admin[ADDRESS_SIZE] = "";
    bool terminal = isatty(STDERR_FILENO);
    struct moon_buf line;
    moon_buf_init(&line, 16 * 1024);
    moon_gateway_address(run->gateway, 2, 0, admin, sizeof admin);
    if (terminal) {
        moon_buf_printf(&line, "moongate: ready: HTTPS on ");
        put_addresses(&line, run->gateway, 0, "", " ");
        if (run->settings.gateway.listen_http[0][0])
            moon_buf_printf(&line, ", HTTP on ");
        put_addresses(&line, run->gateway, 1, "", " ");
        moon_buf_printf(&line, ", admin API on %s\n", admin);
    } else {
        moon_buf_printf(&line, "{\"subject\":\"gateway\",\"what\":\"ready\",\"listen\":[");
        put_addresses(&line, run->gateway, 0, "\"", ",");
        moon_buf_printf(&line, "],\"listen_http\":[");
        put_addresses(&line, run->gateway, 1, "\"", ",");
        moon_buf_printf(&line, "],\"admin\":\"%s\",\"version\":\"%s\"}\n", admin, moon_ffi_version());
    }
    struct moon_str text = moon_buf_view(&line);
    ssize_t ignored = write(STDERR_FILENO, text.data, text.len);
    (void)ignored;
    moon_buf_free(&line);
    if (run->log_fd >= 0)
        moon_log_line(run->channel, MOON_LOG_INFO, "gateway", "ready", NULL);
}

/* With a gateway: its loop has to run until it is gone, whether it came to serve or not. */
static int serve(struct run *run, int config, struct moon_diag *diag) {
    open_handles(run);
    int rc = moon_plane_start(run->plane, config, diag);
    if (rc)
        stop(run);
    else
        tell_ready(run);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    return rc;
}

static int start(struct run *run, struct moon_diag *diag) {
    struct moon_hooks hooks;
    struct moon_handler handler;
    run->control.log = run->channel;
    run->control.local_ca = run->local_ca;
    run->control.next_host_id = 1;
    int rc = moon_errands_open(&run->control.errands, &run->loop, diag);
    if (rc)
        return rc;
    rc = moon_plane_new(&run->plane, run->L, &run->control, diag);
    if (rc)
        return rc;
    moon_script_hooks(&hooks, &run->script);
    moon_plane_handler(run->plane, &handler);
    rc = moon_gateway_new(&run->gateway, &run->loop, &run->settings.gateway, &hooks, &handler, run->log, diag);
    run->control.gateway = run->gateway;
    return rc;
}

static int run_with_log(struct run *run, int config, struct moon_diag *diag) {
    int rc = open_policies(run, config, diag);
    if (rc == 0)
        rc = open_geo(run, config, diag);
    if (rc == 0)
        rc = make_data_dir(run->settings.data_dir, diag);
    if (rc == 0)
        rc = lock_data_dir(run, diag);
    if (rc == 0)
        rc = open_local_ca(run, diag);
    if (rc == 0)
        rc = uv_loop_init(&run->loop);
    if (rc)
        return rc;
    rc = start(run, diag);
    if (rc == 0)
        rc = serve(run, config, diag);
    moon_plane_stop(&run->plane);
    moon_errands_close(&run->control.errands); /* unless the gateway's end has done so */
    uv_run(&run->loop, UV_RUN_DEFAULT); /* whatever a refused start has left to close */
    moon_assert(uv_loop_close(&run->loop) == 0);
    return rc;
}

int moon_run(lua_State *L, int config, const char *source_dir) {
    struct moon_diag diag = {"", ""};
    /* The log and the settings are large; two runs in one process are not a case of the program, but nothing forbids
     * them. */
    struct run run = {.L = L, .log_fd = -1, .lock_fd = -1};
    run.script.source_dir = source_dir;
    int rc = moon_settings_read(&run.settings, L, config, &diag);
    if (rc == 0)
        rc = open_log(&run, &diag);
    if (rc == 0)
        rc = run_with_log(&run, config, &diag);
    if (run.log && rc == 0)
        moon_log_line(run.channel, MOON_LOG_INFO, "gateway", "stopped", NULL);
    moon_policy_close(&run.policy);
    moon_policies_free(&run.policies);
    moon_geo_close(&run.geo);
    moon_local_ca_close(&run.local_ca);
    moon_log_close(&run.log);
    if (run.log_fd >= 0)
        close(run.log_fd);
    if (run.lock_fd >= 0)
        close(run.lock_fd);
    return rc ? complain(&diag, rc) : 0;
}
