/* tls/peer.h — what a client presented, as raw facts, and the one function that turns them into the certificate
 * fields of a request. Never a boolean called "client is verified": the answer depends on the trust set of the
 * request's host in the current snapshot and on the time, and is computed per request (cheaply: a validation is kept
 * with the revision of the set it was made against and its validity interval, and made again when the set differs). */
#ifndef MOON_TLS_PEER_H
#define MOON_TLS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/texts.h"
#include "tls/trust.h"

/* The certificate fields of one request (cf.tls_client_auth.*). All false and NULL when no certificate was
 * presented or the host has no trust set. */
/* ffi: begin */
struct moon_peer;

struct moon_certificate_facts {
    bool presented;
    bool verified;          /* also of a revoked certificate */
    bool revoked;
    bool lacks_usage;       /* verified, though not meant for clients (MOON_TRUST_USAGE_WARN) */
    int verify_error;       /* X509_V_ERR_…; 0 when verified or not presented */
    struct moon_peer *peer; /* whose texts they are; borrowed until the request's rules have returned */
};
/* ffi: end */

/* Lives inside a session; one thread. */
struct moon_verified;

/* `verified` (borrowed as long as the peer, may be NULL): the thread's cache of validated chains. */
struct moon_peer *moon_peer_new(struct moon_verified *verified);
void moon_peer_free(struct moon_peer **peer);

/* Remembers what was presented (counts the certificates) and validates it against `trust` once; `trust` is counted
 * too and is what later requests are compared with. Called by the verify callback. `leaf` must not be NULL. */
void moon_peer_present(struct moon_peer *peer, X509 *leaf, STACK_OF(X509) *chain, struct moon_trust *trust,
                       int64_t now);

/* The decision (DESIGN of the gateway: verified is computed, never remembered). `trust` is that of the request's
 * host in the current snapshot, NULL for none. Validates again when it is of another revision than last time;
 * looks at the validity interval every time. `now` is UNIX seconds. */
void moon_peer_facts(struct moon_peer *peer, struct moon_trust *trust, int64_t now,
                     struct moon_certificate_facts *facts);

/* UNIX seconds from which on what moon_peer_facts found last does not hold any more: the first end of validity on the path,
 * revocation lists included. INT64_MAX when it was not verified. */
int64_t moon_peer_valid_until(const struct moon_peer *peer);

/* Texts and lists of what was presented (tls/texts.h). `peer` NULL, or nothing presented: an empty text, an empty
 * list. The views are valid as long as the peer, those of the issuer's values until they are asked for again.
 * moon_peer_text returns 1 when there is a text, but too large to be shown. */
int moon_peer_text(struct moon_peer *peer, enum moon_certificate_text which, struct moon_str *out);
bool moon_peer_entry(struct moon_peer *peer, enum moon_certificate_list which, size_t index, struct moon_str *out);

/* "certificate has expired" and so on, for logs and admin; never NULL. */
const char *moon_verify_error_text(int error);

#endif
