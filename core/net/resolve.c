#include "net/resolve.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hostname.h"
#include "base/mem.h"

struct moon_resolve {
    uv_getaddrinfo_t request;
    moon_resolve_fn done; /* NULL: cancelled */
    void *data;
    unsigned port;
};

bool moon_resolve_literal(struct moon_address *address, struct moon_str host, unsigned port) {
    char text[INET6_ADDRSTRLEN];
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = moon_str(host.data + 1, host.len - 2);
    if (!host.len || host.len >= sizeof text || memchr(host.data, 0, host.len))
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = 0;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &address->sock.v4.sin_addr) == 1) {
        address->sock.v4.sin_family = AF_INET;
        address->sock.v4.sin_port = htons((uint16_t)port);
        address->len = sizeof address->sock.v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &address->sock.v6.sin6_addr) == 1) {
        address->sock.v6.sin6_family = AF_INET6;
        address->sock.v6.sin6_port = htons((uint16_t)port);
        address->len = sizeof address->sock.v6;
        return true;
    }
    return false;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list) {
    struct moon_resolve *resolve = MOON_CONTAINER(request, struct moon_resolve, request);
    struct moon_address addresses[MOON_RESOLVE_MAX];
    unsigned count = 0;
    for (struct addrinfo *item = list; item && count < MOON_RESOLVE_MAX; item = item->ai_next) {
        if (item->ai_addrlen > sizeof addresses[count].sock)
            continue;
        memcpy(&addresses[count].sock, item->ai_addr, item->ai_addrlen);
        addresses[count].len = item->ai_addrlen;
        if (item->ai_family == AF_INET)
            addresses[count].sock.v4.sin_port = htons((uint16_t)resolve->port);
        else if (item->ai_family == AF_INET6)
            addresses[count].sock.v6.sin6_port = htons((uint16_t)resolve->port);
        else
            continue;
        count++;
    }
    uv_freeaddrinfo(list);
    if (resolve->done)
        resolve->done(resolve->data, status ? status : count ? 0 : UV_EAI_NONAME, addresses, count);
    free(resolve);
}

struct moon_resolve *moon_resolve_open(uv_loop_t *loop, struct moon_str host, unsigned port, moon_resolve_fn done,
                                       void *data) {
    char name[MOON_HOSTNAME_MAX + 1];
    if (!host.len || host.len > MOON_HOSTNAME_MAX || memchr(host.data, 0, host.len))
        return NULL;
    memcpy(name, host.data, host.len);
    name[host.len] = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct moon_resolve *resolve = moon_new(struct moon_resolve);
    resolve->done = done;
    resolve->data = data;
    resolve->port = port;
    if (uv_getaddrinfo(loop, &resolve->request, on_resolved, name, NULL, &hints) != 0) {
        free(resolve);
        return NULL;
    }
    return resolve;
}

void moon_resolve_cancel(struct moon_resolve **resolve) {
    if (!*resolve)
        return;
    (*resolve)->done = NULL;
    uv_cancel((uv_req_t *)&(*resolve)->request); /* when it is under way already, on_resolved frees it all the same */
    *resolve = NULL;
}
