/* tls/policy.c — every TLS option of ours is set in this file and nowhere else. */
#include "tls/policy.h"

#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/ciphers.h"
#include "tls/crypto.h"
#include "tls/hello.h"
#include "tls/pem.h"

#define GROUPS "X25519:P-256:P-384"
#define CERT_LIST_BYTES (64 * 1024)
#define SECURITY_LEVEL 2

/* SSL_OP_NO_TICKET: no ticket that carries a session; in TLS 1.3 a "ticket" is then the id of a session on our side. */
#define OPTIONS                                                                                         \
    (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE | \
     SSL_OP_PRIORITIZE_CHACHA)

struct moon_tls_policy {
    atomic_uint refs;
    SSL_CTX *ctx;
    int min_version, max_version;
    bool strict_name;
    X509 *leaves[2]; /* counted; what strict names are looked up in */
    unsigned char terms[32]; /* SHA-256 of versions and ciphers: what a session was negotiated under */
};

static void use_ciphers(SSL_CTX *ctx, const struct moon_tls_ciphers *ciphers) {
    moon_assert(SSL_CTX_set_cipher_list(ctx, ciphers->up_to_tls12));
    moon_assert(SSL_CTX_set_ciphersuites(ctx, ciphers->tls13));
}

void moon_tls_common_defaults(SSL_CTX *ctx) {
    struct moon_tls_ciphers ciphers;
    moon_assert(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
    moon_assert(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION));
    moon_assert(moon_tls_ciphers_read(&ciphers, NULL, 0, NULL) == 0);
    use_ciphers(ctx, &ciphers);
    moon_assert(SSL_CTX_set1_groups_list(ctx, GROUPS));
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_max_cert_list(ctx, CERT_LIST_BYTES);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* the acceptor's context alone keeps sessions */
    SSL_CTX_set_options(ctx, OPTIONS);
    /* NO_AUTO_CHAIN: else OpenSSL validates our own certificate in every handshake to guess a chain for it. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1); /* our BIO gives whatever there is; asking for 5 bytes first only costs calls */
}

