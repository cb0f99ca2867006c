/* tls/policy.h — TLS terms of hostnames, frozen: an SSL_CTX with versions, ciphers and a server certificate, shared
 * by every hostname with equal terms and by all threads. moon_tls_policy_apply is the only function that gives a
 * session its terms. */
#ifndef MOON_TLS_POLICY_H
#define MOON_TLS_POLICY_H

#include <openssl/ssl.h>

#include "base/error.h"
#include "base/str.h"
#include "tls/trust.h"

struct moon_tls_terms {
    int min_version;              /* TLS1_2_VERSION or TLS1_3_VERSION */
    struct moon_str certificates; /* PEM chain, leaf first */
    struct moon_str private_key;  /* PEM, unencrypted; wiped nowhere here: it is the caller's */
    struct moon_str second_certificates; /* with a key of another type (ECDSA beside RSA), for who can use it; empty: none */
    struct moon_str second_private_key;
    int max_version;              /* 0: the newest */
    const struct moon_str *ciphers; /* names as tls/ciphers.h has them */
    size_t cipher_count;            /* 0: the default */
    /* In place of `certificates` and `private_key`, when there is a leaf: what would only be read from them. Counted by the policy. */
    X509 *leaf, *issuer;
    EVP_PKEY *key;
    bool strict_name; /* a handshake under a name that no certificate of these covers is refused (unrecognized_name) */
};

struct moon_tls_policy;

/* Control thread. Copies. On failure *out is NULL and diag names the term ("certificates", "private_key",
 * "second_certificates", "min_version", "max_version", "ciphers"). Terms under which nobody could ever connect are
 * refused; where only TLS 1.3 is left (no cipher for TLS 1.2, or none that fits the certificate), TLS 1.3 is what
 * is offered. */
int moon_tls_policy_new(struct moon_tls_policy **out, const struct moon_tls_terms *terms, struct moon_diag *diag);
/* Any thread. */
struct moon_tls_policy *moon_tls_policy_ref(struct moon_tls_policy *policy);
void moon_tls_policy_unref(struct moon_tls_policy **policy);

/* False when the terms are strict and no certificate is for this name (normalised; empty: none was sent). */
bool moon_tls_policy_covers(const struct moon_tls_policy *policy, struct moon_str server_name);

/* Could a handshake under these terms have agreed on the version and the suite of this one, which is over? */
bool moon_tls_policy_accepts(const struct moon_tls_policy *policy, const SSL *ssl);

/* Called in the ClientHello callback, before anything was negotiated. Switches the context and sets every term
 * that SSL_set_SSL_CTX leaves behind: versions, ciphers, options, verify mode, CA names, session id context.
 * `trust` NULL: no certificate is asked for. Sessions are bound to `server_name` (empty: none was sent), to the
 * trust set's identity and to versions and ciphers; with `resumable` one may be issued. False only when OpenSSL
 * has no memory. */
bool moon_tls_policy_apply(const struct moon_tls_policy *policy, const struct moon_trust *trust,
                           struct moon_str server_name, bool resumable, SSL *ssl);

/* Sets what every server context of ours has in common (versions, options, modes, ciphers, security level, no
 * renegotiation, no early data, no tickets and no session cache). For policy.c and hello.c. */
void moon_tls_server_defaults(SSL_CTX *ctx);

/* For policy.c and client.c: loads a certificate with its chain, leaf first, and its key; sends no other chain than
 * this. The key must match. MOON_EREFUSED with diag->where "certificates" or "private_key". */
int moon_tls_identity_use(SSL_CTX *ctx, struct moon_str certificates, struct moon_str private_key,
                          struct moon_diag *diag);

/* What server and client contexts have in common (versions, suites, groups, security level, modes, no resumption). */
void moon_tls_common_defaults(SSL_CTX *ctx);

#endif
