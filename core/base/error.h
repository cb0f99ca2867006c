/* base/error.h — error codes and diagnostics inside the house: the list itself is part of the public face
 * (include/moongate/error.h). */
#ifndef MOON_BASE_ERROR_H
#define MOON_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#include "include/moongate/error.h"

/* Text for a code of ours; "unknown error" for others (the caller asks libuv or errno itself). Never NULL. */
const char *moon_strerror(int code);

/* Fills `diag` (may be NULL: then nothing happens). Truncates. */
void moon_diag_set(struct moon_diag *diag, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
