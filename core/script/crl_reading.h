/* script/crl_reading.h — a revocation list that is read and checked (tls/crl.h) on a thread of the loop's pool, since a large
 * one takes the better part of a second. Made use of by script/errand.c; nothing here knows Lua. The loop's thread only. */
#ifndef MOON_SCRIPT_CRL_READING_H
#define MOON_SCRIPT_CRL_READING_H

#include <uv.h>

#include "base/error.h"
#include "base/str.h"
#include "tls/crl.h"

struct moon_crl_reading;

/* Called once, last, and never from within begin. The reading may be freed in it. */
typedef void (*moon_crl_reading_done_fn)(void *data);

/* Copies `text` and `issuer`. */
struct moon_crl_reading *moon_crl_reading_begin(uv_loop_t *loop, struct moon_str text, struct moon_str issuer,
                                                moon_crl_reading_done_fn done, void *data);
/* Of one that is done: as moon_crl_new, once; the list is the caller's. */
int moon_crl_reading_take(struct moon_crl_reading *reading, struct moon_crl **out, struct moon_diag *diag);
/* Ends it, whatever its state; `done` is not called any more. What is being read keeps the loop running until it was read.
 * Clears; NULL inside is fine. */
void moon_crl_reading_free(struct moon_crl_reading **reading);

#endif
