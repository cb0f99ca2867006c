/* http/parse.h — bytes → head, within limits. llhttp (strict) reads complete heads only, behind our own guard: one pass
 * that finds the end of the head and refuses what llhttp would let through (bare CR or LF, NUL, obs-fold, …). Nothing
 * of llhttp leaks out of parse.c. No allocation, no state between calls but what the caller keeps. */
#ifndef MOON_HTTP_PARSE_H
#define MOON_HTTP_PARSE_H

#include "base/str.h"
#include "http/head.h"

struct moon_http_limits {
    size_t start_line;  /* bytes without CRLF; default 8 KiB → 414 (requests) */
    size_t field;       /* bytes of one field line; default 16 KiB → 431 */
    size_t fields;      /* bytes of the whole head; default 64 KiB → 431 */
    size_t field_count; /* default and at most MOON_HTTP_FIELDS_MAX → 431 */
};

void moon_http_limits_init(struct moon_http_limits *limits);

/* Finds the end of a head. `*scanned` is how far earlier calls on the same (growing) bytes have come; start with 0.
 * Returns the length of the head, its empty line included; 0 when more bytes are needed (and *scanned moves on);
 * or -(HTTP status) of the refusal: -400, -414, -431 (a response side caller turns any into 502).
 * At most one CRLF before a request line is passed over; the returned length includes it.
 * Limits are enforced here already, so an endless head is refused before it is complete. */
int moon_http_scan(struct moon_str bytes, size_t *scanned, const struct moon_http_limits *limits);

/* The same answer without vector instructions. Elsewhere than on x86-64 the one above is this one; it has a name so
 * that one can be held against the other. */
int moon_http_scan_portable(struct moon_str bytes, size_t *scanned, const struct moon_http_limits *limits);

/* Parses one complete head (exactly the bytes moon_http_scan measured). `head` is filled; its views borrow from
 * `bytes`. Returns 0, or the HTTP status of the refusal (400, 405, 414, 417, 431, 501, 505) and sets *reason to a short
 * constant text for the log. Every row of the framing rules applies: exactly one Host in HTTP/1.1, no CL with TE, TE
 * exactly "chunked", field names are tokens, one SP between the parts of the request line, versions 1.0 and 1.1 only, …
 */
int moon_http_parse_request(struct moon_http_head *head, struct moon_str bytes, const struct moon_http_limits *limits,
                            const char **reason);

/* The same for a response. `to_head` is true when it answers a HEAD request (no body then, whatever the fields say).
 * Returns 0, or 502 with *reason. Interim responses (1xx) are heads of their own; the caller loops. */
int moon_http_parse_response(struct moon_http_head *head, struct moon_str bytes, const struct moon_http_limits *limits,
                             bool to_head, const char **reason);

#endif
