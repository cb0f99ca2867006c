/* bench/origin.c — moongate-bench-origin: the quickest honest origin there can be, so that it is the gateway that is
 * measured. GET /N answers N bytes; a POST's body is read and thrown away, then answered. One thread, epoll, HTTP/1.1
 * keep-alive, bodies by Content-Length only. It trusts its clients, which are the gateways under test; it is no
 * example of a server. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (256 * 1024)
#define HEAD_MAX 8192
#define EVENTS 128

struct peer {
    int fd;
    char head[HEAD_MAX]; /* what came of the request's head */
    size_t head_len;
    uint64_t body_left; /* of the request, still to be read */
    bool answer_due;    /* a body is being read; the answer follows it */
    char out[256];      /* the answer's head, as far as it is not sent */
    size_t out_len;
    uint64_t out_body; /* bytes of the answer's body not yet sent */
};

static char room[ROOM];
static char body[ROOM];

static void drop(struct peer *peer) {
    close(peer->fd);
    free(peer);
}

/* Head and the first of the body in one call; false when the peer is gone. */
static bool flush(struct peer *peer) {
    while (peer->out_len || peer->out_body) {
        size_t piece = peer->out_body < sizeof body ? (size_t)peer->out_body : sizeof body;
        struct iovec parts[2] = {{peer->out, peer->out_len}, {body, piece}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t n = sendmsg(peer->fd, &message, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        size_t of_head = (size_t)n < peer->out_len ? (size_t)n : peer->out_len;
        memmove(peer->out, peer->out + of_head, peer->out_len - of_head);
        peer->out_len -= of_head;
        peer->out_body -= (uint64_t)n - of_head;
        if ((size_t)n < of_head + piece)
            return true; /* full: the edge comes when there is room */
    }
    return true;
}

static void answer(struct peer *peer, uint64_t size) {
    peer->out_len = (size_t)snprintf(peer->out, sizeof peer->out,
                                     "HTTP/1.1 200 OK\r\n"
                                     "Content-Type: application/octet-stream\r\n"
                                     "Content-Length: %llu\r\n\r\n",
                                     (unsigned long long)size);
    peer->out_body = size;
    peer->answer_due = false;
}

static uint64_t content_length(const char *head, const char *end) {
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;)
        if (strncasecmp(++line, "content-length:", 15) == 0)
            return strtoull(line + 15, NULL, 10);
    return 0;
}

/* Takes one request's head out of what has come; false when it has not come whole. */
static bool take_head(struct peer *peer) {
    char *end = memmem(peer->head, peer->head_len, "\r\n\r\n", 4);
    if (!end)
        return false;
    end += 4;
    const char *slash = memchr(peer->head, '/', (size_t)(end - peer->head));
    uint64_t size = slash ? strtoull(slash + 1, NULL, 10) : 0;
    peer->body_left = content_length(peer->head, end);
    peer->answer_due = true;
    size_t rest = peer->head_len - (size_t)(end - peer->head);
    size_t of_body = rest < peer->body_left ? rest : (size_t)peer->body_left;
    peer->body_left -= of_body;
    rest -= of_body;
    memmove(peer->head, end + of_body, rest);
    peer->head_len = rest;
    if (!peer->body_left)
        answer(peer, size);
    return true;
}

/* Bytes read go to the body that is due or to the head; false when the peer is gone or sends what no gateway sends. */
static bool take(struct peer *peer, const char *data, size_t len) {
    if (peer->body_left) {
        size_t part = len < peer->body_left ? len : (size_t)peer->body_left;
        peer->body_left -= part;
        data += part;
        len -= part;
        if (!peer->body_left && peer->answer_due)
            answer(peer, 2);
    }
    while (len) {
        size_t part = HEAD_MAX - peer->head_len < len ? HEAD_MAX - peer->head_len : len;
        memcpy(peer->head + peer->head_len, data, part);
        peer->head_len += part;
        data += part;
        len -= part;
        if (!take_head(peer))
            return len == 0 && peer->head_len < HEAD_MAX;
        if (peer->body_left)
            return take(peer, data, len);
    }
    return true;
}

static void advance(struct peer *peer) {
    if (!flush(peer))
        goto gone;
    while (!peer->out_len && !peer->out_body) {
        ssize_t n = recv(peer->fd, room, sizeof room, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            goto gone;
        if (n < 0)
            return;
        if (!take(peer, room, (size_t)n) || !flush(peer))
            goto gone;
        if ((size_t)n < sizeof room)
            return; /* whatever comes later makes an edge of its own */
    }
    return;
gone:
    drop(peer);
}

static void accept_some(int listener, int epoll) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer)
            abort();
        peer->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = peer};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            drop(peer);
    }
}

static int listen_on(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    int one = 1;
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    socklen_t len = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    printf("listening %s:%d\n", host, ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
        fputs("usage: moongate-bench-origin --listen ADDRESS:PORT\n", stderr);
        return 2;
    }
    memset(body, 'x', sizeof body);
    signal(SIGPIPE, SIG_IGN);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(argv[2]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        perror("moongate-bench-origin");
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                advance(events[i].data.ptr);
            else
                accept_some(listener, epoll);
        }
    }
}
