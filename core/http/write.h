/* http/write.h — the only place that writes start lines and fields. Every writer, Lua included, goes through the checks
 * here: a CR, LF or NUL in a value, or a name that is no token, is refused, never truncated. */
#ifndef MOON_HTTP_WRITE_H
#define MOON_HTTP_WRITE_H

#include "base/buf.h"
#include "http/head.h"

/* Each appends to `out` and returns 0; MOON_EHEAD for a value that must not be written (nothing appended);
 * MOON_ETOOBIG at the buffer's ceiling. */
int moon_http_write_request_line(struct moon_buf *out, struct moon_str method, struct moon_str uri);
/* Reason is the standard one for `status`, or "Unknown" when we know none. Always HTTP/1.1. */
int moon_http_write_status_line(struct moon_buf *out, unsigned status);
int moon_http_write_field(struct moon_buf *out, struct moon_str name, struct moon_str value);
int moon_http_write_field_number(struct moon_buf *out, struct moon_str name, uint64_t value);
/* The empty line. */
int moon_http_write_end(struct moon_buf *out);

/* "Forbidden" for 403 and so on; "Unknown" when we know none. Constant. */
const char *moon_http_reason(unsigned status);

/* IMF-fixdate (RFC 9110 section 5.6.7) of a UNIX time; `out` has room for 30 bytes, NUL included. */
void moon_http_date(char *out, long long unix_seconds);

/* RFC 9110 section 5.6.2 token, and field-value without CR, LF, NUL and other controls but HTAB. */
bool moon_http_is_token(struct moon_str text);
bool moon_http_is_field_value(struct moon_str text);

#endif
