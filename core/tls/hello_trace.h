/* tls/hello_trace.h — what is kept of a ClientHello to describe the client later: the lists that fingerprints are
 * made of, compact, and the texts once a rule has asked for them. Made from the message that OpenSSL has put
 * together; read for description only, never to choose terms or trust (that is tls/hello.h, with what OpenSSL
 * itself has parsed). One thread. */
#ifndef MOON_TLS_HELLO_TRACE_H
#define MOON_TLS_HELLO_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Of all lists of one ClientHello; those of browsers are below 250 bytes. Whoever sends more has no fingerprint. */
#define MOON_HELLO_TRACE_BYTES 1024

struct moon_hello_trace;

/* Reads a whole handshake message of type ClientHello (RFC 8446 section 4.1.2), its four bytes of type and length
 * included. NULL when it is malformed or its lists are longer than the limit. The caller owns it. */
struct moon_hello_trace *moon_hello_trace_new(struct moon_str message);
void moon_hello_trace_free(struct moon_hello_trace **trace); /* NULL inside is fine */

/* The texts; all of them valid as long as the trace. */

/* Base64 of the SHA-1 of the cipher suites' ids as received (two bytes each, GREASE included). */
struct moon_str moon_hello_trace_ciphers(struct moon_hello_trace *trace);
/* The same of the extensions' ids, in network order or byte-swapped. */
struct moon_str moon_hello_trace_extensions(struct moon_hello_trace *trace, bool little_endian);
/* The MD5 of the JA3 text: 32 lower-case hex digits. */
struct moon_str moon_hello_trace_ja3(struct moon_hello_trace *trace);
/* JA4 of a client over TCP: "t13d1516h2_8daaf6152771_e5627efa2ab1". */
struct moon_str moon_hello_trace_ja4(struct moon_hello_trace *trace);

#endif
