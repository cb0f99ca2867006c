/* tls/revocation.h — everything that may say "revoked" about a validated path, in one place: revocation lists of
 * the set's CAs, and the deny list of the administrator (serial numbers under a CA, the managed CA's included;
 * fingerprints). Part of a trust set (tls/trust.c), frozen with it. */
#ifndef MOON_TLS_REVOCATION_H
#define MOON_TLS_REVOCATION_H

#include "tls/trust.h"

struct moon_revocation;

/* What `options` says about revocation, for these anchors. *out is NULL when it says nothing. Lists and denials of
 * a CA that is none of the anchors are passed over. MOON_EREFUSED with diag->where "denials[1]". */
int moon_revocation_new(struct moon_revocation **out, const struct moon_trust_options *options,
                        const STACK_OF(X509) *anchors, struct moon_diag *diag);
void moon_revocation_free(struct moon_revocation **revocation); /* NULL inside is fine */

/* SHA-256 over all it holds: equal content, equal digest. */
void moon_revocation_digest(const struct moon_revocation *revocation, unsigned char digest[32]);

/* Looks at a validated path (leaf first, an anchor last): sets out->revoked, and narrows the interval to the time
 * that the lists speak for. What is said of the anchor itself by anchors above it counts, too. Where a list is out of
 * date, or missing below a CA with a list, and the list is not soft: false, and out->error. */
bool moon_revocation_check(const struct moon_revocation *revocation, STACK_OF(X509) *path, int64_t now,
                           struct moon_verification *out);

#endif
