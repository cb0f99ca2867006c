/* tls/policy.c — every TLS option of ours is set in this file and nowhere else. */
#include "tls/policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/hello.h"
#include "tls/pem.h"

#define CIPHERS_TLS12                                                                                   \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                        \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                        \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
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
    int min_version;
};

void moon_tls_common_defaults(SSL_CTX *ctx) {
    moon_assert(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
    moon_assert(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION));
    moon_assert(SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12));
    moon_assert(SSL_CTX_set_ciphersuites(ctx, CIPHERS_TLS13));
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
    /* TLS 1.2 gives a session an id only when the context of the moment says that it caches. Without callbacks and without the
     * internal cache that keeps nothing (an id that is unknown later means a full handshake); whose sessions are kept is decided by the acceptor's context (tls/sessions.h). */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    moon_assert(SSL_CTX_set_num_tickets(ctx, 0));
    moon_assert(SSL_CTX_set_max_early_data(ctx, 0));
    moon_assert(SSL_CTX_set_recv_max_early_data(ctx, 0));
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, moon_tls_hello_present, NULL);
}

int moon_tls_identity_use(SSL_CTX *ctx, struct moon_str certificates, struct moon_str private_key,
                          struct moon_diag *diag) {
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    int rc = moon_pem_read_certificates(&chain, certificates, "certificates", diag);
    if (!rc)
        rc = moon_pem_read_key(&key, private_key, "private_key", diag);
    if (rc)
        goto out;
    rc = MOON_EREFUSED;
    if (SSL_CTX_use_certificate(ctx, sk_X509_value(chain, 0)) != 1) {
        moon_diag_set(diag, "certificates", "block 1 cannot be used: %s", moon_crypto_error());
        goto out;
    }
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) != 1) {
            moon_diag_set(diag, "certificates", "block %d cannot be used: %s", i + 1, moon_crypto_error());
            goto out;
        }
    }
    if (X509_check_private_key(sk_X509_value(chain, 0), key) != 1) {
        moon_diag_set(diag, "private_key", "the private key does not belong to the first certificate");
        goto out;
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        moon_diag_set(diag, "private_key", "the private key cannot be used: %s", moon_crypto_error());
        goto out;
    }
    rc = 0;
out:
    moon_crypto_forget_errors();
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
    return rc;
}

int moon_tls_policy_new(struct moon_tls_policy **out, const struct moon_tls_terms *terms, struct moon_diag *diag) {
    int rc = MOON_EREFUSED;
    struct moon_tls_policy *policy = moon_new(struct moon_tls_policy);
    *out = NULL;
    atomic_init(&policy->refs, 1);
    policy->min_version = terms->min_version;
    if (terms->min_version != TLS1_2_VERSION && terms->min_version != TLS1_3_VERSION) {
        moon_diag_set(diag, "min_version", "version 0x%04x is not offered; TLS 1.2 and TLS 1.3 are",
                      (unsigned)terms->min_version);
        goto fail;
    }
    policy->ctx = SSL_CTX_new(TLS_server_method());
    if (!policy->ctx) {
        rc = MOON_ENOMEM;
        goto fail;
    }
    moon_tls_server_defaults(policy->ctx);
    if ((rc = moon_tls_identity_use(policy->ctx, terms->certificates, terms->private_key, diag)) != 0)
        goto fail;
    *out = policy;
    return 0;
fail:
    moon_crypto_forget_errors();
    moon_tls_policy_unref(&policy);
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
    SSL_CTX_free(gone->ctx); /* sessions that use it hold a count of their own */
    free(gone);
}

/* What a session may be resumed for: this name and this trust set, nothing else. */
static void bind_session(unsigned char context[32], const struct moon_trust *trust, struct moon_str server_name) {
    static const unsigned char no_trust[MOON_TRUST_IDENTITY];
    unsigned char text[MOON_TRUST_IDENTITY + MOON_HOSTNAME_MAX + 1];
    moon_assert(server_name.len <= MOON_HOSTNAME_MAX);
    memcpy(text, trust ? moon_trust_identity(trust) : no_trust, MOON_TRUST_IDENTITY);
    if (server_name.len)
        memcpy(text + MOON_TRUST_IDENTITY, server_name.data, server_name.len);
    moon_sha256(context, moon_str((const char *)text, MOON_TRUST_IDENTITY + server_name.len));
}

bool moon_tls_policy_apply(const struct moon_tls_policy *policy, const struct moon_trust *trust,
                           struct moon_str server_name, bool resumable, SSL *ssl) {
    unsigned char context[32];
    bind_session(context, trust, server_name);
    /* SSL_set_SSL_CTX takes certificate, key and callbacks along; versions, options, verify mode and CA names were
     * copied when the session began and stay what they were. So they are all said again. */
    if (!SSL_set_SSL_CTX(ssl, policy->ctx))
        return false;
    SSL_clear_options(ssl, SSL_get_options(ssl) & ~(uint64_t)OPTIONS);
    SSL_set_options(ssl, OPTIONS);
    SSL_set_security_level(ssl, SECURITY_LEVEL);
    if (!SSL_set_min_proto_version(ssl, policy->min_version) || !SSL_set_max_proto_version(ssl, TLS1_3_VERSION) ||
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
