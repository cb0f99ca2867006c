#include "tls/session.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/hello_trace.h"

/* T-10. The window may hold application data behind the last flight; the ceilings leave room for it. A server's
 * flight may carry a list of CA names beside its certificates. */
#define CLIENT_FLIGHT_BYTES ((64 + 64) * 1024)
#define SERVER_FLIGHT_BYTES ((64 + 64 + 64) * 1024)
/* Records without application data between two with: key updates, tickets, attempts to renegotiate, warnings. */
#define QUIET_RECORDS_MAX 64

enum state { SHAKING, ESTABLISHED, FAILED };

struct moon_tls_session {
    SSL *ssl;
    struct moon_tls_wire *wire; /* of the present call; NULL outside */
    struct moon_tls_client *client; /* NULL on the server side */
    struct moon_tls_hello hello;    /* server side */
    struct moon_hello_trace *trace; /* server side; NULL: not kept */
    char *random;                   /* its text, once asked for */
    uint32_t hello_length;          /* with the handshake header; 0: none came yet */
    bool describes;
    const char *failure;
    enum state state;
    unsigned quiet_records;
    size_t flight;  /* ciphertext taken during the handshake */
    bool overflow;  /* wire->out reached its ceiling */
    bool shut_down; /* close_notify was written */
    bool certificate_refused;
};

static int on_read(BIO *bio, char *room, int size) {
    struct moon_tls_session *session = BIO_get_data(bio);
    struct moon_tls_wire *wire = session->wire;
    BIO_clear_retry_flags(bio);
    if (size <= 0 || !wire || !wire->in.len) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = wire->in.len < (size_t)size ? wire->in.len : (size_t)size;
    if (session->state == SHAKING) {
        session->flight += taken;
        if (session->flight > (session->client ? SERVER_FLIGHT_BYTES : CLIENT_FLIGHT_BYTES)) {
            session->failure = "the handshake is longer than the limit";
            return -1; /* without the retry flag: the end */
        }
    }
    memcpy(room, wire->in.data, taken);
    wire->in.data += taken;
    wire->in.len -= taken;
    return (int)taken;
}

static int on_write(BIO *bio, const char *bytes, int size) {
    struct moon_tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0 || !session->wire)
        return -1;
    if (moon_buf_append(session->wire->out, bytes, (size_t)size)) {
        session->overflow = true;
        return -1;
    }
    return size;
}

static long on_control(BIO *bio, int command, long number, void *pointer) {
    return command == BIO_CTRL_FLUSH;
}

/* OpenSSL wants the table of functions as an object of its own; it is made once and never changes. */
static BIO_METHOD *wire_method;

static void make_wire_method(void) {
    wire_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "moongate wire");
    moon_assert(wire_method && BIO_meth_set_read(wire_method, on_read) && BIO_meth_set_write(wire_method, on_write) &&
                BIO_meth_set_ctrl(wire_method, on_control));
}

/* The first one of a handshake: after a HelloRetryRequest the client only repeats itself. */
static void on_hello(struct moon_tls_session *session, const void *bytes, size_t len) {
    session->hello_length = (uint32_t)len;
    if (session->describes)
        session->trace = moon_hello_trace_new(moon_str(bytes, len));
}

/* Sees every record, and every handshake message once it is complete. Counts what keeps us busy without bringing
 * anything, in both versions: by the type of the record, or in TLS 1.3, where all are disguised as data, by the
 * type inside. */
static void on_record(int writing, int version, int type, const void *bytes, size_t len, SSL *ssl, void *data) {
    struct moon_tls_session *session = data;
    if (!writing && session->state == ESTABLISHED && (type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE) &&
        len && *(const unsigned char *)bytes != SSL3_RT_APPLICATION_DATA)
        session->quiet_records++;
    else if (!writing && type == SSL3_RT_HANDSHAKE && !session->client && !session->hello_length && len &&
             *(const unsigned char *)bytes == SSL3_MT_CLIENT_HELLO)
        on_hello(session, bytes, len);
}

static struct moon_tls_session *session_new(SSL_CTX *ctx) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    moon_assert(pthread_once(&once, make_wire_method) == 0);
    SSL *ssl = SSL_new(ctx);
    BIO *bio = ssl ? BIO_new(wire_method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        moon_crypto_forget_errors();
        return NULL;
    }
    struct moon_tls_session *session = moon_new(struct moon_tls_session);
    session->ssl = ssl;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback(ssl, on_record);
    SSL_set_msg_callback_arg(ssl, session);
    return session;
}

