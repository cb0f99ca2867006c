/* tls/verified.h — chains that were validated lately, so that a client that comes back with the same certificate
 * does not cost the same mathematics again. Successes only. The key is the trust set's revision with the bytes of
 * every certificate that was presented; an entry lives for minutes and never beyond its path's validity. The proof
 * of possession is OpenSSL's each time. One thread's own: no lock. Bounded: a fixed number of slots, a newcomer
 * takes its slot over. */
#ifndef MOON_TLS_VERIFIED_H
#define MOON_TLS_VERIFIED_H

#include "tls/trust.h"

#define MOON_VERIFIED_SLOTS 1024
#define MOON_VERIFIED_SECONDS 300

struct moon_verified;

struct moon_verified *moon_verified_new(void);
void moon_verified_free(struct moon_verified **verified); /* NULL inside is fine */

/* moon_trust_verify, by way of the cache. `verified` NULL: without one. */
void moon_verified_check(struct moon_verified *verified, const struct moon_trust *trust, X509 *leaf,
                         STACK_OF(X509) *chain, int64_t now, struct moon_verification *out);

#endif
