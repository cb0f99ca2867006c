/* tls/issue.h — the steps of issuing a certificate that our CAs have in common: serial number, validity, extensions,
 * and the way out as PEM. For local_ca.c and managed_ca.c; what a certificate is for is said there. No state. */
#ifndef MOON_TLS_ISSUE_H
#define MOON_TLS_ISSUE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Each is false when OpenSSL has no memory or refuses the value. */

/* `value` in the words of OpenSSL's configuration ("critical,CA:FALSE"). `issuer` is the certificate itself for a
 * root. */
bool moon_issue_extension(X509 *certificate, X509 *issuer, int nid, const char *value);
/* 126 random bits (RFC 5280 section 4.1.2.2: positive, at most 20 octets), always 16 octets long. */
bool moon_issue_serial(X509 *certificate);
/* UNIX seconds, both included. */
bool moon_issue_validity(X509 *certificate, int64_t from, int64_t until);
bool moon_issue_common_name(X509_NAME *name, const char *text);

/* Signs, and reads what came of it again: a certificate keeps the bytes that it was read from, while one that was only
 * made is encoded anew for every handshake that sends it. */
bool moon_issue_sign(X509 **certificate, EVP_PKEY *key);

/* Append PEM; 0, MOON_ENOMEM or MOON_ETOOBIG. The copy of a key that OpenSSL had is wiped, `out` is the caller's to
 * wipe. */
int moon_issue_write_certificate(struct moon_buf *out, X509 *certificate);
int moon_issue_write_key(struct moon_buf *out, EVP_PKEY *key);

#endif
