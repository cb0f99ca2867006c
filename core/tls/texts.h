/* tls/texts.h — the texts and lists of a presented certificate, as the rules language shows them
 * (cf.tls_client_auth.*, mg.cert.*). Each is written when it is asked for the first time and kept as long as the
 * certificate is: what no rule reads costs nothing. One thread at a time, like the peer that owns it (tls/peer.h is
 * where callers ask).
 *
 * Names are data: whatever a certificate says in them, a text holds printable ASCII only; every other byte is an
 * escape. */
#ifndef MOON_TLS_TEXTS_H
#define MOON_TLS_TEXTS_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/trust.h"

#define MOON_RFC9440_LEAF_BYTES (10 * 1024)  /* of the encoded text; above, the text is empty */
#define MOON_RFC9440_CHAIN_BYTES (16 * 1024)

/* ffi: begin */
enum moon_certificate_text {
    MOON_CERTIFICATE_SUBJECT_DN,         /* RFC 2253 print flags: most specific attribute first, "," without a blank */
    MOON_CERTIFICATE_SUBJECT_DN_LEGACY,  /* slash form, least specific first */
    MOON_CERTIFICATE_ISSUER_DN,
    MOON_CERTIFICATE_ISSUER_DN_LEGACY,
    MOON_CERTIFICATE_SERIAL,             /* upper-case hex, even number of digits, "-" in front of a negative one */
    MOON_CERTIFICATE_ISSUER_SERIAL,      /* of the issuer's certificate: of the validated path, else of the AKI */
    MOON_CERTIFICATE_SKI,                /* upper-case hex */
    MOON_CERTIFICATE_ISSUER_SKI,         /* of the validated path's issuer, else of the AKI; upper-case hex */
    MOON_CERTIFICATE_FINGERPRINT_SHA256, /* lower-case hex, over the DER */
    MOON_CERTIFICATE_FINGERPRINT_SHA1,
    MOON_CERTIFICATE_SPKI_SHA256,        /* lower-case hex, over the DER of SubjectPublicKeyInfo */
    MOON_CERTIFICATE_NOT_BEFORE,         /* "Jan  7 09:30:00 2031 GMT" */
    MOON_CERTIFICATE_NOT_AFTER,
    MOON_CERTIFICATE_RFC9440,            /* ":" base64(DER) ":" */
    MOON_CERTIFICATE_CHAIN_RFC9440,      /* the rest of what was sent, as sent, joined by ", " */
    MOON_CERTIFICATE_TEXT_COUNT
};

enum moon_certificate_list {
    MOON_CERTIFICATE_SAN_DNS,   /* as written in the certificate; bytes beyond printable ASCII, and "\", as "\XX" */
    MOON_CERTIFICATE_SAN_URI,
    MOON_CERTIFICATE_SAN_EMAIL,
    MOON_CERTIFICATE_SAN_IP,    /* 4 or 16 raw bytes each; others are left out */
    MOON_CERTIFICATE_EKU,       /* dotted numbers */
    MOON_CERTIFICATE_LIST_COUNT
};
/* ffi: end */

/* False for a certificate whose names nobody could write down or look through: a subject or issuer beyond 4 KiB, more
 * than 16 KiB or 1024 entries of alternative names, malformed extensions. Such a certificate is
 * never verified (tls/peer.c), so that a text of a verified one is never cut or missing. */
bool moon_texts_possible(X509 *leaf);

struct moon_texts;

/* Borrows `leaf` and `chain` (as sent, the leaf in front or not; may be NULL), which must outlive it. */
struct moon_texts *moon_texts_new(X509 *leaf, const STACK_OF(X509) *chain);
void moon_texts_free(struct moon_texts **texts); /* NULL inside is fine */

/* Fills *out; empty, never NULL, when there is nothing to say. 1 when there is, but more than the limit above,
 * else 0. `serial` and `ski` are the direct issuer's where the path was validated (else NULL). The view is valid
 * as long as `texts`; one of an issuer's values until the same is asked for again. */
int moon_texts_get(struct moon_texts *texts, enum moon_certificate_text which, const struct moon_short_bytes *serial,
                   const struct moon_short_bytes *ski, struct moon_str *out);

/* The entry at `index` from 0; false past the end. The view is valid as long as `texts`. */
bool moon_texts_entry(struct moon_texts *texts, enum moon_certificate_list which, size_t index, struct moon_str *out);

#endif
