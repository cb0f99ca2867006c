/* tls/trust.h — a trust set: the client CAs of a hostname, frozen. It owns an X509_STORE of its own, so that no
 * tenant's CA can ever shadow another's, the CA names sent in the CertificateRequest, and an identity made of the
 * anchors' DER. Built on the control thread, then shared by all threads by counting; nothing in it changes after it
 * was built. */
#ifndef MOON_TLS_TRUST_H
#define MOON_TLS_TRUST_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "tls/crl.h"

#define MOON_TRUST_IDENTITY 32

/* ffi: begin */
struct moon_trust;
struct moon_crl;

/* What a client certificate must say about its use (extended key usage clientAuth; without the extension every use is
 * allowed). */
enum moon_trust_usage {
    MOON_TRUST_USAGE_REQUIRE = 0,
    MOON_TRUST_USAGE_WARN = 1,  /* verified nevertheless, with moon_verification.lacks_usage */
    MOON_TRUST_USAGE_IGNORE = 2 /* no word about it */
};

/* A revocation list of one of the set's CAs. Checking is on for a CA with a list: a list that is out of date, or
 * missing for an issuer below it, makes the path fail (X509_V_ERR_CRL_HAS_EXPIRED, …) unless the list is soft. */
struct moon_trust_crl {
    struct moon_crl *crl; /* counted by the set; one of no CA of the set is passed over */
    bool soft;
};

/* One entry of a deny list. */
struct moon_trust_denial {
    struct moon_str ca;          /* SHA-256 of the issuing CA's certificate, 64 hex digits; or empty */
    struct moon_str certificate; /* serial number, decimal or "0x…"; without `ca`: SHA-256 of the certificate, in hex */
};

struct moon_trust_options {
    const struct moon_str *pems; /* each one or more CERTIFICATE blocks, all of them CA:TRUE; duplicates are dropped */
    size_t pem_count;
    const struct moon_trust_crl *crls;
    size_t crl_count;
    const struct moon_trust_denial *denials; /* those under another CA than the set's are passed over */
    size_t denial_count;
    enum moon_trust_usage usage;
};
/* ffi: end */

/* Builds a set. Copies. On failure *out is NULL and diag says which part ("certificates[1]", "denials[1]") and
 * why. At least one certificate is needed. */
int moon_trust_build(struct moon_trust **out, const struct moon_trust_options *options, struct moon_diag *diag);
/* The same of PEM texts alone. */
int moon_trust_new(struct moon_trust **out, const struct moon_str *pems, size_t count, struct moon_diag *diag);
/* Any thread. */
struct moon_trust *moon_trust_ref(struct moon_trust *trust);
void moon_trust_unref(struct moon_trust **trust); /* clears *trust; NULL inside is fine */

/* Who is asked for: SHA-256 over the sorted SHA-256 of the anchors' DER and the demand on the use; equal sets have
 * equal identities, however they were uploaded. MOON_TRUST_IDENTITY bytes, borrowed. */
const unsigned char *moon_trust_identity(const struct moon_trust *trust);
/* True when both have one identity; NULL means "no CA" and equals only NULL. */
bool moon_trust_same(const struct moon_trust *a, const struct moon_trust *b);

/* What a validation depends on: the identity with everything about revocation. Sets of one identity may differ here; a
 * verification that is kept is good for its revision only. MOON_TRUST_IDENTITY bytes, borrowed. */
const unsigned char *moon_trust_revision(const struct moon_trust *trust);

/* A key identifier or serial number, in bytes; len 0: unknown, or longer than there is room. */
struct moon_short_bytes {
    uint8_t len;
    bool negative; /* of serial numbers */
    unsigned char bytes[40];
};

/* What a validation found. The interval is the intersection of all certificates of the path, the anchor included,
 * and of the revocation lists that were needed. Plain data: may be copied and kept. */
struct moon_verification {
    bool ok;            /* also of a revoked certificate */
    bool revoked;       /* something on the path below the anchor is; only when ok */
    bool lacks_usage;   /* MOON_TRUST_USAGE_WARN: the certificate is not meant for clients; only when ok */
    int error;          /* X509_V_ERR_… of the first failure; X509_V_OK when ok */
    int64_t not_before; /* UNIX seconds; when ok: valid while not_before <= now < not_after, as OpenSSL reads it */
    int64_t not_after;
    struct moon_short_bytes issuer_serial; /* of the direct issuer's certificate; when ok */
    struct moon_short_bytes issuer_ski;
};

/* Copies the bytes of a value (may be NULL). */
void moon_short_bytes_set(struct moon_short_bytes *out, const ASN1_STRING *value);

/* Validates `leaf` with the presented `chain` (untrusted; may be NULL) against this set at `now` (UNIX seconds).
 * The same parameters in handshakes and later re-validation: purpose sslclient, security level 2, depth 6, partial
 * chain with CA anchors, no time exceptions (security level, purpose and time are set explicitly). Any thread;
 * takes no lock of ours. A path that is valid is looked through for malformed certificates (tls/wellformed.h) and
 * for revocations. Refused before any mathematics: more than 10 certificates in all, RSA keys above 8192 bits, explicit
 * curve parameters, and a leaf that is itself an anchor (a CA does not authenticate as its own client). Of several
 * anchors with one name the one whose key made the signature counts; of cross-signed branches a few are tried. */
void moon_trust_verify(const struct moon_trust *trust, X509 *leaf, STACK_OF(X509) *chain, int64_t now,
                       struct moon_verification *out);

/* The CA names for the CertificateRequest, a fresh copy for SSL_set0_CA_list; an empty stack when the list would
 * exceed what TLS can carry (2^16-1 bytes). The caller (OpenSSL) owns it. */
STACK_OF(X509_NAME) *moon_trust_ca_names(const struct moon_trust *trust);

/* The same names for people (RFC 2253, "; " between them): as many as fit under the ceiling of `out`. Returns the number of
 * CAs. */
size_t moon_trust_list_names(const struct moon_trust *trust, struct moon_buf *out);

#endif
