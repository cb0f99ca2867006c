/* tls/twin.h — the other form of a certificate whose signature is ECDSA. Of such a signature (r, s) anybody can make
 * (r, n-s), which is as valid: so the holder of a certificate can give it another fingerprint without the CA. Whoever
 * looks for a certificate by its fingerprint to shut it out (tls/revocation.c) asks for that of the twin too. Nothing
 * is kept. Any thread. */
#ifndef MOON_TLS_TWIN_H
#define MOON_TLS_TWIN_H

#include <openssl/x509.h>
#include <stdbool.h>

/* The SHA-256 of the certificate's other form. False: it has none, since its issuer signs otherwise. */
bool moon_twin_digest(unsigned char digest[32], const X509 *certificate, const X509 *issuer);

#endif
