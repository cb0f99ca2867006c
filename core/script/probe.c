#include "script/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "http/parse.h"
#include "net/resolve.h"
#include "tls/crypto.h"
#include "tls/pem.h"
#include "tls/specimen.h"

#define ANSWER_CEILING (256 * 1024)

struct moon_probe {
    int fd;
    SSL_CTX *context; /* NULL: plain */
    SSL *ssl;
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    bool asked;
    struct moon_buf answer;
};

/* ---- opening ---- */

static int fail(struct moon_diag *diag, const char *where, const char *text) {
    moon_diag_set(diag, where, "%s", text);
    return MOON_EREFUSED;
}

static bool wait_for(int fd, short events, unsigned timeout_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&poll_fd, 1, (int)timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

static int connect_to(struct moon_probe *probe, const struct moon_ffi_probe_options *options, struct moon_diag *diag) {
    struct moon_address address;
    struct timeval limit = {.tv_sec = options->timeout_ms / 1000, .tv_usec = (options->timeout_ms % 1000) * 1000};
    int error = 0;
    socklen_t len = sizeof error;
    if (!moon_resolve_literal(&address, options->address, options->port))
        return fail(diag, "connect", "an IP address is needed");
    probe->fd = socket(address.sock.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe->fd < 0)
        return fail(diag, "connect", strerror(errno));
    if (connect(probe->fd, &address.sock.any, address.len) != 0 && errno != EINPROGRESS)
        return fail(diag, "connect", strerror(errno));
    if (!wait_for(probe->fd, POLLOUT, options->timeout_ms))
        return fail(diag, "connect", "nobody answered in time");
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error)
        return fail(diag, "connect", strerror(error ? error : errno));
    /* From here on it blocks, each wait for so long. */
    int flags = fcntl(probe->fd, F_GETFL);
    if (flags < 0 || fcntl(probe->fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        setsockopt(probe->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(probe->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return fail(diag, "connect", strerror(errno));
    return 0;
}

static int read_identity(struct moon_probe *probe, const struct moon_ffi_probe_options *options,
                         struct moon_diag *diag) {
    if (!options->certificates.len)
        return 0;
    int rc = moon_pem_read_certificates(&probe->chain, options->certificates, "certificates", diag);
    if (rc == 0)
        rc = moon_pem_read_key(&probe->key, options->private_key, "private_key", diag);
    if (rc == 0)
        probe->certificate = sk_X509_shift(probe->chain);
    return rc;
}

/* OpenSSL asks when the server did. */
static int present(SSL *ssl, void *data) {
    struct moon_probe *probe = data;
    probe->asked = true;
    if (!probe->certificate)
        return 1;
    return SSL_use_cert_and_key(ssl, probe->certificate, probe->key, probe->chain, 1);
}

static int shake_hands(struct moon_probe *probe, const struct moon_ffi_probe_options *options, struct moon_diag *diag) {
    char name[256];
    if (options->server_name.len >= sizeof name)
        return fail(diag, "handshake", "the server name is too long");
    memcpy(name, options->server_name.data, options->server_name.len);
    name[options->server_name.len] = 0;
    probe->context = SSL_CTX_new(TLS_client_method());
    moon_assert(probe->context);
    SSL_CTX_set_security_level(probe->context, 0); /* also weak certificates are shown */
    SSL_CTX_set_verify(probe->context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_cb(probe->context, present, probe);
    probe->ssl = SSL_new(probe->context);
    moon_assert(probe->ssl);
    if (!SSL_set_min_proto_version(probe->ssl, (int)options->version) ||
        !SSL_set_max_proto_version(probe->ssl, (int)options->version) ||
        (name[0] && !SSL_set_tlsext_host_name(probe->ssl, name)) ||
        (options->session && !SSL_set_session(probe->ssl, options->session)) || !SSL_set_fd(probe->ssl, probe->fd) ||
        SSL_connect(probe->ssl) != 1)
        return fail(diag, "handshake", moon_crypto_error());
    return 0;
}

struct moon_probe *moon_ffi_probe_open(const struct moon_ffi_probe_options *options, struct moon_diag *diag) {
    struct moon_probe *probe = moon_new(struct moon_probe);
    probe->fd = -1;
    moon_buf_init(&probe->answer, ANSWER_CEILING);
    int rc = read_identity(probe, options, diag);
    if (rc == 0)
        rc = connect_to(probe, options, diag);
    if (rc == 0 && options->version)
        rc = shake_hands(probe, options, diag);
    if (rc == 0)
        return probe;
    moon_ffi_probe_close(probe);
    return NULL;
}

void moon_ffi_probe_facts(const struct moon_probe *probe, struct moon_ffi_probe_facts *facts) {
    *facts = (struct moon_ffi_probe_facts){.asked = probe->asked};
    if (!probe->ssl)
        return;
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(probe->ssl);
    facts->resumed = SSL_session_reused(probe->ssl);
    facts->ca_names = names ? (unsigned)sk_X509_NAME_num(names) : 0;
}

/* ---- asking ---- */

static bool send_all(struct moon_probe *probe, struct moon_str bytes) {
    while (bytes.len) {
        size_t sent = 0;
        if (probe->ssl) {
            if (SSL_write_ex(probe->ssl, bytes.data, bytes.len, &sent) != 1)
                return false;
        } else {
            ssize_t n = send(probe->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
            if (n < 0)
                return false;
            sent = (size_t)n;
        }
        bytes.data += sent;
        bytes.len -= sent;
    }
    return true;
}

/* More of the answer; false when the other side closed, is silent, or says too much. */
static bool receive(struct moon_probe *probe) {
    char *room = moon_buf_reserve(&probe->answer, 4096);
    size_t got = 0;
    if (!room)
        return false;
    if (probe->ssl) {
        if (SSL_read_ex(probe->ssl, room, 4096, &got) != 1)
            return false;
    } else {
        ssize_t n = recv(probe->fd, room, 4096, 0);
        if (n <= 0)
            return false;
        got = (size_t)n;
    }
    moon_buf_commit(&probe->answer, got);
    return true;
}

static int read_head(struct moon_probe *probe, struct moon_http_head *head, struct moon_diag *diag) {
    struct moon_http_limits limits;
    const char *reason = "";
    size_t scanned = 0;
    int len;
    moon_http_limits_init(&limits);
    while ((len = moon_http_scan(moon_buf_view(&probe->answer), &scanned, &limits)) == 0)
        if (!receive(probe))
            return fail(diag, "answer", "the connection was closed");
    if (len < 0 || moon_http_parse_response(head, moon_str(moon_buf_view(&probe->answer).data, (size_t)len), &limits,
                                            false, &reason) != 0)
        return fail(diag, "answer", "what came is no HTTP");
    return len;
}

unsigned moon_ffi_probe_ask(struct moon_probe *probe, struct moon_str request, struct moon_diag *diag) {
    struct moon_http_head head;
    moon_buf_clear(&probe->answer);
    ERR_clear_error();
    if (!send_all(probe, request)) {
        fail(diag, "answer", "the connection was closed");
        return 0;
    }
    int len = read_head(probe, &head, diag);
    if (len < 0)
        return 0;
    if (head.framing != MOON_HTTP_LENGTH && head.framing != MOON_HTTP_NO_BODY) {
        fail(diag, "answer", "only answers with Content-Length are understood");
        return 0;
    }
    unsigned status = head.status;
    uint64_t whole = (uint64_t)len + (head.framing == MOON_HTTP_LENGTH ? head.content_length : 0);
    while (probe->answer.len < whole) { /* the views of `head` are stale from here on */
        if (!receive(probe)) {
            fail(diag, "answer", "the answer was cut off");
            return 0;
        }
    }
    return status;
}

struct ssl_session_st *moon_ffi_probe_session(struct moon_probe *probe) {
    SSL_SESSION *session = probe->ssl ? SSL_get1_session(probe->ssl) : NULL;
    if (session && !SSL_SESSION_is_resumable(session)) {
        SSL_SESSION_free(session);
        session = NULL;
    }
    return session;
}

void moon_ffi_probe_session_free(struct ssl_session_st *session) {
    SSL_SESSION_free(session);
}

void moon_ffi_probe_close(struct moon_probe *probe) {
    if (probe->ssl && SSL_is_init_finished(probe->ssl))
        SSL_shutdown(probe->ssl); /* a session whose connection just broke off would not be offered again */
    SSL_free(probe->ssl);
    SSL_CTX_free(probe->context);
    X509_free(probe->certificate);
    sk_X509_pop_free(probe->chain, X509_free);
    EVP_PKEY_free(probe->key);
    moon_crypto_forget_errors();
    if (probe->fd >= 0)
        close(probe->fd);
    moon_buf_free(&probe->answer);
    free(probe);
}

/* ---- certificates ---- */

static int copy_out(char room[MOON_SPECIMEN_PEM], struct moon_buf *pem, int rc) {
    struct moon_str view = moon_buf_view(pem);
    if (rc == 0 && view.len >= MOON_SPECIMEN_PEM)
        rc = MOON_ETOOBIG;
    if (rc == 0) {
        memcpy(room, view.data, view.len);
        room[view.len] = 0;
    }
    if (pem->data)
        moon_wipe(pem->data, pem->capacity);
    moon_buf_free(pem);
    return rc;
}

int moon_ffi_specimen_make(struct moon_ffi_specimen_pem *pem, const struct moon_ffi_specimen *wanted,
                           struct moon_diag *diag) {
    const struct moon_specimen specimen = {
        .common_name = wanted->common_name,
        .issuer = wanted->issuer,
        .issuer_key = wanted->issuer_key,
        .usage = wanted->usage,
        .identifier = wanted->identifier,
        .not_before = wanted->not_before,
        .not_after = wanted->not_after,
        .is_ca = wanted->is_ca,
        .with_sha1 = wanted->with_sha1,
    };
    struct moon_buf certificate, key;
    moon_buf_init(&certificate, MOON_SPECIMEN_PEM);
    moon_buf_init(&key, MOON_SPECIMEN_PEM);
    int rc = moon_specimen_make(&certificate, &key, &specimen, diag);
    rc = copy_out(pem->certificate, &certificate, rc);
    return copy_out(pem->key, &key, rc);
}