struct moon_tls_session *moon_tls_session_accept(struct moon_tls_acceptor *acceptor, moon_tls_choose_fn choose,
                                                 void *data) {
    struct moon_tls_session *session = session_new(moon_tls_acceptor_context(acceptor));
    if (!session)
        return NULL;
    session->describes = moon_tls_acceptor_describes(acceptor);
    session->hello.choose = choose;
    session->hello.data = data;
    session->hello.peer = moon_peer_new(moon_tls_acceptor_verified(acceptor));
    if (moon_tls_acceptor_sessions(acceptor))
        moon_tls_sessions_attach(moon_tls_acceptor_sessions(acceptor), session->ssl);
    SSL_set_app_data(session->ssl, &session->hello);
    SSL_set_accept_state(session->ssl);
    return session;
}

/* The name that the server's certificate must carry, and the SNI. An address is no server name (RFC 6066 section 3). */
static bool set_server_name(SSL *ssl, struct moon_str name) {
    char text[MOON_HOSTNAME_MAX + 1];
    unsigned char address[16];
    bool bracketed = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';
    struct moon_str inner = bracketed ? moon_str(name.data + 1, name.len - 2) : name;
    if (inner.len && inner.len < sizeof text && !memchr(inner.data, 0, inner.len)) {
        memcpy(text, inner.data, inner.len);
        text[inner.len] = 0;
        if (inet_pton(AF_INET6, text, address) == 1 || (!bracketed && inet_pton(AF_INET, text, address) == 1))
            return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1;
    }
    return moon_hostname_normalise(text, name, false) > 0 && SSL_set1_host(ssl, text) == 1 &&
           SSL_set_tlsext_host_name(ssl, text) == 1;
}

struct moon_tls_session *moon_tls_session_connect(struct moon_tls_client *client, struct moon_str server_name) {
    struct moon_tls_session *session = session_new(moon_tls_client_context(client));
    if (!session)
        return NULL;
    session->client = moon_tls_client_ref(client);
    SSL_set_connect_state(session->ssl);
    if (!set_server_name(session->ssl, server_name)) {
        moon_crypto_forget_errors();
        moon_tls_session_free(&session);
    }
    return session;
}

