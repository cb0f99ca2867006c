/* tls/crl.h — one certificate revocation list (RFC 5280 section 5), checked and boiled down to what a validation
 * asks: who issued it, from when until when it speaks, and which serial numbers it names. Frozen and shared by
 * counting.
 *
 * A list of the limit's size takes about a second to read and a hundred megabytes meanwhile: moon_crl_new keeps no
 * state and may run on any thread, away from every loop. Full lists only: no deltas, no indirect or partial ones. */
#ifndef MOON_TLS_CRL_H
#define MOON_TLS_CRL_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#define MOON_CRL_BYTES (10 * 1024 * 1024) /* of the DER */

struct moon_crl;

/* `text` is DER, its base64, or PEM with exactly one X509 CRL block; `issuer` is PEM, and one of its certificates, all of
 * them CAs, issued the list. Refused (MOON_EREFUSED, diag->where "crl" or "issuer") are: another issuer's list, a wrong or weak (SHA-1, MD5)
 * signature, a CA that may not sign lists, critical extensions that we do not follow, and whatever is no list or
 * too long. A list that is out of date is not refused: what that means is decided per validation. */
int moon_crl_new(struct moon_crl **out, struct moon_str text, struct moon_str issuer, struct moon_diag *diag);
/* Any thread. */
struct moon_crl *moon_crl_ref(struct moon_crl *crl);
void moon_crl_unref(struct moon_crl **crl); /* clears *crl; NULL inside is fine */

/* True when `certificate` is a certificate of the list's issuer: same name, same key. */
bool moon_crl_is_of(const struct moon_crl *crl, const X509 *certificate);
bool moon_crl_names(const struct moon_crl *crl, const ASN1_INTEGER *serial);
/* UNIX seconds: the list speaks from the first until before the second; INT64_MAX when it names no end. */
int64_t moon_crl_this_update(const struct moon_crl *crl);
int64_t moon_crl_next_update(const struct moon_crl *crl);
/* How many serial numbers. */
size_t moon_crl_count(const struct moon_crl *crl);
/* Which certificate of `issuer` it was; the first is 0. */
size_t moon_crl_issuer(const struct moon_crl *crl);
/* SHA-256 of the DER; 32 bytes, borrowed. */
const unsigned char *moon_crl_digest(const struct moon_crl *crl);

#endif
