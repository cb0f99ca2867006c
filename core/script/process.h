/* script/process.h — one program that the operator has configured, run from the control loop: a text on its standard
 * input, nothing else open, no shell, a deadline after which it is killed. Made use of by script/errand.c; nothing here
 * knows Lua. The loop's thread only. */
#ifndef MOON_SCRIPT_PROCESS_H
#define MOON_SCRIPT_PROCESS_H

#include <uv.h>

#include "base/error.h"
#include "base/str.h"

#define MOON_PROCESS_WORDS 32

struct moon_process;

/* Called once, last, and never from within begin: it has ended. The process may be freed in it. */
typedef void (*moon_process_done_fn)(void *data);

/* `words`: the program's path and its arguments. `input` is copied. 0; or a code with diag (where: the program) and
 * NULL in *out. Its output goes nowhere. */
int moon_process_begin(struct moon_process **out, uv_loop_t *loop, const struct moon_str *words, size_t word_count,
                       struct moon_str input, unsigned timeout_ms, moon_process_done_fn done, void *data,
                       struct moon_diag *diag);
/* Kills it if it still runs; `done` is not called any more. Its handles close in the loop's next rounds. Clears; NULL
 * inside is fine. */
void moon_process_free(struct moon_process **process);

/* Of one that is done: empty when it ended with exit status 0, else how it ended. Borrowed. */
const char *moon_process_failure(const struct moon_process *process);

#endif
