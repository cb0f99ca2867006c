/* net/stream.h — one TCP connection on a loop: uv_poll on the descriptor, one recv and one send per turn. Reads into the
 * thread's buffer; keeps only the tail that the socket would not take. Closed exactly once. Bytes only: it knows nothing
 * of TLS or HTTP. The loop's thread only. */
#ifndef MOON_NET_STREAM_H
#define MOON_NET_STREAM_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "net/address.h"

/* Back-pressure marks for the unsent tail: over HIGH the producer stops, under LOW it goes on. */
#define MOON_STREAM_HIGH (256 * 1024)
#define MOON_STREAM_LOW (128 * 1024)
#define MOON_STREAM_CEILING (4 * 1024 * 1024)

struct moon_stream;

/* What the owner hears. After any of these the stream may already be closing: each is the last thing a turn does. */
struct moon_stream_events {
    void (*connected)(struct moon_stream *stream, int status);  /* 0, or a negative errno; after moon_stream_connect */
    void (*bytes)(struct moon_stream *stream, struct moon_str bytes); /* borrowed until it returns */
    void (*end)(struct moon_stream *stream);                    /* the peer has sent its last byte */
    void (*failed)(struct moon_stream *stream, int status);     /* reset and the like; negative errno; close it */
    void (*drained)(struct moon_stream *stream);                /* the unsent tail fell under LOW after being over HIGH,
                                                                   or became empty */
    void (*closed)(struct moon_stream *stream);                 /* the last call ever: free the memory */
};

struct moon_stream {
    uv_poll_t poll;
    const struct moon_stream_events *events;
    char *room; /* the thread's receive buffer, borrowed for good */
    size_t room_size;
    struct moon_buf tail;
    uint64_t received;
    uint64_t sent; /* handed to the kernel */
    int fd;
    int mask; /* what uv_poll watches now */
    int connect_error; /* known at once, reported by `connected` all the same */
    bool connecting;
    bool reading;
    bool ended;  /* the peer's FIN was seen */
    bool broken; /* sending is impossible */
    bool closing;
    bool was_high;
    bool shutdown_after_tail;
};

/* Takes `fd` (non-blocking). Reading is off until asked for. Returns 0 or a libuv error; then the descriptor is closed and the
 * stream was never open. */
int moon_stream_open(struct moon_stream *stream, uv_loop_t *loop, int fd, const struct moon_stream_events *events,
                     char *room, size_t room_size);
/* Begins to connect; `connected` is called later, never from within. Returns 0 or a negative errno (nothing is open then). */
int moon_stream_connect(struct moon_stream *stream, uv_loop_t *loop, const struct moon_address *address,
                        const struct moon_stream_events *events, char *room, size_t room_size);

/* Whether bytes are wanted. Off means off: nothing is received until it is on again. */
void moon_stream_read(struct moon_stream *stream, bool on);

/* Sends, or keeps what the socket does not take. Copies. Returns 0; MOON_ETOOBIG beyond the ceiling (the stream is
 * broken then); MOON_ECLOSED when it is broken. */
int moon_stream_send(struct moon_stream *stream, struct moon_str bytes);
static inline size_t moon_stream_unsent(const struct moon_stream *stream) {
    return stream->tail.len;
}
/* How many bytes the peer has acknowledged. A peer that is slow and not dead moves this on long before the kernel's buffer, which may hold
 * megabytes, has room for more. One system call. */
uint64_t moon_stream_delivered(const struct moon_stream *stream);
/* No more will be sent: FIN once the tail is out. */
void moon_stream_end(struct moon_stream *stream);

/* Drops the tail and closes; `closed` follows on the loop. May be called more than once, and from within any event. */
void moon_stream_close(struct moon_stream *stream);
/* The same, with RST instead of FIN: the peer must see that something was cut off. */
void moon_stream_abort(struct moon_stream *stream);

#endif
