/* tls/ciphers.h — cipher suites by the names of Cloudflare's API, turned into OpenSSL's lists. The order is ours
 * (the strongest and fastest first), whatever order the names come in. No state; any thread. */
#ifndef MOON_TLS_CIPHERS_H
#define MOON_TLS_CIPHERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

struct moon_tls_ciphers {
    char up_to_tls12[1024]; /* for SSL_CTX_set_cipher_list; "" when none of the names is one of TLS 1.2 or older */
    char tls13[128];        /* for SSL_CTX_set_ciphersuites */
};

/* `names` as in the API: OpenSSL's names up to TLS 1.2, "AEAD-…" of TLS 1.3. No names at all: our default, which
 * is forward secret and authenticated encryption only. Without an AEAD name TLS 1.3 keeps all of its suites: they
 * follow the versions, as in the API. A known name beyond the default (CBC, RSA key exchange) is enabled for
 * whoever lists it. MOON_EREFUSED with diag->where "ciphers" names the one that is not known. */
int moon_tls_ciphers_read(struct moon_tls_ciphers *out, const struct moon_str *names, size_t count,
                          struct moon_diag *diag);
/* True for names of which some ask for a certificate with an RSA key and none for one with an ECDSA key. */
bool moon_tls_ciphers_need_rsa(const struct moon_str *names, size_t count);

#endif