/* F-4: the list is walked by hand, since it is the client's. Without http/1.1 in it, no_application_protocol: a
 * connection meant for another protocol must not become HTTP (RFC 7301 section 3.2). */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *list,
                           unsigned list_len, void *unused) {
    for (unsigned i = 0; i < list_len && list[i] <= list_len - i - 1; i += 1u + list[i]) {
        if (list[i] == 8 && memcmp(list + i + 1, "http/1.1", 8) == 0) {
            *out = list + i + 1;
            *out_len = 8;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void moon_tls_server_defaults(SSL_CTX *ctx) {
    moon_tls_common_defaults(ctx);
    /* TLS 1.2 gives a session an id only when the context of the moment says that it caches. Without callbacks and
     * without the internal cache that keeps nothing (an id that is unknown later means a full handshake); whose
     * sessions are kept is decided by the acceptor's context (tls/sessions.h). */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    moon_assert(SSL_CTX_set_num_tickets(ctx, 0));
    moon_assert(SSL_CTX_set_max_early_data(ctx, 0));
    moon_assert(SSL_CTX_set_recv_max_early_data(ctx, 0));
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, moon_tls_hello_present, NULL);
}

static int use_leaf(SSL_CTX *ctx, X509 *leaf, struct moon_diag *diag) {
    if (SSL_CTX_use_certificate(ctx, leaf) == 1)
        return 0;
    moon_diag_set(diag, "certificates", "block 1 cannot be used: %s", moon_crypto_error());
    return MOON_EREFUSED;
}

static int use_issuer(SSL_CTX *ctx, X509 *issuer, int number, struct moon_diag *diag) {
    if (SSL_CTX_add1_chain_cert(ctx, issuer) == 1)
        return 0;
    moon_diag_set(diag, "certificates", "block %d cannot be used: %s", number, moon_crypto_error());
    return MOON_EREFUSED;
}

static int use_key(SSL_CTX *ctx, X509 *leaf, EVP_PKEY *key, struct moon_diag *diag) {
    if (X509_check_private_key(leaf, key) != 1)
        moon_diag_set(diag, "private_key", "the private key does not belong to the first certificate");
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        moon_diag_set(diag, "private_key", "the private key cannot be used: %s", moon_crypto_error());
    else
        return 0;
    return MOON_EREFUSED;
}

int moon_tls_identity_use(SSL_CTX *ctx, struct moon_str certificates, struct moon_str private_key,
                          struct moon_diag *diag) {
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    int rc = moon_pem_read_certificates(&chain, certificates, "certificates", diag);
    if (!rc)
        rc = moon_pem_read_key(&key, private_key, "private_key", diag);
    if (!rc)
        rc = use_leaf(ctx, sk_X509_value(chain, 0), diag);
    for (int i = 1; !rc && i < sk_X509_num(chain); i++)
        rc = use_issuer(ctx, sk_X509_value(chain, i), i + 1, diag);
    if (!rc)
        rc = use_key(ctx, sk_X509_value(chain, 0), key, diag);
    moon_crypto_forget_errors();
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return rc;
}

static int check_versions(const struct moon_tls_policy *policy, struct moon_diag *diag) {
    if (policy->min_version != TLS1_2_VERSION && policy->min_version != TLS1_3_VERSION) {
        moon_diag_set(diag, "min_version", "version 0x%04x is not offered; TLS 1.2 and TLS 1.3 are",
                      (unsigned)policy->min_version);
        return MOON_EREFUSED;
    }
    if (policy->max_version != TLS1_2_VERSION && policy->max_version != TLS1_3_VERSION) {
        moon_diag_set(diag, "max_version", "version 0x%04x is not offered; TLS 1.2 and TLS 1.3 are",
                      (unsigned)policy->max_version);
        return MOON_EREFUSED;
    }
    if (policy->min_version > policy->max_version) {
        moon_diag_set(diag, "min_version", "the lowest version is above the highest");
        return MOON_EREFUSED;
    }
    return 0;
}

static int use_first(SSL_CTX *ctx, const struct moon_tls_terms *terms, struct moon_diag *diag) {
    if (!terms->leaf)
        return moon_tls_identity_use(ctx, terms->certificates, terms->private_key, diag);
    int rc = use_leaf(ctx, terms->leaf, diag);
    if (!rc)
        rc = use_issuer(ctx, terms->issuer, 2, diag);
    return rc ? rc : use_key(ctx, terms->leaf, terms->key, diag);
}

static int use_identities(struct moon_tls_policy *policy, const struct moon_tls_terms *terms, struct moon_diag *diag) {
    int rc = use_first(policy->ctx, terms, diag);
    if (rc)
        return rc;
    policy->leaves[0] = SSL_CTX_get0_certificate(policy->ctx);
    moon_assert(X509_up_ref(policy->leaves[0]));
    if (!terms->second_certificates.len && !terms->second_private_key.len)
        return 0;
    rc = moon_tls_identity_use(policy->ctx, terms->second_certificates, terms->second_private_key, diag);
    if (rc) {
        if (diag) { /* the same words, with the name of the second one */
            struct moon_diag first = *diag;
            bool is_key = strcmp(first.where, "private_key") == 0;
            moon_diag_set(diag, is_key ? "second_private_key" : "second_certificates", "%s", first.text);
        }
        return rc;
    }
    policy->leaves[1] = SSL_CTX_get0_certificate(policy->ctx);
    moon_assert(X509_up_ref(policy->leaves[1]));
    /* OpenSSL has one place for each type of key: the second would have taken the place of the first. */
    if (EVP_PKEY_get_base_id(X509_get0_pubkey(policy->leaves[0])) ==
        EVP_PKEY_get_base_id(X509_get0_pubkey(policy->leaves[1]))) {
        moon_diag_set(diag, "second_certificates",
                      "both certificates have keys of one type; one ECDSA and one RSA are meant");
        return MOON_EREFUSED;
    }
    return 0;
}

/* Whether a certificate of ours can be used with one of the context's ciphers up to TLS 1.2. */
static bool has_fitting_cipher(const struct moon_tls_policy *policy) {
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(policy->ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        int wanted = SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(ciphers, i));
        for (size_t k = 0; k < MOON_COUNT(policy->leaves); k++) {
            const X509 *leaf = policy->leaves[k];
            bool is_rsa = leaf && EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)) == EVP_PKEY_RSA;
            if (leaf && wanted == (is_rsa ? NID_auth_rsa : NID_auth_ecdsa))
                return true;
        }
    }
    return false;
}

static int choose_ciphers(struct moon_tls_policy *policy, const struct moon_tls_terms *terms, struct moon_diag *diag) {
    struct moon_tls_ciphers ciphers;
    int rc = moon_tls_ciphers_read(&ciphers, terms->ciphers, terms->cipher_count, diag);
    if (rc)
        return rc;
    moon_assert(SSL_CTX_set_ciphersuites(policy->ctx, ciphers.tls13));
    /* Names that this build of OpenSSL lacks are passed over; a list of nothing else is no list. */
    bool listed = ciphers.up_to_tls12[0] && SSL_CTX_set_cipher_list(policy->ctx, ciphers.up_to_tls12) == 1;
    if (!listed || !has_fitting_cipher(policy)) {
        if (policy->max_version < TLS1_3_VERSION) {
            moon_diag_set(diag, "ciphers", "none of the ciphers can be used with %s, and TLS 1.3 is off",
                          listed ? "the certificate's key" : "this build of OpenSSL");
            return MOON_EREFUSED;
        }
        policy->min_version = TLS1_3_VERSION;
    }
    char text[sizeof ciphers + 32];
    int len = snprintf(text, sizeof text, "%d %d %s %s", policy->min_version, policy->max_version, ciphers.up_to_tls12,
                       ciphers.tls13);
    moon_sha256(policy->terms, moon_str(text, (size_t)len));
    return 0;
}

