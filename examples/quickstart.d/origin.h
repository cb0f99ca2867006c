/* origin.h — what the two halves of the small origin share: origin.c moves bytes, origin_answer.c decides what to answer.
 * One thread, one poll loop; a connection serves one request at a time, in order. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "origin_body.h"

#define IN_MAX 65536          /* longest request head */
#define OUT_HIGH (256 * 1024) /* bytes waiting for the peer: above it nothing more is produced or read */
#define OUT_MAX (OUT_HIGH + 2 * IN_MAX)

enum state { STATE_HEAD, STATE_BODY, STATE_WAIT, STATE_HELD, STATE_SEND, STATE_TUNNEL, STATE_GONE };
enum body_use { BODY_IGNORE, BODY_ECHO };

struct request {
    char method[32];
    char target[4096];
    int minor_version;
    bool keep_alive, chunked, has_length, wants_upgrade, wants_continue;
    uint64_t length;
    char *text; /* the head as it came, owned */
};

struct conn {
    int fd;
    unsigned long id, requests;
    enum state state;
    char in[IN_MAX];
    size_t in_len;
    char out[OUT_MAX];
    size_t out_len, out_sent;
    uint64_t bytes_read;
    bool end_of_input;
    struct request request;
    struct origin_body body;
    enum body_use body_use;
    int64_t wake_at;     /* STATE_WAIT: when to answer; with a body: when to begin to read it (monotonic milliseconds) */
    char hold[64];       /* STATE_HELD: until somebody asks for /release/<this> */
    uint64_t fill_left;  /* bytes of the answer still to be made up */
    uint64_t chunks_left, chunk_size;
    bool close_after;    /* when everything is sent */
    bool drop_next;      /* the next request on this connection gets no answer */
    const char *tail;    /* after the last chunk size: trailers and the end */
};

/* Appends to what is to be sent. Beyond OUT_MAX the connection is given up: that is our mistake, not the peer's. */
void origin_put(struct conn *conn, const void *data, size_t len);
void origin_printf(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The head of a request is complete: chooses what happens to its body, and what can be known before it came. */
void origin_route(struct conn *conn);
/* The body is complete: gives the answer, or puts it off (STATE_WAIT, STATE_HELD). */
void origin_answer(struct conn *conn);
/* The answer that was put off. */
void origin_answer_now(struct conn *conn);
/* Makes up more of a long answer while there is room. */
void origin_fill(struct conn *conn);

/* Lets go the requests held under a name; returns how many (origin.c). */
unsigned origin_release(const char *name);
int64_t origin_now(void);

extern const char *origin_raw_directory; /* of /raw/NAME; NULL: none */

#endif
