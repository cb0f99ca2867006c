#include "tls/client.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/pem.h"
#include "tls/policy.h"

/* Named here, so that no environment variable decides whom we trust. */
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"
#define DEPTH_MAX 9

struct moon_tls_client {
    atomic_uint refs;
    SSL_CTX *ctx;
    bool verify;
};

/* The operator's CAs: each of them is trusted as it stands, an intermediate or the origin's own certificate
 * included. */
static int trust_given(SSL_CTX *ctx, struct moon_str pem, struct moon_diag *diag) {
    STACK_OF(X509) *found = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int rc = moon_pem_read_certificates(&found, pem, "ca", diag);
    for (int i = 0; !rc && i < sk_X509_num(found); i++)
        if (!X509_STORE_add_cert(store, sk_X509_value(found, i)))
            rc = MOON_ENOMEM;
    sk_X509_pop_free(found, X509_free);
    if (!rc)
        moon_assert(X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN));
    return rc;
}

static int trust_system(SSL_CTX *ctx, struct moon_diag *diag) {
    if (SSL_CTX_load_verify_file(ctx, SYSTEM_CAS) == 1)
        return 0;
    moon_diag_set(diag, "ca", "the system's CAs cannot be read from %s: %s", SYSTEM_CAS, moon_crypto_error());
    return MOON_EREFUSED;
}

int moon_tls_client_new(struct moon_tls_client **out, const struct moon_tls_client_terms *terms,
                        struct moon_diag *diag) {
    static const unsigned char protocols[] = "\x08http/1.1";
    int rc = MOON_ENOMEM;
    struct moon_tls_client *client = moon_new(struct moon_tls_client);
    *out = NULL;
    atomic_init(&client->refs, 1);
    client->verify = terms->verify;
    client->ctx = SSL_CTX_new(TLS_client_method());
    if (!client->ctx)
        goto fail;
    moon_tls_common_defaults(client->ctx);
    if (SSL_CTX_set_alpn_protos(client->ctx, protocols, sizeof protocols - 1) != 0)
        goto fail;
    SSL_CTX_set_verify(client->ctx, terms->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_verify_depth(client->ctx, DEPTH_MAX);
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(client->ctx);
    moon_assert(X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER));
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (terms->verify) {
        rc = terms->ca.len ? trust_given(client->ctx, terms->ca, diag) : trust_system(client->ctx, diag);
        if (rc)
            goto fail;
    }
    if (terms->certificates.len || terms->private_key.len) {
        rc = moon_tls_identity_use(client->ctx, terms->certificates, terms->private_key, diag);
        if (rc)
            goto fail;
    }
    *out = client;
    return 0;
fail:
    moon_crypto_forget_errors();
    moon_tls_client_unref(&client);
    return rc;
}

struct moon_tls_client *moon_tls_client_ref(struct moon_tls_client *client) {
    if (client)
        atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    return client;
}

void moon_tls_client_unref(struct moon_tls_client **client) {
    struct moon_tls_client *gone = *client;
    *client = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(gone->ctx);
    free(gone);
}

SSL_CTX *moon_tls_client_context(struct moon_tls_client *client) {
    return client->ctx;
}

bool moon_tls_client_verifies(const struct moon_tls_client *client) {
    return client->verify;
}
