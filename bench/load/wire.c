#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's certificate is not what is measured, and checking it would take the machine's time from the server. */
static int accept_any(X509_STORE_CTX *store, void *unused) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    SSL_SESSION **keep = SSL_get_app_data(ssl);
    if (!keep)
        return 0;
    SSL_SESSION_free(*keep);
    *keep = session;
    return 1;
}

static SSL_CTX *make_context(const struct moon_load_options *options, const char *certificate) {
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, options->tls);
    SSL_CTX_set_max_proto_version(ctx, options->tls);
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    SSL_CTX_set_alpn_protos(ctx, protocols, sizeof protocols - 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    if (certificate && (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
                        SSL_CTX_use_PrivateKey_file(ctx, certificate, SSL_FILETYPE_PEM) != 1)) {
        fprintf(stderr, "moongate-load: --certificate: %s: %s\n", certificate,
                ERR_reason_error_string(ERR_peek_last_error()));
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

int moon_load_contexts_open(struct moon_load_contexts *contexts, const struct moon_load_options *options) {
    contexts->count = 0;
    if (!options->tls)
        return 0;
    unsigned wanted = options->certificate_count ? options->certificate_count : 1;
    for (unsigned i = 0; i < wanted; i++) {
        contexts->list[i] = make_context(options, options->certificates[i]);
        if (!contexts->list[i])
            return -1;
        contexts->count++;
    }
    return 0;
}

SSL *moon_load_tls_new(SSL_CTX *ctx, int fd, const char *sni, SSL_SESSION *session, SSL_SESSION **keep) {
    SSL *ssl = SSL_new(ctx);
    if (!ssl)
        return NULL;
    SSL_set_app_data(ssl, keep);
    SSL_set_connect_state(ssl);
    if (!SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, sni) || (session && !SSL_set_session(ssl, session))) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

static int outcome(SSL *ssl, int rc) {
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return MOON_LOAD_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return MOON_LOAD_ENDED;
    default:
        return MOON_LOAD_FAILED; /* the error queue keeps the reason for whoever reports it */
    }
}

int moon_load_handshake(SSL *ssl) {
    ERR_clear_error();
    int rc = SSL_do_handshake(ssl);
    return rc == 1 ? 1 : outcome(ssl, rc);
}

static long plain_outcome(ssize_t n) {
    if (n > 0)
        return n;
    if (n == 0)
        return MOON_LOAD_ENDED;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? MOON_LOAD_AGAIN : MOON_LOAD_FAILED;
}

long moon_load_read(SSL *ssl, int fd, char *data, size_t len) {
    if (!ssl)
        return plain_outcome(recv(fd, data, len, 0));
    ERR_clear_error();
    int n = SSL_read(ssl, data, (int)len);
    return n > 0 ? n : outcome(ssl, n);
}

long moon_load_write(SSL *ssl, int fd, const char *data, size_t len) {
    if (!ssl)
        return plain_outcome(send(fd, data, len, MSG_NOSIGNAL));
    ERR_clear_error();
    int n = SSL_write(ssl, data, (int)len);
    return n > 0 ? n : outcome(ssl, n);
}
