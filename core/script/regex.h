/* script/regex.h — RE2 for the rules engine, behind C. RE2 runs in time linear in the value, so a pattern from a tenant cannot
 * hang a thread. The dialect of the rules language is checked and translated before (rules/regex_syntax.lua); what arrives here is RE2's
 * own syntax. A compiled pattern is immutable; one state owns it and frees it. */
#ifndef MOON_SCRIPT_REGEX_H
#define MOON_SCRIPT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "script/ffi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ffi: begin */
struct moon_regex;

/* Compiles. `unicode` false: the value is bytes (Latin-1), true: UTF-8. NULL when refused; then `error` (room for `error_size`
 * bytes) holds RE2's words, NUL terminated. A program larger than a few MiB is refused. */
MOON_FFI struct moon_regex *moon_ffi_regex_new(const char *pattern, size_t len, bool unicode, char *error,
                                               size_t error_size);
MOON_FFI void moon_ffi_regex_free(struct moon_regex *regex);

/* Does it match anywhere in the value? */
MOON_FFI bool moon_ffi_regex_test(const struct moon_regex *regex, const char *value, size_t len);

/* The number of capturing groups. */
MOON_FFI int moon_ffi_regex_groups(const struct moon_regex *regex);
/* The leftmost match: writes 2 * count offsets (begin, end; -1 for a group that took no part), group 0 being the whole.
 * `count` is at most 17. False when there is no match. */
MOON_FFI bool moon_ffi_regex_find(const struct moon_regex *regex, const char *value, size_t len, int *offsets,
                                  int count);
/* ffi: end */

#ifdef __cplusplus
}
#endif

#endif
