/* tls/certificate.h — what an uploaded PEM text holds, for the admin API: strict reading, and a description in the
 * form that Cloudflare's API shows. Control thread; no state. */
#ifndef MOON_TLS_CERTIFICATE_H
#define MOON_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#define MOON_CERTIFICATES_MAX 32           /* blocks in one text */
#define MOON_CERTIFICATES_BYTES (64 * 1024) /* of one text */

/* ffi: begin */
struct moon_certificate {
    bool is_ca;             /* basic constraints CA:TRUE, and key usage, if present, allows signing certificates
                             * (a v1 certificate or key usage alone does not count) */
    bool self_issued;
    bool signature_allowed; /* RSA PKCS#1 or ECDSA with SHA-1, SHA-256, SHA-384, SHA-512 */
    bool key_allowed;       /* RSA 2048–8192 bits, or EC P-256, P-384, P-521 on a named curve */
    int64_t not_before;     /* UNIX seconds */
    int64_t not_after;
    char signature[48];     /* Go's names: "SHA256WithRSA", "ECDSAWithSHA256"; else OpenSSL's */
    char key[48];           /* "RSA 2048", "EC prime256v1", … for messages */
    char serial[64];        /* decimal */
    char sha256[65];        /* lower-case hex of the DER's hash */
    char md5[33];           /* the same; a name in an API, of no worth as a proof */
    char subject[2048];     /* comma-separated, last RDN first, RFC 2253 escaping, no blanks after commas */
    char issuer[2048];
};
/* ffi: end */

/* Reads every PEM block of `pem`. Only CERTIFICATE blocks are accepted (text around the blocks is allowed); trailing
 * bytes in the DER, other block types, none or more than MOON_CERTIFICATES_MAX blocks, more than
 * MOON_CERTIFICATES_BYTES are refused with MOON_EREFUSED and a diagnostic that names the block. `list` has room for
 * `room` entries; *count is how many there are. */
int moon_certificates_read(struct moon_certificate *list, size_t room, size_t *count, struct moon_str pem,
                           struct moon_diag *diag);

/* The hostnames that the first certificate of `pem` was made for: its DNS subject alternative names, normalised
 * (base/hostname.h; "*." may stand in front), each with a line feed behind, in the certificate's order and each once.
 * Names that are no hostnames are passed over. Appended to `out`; MOON_EREFUSED with diag when it cannot be read. */
int moon_certificates_hosts(struct moon_buf *out, struct moon_str pem, struct moon_diag *diag);

/* Reads a PEM private key (unencrypted) and compares it with the first certificate of `pem`. 0 match; MOON_EREFUSED
 * with a diagnostic: where = "private_key" when it is unreadable, "match" when it belongs to another. */
int moon_certificates_match_key(struct moon_str pem, struct moon_str private_key, struct moon_diag *diag);

#endif
