/* tls/hello.h — the ClientHello callback: reads the server name as OpenSSL parsed it (never by sniffing), asks the
 * gateway for the terms of that name, and applies all of them in one place before anything was negotiated. */
#ifndef MOON_TLS_HELLO_H
#define MOON_TLS_HELLO_H

#include "base/hostname.h"
#include "tls/peer.h"
#include "tls/policy.h"
#include "tls/sessions.h"

struct moon_tls_choice {
    const struct moon_tls_policy *policy; /* NULL: refuse with the alert unrecognized_name */
    struct moon_trust *trust;             /* NULL: no client certificate is asked for */
    bool resumable;                       /* sessions under this name may be resumed */
};

/* `sni` is normalised (base/hostname.h); {NULL,0} when the client sent none. Called on the session's thread, inside
 * moon_tls_session_handshake. What it returns is borrowed until the call ends (the session counts what it keeps). */
typedef struct moon_tls_choice (*moon_tls_choose_fn)(void *data, struct moon_str sni);

/* What the callbacks of a handshake know and learn. Part of a server session, which hangs it on its SSL as
 * application data; the session gives back `trust` and `peer`. */
struct moon_tls_hello {
    moon_tls_choose_fn choose;
    void *data;
    struct moon_trust *trust;  /* counted; what the choice said */
    struct moon_peer *peer;    /* never NULL */
    const char *failure;       /* constant; NULL while nothing failed here */
    bool chosen;               /* a policy was applied: nothing may be established without */
    bool resumable;
    bool has_name;
    char name[MOON_HOSTNAME_MAX + 1];
};

/* OpenSSL's certificate verify callback of every server context: records what was presented and always lets the
 * handshake go on (the proof of possession stays OpenSSL's). For policy.c. */
int moon_tls_hello_present(X509_STORE_CTX *ctx, void *unused);

/* Once a resumed handshake is finished: presents what the session holds, since no certificate message came. For
 * session.c. */
void moon_tls_hello_resumed(struct moon_tls_hello *hello, SSL *ssl);

/* The context every server session starts from. It has no certificate of its own: a session without a choice fails. One
 * thread's own. `sessions` (borrowed, may be NULL) keeps what may be resumed; without it nothing is. */
struct moon_tls_acceptor;
int moon_tls_acceptor_new(struct moon_tls_acceptor **out, struct moon_tls_sessions *sessions, struct moon_diag *diag);
void moon_tls_acceptor_free(struct moon_tls_acceptor **acceptor);
/* Whether sessions keep what describes their client (tls/hello_trace.h; some 200 bytes each). On by default, so
 * that a rule that is added later finds it on every open connection. */
void moon_tls_acceptor_describe(struct moon_tls_acceptor *acceptor, bool describe);
bool moon_tls_acceptor_describes(const struct moon_tls_acceptor *acceptor);
SSL_CTX *moon_tls_acceptor_context(struct moon_tls_acceptor *acceptor);
struct moon_tls_sessions *moon_tls_acceptor_sessions(struct moon_tls_acceptor *acceptor);
struct moon_verified *moon_tls_acceptor_verified(struct moon_tls_acceptor *acceptor);

#endif
