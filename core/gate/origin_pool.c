#include <stdlib.h>

#include "base/mem.h"
#include "gate/origin_conn.h"

#define POOL_SLOTS 256
/* Behind the slots: those that were let go and have yet to send their last bytes. */
#define LEAVING POOL_SLOTS
#define LEAVING_MS 10000

void moon_origin_pools_init(struct moon_worker *worker) {
    worker->origin_pools = moon_alloc((LEAVING + 1) * sizeof *worker->origin_pools);
    for (int i = 0; i <= LEAVING; i++)
        moon_list_init(&worker->origin_pools[i]);
    moon_buf_init(&worker->origin_plain_out, MOON_ORIGIN_OUT_CEILING);
    moon_buf_init(&worker->origin_cipher_out, MOON_ORIGIN_OUT_CEILING * 2);
}

static struct moon_link *slot_of(struct moon_worker *worker, const struct moon_origin_terms *terms,
                                 struct moon_str name) {
    return &worker->origin_pools[(terms->hash ^ moon_hash(name)) % POOL_SLOTS];
}

void moon_origin_pool_put(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    struct moon_link *slot = slot_of(worker, origin->terms, origin->name);
    unsigned idle = 0;
    for (struct moon_link *link = slot->next; link != slot; link = link->next)
        idle++;
    if (idle >= worker->options->limits.idle_origin_connections || worker->draining) {
        moon_origin_destroy(origin);
        return;
    }
    origin->expect_ms = 0;
    origin->warm = true;
    moon_stream_read(&origin->socket->stream, true); /* so that we hear at once when the origin closes it */
    moon_list_prepend(slot, &origin->link);
    moon_deadline_set(&worker->clock, &origin->deadline, worker->options->timeouts.origin_keep_alive);
}

struct moon_origin_conn *moon_origin_pool_take(struct moon_worker *worker, const struct moon_origin_terms *terms,
                                               struct moon_str name) {
    struct moon_link *slot = slot_of(worker, terms, name);
    for (struct moon_link *link = slot->next; link != slot; link = link->next) {
        struct moon_origin_conn *origin = MOON_LINKED(link, struct moon_origin_conn, link);
        bool same = origin->terms == terms ||
                    (origin->terms->hash == terms->hash && moon_str_equal(origin->terms->key, terms->key));
        if (same && moon_str_equal(origin->name, name)) {
            moon_list_remove(link);
            moon_deadline_clear(&origin->deadline);
            return origin;
        }
    }
    return NULL;
}

void moon_origin_pool_leave(struct moon_origin_conn *origin) {
    struct moon_worker *worker = origin->worker;
    origin->leaving = true;
    moon_stream_end(&origin->socket->stream);
    moon_stream_read(&origin->socket->stream, true); /* unread bytes would turn our end into a reset */
    moon_list_append(&worker->origin_pools[LEAVING], &origin->link);
    moon_deadline_set(&worker->clock, &origin->deadline, LEAVING_MS);
}

void moon_origin_pools_close(struct moon_worker *worker) {
    for (int i = 0; i <= LEAVING; i++) {
        struct moon_link *slot = &worker->origin_pools[i];
        while (!moon_list_is_empty(slot))
            moon_origin_destroy(MOON_LINKED(slot->next, struct moon_origin_conn, link));
    }
}

void moon_origin_pools_deinit(struct moon_worker *worker) {
    free(worker->origin_pools);
    worker->origin_pools = NULL;
    moon_buf_free(&worker->origin_plain_out);
    moon_buf_free(&worker->origin_cipher_out);
}
