/* tls/trust.h — a trust set: the client CAs of a hostname, frozen. It owns an X509_STORE of its own, so that no
 * tenant's CA can ever shadow another's, the CA names sent in the CertificateRequest, and an identity made of the
 * anchors' DER. Built on the control thread, then shared by all threads by counting; nothing in it changes after it
 * was built. */
#ifndef MOON_TLS_TRUST_H
#define MOON_TLS_TRUST_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#define MOON_TRUST_IDENTITY 32

struct moon_trust;

/* Builds from PEM texts (each one or more CERTIFICATE blocks, all of them CA:TRUE). Duplicates (same DER) are dropped.
 * Copies. On failure *out is NULL and diag says which text and why. At least one certificate is needed. */
int moon_trust_new(struct moon_trust **out, const struct moon_str *pems, size_t count, struct moon_diag *diag);
/* Any thread. */
struct moon_trust *moon_trust_ref(struct moon_trust *trust);
void moon_trust_unref(struct moon_trust **trust); /* clears *trust; NULL inside is fine */

/* SHA-256 over the sorted SHA-256 of the anchors' DER: equal sets have equal identities, however they were uploaded.
 * MOON_TRUST_IDENTITY bytes, borrowed. */
const unsigned char *moon_trust_identity(const struct moon_trust *trust);
/* True when both are the same set; NULL means "no CA" and equals only NULL. */
bool moon_trust_same(const struct moon_trust *a, const struct moon_trust *b);

/* What a validation found. The interval is the intersection of all certificates of the path, the anchor included. */
struct moon_verification {
    bool ok;
    int error;          /* X509_V_ERR_… of the first failure; X509_V_OK when ok */
    int64_t not_before; /* UNIX seconds; meaningful when ok: valid while not_before <= now < not_after, as OpenSSL reads it */
    int64_t not_after;
};

/* Validates `leaf` with the presented `chain` (untrusted; may be NULL) against this set at `now` (UNIX seconds). The same
 * parameters in handshakes and later re-validation: purpose sslclient, security level 2, depth 6, partial chain with
 * CA anchors, no time exceptions (security level, purpose and time are set explicitly). Any thread; takes no lock of
 * ours. Refused before any mathematics: more than 10 certificates in all, RSA keys above 8192 bits, explicit curve
 * parameters, and a leaf that is itself an anchor (a CA does not authenticate as its own client). Of several anchors
 * with one name the one whose key made the signature counts; of cross-signed branches a few are tried. */
void moon_trust_verify(const struct moon_trust *trust, X509 *leaf, STACK_OF(X509) *chain, int64_t now,
                       struct moon_verification *out);

/* The CA names for the CertificateRequest, a fresh copy for SSL_set0_CA_list; an empty stack when the list would
 * exceed what TLS can carry (2^16-1 bytes). The caller (OpenSSL) owns it. */
STACK_OF(X509_NAME) *moon_trust_ca_names(const struct moon_trust *trust);

#endif
