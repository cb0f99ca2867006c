#include "gate/gateway.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "gate/worker.h"

#define WORKERS_MAX 128
#define PEM_MAX (256 * 1024)
/* For the store, the log, the admin listener and the loops themselves. */
#define DESCRIPTORS_RESERVED 128

struct moon_gateway {
    struct moon_options options;
    struct moon_hooks hooks;
    struct moon_handler handler;
    struct moon_worker control; /* on the caller's loop: the admin listener */
    struct moon_worker *workers;
    unsigned worker_count;
    unsigned thread_count; /* how many of them have a thread: all, unless the start failed */
    unsigned connections; /* atomic */
    unsigned connections_wanted; /* by the options, when the descriptors do not suffice for them; else 0 */
    struct moon_tls_sessions *sessions;
    struct moon_address bound[3][MOON_LISTEN_MAX];
    unsigned bound_count[3];

    /* What workers report, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned opened;
    unsigned adopted;
    unsigned closed;
    uint64_t ticket;
    int first_rc;
    struct moon_diag first_diag;

    uv_timer_t ending; /* the drain deadline, then the wait for the last handles */
    uv_async_t gone;   /* a worker's thread has ended */
    bool started;
    bool draining;
    bool closing;
    bool forced;
    bool joined;
    moon_gateway_done_fn done;
    void *done_data;
};

unsigned *moon_gateway_connections(struct moon_gateway *gateway) {
    return &gateway->connections;
}

struct moon_tls_sessions *moon_gateway_sessions(struct moon_gateway *gateway) {
    return gateway->sessions;
}

/* ---- what workers tell ---- */

/* Under the lock. */
static void note(struct moon_gateway *gateway, unsigned *counter, int rc, const struct moon_diag *diag) {
    (*counter)++;
    if (rc && !gateway->first_rc) {
        gateway->first_rc = rc;
        gateway->first_diag = *diag;
    }
    pthread_cond_signal(&gateway->changed);
}

void moon_gateway_opened(struct moon_gateway *gateway, int rc, const struct moon_diag *diag) {
    pthread_mutex_lock(&gateway->lock);
    note(gateway, &gateway->opened, rc, diag);
    pthread_mutex_unlock(&gateway->lock);
}

void moon_gateway_adopted(struct moon_gateway *gateway, uint64_t ticket, int rc, const struct moon_diag *diag) {
    pthread_mutex_lock(&gateway->lock);
    if (ticket == gateway->ticket) /* an answer to a publication that was given up counts no more */
        note(gateway, &gateway->adopted, rc, diag);
    pthread_mutex_unlock(&gateway->lock);
}

void moon_gateway_worker_closed(struct moon_gateway *gateway) {
    static const struct moon_diag nothing;
    pthread_mutex_lock(&gateway->lock);
    note(gateway, &gateway->closed, 0, &nothing);
    uv_async_send(&gateway->gone); /* under the lock: the last of them lets the control thread close `gone` */
    pthread_mutex_unlock(&gateway->lock);
}

