/* script/saving.h — a file that is written on a thread of the loop's pool, since a large one takes the better part of a
 * second. Made use of by script/errand.c; nothing here knows Lua. The loop's thread only. */
#ifndef MOON_SCRIPT_SAVING_H
#define MOON_SCRIPT_SAVING_H

#include <uv.h>

#include "base/error.h"
#include "base/str.h"

struct moon_saving;

/* Called once, last, and never from within begin. The saving may be freed in it. */
typedef void (*moon_saving_done_fn)(void *data);

/* Replaces the file `path` by the pieces, one after the other, and a line with the SHA-256 of all of them in hex; or
 * leaves it as it was (base/file.h). Mode 0600. Copies everything. */
struct moon_saving *moon_saving_begin(uv_loop_t *loop, const char *path, const struct moon_str *pieces, size_t count,
                                      moon_saving_done_fn done, void *data);
/* Of one that is done: as moon_file_replace. */
int moon_saving_result(const struct moon_saving *saving, struct moon_diag *diag);
/* Returns when the file is written, or not written and never will be; `done` may be still to come. */
void moon_saving_await(struct moon_saving *saving);
/* Ends it, whatever its state; `done` is not called any more. What has begun is written to its end, and keeps the loop
 * running until then. Clears; NULL inside is fine. */
void moon_saving_free(struct moon_saving **saving);

#endif
