/* gate/forward.h — which fields pass, in both directions: hop-by-hop fields end here, what the origin would read as the gateway's
 * word is removed from the client's fields, then the gateway's own fields are added (so nothing a client names in
 * Connection can delete them). */
#ifndef MOON_GATE_FORWARD_H
#define MOON_GATE_FORWARD_H

#include "gate/request.h"

/* Appends the head of a request toward the origin of its exchange: line, fields, framing, empty line. `head` is the client's;
 * `certificate` are lines about its certificate (gate/forward_certificate.h), of which each gives way to a field of the same name
 * that was added. 0, or MOON_ETOOBIG, MOON_EHEAD. */
int moon_forward_request(struct moon_buf *out, const struct moon_request *request, const struct moon_http_head *head,
                         struct moon_str certificate);

/* Appends the fields of the origin's answer that pass to the client (no status line, no framing, no empty line).
 * *has_date tells whether the origin sent a Date. */
int moon_forward_response_fields(struct moon_buf *out, const struct moon_http_head *head, bool *has_date);

/* Appends what a policy added: the operator's word, hence not looked at as a client's is. */
int moon_forward_added_fields(struct moon_buf *out, const struct moon_added_fields *added);

/* True when a client's field of that name must not reach an origin, its look-alikes included ("CF_Connecting_IP",
 * "Client.Cert"). */
bool moon_forward_is_protected(struct moon_str name);

/* How often this gateway's name stands in the CDN-Loop fields of `head`. */
unsigned moon_forward_loops(const struct moon_http_head *head);

#endif
