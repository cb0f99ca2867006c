/* load/wire.h — the bytes of one connection, plain or TLS: the client contexts (one per certificate, shared by all
 * threads) and reading and writing without blocking. */
#ifndef MOON_LOAD_WIRE_H
#define MOON_LOAD_WIRE_H

#include <openssl/ssl.h>

#include "options.h"

/* What a read, a write or a handshake came to when it moved no bytes. */
enum { MOON_LOAD_AGAIN = 0, MOON_LOAD_ENDED = -1, MOON_LOAD_FAILED = -2 };

struct moon_load_contexts {
    SSL_CTX *list[MOON_LOAD_CERTIFICATES_MAX];
    unsigned count; /* 0: plain */
};

/* Makes the contexts. Returns 0, or -1 after saying which certificate cannot be used. Kept to the end of the program.
 * */
int moon_load_contexts_open(struct moon_load_contexts *contexts, const struct moon_load_options *options);

/* A client session on `fd` with this SNI. `session` (may be NULL, borrowed) is offered; a session that the server
 * gives is put into *keep (may be NULL), a counted reference, the last one wins. */
SSL *moon_load_tls_new(SSL_CTX *ctx, int fd, const char *sni, SSL_SESSION *session, SSL_SESSION **keep);

/* 1 when the handshake is complete, else one of the words above. */
int moon_load_handshake(SSL *ssl);

/* Number of bytes, else one of the words above. `ssl` NULL: plain. */
long moon_load_read(SSL *ssl, int fd, char *data, size_t len);
long moon_load_write(SSL *ssl, int fd, const char *data, size_t len);

#endif
