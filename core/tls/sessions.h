/* tls/sessions.h — TLS sessions that may be resumed: stateful, on the server's side, shared by all workers and bounded. What a
 * client holds is an id; nothing that carries trust ever leaves the process, and what the table forgets is gone.
 *
 * A session is bound to the server name it was made under and to the identity of that name's trust set (the session id context,
 * set in the ClientHello callback): under another name, without a name, or after the set changed it is simply unknown, and a full
 * handshake follows. What it proves is never believed on its word: the presented chain is validated again on resumption
 * (tls/hello.c), and each request looks at the dates.
 *
 * Sharded, one mutex a shard, taken in handshakes only. Any thread. */
#ifndef MOON_TLS_SESSIONS_H
#define MOON_TLS_SESSIONS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* How long one handshake may be lived on, through however many resumptions. */
#define MOON_TLS_LINEAGE_SECONDS (24 * 3600)
/* How long one session may wait for its resumption. */
#define MOON_TLS_SESSION_SECONDS (2 * 3600)

struct moon_tls_sessions;

/* Keeps at most `capacity` sessions (a session with a client certificate takes about 5 KiB); the least recently used goes first. */
struct moon_tls_sessions *moon_tls_sessions_new(size_t capacity);
/* After every context that uses it is gone. Clears the pointer; NULL inside is fine. */
void moon_tls_sessions_free(struct moon_tls_sessions **sessions);

/* Makes `ctx` — the context that server sessions start from — keep its sessions here. */
void moon_tls_sessions_use(struct moon_tls_sessions *sessions, SSL_CTX *ctx);

/* The same for one connection of such a context; without it the connection's sessions are neither kept nor found. */
void moon_tls_sessions_attach(struct moon_tls_sessions *sessions, SSL *ssl);

/* How many are held now. For status and specs. */
size_t moon_tls_sessions_count(struct moon_tls_sessions *sessions);

#endif
