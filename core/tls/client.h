/* tls/client.h — terms toward an origin, frozen: what we verify, what we trust, what we present. Built on the
 * control thread, shared by all workers by counting. */
#ifndef MOON_TLS_CLIENT_H
#define MOON_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "base/error.h"
#include "base/str.h"

struct moon_tls_client_terms {
    bool verify;         /* false: any certificate will do; per origin, logged and visible */
    struct moon_str ca;  /* PEM; empty: the system's CAs (the Debian bundle file) */
    struct moon_str certificates; /* PEM chain that we present when asked, leaf first; empty: none */
    struct moon_str private_key;  /* PEM, of its first certificate; empty: none */
};

struct moon_tls_client;

/* Control thread. Copies. On failure *out is NULL and diag names the term ("ca", "certificates", "private_key"). */
int moon_tls_client_new(struct moon_tls_client **out, const struct moon_tls_client_terms *terms,
                        struct moon_diag *diag);
/* Any thread. */
struct moon_tls_client *moon_tls_client_ref(struct moon_tls_client *client);
void moon_tls_client_unref(struct moon_tls_client **client);
SSL_CTX *moon_tls_client_context(struct moon_tls_client *client);
bool moon_tls_client_verifies(const struct moon_tls_client *client);

#endif