/* Waits until *counter reaches `target`; false when the deadline passes first. Under the lock. */
static bool wait_for(struct moon_gateway *gateway, const unsigned *counter, unsigned target, unsigned deadline_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += deadline_ms / 1000;
    until.tv_nsec += (long)(deadline_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (*counter < target)
        if (pthread_cond_timedwait(&gateway->changed, &gateway->lock, &until) == ETIMEDOUT)
            return *counter >= target;
    return true;
}

/* ---- listeners ---- */

static int listen_kind(struct moon_gateway *gateway, int kind, const char (*list)[64], struct moon_diag *diag) {
    for (unsigned i = 0; i < MOON_LISTEN_MAX && list[i][0]; i++) {
        struct moon_address address, *bound = &gateway->bound[kind][i];
        if (!moon_address_read(&address, moon_str_of(list[i]))) {
            moon_diag_set(diag, list[i], "is no address: \"192.0.2.1:443\" or \"[2001:db8::1]:443\" is expected");
            return MOON_EREFUSED;
        }
        /* Sockets that share a port would also share it with another process of ours: an exclusive one first tells. */
        int probe = moon_listen_socket(&address, false, bound, diag);
        if (probe < 0)
            return MOON_ESYSTEM;
        address = *bound;
        close(probe);
        for (unsigned w = 0; w < gateway->worker_count; w++) {
            int fd = moon_listen_socket(&address, true, NULL, diag);
            if (fd < 0)
                return MOON_ESYSTEM;
            moon_worker_add_service(&gateway->workers[w], fd, kind == 0, NULL, NULL);
        }
        gateway->bound_count[kind]++;
    }
    return 0;
}

static int read_file(struct moon_buf *out, const char *path, struct moon_diag *diag) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        moon_diag_set(diag, path, "cannot be read: %s", strerror(errno));
        return MOON_ESYSTEM;
    }
    char piece[4096];
    size_t n;
    int rc = 0;
    while (rc == 0 && (n = fread(piece, 1, sizeof piece, file)) > 0)
        rc = moon_buf_append(out, piece, n);
    if (rc)
        moon_diag_set(diag, path, "is too large");
    fclose(file);
    return rc;
}

static int admin_policy(struct moon_gateway *gateway, struct moon_tls_policy **policy, struct moon_diag *diag) {
    struct moon_buf certificate, key;
    moon_buf_init(&certificate, PEM_MAX);
    moon_buf_init(&key, PEM_MAX);
    int rc = read_file(&certificate, gateway->options.admin_certificate, diag);
    if (rc == 0)
        rc = read_file(&key, gateway->options.admin_key, diag);
    if (rc == 0) {
        struct moon_tls_terms terms = {.min_version = TLS1_2_VERSION,
                                       .certificates = moon_buf_view(&certificate),
                                       .private_key = moon_buf_view(&key)};
        rc = moon_tls_policy_new(policy, &terms, diag);
    }
    if (key.data)
        OPENSSL_cleanse(key.data, key.capacity);
    moon_buf_free(&certificate);
    moon_buf_free(&key);
    return rc;
}

static int listen_admin(struct moon_gateway *gateway, struct moon_diag *diag) {
    struct moon_address address;
    struct moon_tls_policy *policy = NULL;
    const char *text = gateway->options.admin_listen;
    if (!text[0] || !gateway->handler.serve)
        return 0;
    if (!moon_address_read(&address, moon_str_of(text))) {
        moon_diag_set(diag, text, "is no address: \"127.0.0.1:8444\" is expected");
        return MOON_EREFUSED;
    }
    if (gateway->options.admin_certificate[0]) {
        int rc = admin_policy(gateway, &policy, diag);
        if (rc)
            return rc;
    } else if (!moon_address_is_loopback(&address)) {
        moon_diag_set(diag, text, "is no loopback address: the admin API needs a certificate and a key there");
        return MOON_EREFUSED;
    }
    int fd = moon_listen_socket(&address, false, &gateway->bound[2][0], diag);
    if (fd >= 0) {
        moon_worker_add_service(&gateway->control, fd, policy != NULL, &gateway->handler, policy);
        gateway->bound_count[2] = 1;
    }
    moon_tls_policy_unref(&policy);
    return fd < 0 ? MOON_ESYSTEM : 0;
}

/* ---- life ---- */

static void on_gone(uv_async_t *async);

static int init_worker(struct moon_gateway *gateway, struct moon_worker *worker, unsigned index, uv_loop_t *loop,
                       struct moon_log *log, struct moon_diag *diag) {
    int rc = moon_worker_init(worker, gateway, index, loop, worker == &gateway->control, diag);
    worker->options = &gateway->options;
    worker->hooks = &gateway->hooks;
    worker->log = moon_log_channel_open(log);
    return rc;
}

