#include "gate/conn_deadline.h"

#include "gate/crowd.h"
#include "gate/record.h"
#include "gate/request.h"

#define LINGER_MS 2000
/* A body must come at this rate, looked at in windows as long as it may pause; with short ones any progress will do. */
#define BODY_BYTES_PER_SECOND 500
#define BODY_RATE_FROM_MS 10000

static void wait_for(struct moon_conn *conn, enum moon_conn_deadline what, uint64_t ms, bool anew) {
    if (conn->waiting == what && !anew)
        return;
    conn->waiting = what;
    moon_crowd_wait(conn);
    if (what == MOON_WAIT_NOTHING)
        moon_deadline_clear(&conn->deadline);
    else
        moon_deadline_set(&conn->worker->clock, &conn->deadline, ms);
}

/* No request of a tunnel looks at the client's certificate again, so it lasts no longer than that is valid. */
static bool has_outlived_its_certificate(const struct moon_conn *conn) {
    return conn->tunnel && conn->standing.until <= moon_worker_now(conn->worker);
}

/* `ms`, or what is left until the certificate of a tunnel's client is not valid any more. */
static uint64_t while_valid(const struct moon_conn *conn, uint64_t ms) {
    if (!conn->tunnel)
        return ms;
    if (has_outlived_its_certificate(conn))
        return 0;
    uint64_t left = (uint64_t)(conn->standing.until - moon_worker_now(conn->worker));
    return left < ms / 1000 + 1 && left * 1000 < ms ? left * 1000 : ms;
}

void moon_conn_watch(struct moon_conn *conn) {
    const struct moon_timeouts *timeouts = &conn->worker->options->timeouts;
    struct moon_request *request = conn->request;
    if (!conn->established) {
        wait_for(conn, MOON_WAIT_HANDSHAKE, timeouts->handshake, false);
    } else if (moon_stream_unsent(&conn->stream)) {
        if (conn->waiting != MOON_WAIT_WRITE)
            conn->mark = moon_stream_delivered(&conn->stream);
        wait_for(conn, MOON_WAIT_WRITE, while_valid(conn, timeouts->write_idle), false);
    } else if (conn->finishing) {
        wait_for(conn, MOON_WAIT_LINGER, LINGER_MS, false);
    } else if (conn->tunnel) {
        wait_for(conn, MOON_WAIT_TUNNEL, while_valid(conn, timeouts->tunnel_idle), true);
    } else if (request && !request->body.done && moon_request_takes_body(request)) {
        if (conn->waiting != MOON_WAIT_BODY)
            conn->mark = request->body.payload;
        wait_for(conn, MOON_WAIT_BODY, timeouts->body_idle, false);
    } else if (request) {
        wait_for(conn, MOON_WAIT_NOTHING, 0, false);
    } else if (conn->carry.len) {
        wait_for(conn, MOON_WAIT_HEAD, timeouts->head, conn->served);
    } else {
        wait_for(conn, MOON_WAIT_REQUEST, conn->requests ? timeouts->keep_alive : timeouts->head, conn->served);
    }
    conn->served = false;
}

void moon_conn_watch_anew(struct moon_conn *conn) {
    conn->waiting = MOON_WAIT_NOTHING;
    moon_conn_watch(conn);
}

void moon_conn_deadline_passed(struct moon_deadline *deadline) {
    struct moon_conn *conn = MOON_CONTAINER(deadline, struct moon_conn, deadline);
    enum moon_conn_deadline what = conn->waiting;
    conn->waiting = MOON_WAIT_NOTHING;
    moon_crowd_leave(conn);
    if (has_outlived_its_certificate(conn)) { /* whatever else it waited for */
        moon_conn_close_now(conn, "the client's certificate is not valid any more");
        return;
    }
    moon_conn_turn_begin(conn);
    switch (what) {
    case MOON_WAIT_HANDSHAKE:
        if (conn->stream.received) {
            moon_worker_count(conn->worker, handshakes_failed);
            moon_record_handshake(conn, "the deadline for the handshake has passed");
        }
        conn->failed = true;
        break;
    case MOON_WAIT_REQUEST:
        conn->close_soon = true;
        break;
    case MOON_WAIT_HEAD:
        moon_request_refuse_head(conn, 408, "the deadline for the head has passed");
        break;
    case MOON_WAIT_BODY: {
        uint64_t window = conn->worker->options->timeouts.body_idle;
        uint64_t least = window < BODY_RATE_FROM_MS ? 1 : window / 1000 * BODY_BYTES_PER_SECOND;
        if (conn->request && conn->request->body.payload - conn->mark < least) {
            moon_request_client_gone(conn->request, "the body came too slowly");
            conn->failed = true;
        }
        break;
    }
    case MOON_WAIT_WRITE:
        if (moon_stream_delivered(&conn->stream) == conn->mark) {
            if (conn->request)
                moon_request_client_gone(conn->request, "the client took nothing for too long");
            conn->failed = true;
        }
        break;
    case MOON_WAIT_TUNNEL:
        if (conn->request)
            moon_request_client_gone(conn->request, "the tunnel was idle for too long");
        conn->failed = true;
        break;
    case MOON_WAIT_LINGER:
        conn->failed = true;
        break;
    case MOON_WAIT_NOTHING:
        break;
    }
    moon_conn_turn_end(conn);
}
