/* net/listener.h — a listening socket on a loop: bind, accept, and what to do when descriptors run out. The loop's thread. */
#ifndef MOON_NET_LISTENER_H
#define MOON_NET_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "base/check.h"
#include "net/address.h"

struct moon_listener;

/* Takes `fd` (non-blocking, no delay set). */
typedef void (*moon_accept_fn)(void *owner, int fd, const struct moon_address *peer);

struct moon_listener {
    uv_poll_t poll;
    uv_timer_t rest; /* after descriptors ran out: a pause instead of a busy loop */
    moon_accept_fn accept;
    void (*exhausted)(void *owner); /* NULL, or told each time that there was no descriptor left; may be set after opening */
    void *owner;
    int fd;
    int spare; /* a descriptor in reserve, to accept and close when there is no other */
    int open_handles;
    bool closing;
    bool resting;   /* told to */
    int full_wakes; /* in a row that took all they might */
    uint64_t refused; /* connections closed for want of a descriptor */
};

/* Binds and listens; no loop yet. With `shared` SO_REUSEPORT is set, so that each worker has a socket of its own. On failure
 * -1 and diag says which address and why. `bound` (may be NULL) receives the address with the real port. */
int moon_listen_socket(const struct moon_address *address, bool shared, struct moon_address *bound,
                       struct moon_diag *diag);

/* Takes `fd`, of moon_listen_socket, and begins to accept. Returns 0 or a libuv error (the descriptor is closed then). */
int moon_listener_open(struct moon_listener *listener, uv_loop_t *loop, int fd, moon_accept_fn accept, void *owner);
/* Whether to accept: whoever comes meanwhile waits in the kernel's queue, in order. Of one that is closed or was never opened:
 * nothing. */
void moon_listener_rest(struct moon_listener *listener, bool resting);
/* Stops accepting at once. The memory stays valid until the loop ran its closing callbacks. */
void moon_listener_close(struct moon_listener *listener);

#endif