int moon_tls_policy_new(struct moon_tls_policy **out, const struct moon_tls_terms *terms, struct moon_diag *diag) {
    struct moon_tls_policy *policy = moon_new(struct moon_tls_policy);
    *out = NULL;
    atomic_init(&policy->refs, 1);
    policy->min_version = terms->min_version;
    policy->max_version = terms->max_version ? terms->max_version : TLS1_3_VERSION;
    policy->strict_name = terms->strict_name;
    int rc = check_versions(policy, diag);
    if (!rc) {
        policy->ctx = SSL_CTX_new(TLS_server_method());
        rc = policy->ctx ? 0 : MOON_ENOMEM;
    }
    if (!rc) {
        moon_tls_server_defaults(policy->ctx);
        rc = use_identities(policy, terms, diag);
    }
    if (!rc)
        rc = choose_ciphers(policy, terms, diag);
    moon_crypto_forget_errors();
    if (rc)
        moon_tls_policy_unref(&policy);
    *out = policy;
    return rc;
}

struct moon_tls_policy *moon_tls_policy_ref(struct moon_tls_policy *policy) {
    if (policy)
        atomic_fetch_add_explicit(&policy->refs, 1, memory_order_relaxed);
    return policy;
}

void moon_tls_policy_unref(struct moon_tls_policy **policy) {
    struct moon_tls_policy *gone = *policy;
    *policy = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < MOON_COUNT(gone->leaves); i++)
        X509_free(gone->leaves[i]);
    SSL_CTX_free(gone->ctx); /* sessions that use it hold a count of their own */
    free(gone);
}

/* What a session may be resumed for: this name, this trust set, these versions and ciphers, nothing else. OpenSSL
 * would resume a session of TLS 1.2 under a cipher that is not offered any more. */
static void bind_session(unsigned char context[32], const struct moon_tls_policy *policy,
                         const struct moon_trust *trust, struct moon_str server_name) {
    static const unsigned char no_trust[MOON_TRUST_IDENTITY];
    unsigned char text[MOON_TRUST_IDENTITY + sizeof policy->terms + MOON_HOSTNAME_MAX + 1], *at = text;
    moon_assert(server_name.len <= MOON_HOSTNAME_MAX);
    memcpy(at, trust ? moon_trust_identity(trust) : no_trust, MOON_TRUST_IDENTITY);
    at += MOON_TRUST_IDENTITY;
    memcpy(at, policy->terms, sizeof policy->terms);
    at += sizeof policy->terms;
    if (server_name.len)
        memcpy(at, server_name.data, server_name.len);
    moon_sha256(context, moon_str((const char *)text, (size_t)(at - text) + server_name.len));
}

bool moon_tls_policy_covers(const struct moon_tls_policy *policy, struct moon_str server_name) {
    if (!policy->strict_name)
        return true;
    for (size_t i = 0; i < MOON_COUNT(policy->leaves); i++)
        if (server_name.len && policy->leaves[i] &&
            X509_check_host(policy->leaves[i], server_name.data, server_name.len, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                            NULL) == 1)
            return true;
    return false;
}

bool moon_tls_policy_accepts(const struct moon_tls_policy *policy, const SSL *ssl) {
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(policy->ctx); /* those of TLS 1.3 among them */
    const SSL_CIPHER *agreed = SSL_get_current_cipher(ssl);
    if (!agreed || SSL_version(ssl) < policy->min_version || SSL_version(ssl) > policy->max_version)
        return false;
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
        if (SSL_CIPHER_get_id(sk_SSL_CIPHER_value(ciphers, i)) == SSL_CIPHER_get_id(agreed))
            return true;
    return false;
}

bool moon_tls_policy_apply(const struct moon_tls_policy *policy, const struct moon_trust *trust,
                           struct moon_str server_name, bool resumable, SSL *ssl) {
    unsigned char context[32];
    bind_session(context, policy, trust, server_name);
    /* SSL_set_SSL_CTX takes certificate, key and callbacks along; versions, options, verify mode and CA names were
     * copied when the session began and stay what they were. So they are all said again. */
    if (!SSL_set_SSL_CTX(ssl, policy->ctx))
        return false;
    SSL_clear_options(ssl, SSL_get_options(ssl) & ~(uint64_t)OPTIONS);
    SSL_set_options(ssl, OPTIONS);
    SSL_set_security_level(ssl, SECURITY_LEVEL);
    if (!SSL_set_min_proto_version(ssl, policy->min_version) || !SSL_set_max_proto_version(ssl, policy->max_version) ||
        !SSL_set_num_tickets(ssl, resumable ? 1 : 0) || !SSL_set_session_id_context(ssl, context, sizeof context))
        return false;
    /* Without FAIL_IF_NO_PEER_CERT: whether a certificate is needed is for the rules to say. */
    SSL_set_verify(ssl, trust ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    STACK_OF(X509_NAME) *names = trust ? moon_trust_ca_names(trust) : sk_X509_NAME_new_null();
    if (!names)
        return false;
    SSL_set0_CA_list(ssl, names);
    return true;
}
