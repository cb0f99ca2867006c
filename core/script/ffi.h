/* script/ffi.h — the mark of what LuaJIT's FFI may call: visible whatever hides the rest. */
#ifndef MOON_SCRIPT_FFI_H
#define MOON_SCRIPT_FFI_H

#define MOON_FFI __attribute__((visibility("default")))

#endif
