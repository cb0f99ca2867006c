/* http/normalise.h — the one spelling of a path that rules match on and origins receive (RFC 3986 section 6.2.2, as the Rules language
 * documents for its URI fields): percent-encoded unreserved characters decoded, the hex digits of what stays encoded in upper case,
 * a "%" that begins no escape encoded itself (else decoding could make an escape of it), dot segments removed. Everything it changes is equivalent by that RFC, so no rule can be walked around by spelling a path
 * in another way. Reserved characters stay as they came, encoded or not; nothing is merged. */
#ifndef MOON_HTTP_NORMALISE_H
#define MOON_HTTP_NORMALISE_H

#include <stdbool.h>

#include "base/str.h"

/* True when normalising would change nothing, as for nearly every path. */
bool moon_http_path_is_normal(struct moon_str path);

/* Writes the normalised path and returns its length; doing it again would change nothing. `path` begins with "/" (or is "*").
 * `out` has room for 3 * path.len bytes and does not overlap it. */
size_t moon_http_normalise_path(char *out, struct moon_str path);

#endif