/* Outsiders must not be able to take every descriptor: as many connections as they have may be needed again toward origins, and some
 * are reserved. */
static void fit_connections(struct moon_gateway *gateway) {
    struct rlimit limit;
    unsigned *connections = &gateway->options.limits.connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    rlim_t room = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED : limit.rlim_cur / 2;
    if (*connections <= room / 2)
        return;
    gateway->connections_wanted = *connections;
    *connections = (unsigned)(room / 2);
}

/* Once it serves: a start that fails has one thing to say. */
static void tell_connections(struct moon_gateway *gateway) {
    if (!gateway->connections_wanted)
        return;
    moon_log_begin(gateway->control.log, MOON_LOG_WARN, "gateway", "fewer connections are allowed than configured");
    moon_log_int(gateway->control.log, "configured", gateway->connections_wanted);
    moon_log_int(gateway->control.log, "allowed", gateway->options.limits.connections);
    moon_log_end(gateway->control.log);
}

/* The one worker that lives on the control loop; NULL when the workers have threads. */
static struct moon_worker *guest_of(const struct moon_gateway *gateway) {
    return gateway->options.one_loop ? &gateway->workers[0] : NULL;
}

static int start_workers(struct moon_gateway *gateway, struct moon_diag *diag) {
    struct moon_diag nothing;
    if (guest_of(gateway))
        return moon_worker_begin(guest_of(gateway), diag ? diag : &nothing);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        struct moon_worker *worker = &gateway->workers[i];
        int rc = moon_thread_start(&worker->thread, moon_worker_main, worker);
        if (rc) {
            moon_diag_set(diag, "workers", "cannot start a thread: %s", strerror(rc));
            return MOON_ESYSTEM;
        }
        gateway->thread_count++;
    }
    pthread_mutex_lock(&gateway->lock);
    bool all = wait_for(gateway, &gateway->opened, gateway->worker_count, 30000);
    int rc = all ? gateway->first_rc : MOON_ETIMEOUT;
    if (gateway->first_rc && diag)
        *diag = gateway->first_diag;
    else if (!all)
        moon_diag_set(diag, "workers", "did not come up in time");
    pthread_mutex_unlock(&gateway->lock);
    return rc;
}

