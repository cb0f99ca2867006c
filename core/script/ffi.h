/* script/ffi.h — the mark of what LuaJIT's FFI may call. The build gathers the marked functions into one table of pointers
 * (struct moon_bridge, cmake/embed_lua.lua), which is how lua/ffi.lua finds them: no symbol is looked up by name, so none has to
 * be visible, and two copies of the core in one process never take each other's. */
#ifndef MOON_SCRIPT_FFI_H
#define MOON_SCRIPT_FFI_H

#define MOON_FFI

#endif
