/* script/pattern.h — Lua patterns within bounds. The matcher of Lua's own library backtracks without end and cannot be
 * interrupted, so policy files get this one: the same language, but every step is counted and the count ends it. Called
 * by lua/sandbox.lua through FFI. Touches nothing but its arguments; any thread. */
#ifndef MOON_SCRIPT_PATTERN_H
#define MOON_SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "script/ffi.h"

/* ffi: begin */
struct moon_pattern_capture {
    size_t begin;  /* offset of its first byte */
    ptrdiff_t len; /* -1: a position capture */
};

struct moon_pattern_match {
    size_t begin; /* offset of the first byte of the match */
    size_t end;   /* offset behind its last byte */
    int count;    /* of captures */
    struct moon_pattern_capture captures[32];
    const char *error; /* why -1 was returned: constant */
};

/* Looks for the first match at or behind offset `from` (at most `len`). With `anchors` a "^" in front ties the match to
 * `from`; without, it is a character like any other. *steps is how much work may be done; what was done is taken off.
 * 1: found, `out` tells where. 0: no match. -1: the pattern is malformed, or the steps are used up (then *steps is 0);
 * out->error says which. */
MOON_FFI int moon_ffi_pattern_match(struct moon_pattern_match *out, const char *subject, size_t len,
                                    const char *pattern, size_t pattern_len, size_t from, bool anchors,
                                    uint32_t *steps);
/* The plain search: offset of the first occurrence at or behind `from`, or -1. In linear time. */
MOON_FFI ptrdiff_t moon_ffi_pattern_plain(const char *subject, size_t len, const char *text, size_t text_len,
                                          size_t from);
/* ffi: end */

#endif
