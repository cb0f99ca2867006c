/* script/fetch.h — one request of the gateway's own to somewhere else, and its whole answer, within bounds: what
 * moongate.fetch of policy files is made of. The connection (TCP, TLS, pool) is gate/origin.c's. It keeps no time: who
 * began it cancels it. The worker's thread only. */
#ifndef MOON_SCRIPT_FETCH_H
#define MOON_SCRIPT_FETCH_H

#include "base/buf.h"
#include "gate/origin.h"

struct moon_fetch;

/* Called once, last: the answer is there, or it failed. The fetch may be freed only later. */
typedef void (*moon_fetch_done_fn)(void *data);

/* Sends `bytes` (a whole request; taken, the caller's is empty then) to `terms` (counted). `is_head`: the answer has no
 * body. `idempotent`: may be sent again when a connection that was kept warm turns out to be dead. At most
 * `body_ceiling` bytes of body are kept. */
struct moon_fetch *moon_fetch_open(struct moon_worker *worker, struct moon_origin_terms *terms, struct moon_buf *bytes,
                                   bool is_head, bool idempotent, size_t body_ceiling, moon_fetch_done_fn done,
                                   void *data);
/* Ends it, whatever its state; `done` is not called any more. Clears; NULL inside is fine. */
void moon_fetch_free(struct moon_fetch **fetch);

bool moon_fetch_is_done(const struct moon_fetch *fetch);
/* Why there is no answer: borrowed; NULL when there is one. */
const char *moon_fetch_failure(const struct moon_fetch *fetch);
/* Of an answer: parses its head into `head`, whose views live as long as the fetch. */
void moon_fetch_head(const struct moon_fetch *fetch, struct moon_http_head *head);
struct moon_str moon_fetch_body(const struct moon_fetch *fetch);

#endif
