/* http/target.h — the request target and the effective host (RFC 9112 section 3.2, 3.3), read once: what routing, trust
 * lookup, rules, log and origin see all come from here. */
#ifndef MOON_HTTP_TARGET_H
#define MOON_HTTP_TARGET_H

#include "base/hostname.h"
#include "http/head.h"

struct moon_http_target {
    char host[MOON_HOSTNAME_MAX + 1]; /* normalised effective host, NUL terminated; "" only for HTTP/1.0 without Host */
    size_t host_len;
    unsigned port;         /* as written in the authority; 0 when absent */
    struct moon_str uri;   /* origin-form as it goes to the origin: path and query, or "*" */
    struct moon_str path;  /* without query */
    struct moon_str query; /* without "?"; {NULL,0} when there is none, {"",0}-like when empty */
    bool has_query;
};

/* RFC 3986 bytes only, and at least one of them: no white space, controls, bytes from 0x80 up, none of "<>\^`{|} and no
 * "#", which parsers are known to read differently. Whoever makes a head (http/parse.h) or writes one (http/write.h)
 * asks. */
bool moon_http_is_target(struct moon_str text);

/* Fills `target`. `tls` says which scheme an absolute-form target must have. Views borrow from the head.
 * Returns 0 or the status of the refusal (400, 405 for CONNECT) with *reason a short constant text.
 * Absolute-form: its authority is the effective host; a Host field that names another host or port is refused (400),
 * and so is a query without a path, for which there is no view to hand out. A Host field that names no host is refused
 * (400). */
int moon_http_read_target(struct moon_http_target *target, const struct moon_http_head *head, bool tls,
                          const char **reason);

#endif
