/* script/embedded.h — the Lua modules that are part of the binary, written by cmake/embed_lua.lua.
 * The table ends with an entry whose name is NULL. Constant; readable from any thread. */
#ifndef MOON_SCRIPT_EMBEDDED_H
#define MOON_SCRIPT_EMBEDDED_H

#include <stddef.h>

struct moon_embedded_lua {
    const char *name;   /* as given to require, e.g. "moongate.rules.parse" */
    const char *path;   /* relative to the source tree, e.g. "rules/parse.lua"; "cdef" for the made one */
    const char *source; /* Lua text, not bytecode; NUL terminated beyond `size` */
    size_t size;
};

extern const struct moon_embedded_lua moon_embedded_lua[];

#endif