void moon_tls_session_free(struct moon_tls_session **session) {
    struct moon_tls_session *gone = *session;
    *session = NULL;
    if (!gone)
        return;
    moon_assert(!gone->wire); /* not from within one of its own calls */
    if (gone->state == ESTABLISHED) /* a client that just goes may resume all the same: only failures spoil a session */
        SSL_set_shutdown(gone->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(gone->ssl);
    moon_hello_trace_free(&gone->trace);
    free(gone->random);
    moon_peer_free(&gone->hello.peer);
    moon_trust_unref(&gone->hello.trust);
    moon_tls_client_unref(&gone->client);
    free(gone);
}

static void enter(struct moon_tls_session *session, struct moon_tls_wire *wire) {
    moon_assert(!session->wire && wire->out);
    session->wire = wire;
    /* SSL_get_error looks into the thread's queue: another session's errors must not be ours. Emptying an empty queue is dear. */
    if (ERR_peek_error())
        ERR_clear_error();
}

static void leave(struct moon_tls_session *session) {
    session->wire = NULL;
}

/* The end of a session; says why once. The alert is in wire->out already if there is one. */
static int fail(struct moon_tls_session *session) {
    unsigned long code = ERR_peek_last_error();
    session->state = FAILED;
    if (session->client && moon_tls_client_verifies(session->client) && ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        session->certificate_refused = true;
        session->failure = X509_verify_cert_error_string(SSL_get_verify_result(session->ssl));
    }
    if (!session->failure)
        session->failure = session->hello.failure;
    if (!session->failure)
        session->failure = session->overflow ? "the send buffer reached its ceiling" : moon_crypto_error();
    ERR_clear_error();
    return session->overflow ? MOON_ETOOBIG : MOON_ETLS;
}

int moon_tls_session_handshake(struct moon_tls_session *session, struct moon_tls_wire *wire) {
    if (session->state == FAILED)
        return MOON_ETLS;
    if (session->state == ESTABLISHED)
        return 0;
    enter(session, wire);
    int rc = SSL_do_handshake(session->ssl);
    if (rc == 1) {
        moon_assert(session->client || session->hello.chosen);
        session->state = ESTABLISHED;
        if (!session->client && SSL_session_reused(session->ssl))
            moon_tls_hello_resumed(&session->hello, session->ssl);
        rc = 0;
    } else if (SSL_get_error(session->ssl, rc) == SSL_ERROR_WANT_READ) {
        rc = MOON_EAGAIN;
    } else {
        fail(session);
        rc = MOON_ETLS;
    }
    leave(session);
    return rc;
}

bool moon_tls_session_resumed(const struct moon_tls_session *session) {
    return SSL_session_reused(session->ssl);
}

bool moon_tls_session_established(const struct moon_tls_session *session) {
    return session->state == ESTABLISHED;
}

int moon_tls_session_read(struct moon_tls_session *session, struct moon_tls_wire *wire, char *room, size_t size,
                          size_t *got) {
    *got = 0;
    if (session->state == FAILED)
        return MOON_ETLS;
    moon_assert(session->state == ESTABLISHED && size);
    if (!wire->in.len && !SSL_has_pending(session->ssl))
        return MOON_EAGAIN; /* what OpenSSL would find out too, by way of an error */
    enter(session, wire);
    int rc = SSL_read_ex(session->ssl, room, size, got);
    if (rc == 1) {
        session->quiet_records = 0;
        rc = 0;
    } else {
        int error = SSL_get_error(session->ssl, rc);
        *got = 0;
        if (error == SSL_ERROR_ZERO_RETURN) {
            rc = MOON_ECLOSED;
        } else if (error != SSL_ERROR_WANT_READ) {
            rc = fail(session);
        } else if (session->quiet_records > QUIET_RECORDS_MAX) {
            session->failure = "too many records without data";
            rc = fail(session);
        } else {
            rc = MOON_EAGAIN;
        }
    }
    leave(session);
    return rc;
}

int moon_tls_session_write(struct moon_tls_session *session, struct moon_tls_wire *wire, struct moon_str plaintext) {
    size_t written = 0;
    if (session->state == FAILED || session->shut_down)
        return MOON_ETLS;
    moon_assert(session->state == ESTABLISHED);
    if (!plaintext.len)
        return 0;
    enter(session, wire);
    /* The wire takes everything or breaks, so there is no partial write to remember. */
    int rc = SSL_write_ex(session->ssl, plaintext.data, plaintext.len, &written);
    rc = rc == 1 && written == plaintext.len ? 0 : fail(session);
    leave(session);
    return rc;
}

void moon_tls_session_shutdown(struct moon_tls_session *session, struct moon_tls_wire *wire) {
    if (session->state != ESTABLISHED || session->shut_down)
        return;
    session->shut_down = true;
    enter(session, wire);
    SSL_shutdown(session->ssl); /* we never wait for the other side's */
    ERR_clear_error();
    leave(session);
}

struct moon_str moon_tls_session_server_name(const struct moon_tls_session *session) {
    return session->hello.has_name ? moon_str_of(session->hello.name) : MOON_STR_NONE;
}

struct moon_peer *moon_tls_session_peer(struct moon_tls_session *session) {
    moon_assert(!session->client);
    return session->hello.peer;
}

struct moon_trust *moon_tls_session_trust(const struct moon_tls_session *session) {
    return session->hello.trust;
}

unsigned moon_tls_session_hello_length(const struct moon_tls_session *session) {
    return session->hello_length > SSL3_HM_HEADER_LENGTH ? session->hello_length - SSL3_HM_HEADER_LENGTH : 0;
}

static struct moon_str random_text(struct moon_tls_session *session) {
    unsigned char bytes[SSL3_RANDOM_SIZE];
    if (!session->random) {
        size_t len = SSL_get_client_random(session->ssl, bytes, sizeof bytes);
        session->random = moon_alloc((len + 2) / 3 * 4 + 1);
        EVP_EncodeBlock((unsigned char *)session->random, bytes, (int)len);
    }
    return moon_str_of(session->random);
}

struct moon_str moon_tls_session_text(struct moon_tls_session *session, enum moon_tls_text which) {
    struct moon_hello_trace *trace = session->trace;
    if (which == MOON_TLS_VERSION)
        return moon_str_of(SSL_get_version(session->ssl));
    if (which == MOON_TLS_CIPHER)
        return moon_str_of(SSL_get_cipher_name(session->ssl));
    if (which == MOON_TLS_CLIENT_RANDOM)
        return random_text(session);
    if (!trace)
        return MOON_STR("");
    switch (which) {
    case MOON_TLS_CIPHERS_SHA1:
        return moon_hello_trace_ciphers(trace);
    case MOON_TLS_EXTENSIONS_SHA1:
    case MOON_TLS_EXTENSIONS_SHA1_LE:
        return moon_hello_trace_extensions(trace, which == MOON_TLS_EXTENSIONS_SHA1_LE);
    case MOON_TLS_JA3:
        return moon_hello_trace_ja3(trace);
    case MOON_TLS_JA4:
        return moon_hello_trace_ja4(trace);
    default:
        return MOON_STR("");
    }
}

const char *moon_tls_session_version(const struct moon_tls_session *session) {
    return SSL_get_version(session->ssl);
}

bool moon_tls_session_meets(const struct moon_tls_session *session, const struct moon_tls_policy *policy) {
    return moon_tls_policy_accepts(policy, session->ssl);
}

const char *moon_tls_session_cipher(const struct moon_tls_session *session) {
    return SSL_get_cipher_name(session->ssl);
}

const char *moon_tls_session_failure(const struct moon_tls_session *session) {
    return session->failure ? session->failure : "";
}

bool moon_tls_session_certificate_refused(const struct moon_tls_session *session) {
    return session->certificate_refused;
}
