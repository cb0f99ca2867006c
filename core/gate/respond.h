/* gate/respond.h — the one writer of answers: start, framing, error pages. One final answer per request, asserted. All within a
 * turn of the request's connection. */
#ifndef MOON_GATE_RESPOND_H
#define MOON_GATE_RESPOND_H

#include "gate/request.h"

/* A complete answer of the gateway itself: fields, body, end of the request. `keep` false closes afterwards. `fields` may be NULL.
 * The request is finished (recorded, released) when it returns. */
void moon_respond(struct moon_request *request, unsigned status, struct moon_str content_type, struct moon_str body,
                  const struct moon_http_field *fields, size_t field_count, bool keep);

/* An error page, HTML or JSON as the client prefers, with the ray id; `reason` (constant) goes to the log and not to the page.
 * Never echoes input. */
void moon_respond_page(struct moon_request *request, unsigned status, const char *reason, bool keep);

/* Writes a status line and the fields every answer of ours carries (Date, CF-Ray, Connection) into `out`; the caller adds the rest and
 * the empty line. */
void moon_respond_start(struct moon_request *request, struct moon_buf *out, unsigned status, bool keep);

#endif
