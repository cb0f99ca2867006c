#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* Connections taken per wake-up: enough to empty a burst, few enough that those already open are served in between. */
#define ACCEPT_BATCH 16
#define BURST_WAKES 4
#define REST_MS 100
#define BACKLOG 1024

static void on_poll(uv_poll_t *poll, int status, int events);

static int open_spare(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_rested(uv_timer_t *timer) {
    struct moon_listener *listener = timer->data;
    if (listener->spare < 0)
        listener->spare = open_spare();
    if (!listener->resting)
        uv_poll_start(&listener->poll, UV_READABLE, on_poll);
}

static void out_of_descriptors(struct moon_listener *listener) {
    if (listener->spare >= 0) { /* tell one client at once rather than leaving it in the queue */
        close(listener->spare);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        listener->spare = open_spare();
    }
    listener->refused++;
    if (listener->exhausted)
        listener->exhausted(listener->owner);
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->rest, on_rested, REST_MS, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct moon_listener *listener = MOON_CONTAINER(poll, struct moon_listener, poll);
    /* When connections come one by one, asking until there is none costs each of them a system call. So one is taken at
     * a time, until several wake-ups in a row found one. */
    int batch = listener->full_wakes < BURST_WAKES ? 1 : ACCEPT_BATCH;
    for (int i = 0; i < batch && !listener->closing && !listener->resting; i++) {
        struct moon_address peer = {.len = sizeof peer.sock};
        int fd = accept4(listener->fd, &peer.sock.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                out_of_descriptors(listener);
            if (i <= 1)
                listener->full_wakes = 0;
            return;
        }
        listener->accept(listener->owner, fd, &peer);
    }
    if (listener->full_wakes < BURST_WAKES)
        listener->full_wakes++;
}

int moon_listen_socket(const struct moon_address *address, bool shared, struct moon_address *bound,
                       struct moon_diag *diag) {
    char text[MOON_ADDRESS_TEXT];
    moon_address_print(address, text);
    const char *step = "socket";
    int one = 1;
    int fd = socket(address->sock.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        goto fail;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted connections inherit it */
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (address->sock.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    step = "bind";
    if (bind(fd, &address->sock.any, address->len) != 0)
        goto fail;
    step = "listen";
    if (listen(fd, BACKLOG) != 0)
        goto fail;
    if (bound) {
        bound->len = sizeof bound->sock;
        if (getsockname(fd, &bound->sock.any, &bound->len) != 0)
            goto fail;
    }
    return fd;
fail:
    moon_diag_set(diag, text, "cannot listen: %s: %s", step, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int moon_listener_open(struct moon_listener *listener, uv_loop_t *loop, int fd, moon_accept_fn accept, void *owner) {
    *listener = (struct moon_listener){.accept = accept, .owner = owner, .fd = fd, .spare = open_spare()};
    int rc = uv_poll_init(loop, &listener->poll, fd);
    if (rc) {
        close(fd);
        if (listener->spare >= 0)
            close(listener->spare);
        return rc;
    }
    uv_timer_init(loop, &listener->rest);
    listener->rest.data = listener;
    listener->open_handles = 2;
    uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    return 0;
}

void moon_listener_rest(struct moon_listener *listener, bool resting) {
    if (listener->closing || !listener->open_handles || listener->resting == resting)
        return;
    listener->resting = resting;
    if (resting)
        uv_poll_stop(&listener->poll);
    else if (!uv_is_active((uv_handle_t *)&listener->rest)) /* else when that is over */
        uv_poll_start(&listener->poll, UV_READABLE, on_poll);
}

static void on_closed(uv_handle_t *handle) {
    struct moon_listener *listener = handle->data;
    if (--listener->open_handles)
        return;
    close(listener->fd);
    if (listener->spare >= 0)
        close(listener->spare);
}

void moon_listener_close(struct moon_listener *listener) {
    if (listener->closing || !listener->open_handles) /* or never opened */
        return;
    listener->closing = true;
    listener->poll.data = listener;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    uv_close((uv_handle_t *)&listener->rest, on_closed);
}
