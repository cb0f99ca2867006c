#include "gate/crowd.h"

#include "gate/admission.h"
#include "gate/record.h"

/* A client that has nothing to say for so long does not want to be connected: whoever does sends its hello at once, and answers ours
 * within a round trip. */
#define SILENT_MS 1000
/* While the listeners rest: how often it is looked whether somebody has gone silent. */
#define LOOK_MS 250
#define LOG_MS 10000

/* This worker's part of the ceiling. */
static unsigned handshakes_of(const struct moon_worker *worker) {
    unsigned workers = moon_gateway_workers(worker->gateway), all = worker->options->limits.handshakes;
    return all > workers ? all / workers : 1;
}

static void rest(struct moon_worker *worker, bool resting) {
    worker->crowd.resting = resting;
    for (unsigned i = 0; i < worker->service_count; i++)
        if (worker->services[i].tls && !worker->services[i].handler)
            moon_listener_rest(&worker->services[i].listener, resting);
    if (resting)
        moon_deadline_set(&worker->clock, &worker->crowd.look, LOOK_MS);
    else
        moon_deadline_clear(&worker->crowd.look);
}

/* A line every ten seconds, as long as it lasts. */
static void tell(struct moon_worker *worker, const char *what) {
    struct moon_crowd *crowd = &worker->crowd;
    int64_t now = (int64_t)uv_now(worker->loop);
    if (crowd->logged && now - crowd->logged < LOG_MS)
        return;
    crowd->logged = now;
    moon_log_begin(worker->log, MOON_LOG_WARN, "gateway", what);
    moon_log_int(worker->log, "open", worker->conn_count);
    moon_log_int(worker->log, "handshakes", crowd->shaking_count);
    moon_log_int(worker->log, "idle_closed_so_far", (int64_t)crowd->idle_closed);
    moon_log_int(worker->log, "handshakes_closed_so_far", (int64_t)crowd->handshakes_closed);
    moon_log_end(worker->log);
}

/* Closes those who were silent for too long, until there is room. */
static void drop_silent(struct moon_worker *worker) {
    struct moon_crowd *crowd = &worker->crowd;
    uint64_t now = uv_now(worker->loop);
    while (crowd->shaking_count >= handshakes_of(worker)) {
        struct moon_conn *conn = MOON_LINKED(crowd->shaking.next, struct moon_conn, order);
        if (now - conn->heard < SILENT_MS)
            break;
        crowd->handshakes_closed++;
        moon_worker_count(worker, handshakes_failed);
        moon_record_handshake(conn, "the client was silent, and there were too many handshakes");
        moon_conn_close_now(conn, NULL);
    }
}

static void on_look(struct moon_deadline *look) {
    struct moon_worker *worker = MOON_CONTAINER(look, struct moon_worker, crowd.look);
    drop_silent(worker);
    rest(worker, worker->crowd.resting && worker->crowd.shaking_count >= handshakes_of(worker));
}

void moon_crowd_init(struct moon_worker *worker) {
    moon_list_init(&worker->crowd.shaking);
    moon_list_init(&worker->crowd.idle);
    moon_deadline_init(&worker->crowd.look, on_look);
}

void moon_crowd_leave(struct moon_conn *conn) {
    struct moon_worker *worker = conn->worker;
    if (moon_list_is_empty(&conn->order)) /* in none */
        return;
    moon_list_remove(&conn->order);
    if (!conn->in_handshakes)
        return;
    conn->in_handshakes = false;
    worker->crowd.shaking_count--;
    if (worker->crowd.resting && worker->crowd.shaking_count < handshakes_of(worker))
        rest(worker, false);
}

void moon_crowd_wait(struct moon_conn *conn) {
    struct moon_crowd *crowd = &conn->worker->crowd;
    if (conn->waiting == MOON_WAIT_HANDSHAKE && conn->in_handshakes) {
        moon_list_remove(&conn->order);
        moon_list_append(&crowd->shaking, &conn->order);
    } else {
        moon_crowd_leave(conn);
        if (conn->waiting == MOON_WAIT_HANDSHAKE) {
            conn->in_handshakes = true;
            crowd->shaking_count++;
            moon_list_append(&crowd->shaking, &conn->order);
        } else if (conn->waiting == MOON_WAIT_REQUEST) {
            moon_list_append(&crowd->idle, &conn->order);
        }
    }
    conn->heard = uv_now(conn->worker->loop);
}

bool moon_crowd_take_place(struct moon_worker *worker) {
    if (moon_list_is_empty(&worker->crowd.idle))
        return false;
    struct moon_conn *conn = MOON_LINKED(worker->crowd.idle.next, struct moon_conn, order);
    worker->crowd.idle_closed++;
    moon_conn_close_if_idle(conn);
    moon_conn_give_place(conn);
    tell(worker, "idle connections are closed to make room");
    return true;
}

void moon_crowd_limit_handshakes(struct moon_worker *worker) {
    if (worker->is_control || worker->draining || worker->crowd.shaking_count < handshakes_of(worker))
        return;
    drop_silent(worker);
    if (worker->crowd.shaking_count < handshakes_of(worker))
        return;
    tell(worker, "no connections are accepted while there are too many handshakes");
    rest(worker, true);
}
