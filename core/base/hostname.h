/* base/hostname.h — the one reading of a hostname, for SNI, Host, absolute-form targets and configuration alike
 * (RFC 9110 section 4.2.3, RFC 6066 section 3). What it does not accept is an error, never "another name". */
#ifndef MOON_BASE_HOSTNAME_H
#define MOON_BASE_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define MOON_HOSTNAME_MAX 253

/* Lower-cases ASCII and drops one trailing dot. Accepts LDH labels and underscores of 1–63 bytes, 253 in all, and IPv4
 * text; with `allow_ip_literal` also "[…]" with an IPv6 address in it. Everything else is refused: empty labels,
 * two trailing dots, non-ASCII, percent-encoding, white space, ports.
 * `out` has room for MOON_HOSTNAME_MAX+1 bytes; NUL terminated. Returns the length, or -1 when refused. */
int moon_hostname_normalise(char *out, struct moon_str name, bool allow_ip_literal);

/* Splits an authority (RFC 3986 section 3.2, without userinfo) into host and port; port is 0 when absent or empty.
 * False when the port is not 1–65535 or the shape is wrong. Borrows from `authority`; the host is not yet normalised. */
bool moon_authority_split(struct moon_str authority, struct moon_str *host, unsigned *port);

#endif