int moon_gateway_new(struct moon_gateway **out, uv_loop_t *loop, const struct moon_options *options,
                     const struct moon_hooks *hooks, const struct moon_handler *handler, struct moon_log *log,
                     struct moon_diag *diag) {
    struct moon_gateway *gateway = moon_new(struct moon_gateway);
    pthread_condattr_t attributes;
    *out = NULL;
    gateway->options = *options;
    if (hooks)
        gateway->hooks = *hooks;
    if (handler)
        gateway->handler = *handler;
    pthread_mutex_init(&gateway->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gateway->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    gateway->worker_count = options->one_loop ? 1 : options->workers ? options->workers : (unsigned)(cores > 0 ? cores : 1);
    if (gateway->worker_count > WORKERS_MAX)
        gateway->worker_count = WORKERS_MAX;
    gateway->workers = moon_alloc(gateway->worker_count * sizeof *gateway->workers);
    if (options->limits.tls_sessions)
        gateway->sessions = moon_tls_sessions_new(options->limits.tls_sessions);
    int rc = uv_async_init(loop, &gateway->gone, on_gone);
    gateway->gone.data = gateway;
    if (rc == 0)
        rc = uv_timer_init(loop, &gateway->ending);
    gateway->ending.data = gateway;
    if (rc == 0)
        rc = init_worker(gateway, &gateway->control, gateway->worker_count, loop, log, diag);
    for (unsigned i = 0; i < gateway->worker_count && rc == 0; i++)
        rc = init_worker(gateway, &gateway->workers[i], i, options->one_loop ? loop : NULL, log, diag);
    if (rc) /* no loop, no memory for OpenSSL: the process cannot work */
        return rc;
    fit_connections(gateway);
    rc = listen_kind(gateway, 0, gateway->options.listen, diag);
    if (rc == 0)
        rc = listen_kind(gateway, 1, gateway->options.listen_http, diag);
    if (rc == 0)
        rc = listen_admin(gateway, diag);
    if (rc == 0)
        rc = start_workers(gateway, diag);
    if (rc) {
        for (unsigned i = gateway->thread_count; i < gateway->worker_count; i++) { /* no thread will ever run their loops */
            moon_worker_close(&gateway->workers[i]);
            if (!guest_of(gateway))
                uv_run(gateway->workers[i].loop, UV_RUN_DEFAULT);
        }
        moon_gateway_close(gateway, NULL, NULL);
        moon_gateway_close(gateway, NULL, NULL);
        return rc;
    }
    *out = gateway;
    return 0;
}

bool moon_gateway_is_within(const struct moon_gateway *gateway) {
    if (guest_of(gateway))
        return guest_of(gateway)->turn != NULL;
    for (unsigned i = 0; i < gateway->thread_count; i++)
        if (pthread_equal(pthread_self(), gateway->workers[i].thread))
            return true;
    return false;
}

static int publish_to_threads(struct moon_gateway *gateway, struct moon_snapshot *snapshot, unsigned deadline_ms,
                              struct moon_diag *diag) {
    pthread_mutex_lock(&gateway->lock);
    uint64_t ticket = ++gateway->ticket;
    gateway->adopted = 0;
    gateway->first_rc = 0;
    pthread_mutex_unlock(&gateway->lock);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        int rc = moon_worker_post_adopt(&gateway->workers[i], snapshot, ticket);
        if (rc) {
            moon_diag_set(diag, "workers", "worker %u does not keep up", i);
            return rc;
        }
    }
    pthread_mutex_lock(&gateway->lock);
    bool all = wait_for(gateway, &gateway->adopted, gateway->worker_count, deadline_ms);
    int rc = gateway->first_rc ? gateway->first_rc : all ? 0 : MOON_ETIMEOUT;
    if (gateway->first_rc && diag)
        *diag = gateway->first_diag;
    else if (!all)
        moon_diag_set(diag, "workers", "%u of %u serve the new configuration", gateway->adopted, gateway->worker_count);
    pthread_mutex_unlock(&gateway->lock);
    return rc;
}

int moon_gateway_publish(struct moon_gateway *gateway, struct moon_snapshot *snapshot, unsigned deadline_ms,
                         struct moon_diag *diag) {
    if (gateway->draining || gateway->closing) {
        moon_diag_set(diag, "workers", "the gateway is stopping");
        return MOON_ECLOSED;
    }
    moon_assert(!moon_gateway_is_within(gateway));
    int rc = guest_of(gateway) ? moon_worker_adopt(guest_of(gateway), snapshot, diag)
                               : publish_to_threads(gateway, snapshot, deadline_ms, diag);
    if (rc == 0 && !gateway->started) {
        gateway->started = true;
        tell_connections(gateway);
        moon_worker_listen(&gateway->control);
    }
    return rc;
}

unsigned moon_gateway_workers(const struct moon_gateway *gateway) {
    return gateway->worker_count;
}

uint64_t moon_gateway_generation(const struct moon_gateway *gateway, unsigned worker) {
    moon_assert(worker < gateway->worker_count);
    return __atomic_load_n(&gateway->workers[worker].generation, __ATOMIC_ACQUIRE);
}

void moon_gateway_counters(const struct moon_gateway *gateway, struct moon_counters *sum) {
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        const struct moon_tally *tally = &gateway->workers[i].tally;
#define ADD(field) sum->field += __atomic_load_n(&tally->field, __ATOMIC_RELAXED)
        ADD(connections);
        ADD(open);
        ADD(handshakes);
        ADD(handshakes_failed);
        ADD(requests);
        ADD(blocked);
        ADD(misdirected);
        ADD(refused);
        ADD(origin_failed);
#undef ADD
    }
}

