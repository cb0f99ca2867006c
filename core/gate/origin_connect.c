#include <stdlib.h>

#include "base/mem.h"
#include "gate/origin_conn.h"

static void allow(struct moon_origin_conn *origin, unsigned shares) {
    uint64_t now = uv_now(origin->worker->loop);
    uint64_t left = origin->connect_until > now ? origin->connect_until - now : 0;
    moon_deadline_set(&origin->worker->clock, &origin->deadline, left / shares);
}

/* Begins to connect to the next address; negative errno when that cannot even be begun. */
static int begin_connect(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct moon_origin_socket *socket = moon_new(struct moon_origin_socket);
    int rc = moon_stream_connect(&socket->stream, worker->loop, &origin->addresses[origin->next_address++],
                                 &moon_origin_stream_events, worker->receive_room, MOON_RECEIVE_ROOM);
    if (rc) {
        free(socket);
        return rc;
    }
    socket->origin = origin;
    origin->socket = socket;
    /* An address that swallows everything must leave the others their share. */
    allow(origin, origin->address_count - origin->next_address + 1);
    return 0;
}

void moon_origin_connect_next(struct moon_origin_conn *origin, const char *why) {
    if (origin->socket) {
        struct moon_origin_socket *socket = origin->socket;
        socket->origin = NULL;
        origin->socket = NULL;
        moon_stream_close(&socket->stream);
    }
    while (origin->next_address < origin->address_count) {
        int rc = begin_connect(origin);
        if (rc == 0)
            return;
        why = uv_strerror(rc);
    }
    moon_origin_fail(origin, MOON_ORIGIN_REFUSED, why);
}

void moon_origin_connected(struct moon_origin_conn *origin) {
    allow(origin, 1);
}

void moon_origin_connect_late(struct moon_origin_conn *origin) {
    const char *why = "the deadline for connecting has passed";
    if (origin->socket && !origin->tls && origin->next_address < origin->address_count)
        moon_origin_connect_next(origin, why);
    else
        moon_origin_fail(origin, MOON_ORIGIN_CONNECT_TIMEOUT, why);
}

/* A name leads wherever whoever keeps it likes, at every look anew: never to this machine, its links or what is secret there. Who
 * means such a place says its address, or "localhost". */
static bool may_lead_to(struct moon_str name, const struct moon_address *address) {
    if (!moon_address_is_local(address))
        return true;
    return moon_address_is_loopback(address) &&
           (moon_str_equal(name, MOON_STR("localhost")) || moon_str_ends_with(name, MOON_STR(".localhost")));
}

static void on_resolved(void *data, int status, const struct moon_address *addresses, unsigned count) {
    struct moon_origin_conn *origin = data;
    origin->resolve = NULL;
    if (status != 0) {
        moon_origin_fail(origin, MOON_ORIGIN_UNRESOLVED, uv_strerror(status));
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (may_lead_to(origin->terms->host, &addresses[i]))
            origin->addresses[origin->address_count++] = addresses[i];
    if (origin->address_count)
        moon_origin_connect_next(origin, "");
    else
        moon_origin_fail(origin, MOON_ORIGIN_UNRESOLVED,
                         "the name leads to this machine or its links: give the address itself if that is meant");
}

/* The addresses that the terms name, beginning with another one each time. A failure here (no descriptor left) is reported
 * by the deadline: never from within. */
static void connect_in_turn(struct moon_origin_conn *origin) {
    struct moon_origin_terms *terms = origin->terms;
    unsigned first = __atomic_fetch_add(&terms->turn, 1, __ATOMIC_RELAXED);
    origin->address_count = terms->address_count < MOON_RESOLVE_MAX ? terms->address_count : MOON_RESOLVE_MAX;
    for (unsigned i = 0; i < origin->address_count; i++)
        origin->addresses[i] = terms->addresses[(first + i) % terms->address_count];
    while (begin_connect(origin) != 0)
        if (origin->next_address == origin->address_count) {
            moon_deadline_set(&origin->worker->clock, &origin->deadline, 0);
            return;
        }
}

void moon_origin_connect(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct moon_origin_terms *terms = origin->terms;
    if (terms->address_count) {
        connect_in_turn(origin);
    } else if (moon_resolve_literal(&origin->addresses[0], terms->host, terms->port)) {
        origin->address_count = 1;
        /* A failure here (no descriptor left) is reported by the deadline: never from within. */
        if (begin_connect(origin) != 0)
            moon_deadline_set(&worker->clock, &origin->deadline, 0);
    } else {
        origin->resolve = moon_resolve_open(worker->loop, terms->host, terms->port, on_resolved, origin);
        if (!origin->resolve)
            moon_deadline_set(&worker->clock, &origin->deadline, 0);
    }
}
