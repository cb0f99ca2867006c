/* tls/peer.h — what a client presented, as raw facts, and the one function that turns them into the certificate
 * fields of a request. Never a boolean called "client is verified": the answer depends on the trust set of the
 * request's host in the current snapshot and on the time, and is computed per request (cheaply: a validation is kept
 * with the identity of the set it was made against and its validity interval, and made again when the set differs). */
#ifndef MOON_TLS_PEER_H
#define MOON_TLS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/trust.h"

/* The certificate fields of one request (cf.tls_client_auth.*). Texts are borrowed from the peer; all empty ("" with
 * length 0) and all flags false when no certificate was presented or the host has no trust set. */
/* ffi: begin */
struct moon_certificate_facts {
    bool presented;
    bool verified;
    bool revoked;
    int verify_error;               /* X509_V_ERR_…; 0 when verified or not presented */
    struct moon_str subject_dn;     /* RFC 2253 print flags, most specific first */
    struct moon_str issuer_dn;
    struct moon_str issuer_ski;     /* upper-case hex of the leaf's authority key identifier */
    struct moon_str ski;
    struct moon_str serial;         /* upper-case hex, even number of digits */
    struct moon_str fingerprint_sha256; /* lower-case hex */
};
/* ffi: end */

/* Lives inside a session; one thread. */
struct moon_peer;
struct moon_verified;

/* `verified` (borrowed as long as the peer, may be NULL): the thread's cache of validated chains. */
struct moon_peer *moon_peer_new(struct moon_verified *verified);
void moon_peer_free(struct moon_peer **peer);

/* Remembers what was presented (counts the certificates) and validates it against `trust` once; `trust` is counted
 * too and is what later requests are compared with. Called by the verify callback. `leaf` must not be NULL. */
void moon_peer_present(struct moon_peer *peer, X509 *leaf, STACK_OF(X509) *chain, struct moon_trust *trust,
                       int64_t now);

/* The decision (DESIGN of the gateway: verified is computed, never remembered). `trust` is that of the request's
 * host in the current snapshot, NULL for none. Validates again when it is another set than last time; looks at the
 * validity interval every time. `now` is UNIX seconds. Texts in *facts stay valid as long as the peer. */
void moon_peer_facts(struct moon_peer *peer, struct moon_trust *trust, int64_t now,
                     struct moon_certificate_facts *facts);

/* "certificate has expired" and so on, for logs and admin; never NULL. */
const char *moon_verify_error_text(int error);

#endif
