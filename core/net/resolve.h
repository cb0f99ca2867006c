/* net/resolve.h — a hostname's addresses, looked up off the loop (libuv's thread pool) or read from a literal. The loop's thread;
 * the answer comes on it too. Names longer than 253 bytes are refused before any library sees them. */
#ifndef MOON_NET_RESOLVE_H
#define MOON_NET_RESOLVE_H

#include <uv.h>

#include "net/address.h"

#define MOON_RESOLVE_MAX 8

/* status 0 and at least one address, or a negative libuv error. `data` as given. */
typedef void (*moon_resolve_fn)(void *data, int status, const struct moon_address *addresses, unsigned count);

struct moon_resolve;

/* Begins; `done` is called once, later, unless cancelled. NULL when nothing could be begun (out of threads is not among the
 * reasons: the pool queues). Copies `host`. `host` may be an IP literal, with or without brackets. */
struct moon_resolve *moon_resolve_open(uv_loop_t *loop, struct moon_str host, unsigned port, moon_resolve_fn done,
                                       void *data);
/* `done` will not be called any more. Clears *resolve. */
void moon_resolve_cancel(struct moon_resolve **resolve);

/* Reads an IP literal (brackets allowed for IPv6) without any lookup. */
bool moon_resolve_literal(struct moon_address *address, struct moon_str host, unsigned port);

#endif
