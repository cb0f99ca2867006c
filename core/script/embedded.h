/* script/embedded.h — what cmake/embed_lua.lua writes at build time: the Lua modules that are part of the binary, and the
 * table of functions that they call. Constant; readable from any thread. */
#ifndef MOON_SCRIPT_EMBEDDED_H
#define MOON_SCRIPT_EMBEDDED_H

#include <stddef.h>

struct moon_embedded_lua {
    const char *name;   /* as given to require, e.g. "moongate.rules.parse" */
    const char *path;   /* relative to the source tree, e.g. "rules/parse.lua"; "cdef" for the made one */
    const char *source; /* Lua text, not bytecode; NUL terminated beyond `size` */
    size_t size;
};

/* Ends with an entry whose name is NULL. */
extern const struct moon_embedded_lua moon_embedded_lua[];

/* Pointers to every function marked MOON_FFI; lua/ffi.lua knows its members. */
extern const struct moon_bridge moon_bridge;

#endif
