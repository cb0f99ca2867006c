/* script/vm.h — one lua_State: created with our modules inside, closed again. A state belongs to one thread at a time;
 * states share nothing. Modules of ours come from the binary (script/embedded.h), or from a source tree while
 * developing; modules of others (dkjson, argparse, DBI) from the system's Lua directories only, never from the current
 * directory or the environment. */
#ifndef MOON_SCRIPT_VM_H
#define MOON_SCRIPT_VM_H

#include <lua.h>

#include "base/error.h"

/* A fresh state with the standard libraries and our module loader. `source_dir` (may be NULL; copied) is a source tree
 * whose files are read in place of the embedded modules: for development, since whoever can write there decides what
 * the gateway does. NULL with diag when there is no memory. */
lua_State *moon_vm_open(const char *source_dir, struct moon_diag *diag);
/* NULL inside is fine; clears *state. */
void moon_vm_close(lua_State **state);

/* Loads a module of ours and leaves it on the stack. 0; MOON_ESCRIPT with diag (and nothing left on the stack). */
int moon_vm_require(lua_State *L, const char *name, struct moon_diag *diag);

/* lua_pcall with a traceback in the message: 0 and the results on the stack; MOON_ESCRIPT with diag and nothing left of
 * the call. The diagnostic holds the first line of the message; with `trace` (may be NULL) the whole of it, with
 * traceback, goes to `trace`, cut to `trace_size`. */
int moon_vm_call(lua_State *L, int arguments, int results, struct moon_diag *diag, char *trace, size_t trace_size);

/* The message handler behind moon_vm_call, for a caller that keeps it on its stack: turns any error value into text and
 * appends the traceback. */
int moon_vm_traceback(lua_State *L);

#endif
