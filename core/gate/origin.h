/* gate/origin.h — connections to origins, kept warm per origin and worker: resolve, connect, TLS, borrow, return, retire. Bytes in
 * plaintext on this side; knows nothing of HTTP. One borrower at a time. The worker's thread only. */
#ifndef MOON_GATE_ORIGIN_H
#define MOON_GATE_ORIGIN_H

#include "gate/origin_terms.h"
#include "gate/worker.h"

/* What kept a connection from coming about, or ended it. */
enum moon_origin_failure {
    MOON_ORIGIN_UNRESOLVED,
    MOON_ORIGIN_REFUSED,
    MOON_ORIGIN_CONNECT_TIMEOUT,
    MOON_ORIGIN_TLS_FAILED,
    MOON_ORIGIN_CERTIFICATE, /* did not verify */
    MOON_ORIGIN_RESET,       /* while borrowed */
    MOON_ORIGIN_SILENT       /* no byte within the deadline that the borrower set */
};

/* What the borrower hears; each is the last thing that happens in a wake-up of the origin's connection. */
struct moon_origin_events {
    void (*ready)(void *borrower);                              /* connected: write now */
    void (*bytes)(void *borrower, struct moon_str *plaintext);  /* takes from the front; what is left over is a fault */
    void (*ended)(void *borrower);                              /* the origin has sent its last byte */
    void (*failed)(void *borrower, enum moon_origin_failure failure, const char *detail); /* gone; do not return it */
    void (*drained)(void *borrower);                            /* takes more to write */
};

struct moon_origin_conn;

/* A warm connection when there is one (newest first), else a new one that begins to connect; `ready` is called later, never
 * from within. With `fresh` only a new one will do. `name` is the effective host of the request, which counts where the terms
 * ask for it (request_name); copied. Never NULL. */
struct moon_origin_conn *moon_origin_borrow(struct moon_worker *worker, struct moon_origin_terms *terms,
                                            struct moon_str name, bool fresh, const struct moon_origin_events *events,
                                            void *borrower);
/* True when it came warm from the pool: usable at once, and possibly stale. */
bool moon_origin_is_warm(const struct moon_origin_conn *origin);

/* Puts bytes together; sent by moon_origin_flush. MOON_ECLOSED when it is broken (the failure is reported later by nobody:
 * the caller acts). */
int moon_origin_write(struct moon_origin_conn *origin, struct moon_str plaintext);
/* The buffer to write into directly; sent by moon_origin_flush. */
struct moon_buf *moon_origin_out(struct moon_origin_conn *origin);
int moon_origin_flush(struct moon_origin_conn *origin);
bool moon_origin_is_full(const struct moon_origin_conn *origin);
/* Whether bytes are wanted (off: back-pressure toward the origin). */
void moon_origin_read(struct moon_origin_conn *origin, bool on);
/* `failed` with MOON_ORIGIN_SILENT unless bytes come within that time, or some of those that wait to be sent are taken; each arrival
 * begins it anew; 0: off. */
void moon_origin_expect(struct moon_origin_conn *origin, uint64_t within_ms);

/* Gives it back; clears *origin. `keep` false closes it. Afterwards no event comes. */
void moon_origin_return(struct moon_origin_conn **origin, bool keep);

/* Gives it back for good, but what was written still goes out, and then the end: within a bound, while whatever the origin still
 * sends is dropped. Clears *origin; NULL inside is fine. */
void moon_origin_let_go(struct moon_origin_conn **origin);

/* The pool. A connection is only ever used again for equal terms (their key), so a change of an origin needs no retiring: what it
 * leaves behind idles out. */
void moon_origin_pools_init(struct moon_worker *worker);
/* Closes every connection that nobody has borrowed. */
void moon_origin_pools_close(struct moon_worker *worker);
void moon_origin_pools_deinit(struct moon_worker *worker);

#endif
