#include "net/text_lookup.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

#define NAME_MAX_BYTES 255
#define MESSAGE_BYTES 65536
#define TRIES 2
#define TRY_SECONDS 3

struct moon_text_lookup {
    uv_work_t work;
    char name[NAME_MAX_BYTES + 1];
    struct moon_address server; /* len 0: the system's */
    char lines[MOON_TEXT_BYTES];
    size_t len;
    const char *failure;
    bool is_done;
    moon_text_lookup_fn done; /* NULL: freed, nobody is told */
    void *data;
};

static unsigned read_16(const unsigned char *at) {
    return (unsigned)at[0] << 8 | at[1];
}

/* The strings of one record behind each other, and a line end; whole or not at all. */
static size_t write_record(char *room, size_t len, const unsigned char *at, const unsigned char *end) {
    size_t begin = len;
    while (at < end) {
        size_t size = *at++;
        if (size > (size_t)(end - at) || size + 1 > MOON_TEXT_BYTES - len)
            return begin;
        for (size_t i = 0; i < size; i++)
            room[len++] = (char)(at[i] < 0x20 || at[i] == 0x7f ? '?' : at[i]);
        at += size;
    }
    if (len < MOON_TEXT_BYTES)
        room[len++] = '\n';
    else
        len = begin;
    return len;
}

int moon_text_records_read(char *room, struct moon_str message) {
    const unsigned char *at = (const unsigned char *)message.data, *end = at + message.len;
    size_t len = 0;
    if (message.len < HFIXEDSZ)
        return -1;
    unsigned questions = read_16(at + 4), answers = read_16(at + 6);
    at += HFIXEDSZ;
    for (; questions; questions--) {
        int size = dn_skipname(at, end);
        if (size < 0 || end - at < size + QFIXEDSZ)
            return -1;
        at += size + QFIXEDSZ;
    }
    for (; answers; answers--) {
        int size = dn_skipname(at, end);
        if (size < 0 || end - at < size + RRFIXEDSZ)
            return -1;
        at += size;
        unsigned type = read_16(at), data = read_16(at + 8);
        at += RRFIXEDSZ;
        if (data > (size_t)(end - at))
            return -1;
        if (type == ns_t_txt)
            len = write_record(room, len, at, at + data);
        at += data;
    }
    return (int)len;
}

/* A name that is not there, or has no such records, is an answer: none. */
static const char *failure_of(int error) {
    if (error == HOST_NOT_FOUND || error == NO_DATA)
        return NULL;
    return error == TRY_AGAIN ? "no resolver has answered in time" : "the resolver could not answer";
}

/* On a thread of the pool: nothing else looks at the lookup meanwhile. */
static void look_up(uv_work_t *work) {
    struct moon_text_lookup *lookup = MOON_CONTAINER(work, struct moon_text_lookup, work);
    struct __res_state state = {0};
    unsigned char *message;
    if (res_ninit(&state) != 0) {
        lookup->failure = "the resolver's configuration cannot be read";
        return;
    }
    state.retrans = TRY_SECONDS;
    state.retry = TRIES;
    if (lookup->server.len) {
        state.nscount = 1;
        state.nsaddr_list[0] = lookup->server.sock.v4;
        free(state._u._ext.nsaddrs[0]); /* an IPv6 resolver of the system's would go before */
        state._u._ext.nsaddrs[0] = NULL;
    }
    message = moon_alloc(MESSAGE_BYTES);
    int size = res_nquery(&state, lookup->name, ns_c_in, ns_t_txt, message, MESSAGE_BYTES);
    if (size < 0) {
        lookup->failure = failure_of(state.res_h_errno);
    } else {
        int len = moon_text_records_read(lookup->lines,
                                         moon_str((char *)message, size < MESSAGE_BYTES ? (size_t)size : MESSAGE_BYTES));
        lookup->len = len < 0 ? 0 : (size_t)len;
        lookup->failure = len < 0 ? "the resolver's answer cannot be read" : NULL;
    }
    free(message);
    res_nclose(&state);
}

static void on_looked_up(uv_work_t *work, int status) {
    struct moon_text_lookup *lookup = MOON_CONTAINER(work, struct moon_text_lookup, work);
    if (!lookup->done) {
        free(lookup);
        return;
    }
    moon_assert(status == 0); /* only a freed one is cancelled */
    lookup->is_done = true;
    lookup->done(lookup->data);
}

struct moon_text_lookup *moon_text_lookup_begin(uv_loop_t *loop, struct moon_str name,
                                                const struct moon_address *server, moon_text_lookup_fn done,
                                                void *data) {
    struct moon_text_lookup *lookup = moon_new(struct moon_text_lookup);
    moon_assert(name.len <= NAME_MAX_BYTES && (!server || server->sock.any.sa_family == AF_INET));
    memcpy(lookup->name, name.data, name.len);
    lookup->name[name.len] = 0;
    if (server)
        lookup->server = *server;
    lookup->done = done;
    lookup->data = data;
    moon_assert(uv_queue_work(loop, &lookup->work, look_up, on_looked_up) == 0);
    return lookup;
}

void moon_text_lookup_free(struct moon_text_lookup **pointer) {
    struct moon_text_lookup *lookup = *pointer;
    *pointer = NULL;
    if (!lookup)
        return;
    lookup->done = NULL;
    if (lookup->is_done)
        free(lookup);
    else
        uv_cancel((uv_req_t *)&lookup->work); /* when it is under way already, on_looked_up frees it all the same */
}

struct moon_str moon_text_lookup_lines(const struct moon_text_lookup *lookup) {
    return moon_str(lookup->lines, lookup->len);
}

const char *moon_text_lookup_failure(const struct moon_text_lookup *lookup) {
    return lookup->failure;
}
