/* tls/pem.h — the one strict reading of PEM: what an administrator uploads and what our own files hold. Everything
 * that turns text into certificates or keys goes through here, so that trust sets, server certificates and the admin
 * API cannot disagree about what a text means. No state; any thread. */
#ifndef MOON_TLS_PEM_H
#define MOON_TLS_PEM_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/str.h"

/* Reads every block of `pem` (RFC 7468; LF or CRLF; text around the blocks is allowed) into a fresh stack, in order.
 * 0 and *out is the caller's (sk_X509_pop_free); else MOON_EREFUSED, *out is NULL and `diag` has `where` and the
 * number of the block. Limits: MOON_CERTIFICATES_MAX, MOON_CERTIFICATES_BYTES (tls/certificate.h). */
int moon_pem_read_certificates(STACK_OF(X509) **out, struct moon_str pem, const char *where, struct moon_diag *diag);

/* Reads one unencrypted private key (PKCS#8, PKCS#1 or SEC1); never asks for a passphrase. The caller frees *out
 * (EVP_PKEY_free). MOON_EREFUSED with `where` when there is none; nothing of the text is repeated in the diagnostic. */
int moon_pem_read_key(EVP_PKEY **out, struct moon_str pem, const char *where, struct moon_diag *diag);

#endif
