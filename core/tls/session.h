/* tls/session.h — one TLS session as a state machine over bytes: ciphertext in, plaintext out, and back; server or
 * client side. No socket and no loop below this line. The bytes of one turn are a window over the thread's receive
 * buffer; what is to be sent is appended to the thread's send buffer. An idle session owns no buffer
 * (SSL_MODE_RELEASE_BUFFERS).
 *
 * Rules: the window belongs to one session during one call; a caller drains it (read until MOON_EAGAIN) or drops the
 * session before it lets go of the thread's buffer. One thread at a time. */
#ifndef MOON_TLS_SESSION_H
#define MOON_TLS_SESSION_H

#include "base/buf.h"
#include "tls/client.h"
#include "tls/hello.h"
#include "tls/peer.h"

struct moon_tls_wire {
    struct moon_str in;    /* ciphertext not read yet; calls take from the front */
    struct moon_buf *out;  /* ciphertext to send; calls append */
};

struct moon_tls_session;

/* Server side. `data` is handed to `choose`. NULL when OpenSSL has no memory: drop the connection. */
struct moon_tls_session *moon_tls_session_accept(struct moon_tls_acceptor *acceptor, moon_tls_choose_fn choose,
                                                 void *data);
/* Client side, toward `server_name` (SNI and, unless the client's terms say otherwise, the name that the certificate
 * must carry; copies; an IP address, with or without brackets, is checked against the certificate and never sent as
 * SNI). The session counts `client`. NULL when the name is neither, or OpenSSL has no memory. */
struct moon_tls_session *moon_tls_session_connect(struct moon_tls_client *client, struct moon_str server_name);
/* Frees at once, at any moment; NULL inside is fine; clears *session. */
void moon_tls_session_free(struct moon_tls_session **session);

/* Goes on with the handshake. 0: established (bytes may be left in wire->in); MOON_EAGAIN: more ciphertext is
 * needed, and what was appended to wire->out must be sent; MOON_ETLS: failed — an alert may be in wire->out, then
 * close. */
int moon_tls_session_handshake(struct moon_tls_session *session, struct moon_tls_wire *wire);
/* True when the handshake was shortened by an earlier session. */
bool moon_tls_session_resumed(const struct moon_tls_session *session);
bool moon_tls_session_established(const struct moon_tls_session *session);

/* Reads plaintext of what the window holds: 0 with *got > 0; MOON_EAGAIN when the window is drained;
 * MOON_ECLOSED after close_notify; MOON_ETLS. Performs post-handshake messages by itself. Before the handshake is
 * finished nothing is ever handed out (it is an error of the caller). */
int moon_tls_session_read(struct moon_tls_session *session, struct moon_tls_wire *wire, char *room, size_t size,
                          size_t *got);
/* Encrypts all of `plaintext` into wire->out: 0, MOON_ETOOBIG when wire->out would pass its ceiling (the session is
 * then broken), MOON_ETLS. */
int moon_tls_session_write(struct moon_tls_session *session, struct moon_tls_wire *wire, struct moon_str plaintext);
/* Appends close_notify, unless the session failed. */
void moon_tls_session_shutdown(struct moon_tls_session *session, struct moon_tls_wire *wire);

/* Server side, at any moment; borrowed until the session is freed. The server name is the normalised SNI, {NULL,0} when there was
 * none, or not yet. What a client presents is remembered before it has proved that it is its own: only an established session
 * makes it more than a claim. */
struct moon_str moon_tls_session_server_name(const struct moon_tls_session *session);
struct moon_peer *moon_tls_session_peer(struct moon_tls_session *session);
/* Whose certificates the client was asked for; NULL when it was not, or not yet. */
struct moon_trust *moon_tls_session_trust(const struct moon_tls_session *session);

/* What rules may ask about the session (cf.tls_*, cf.bot_management.ja*). */
/* ffi: begin */
struct moon_tls_session;

enum moon_tls_text {
    MOON_TLS_VERSION,            /* "TLSv1.3" */
    MOON_TLS_CIPHER,             /* OpenSSL's name */
    MOON_TLS_CLIENT_RANDOM,      /* base64 of 32 bytes */
    MOON_TLS_CIPHERS_SHA1,       /* tls/hello_trace.h says what the rest is */
    MOON_TLS_EXTENSIONS_SHA1,
    MOON_TLS_EXTENSIONS_SHA1_LE,
    MOON_TLS_JA3,
    MOON_TLS_JA4,
    MOON_TLS_TEXT_COUNT
};
/* ffi: end */

/* Server side, once established; each is computed at the first question. Empty, never NULL, where nothing is
 * known: the acceptor keeps no descriptions, or the ClientHello was beyond its limit. */
struct moon_str moon_tls_session_text(struct moon_tls_session *session, enum moon_tls_text which);
/* Bytes of the (first) ClientHello, without the four of the handshake header. */
unsigned moon_tls_session_hello_length(const struct moon_tls_session *session);
const char *moon_tls_session_version(const struct moon_tls_session *session); /* "TLSv1.3" */
/* Is it one that these terms would have come to as well? After the handshake. */
bool moon_tls_session_meets(const struct moon_tls_session *session, const struct moon_tls_policy *policy);
const char *moon_tls_session_cipher(const struct moon_tls_session *session);
/* Why the session failed, for the log: constant or owned by the session; "" when it did not. Client side: says when the
 * server's certificate was refused and why. */
const char *moon_tls_session_failure(const struct moon_tls_session *session);
/* Client side after MOON_ETLS: true when the server's certificate was what failed (526 rather than 525). */
bool moon_tls_session_certificate_refused(const struct moon_tls_session *session);

#endif
