#include "tls/hello.h"

#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/verified.h"

struct moon_tls_acceptor {
    SSL_CTX *ctx;
    struct moon_tls_sessions *sessions; /* borrowed */
    struct moon_verified *verified;
    bool describes;
};

/* ServerNameList (RFC 6066 section 3) with exactly one entry of type host_name, as every client sends it. */
static bool read_name_list(const unsigned char *bytes, size_t len, struct moon_str *name) {
    if (len < 5 || ((size_t)bytes[0] << 8 | bytes[1]) != len - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name)
        return false;
    size_t size = (size_t)bytes[3] << 8 | bytes[4];
    if (size == 0 || size != len - 5)
        return false;
    *name = moon_str((const char *)bytes + 5, size);
    return true;
}

static int refuse(struct moon_tls_hello *hello, int *alert, int which, const char *why) {
    hello->failure = why;
    *alert = which;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Runs when OpenSSL has the complete ClientHello, in however many records it came, and before a version, a session or a
 * certificate was chosen. */
static int on_client_hello(SSL *ssl, int *alert, void *unused) {
    struct moon_tls_hello *hello = SSL_get_app_data(ssl);
    const unsigned char *bytes;
    size_t len;
    moon_assert(hello);
    hello->has_name = false;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &len)) {
        struct moon_str sent;
        if (!read_name_list(bytes, len, &sent))
            return refuse(hello, alert, SSL_AD_DECODE_ERROR, "malformed server name extension");
        if (moon_hostname_normalise(hello->name, sent, false) < 0)
            return refuse(hello, alert, SSL_AD_UNRECOGNIZED_NAME, "invalid server name");
        hello->has_name = true;
    }
    struct moon_str name = hello->has_name ? moon_str_of(hello->name) : MOON_STR_NONE;
    struct moon_tls_choice choice = hello->choose(hello->data, name);
    if (!choice.policy)
        return refuse(hello, alert, SSL_AD_UNRECOGNIZED_NAME, "no terms for this server name");
    if (!moon_tls_policy_covers(choice.policy, name))
        return refuse(hello, alert, SSL_AD_UNRECOGNIZED_NAME, "no certificate covers this server name");
    hello->resumable = choice.resumable && SSL_CTX_sess_get_new_cb(SSL_get_SSL_CTX(ssl));
    if (!moon_tls_policy_apply(choice.policy, choice.trust, name, hello->resumable, ssl))
        return refuse(hello, alert, SSL_AD_INTERNAL_ERROR, "out of memory");
    moon_trust_unref(&hello->trust);
    hello->trust = moon_trust_ref(choice.trust);
    hello->chosen = true;
    return SSL_CLIENT_HELLO_SUCCESS;
}

int moon_tls_hello_present(X509_STORE_CTX *ctx, void *unused) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct moon_tls_hello *hello = ssl ? SSL_get_app_data(ssl) : NULL;
    moon_assert(hello);
    moon_peer_present(hello->peer, X509_STORE_CTX_get0_cert(ctx), X509_STORE_CTX_get0_untrusted(ctx), hello->trust,
                      (int64_t)time(NULL));
    /* Whoever asks SSL_get_verify_result instead of the peer must never hear "OK". */
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

/* OpenSSL does not validate again on resumption, and a session's word is not taken: its certificates go through
 * the same door as in a full handshake, against the trust set that was chosen for this connection. */
void moon_tls_hello_resumed(struct moon_tls_hello *hello, SSL *ssl) {
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf && hello->trust)
        moon_peer_present(hello->peer, leaf, SSL_get_peer_cert_chain(ssl), hello->trust, (int64_t)time(NULL));
}

int moon_tls_acceptor_new(struct moon_tls_acceptor **out, struct moon_tls_sessions *sessions, struct moon_diag *diag) {
    *out = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        moon_diag_set(diag, "", "OpenSSL gives no server context: %s", moon_crypto_error());
        return MOON_ENOMEM;
    }
    moon_tls_server_defaults(ctx);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    struct moon_tls_acceptor *acceptor = moon_new(struct moon_tls_acceptor);
    acceptor->ctx = ctx;
    acceptor->describes = true;
    acceptor->sessions = sessions;
    acceptor->verified = moon_verified_new();
    if (sessions)
        moon_tls_sessions_use(sessions, ctx);
    *out = acceptor;
    return 0;
}

void moon_tls_acceptor_free(struct moon_tls_acceptor **acceptor) {
    struct moon_tls_acceptor *gone = *acceptor;
    *acceptor = NULL;
    if (!gone)
        return;
    SSL_CTX_free(gone->ctx);
    moon_verified_free(&gone->verified);
    free(gone);
}

void moon_tls_acceptor_describe(struct moon_tls_acceptor *acceptor, bool describe) {
    acceptor->describes = describe;
}

bool moon_tls_acceptor_describes(const struct moon_tls_acceptor *acceptor) {
    return acceptor->describes;
}

SSL_CTX *moon_tls_acceptor_context(struct moon_tls_acceptor *acceptor) {
    return acceptor->ctx;
}

struct moon_tls_sessions *moon_tls_acceptor_sessions(struct moon_tls_acceptor *acceptor) {
    return acceptor->sessions;
}

struct moon_verified *moon_tls_acceptor_verified(struct moon_tls_acceptor *acceptor) {
    return acceptor->verified;
}
