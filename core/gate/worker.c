#include "gate/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "gate/admission.h"
#include "gate/conn.h"
#include "gate/crowd.h"
#include "gate/origin.h"
#include "gate/recheck.h"
#include "gate/request.h"
#include "http/write.h"
#include "tls/crypto.h"

#define CIPHER_OUT_CEILING (2 * MOON_OUT_CEILING)
#define EXHAUSTED_LOG_MS 10000
#define RAY_SUFFIX "-MGT"

/* ---- small services ---- */

int64_t moon_worker_now(struct moon_worker *worker) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec;
}

struct moon_str moon_worker_date(struct moon_worker *worker) {
    int64_t now = moon_worker_now(worker);
    if (now != worker->date_second) {
        moon_http_date(worker->date, now);
        worker->date_second = now;
    }
    return moon_str(worker->date, 29);
}

/* xorshift128+: unique and cheap; a ray id is no secret. */
static uint64_t next_random(struct moon_worker *worker) {
    uint64_t x = worker->ray_state[0];
    const uint64_t y = worker->ray_state[1];
    worker->ray_state[0] = y;
    x ^= x << 23;
    worker->ray_state[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
    return worker->ray_state[1] + y;
}

void moon_worker_ray(struct moon_worker *worker, char *out) {
    uint64_t value = next_random(worker);
    moon_hex_write(out, (const unsigned char *)&value, sizeof value, false);
    memcpy(out + 16, RAY_SUFFIX, sizeof RAY_SUFFIX);
}

/* ---- messages ---- */

enum message_kind { MESSAGE_ADOPT, MESSAGE_DRAIN, MESSAGE_CLOSE };

struct message {
    struct moon_message message;
    struct moon_snapshot *snapshot; /* counted */
    uint64_t ticket;
};

static void receive(void *owner, struct moon_message *base) {
    struct moon_worker *worker = owner;
    struct message *message = MOON_CONTAINER(base, struct message, message);
    switch ((enum message_kind)base->kind) {
    case MESSAGE_ADOPT: {
        struct moon_diag diag = {0};
        int rc = worker->closing ? 0 : moon_worker_adopt(worker, message->snapshot, &diag);
        moon_gateway_adopted(worker->gateway, message->ticket, rc, &diag);
        break;
    }
    case MESSAGE_DRAIN:
        moon_worker_drain(worker);
        break;
    case MESSAGE_CLOSE:
        moon_worker_close(worker);
        break;
    }
    moon_snapshot_unref(&message->snapshot);
    free(message);
}

static int post(struct moon_worker *worker, enum message_kind kind, struct moon_snapshot *snapshot, uint64_t ticket) {
    struct message *message = moon_new(struct message);
    message->message.kind = (int)kind;
    message->snapshot = snapshot ? moon_snapshot_ref(snapshot) : NULL;
    message->ticket = ticket;
    int rc = moon_mailbox_post(&worker->mailbox, &message->message);
    if (rc) {
        moon_snapshot_unref(&message->snapshot);
        free(message);
    }
    return rc;
}

int moon_worker_post_adopt(struct moon_worker *worker, struct moon_snapshot *snapshot, uint64_t ticket) {
    return post(worker, MESSAGE_ADOPT, snapshot, ticket);
}

int moon_worker_post_drain(struct moon_worker *worker) {
    return post(worker, MESSAGE_DRAIN, NULL, 0);
}

int moon_worker_post_close(struct moon_worker *worker) {
    return post(worker, MESSAGE_CLOSE, NULL, 0);
}

/* ---- life ---- */

int moon_worker_init(struct moon_worker *worker, struct moon_gateway *gateway, unsigned index, uv_loop_t *loop,
                     bool is_control, struct moon_diag *diag) {
    int rc = 0;
    memset(worker, 0, sizeof *worker);
    worker->gateway = gateway;
    worker->index = index;
    worker->is_control = is_control;
    worker->loop = loop ? loop : &worker->own_loop;
    if (!loop)
        rc = uv_loop_init(&worker->own_loop);
    if (rc == 0)
        rc = moon_recheck_open(worker);
    if (rc == 0)
        rc = moon_mailbox_open(&worker->mailbox, worker->loop, receive, worker);
    if (rc) {
        moon_diag_set(diag, "worker", "cannot create an event loop: %s", uv_strerror(rc));
        return rc;
    }
    moon_clock_open(&worker->clock, worker->loop);
    moon_list_init(&worker->conns);
    moon_list_init(&worker->requests);
    moon_origin_pools_init(worker);
    moon_admission_init(worker);
    moon_crowd_init(worker);
    worker->receive_room = moon_alloc(MOON_RECEIVE_ROOM);
    worker->plain_room = moon_alloc(MOON_PLAIN_ROOM);
    moon_buf_init(&worker->plain_out, MOON_OUT_CEILING);
    moon_buf_init(&worker->cipher_out, CIPHER_OUT_CEILING);
    moon_random(worker->ray_state, sizeof worker->ray_state);
    worker->ray_state[0] |= 1;
    return moon_tls_acceptor_new(&worker->acceptor, is_control ? NULL : moon_gateway_sessions(gateway), diag);
}

void moon_worker_add_service(struct moon_worker *worker, int fd, bool tls, const struct moon_handler *handler,
                             struct moon_tls_policy *policy) {
    moon_assert(worker->service_count < MOON_COUNT(worker->services));
    unsigned i = worker->service_count++;
    worker->services[i] = (struct moon_service){
        .worker = worker,
        .tls = tls,
        .handler = handler,
        .policy = policy ? moon_tls_policy_ref(policy) : NULL,
    };
    worker->sockets[i] = fd;
}

static void on_accept(void *owner, int fd, const struct moon_address *peer) {
    moon_conn_open(owner, fd, peer);
}

/* Out of descriptors: a line every ten seconds, as long as it lasts. */
static void on_exhausted(void *owner) {
    struct moon_service *service = owner;
    struct moon_worker *worker = service->worker;
    int64_t now = (int64_t)uv_now(worker->loop);
    if (worker->exhausted_logged && now - worker->exhausted_logged < EXHAUSTED_LOG_MS)
        return;
    worker->exhausted_logged = now;
    moon_log_begin(worker->log, MOON_LOG_ERROR, "gateway", "no descriptor is left for a connection");
    moon_log_int(worker->log, "open", worker->conn_count);
    moon_log_int(worker->log, "refused_so_far", (int64_t)service->listener.refused);
    moon_log_end(worker->log);
}

void moon_worker_listen(struct moon_worker *worker) {
    for (unsigned i = 0; i < worker->service_count; i++) {
        struct moon_service *service = &worker->services[i];
        if (worker->sockets[i] < 0)
            continue;
        int rc = moon_listener_open(&service->listener, worker->loop, worker->sockets[i], on_accept, service);
        worker->sockets[i] = -1;
        service->listener.exhausted = on_exhausted;
        if (rc)
            moon_log_line(worker->log, MOON_LOG_ERROR, "gateway", "a listener could not be opened", uv_strerror(rc));
    }
}

int moon_worker_adopt(struct moon_worker *worker, struct moon_snapshot *snapshot, struct moon_diag *diag) {
    if (worker->hooks->adopt) {
        int rc = worker->hooks->adopt(worker->script, snapshot, diag);
        if (rc)
            return rc;
    }
    struct moon_snapshot *former = worker->snapshot;
    worker->snapshot = moon_snapshot_ref(snapshot);
    __atomic_store_n(&worker->generation, moon_snapshot_generation(snapshot), __ATOMIC_RELEASE);
    worker->serial++; /* what connections looked up in the former one counts no more */
    moon_snapshot_unref(&former);
    moon_recheck_begin(worker);
    if (!worker->draining)
        moon_worker_listen(worker);
    return 0;
}

void moon_worker_drain(struct moon_worker *worker) {
    if (worker->draining)
        return;
    worker->draining = true;
    for (unsigned i = 0; i < worker->service_count; i++) {
        if (worker->sockets[i] >= 0)
            close(worker->sockets[i]);
        else
            moon_listener_close(&worker->services[i].listener);
        worker->sockets[i] = -1;
    }
    moon_origin_pools_close(worker);
    for (struct moon_link *link = worker->conns.next, *next; link != &worker->conns; link = next) {
        next = link->next;
        moon_conn_close_if_idle(MOON_LINKED(link, struct moon_conn, link));
    }
    if (!worker->conn_count)
        moon_worker_close(worker);
}

void moon_worker_close(struct moon_worker *worker) {
    if (worker->closing)
        return;
    worker->closing = true; /* first, since draining may come back here */
    moon_worker_drain(worker);
    for (struct moon_link *link = worker->conns.next, *next; link != &worker->conns; link = next) {
        next = link->next;
        moon_conn_close_now(MOON_LINKED(link, struct moon_conn, link), "the gateway is closing");
    }
    moon_origin_pools_close(worker);
    moon_recheck_close(worker);
    moon_clock_close(&worker->clock);
    moon_mailbox_close(&worker->mailbox);
    if (worker->loop != &worker->own_loop) /* else the end of its thread is what counts */
        moon_gateway_worker_closed(worker->gateway);
}

void moon_worker_conn_gone(struct moon_worker *worker) {
    worker->conn_count--;
    __atomic_store_n(&worker->tally.open, worker->conn_count, __ATOMIC_RELAXED);
    if (worker->draining && !worker->conn_count && !worker->closing)
        moon_worker_close(worker);
}

bool moon_worker_is_empty(const struct moon_worker *worker) {
    for (unsigned i = 0; i < worker->service_count; i++)
        if (worker->services[i].listener.open_handles)
            return false;
    return !worker->conn_count && !worker->origin_conn_count;
}

int moon_worker_begin(struct moon_worker *worker, struct moon_diag *diag) {
    int rc = 0;
    if (worker->hooks->open)
        rc = worker->hooks->open(worker->hooks->data, &worker->script, &worker->facts, &worker->verdict, worker->log, diag);
    worker->opened = rc == 0;
    if (rc) /* nothing was opened: nothing to serve with */
        moon_worker_close(worker);
    moon_gateway_opened(worker->gateway, rc, diag);
    return rc;
}

void moon_worker_end(struct moon_worker *worker) {
    if (worker->opened && worker->hooks->close)
        worker->hooks->close(worker->script);
    worker->opened = false;
    worker->script = NULL;
    moon_snapshot_unref(&worker->snapshot);
}

void *moon_worker_main(void *data) {
    struct moon_worker *worker = data;
    char name[16];
    snprintf(name, sizeof name, "moongate/%u", worker->index % 1000);
    prctl(PR_SET_NAME, name);
    struct moon_diag diag = {0};
    moon_worker_begin(worker, &diag);
    uv_run(worker->loop, UV_RUN_DEFAULT);
    moon_worker_end(worker);
    moon_gateway_worker_closed(worker->gateway);
    return NULL;
}

void moon_worker_deinit(struct moon_worker *worker) {
    moon_snapshot_unref(&worker->snapshot);
    moon_request_spares_free(worker);
    if (worker->origin_pools)
        moon_origin_pools_deinit(worker);
    moon_admission_deinit(worker);
    moon_tls_acceptor_free(&worker->acceptor);
    for (unsigned i = 0; i < worker->service_count; i++) {
        moon_tls_policy_unref(&worker->services[i].policy);
        if (worker->sockets[i] >= 0)
            close(worker->sockets[i]);
    }
    moon_buf_free(&worker->plain_out);
    moon_buf_free(&worker->cipher_out);
    free(worker->receive_room);
    free(worker->plain_room);
    if (worker->loop == &worker->own_loop)
        moon_assert(uv_loop_close(&worker->own_loop) == 0);
}