bool moon_gateway_address(const struct moon_gateway *gateway, int kind, unsigned index, char *text, size_t size) {
    char printed[MOON_ADDRESS_TEXT];
    moon_assert(kind >= 0 && kind < 3);
    if (index >= gateway->bound_count[kind])
        return false;
    moon_address_print(&gateway->bound[kind][index], printed);
    snprintf(text, size, "%s", printed);
    return true;
}

/* ---- the end ---- */

static void on_freed(uv_handle_t *handle) {
    struct moon_gateway *gateway = handle->data;
    moon_worker_deinit(&gateway->control);
    moon_tls_sessions_free(&gateway->sessions);
    free(gateway->workers);
    pthread_cond_destroy(&gateway->changed);
    pthread_mutex_destroy(&gateway->lock);
    moon_gateway_done_fn done = gateway->done;
    void *data = gateway->done_data;
    free(gateway);
    if (done)
        done(data);
}

/* What lives on the control loop closes its handles in the loop's next rounds; freed when the last of them has gone. */
static void await_control(uv_timer_t *timer) {
    struct moon_gateway *gateway = timer->data;
    struct moon_worker *guest = guest_of(gateway);
    if (!moon_worker_is_empty(&gateway->control) || (guest && !moon_worker_is_empty(guest)))
        return;
    if (guest) {
        moon_worker_end(guest);
        moon_worker_deinit(guest);
    }
    uv_timer_stop(timer);
    uv_close((uv_handle_t *)&gateway->ending, on_freed);
}

static void on_gone(uv_async_t *async) {
    struct moon_gateway *gateway = async->data;
    pthread_mutex_lock(&gateway->lock);
    bool all = gateway->closed == gateway->thread_count + (guest_of(gateway) ? 2 : 1);
    pthread_mutex_unlock(&gateway->lock);
    if (!all || gateway->joined || !gateway->closing)
        return;
    gateway->joined = true;
    for (unsigned i = 0; i < gateway->worker_count && !guest_of(gateway); i++) {
        if (i < gateway->thread_count)
            pthread_join(gateway->workers[i].thread, NULL);
        moon_worker_deinit(&gateway->workers[i]);
    }
    uv_close((uv_handle_t *)&gateway->gone, NULL);
    uv_timer_start(&gateway->ending, await_control, 0, 1);
}

static void force(struct moon_gateway *gateway) {
    if (gateway->forced)
        return;
    gateway->forced = true;
    for (unsigned i = 0; i < gateway->worker_count; i++)
        moon_worker_post_close(&gateway->workers[i]);
    moon_worker_close(&gateway->control);
}

static void on_deadline(uv_timer_t *timer) {
    struct moon_gateway *gateway = timer->data;
    if (gateway->forced) /* ended otherwise; whose log it was may have gone since */
        return;
    moon_log_line(gateway->control.log, MOON_LOG_WARN, "gateway", "the drain deadline has passed", NULL);
    force(gateway);
}

void moon_gateway_drain(struct moon_gateway *gateway) {
    if (gateway->draining)
        return;
    gateway->draining = true;
    for (unsigned i = 0; i < gateway->worker_count; i++)
        moon_worker_post_drain(&gateway->workers[i]);
}

void moon_gateway_close(struct moon_gateway *gateway, moon_gateway_done_fn done, void *data) {
    if (gateway->closing) {
        if (!gateway->joined)
            force(gateway);
        return;
    }
    gateway->closing = true;
    gateway->done = done;
    gateway->done_data = data;
    uv_timer_start(&gateway->ending, on_deadline, gateway->options.timeouts.drain, 0);
    moon_gateway_drain(gateway);
    moon_worker_drain(&gateway->control);
}
