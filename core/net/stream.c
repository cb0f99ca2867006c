#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct moon_stream *stream) {
    int mask = 0;
    if (stream->reading && !stream->ended && !stream->connecting)
        mask |= UV_READABLE;
    if (stream->connecting || stream->tail.len)
        mask |= UV_WRITABLE;
    if (mask == stream->mask || stream->closing)
        return;
    stream->mask = mask;
    if (mask)
        uv_poll_start(&stream->poll, mask, on_poll);
    else
        uv_poll_stop(&stream->poll);
}

static void on_closed(uv_handle_t *handle) {
    struct moon_stream *stream = MOON_CONTAINER(handle, struct moon_stream, poll);
    close(stream->fd);
    stream->fd = -1;
    moon_buf_free(&stream->tail);
    stream->events->closed(stream);
}

static int socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return -errno;
    return -error;
}

static void fail(struct moon_stream *stream, int status) {
    stream->broken = true;
    moon_buf_free(&stream->tail);
    stream->events->failed(stream, status);
}

/* True while the socket takes everything it is offered. */
static bool send_tail(struct moon_stream *stream) {
    while (stream->tail.len) {
        struct moon_str view = moon_buf_view(&stream->tail);
        ssize_t n = send(stream->fd, view.data, view.len, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return true;
            fail(stream, -errno);
            return false;
        }
        stream->sent += (uint64_t)n;
        moon_buf_consume(&stream->tail, (size_t)n);
        if ((size_t)n < view.len)
            return true;
    }
    moon_buf_free(&stream->tail);
    if (stream->shutdown_after_tail)
        shutdown(stream->fd, SHUT_WR);
    return true;
}

static void receive(struct moon_stream *stream) {
    ssize_t n;
    do
        n = recv(stream->fd, stream->room, stream->room_size, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        stream->received += (uint64_t)n;
        stream->events->bytes(stream, moon_str(stream->room, (size_t)n));
    } else if (n == 0 && stream->broken) {
        /* The reset was reported to a send already, and is not a second time: this is no clean end. */
        fail(stream, -ECONNRESET);
    } else if (n == 0) {
        stream->ended = true;
        stream->events->end(stream); /* most owners close now: watching less first would only cost a system call */
        watch(stream);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        fail(stream, -errno);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct moon_stream *stream = MOON_CONTAINER(poll, struct moon_stream, poll);
    if (status < 0) { /* libuv has stopped watching */
        stream->mask = 0;
        if (!stream->connecting && stream->reading && !stream->ended) {
            /* What came before the error is read before the error is: an answer, and behind it a reset because its sender did not
             * want our bytes. */
            receive(stream);
            watch(stream);
            return;
        }
        int error = stream->connect_error ? stream->connect_error : socket_error(stream->fd);
        if (error == 0)
            error = -ECONNRESET;
        if (stream->connecting) {
            stream->connecting = false;
            stream->events->connected(stream, error);
        } else {
            fail(stream, error);
        }
        return;
    }
    if (stream->connecting) {
        stream->connecting = false;
        int error = stream->connect_error ? stream->connect_error : socket_error(stream->fd);
        watch(stream);
        stream->events->connected(stream, error);
        return;
    }
    if ((events & UV_WRITABLE) && stream->tail.len) {
        bool high = stream->was_high;
        if (!send_tail(stream) || stream->closing)
            return;
        watch(stream);
        if (stream->tail.len < MOON_STREAM_LOW && (high || !stream->tail.len)) {
            stream->was_high = false;
            stream->events->drained(stream);
            return; /* level triggered: what is readable comes again */
        }
    }
    if ((events & UV_READABLE) && stream->reading && !stream->closing)
        receive(stream);
}

int moon_stream_open(struct moon_stream *stream, uv_loop_t *loop, int fd, const struct moon_stream_events *events,
                     char *room, size_t room_size) {
    *stream = (struct moon_stream){.events = events, .room = room, .room_size = room_size, .fd = fd};
    moon_buf_init(&stream->tail, MOON_STREAM_CEILING);
    int rc = uv_poll_init(loop, &stream->poll, fd);
    if (rc)
        close(fd);
    return rc;
}

int moon_stream_connect(struct moon_stream *stream, uv_loop_t *loop, const struct moon_address *address,
                        const struct moon_stream_events *events, char *room, size_t room_size) {
    int fd = socket(address->sock.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = connect(fd, &address->sock.any, address->len) == 0 || errno == EINPROGRESS ? 0 : -errno;
    int rc = moon_stream_open(stream, loop, fd, events, room, room_size);
    if (rc)
        return rc;
    stream->connect_error = error;
    stream->connecting = true; /* also when the outcome is known already: one way of hearing about it */
    watch(stream);
    return 0;
}

void moon_stream_read(struct moon_stream *stream, bool on) {
    stream->reading = on;
    watch(stream);
}

int moon_stream_send(struct moon_stream *stream, struct moon_str bytes) {
    if (stream->broken || stream->closing)
        return MOON_ECLOSED;
    if (!stream->tail.len && !stream->connecting) {
        while (bytes.len) {
            ssize_t n = send(stream->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
            if (n >= 0) {
                bool short_write = (size_t)n < bytes.len;
                stream->sent += (uint64_t)n;
                bytes.data += n;
                bytes.len -= (size_t)n;
                if (short_write)
                    break; /* the socket is full: asking again would only cost a system call */
            } else if (errno != EINTR) {
                if (errno == EAGAIN || errno == EWOULDBLOCK)
                    break;
                stream->broken = true; /* the owner hears of it by the return value, not from within */
                return MOON_ECLOSED;
            }
        }
    }
    if (bytes.len) {
        if (moon_buf_append_str(&stream->tail, bytes) != 0) {
            stream->broken = true;
            return MOON_ETOOBIG;
        }
        if (stream->tail.len > MOON_STREAM_HIGH)
            stream->was_high = true;
        watch(stream);
    }
    return 0;
}

uint64_t moon_stream_delivered(const struct moon_stream *stream) {
    int waiting = 0;
    if (ioctl(stream->fd, SIOCOUTQ, &waiting) != 0)
        return stream->sent;
    return stream->sent - (uint64_t)waiting;
}

void moon_stream_end(struct moon_stream *stream) {
    if (stream->broken || stream->closing)
        return;
    if (stream->tail.len)
        stream->shutdown_after_tail = true;
    else
        shutdown(stream->fd, SHUT_WR);
}

void moon_stream_close(struct moon_stream *stream) {
    if (stream->closing)
        return;
    stream->closing = true;
    uv_close((uv_handle_t *)&stream->poll, on_closed);
}

void moon_stream_abort(struct moon_stream *stream) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (stream->closing)
        return;
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    moon_stream_close(stream);
}
