/* tls/public_key.h — which public keys we take from others: in certificates that are uploaded and in requests that are
 * signed. One list, so that the two cannot disagree. No state; any thread. */
#ifndef MOON_TLS_PUBLIC_KEY_H
#define MOON_TLS_PUBLIC_KEY_H

#include <openssl/x509.h>
#include <stdbool.h>

#define MOON_PUBLIC_KEY_NAME 48

/* RSA 2048–8192 bits, or EC P-256, P-384, P-521 on a named curve. Writes what it is for messages: "RSA 2048",
 * "EC prime256v1", "EC explicit parameters", else OpenSSL's name. */
bool moon_public_key_describe(char name[MOON_PUBLIC_KEY_NAME], X509_PUBKEY *key);

#endif
