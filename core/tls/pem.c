/* tls/pem.c — own block scanner, because OpenSSL's reader passes over what it does not know: a private key pasted
 * between two certificates, or half a block, must be an answer to the administrator and not a silently shorter list. */
#include "tls/pem.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tls/certificate.h"
#include "tls/crypto.h"

#define BEGIN MOON_STR("-----BEGIN ")
#define END MOON_STR("-----END ")
#define DASHES MOON_STR("-----")

/* Takes the next line without its line end. */
static bool next_line(struct moon_str *text, struct moon_str *line) {
    if (!text->len)
        return false;
    const char *lf = memchr(text->data, '\n', text->len);
    size_t taken = lf ? (size_t)(lf - text->data) + 1 : text->len;
    *line = moon_str(text->data, lf ? taken - 1 : taken);
    text->data += taken;
    text->len -= taken;
    while (line->len && (line->data[line->len - 1] == '\r' || line->data[line->len - 1] == ' ' ||
                         line->data[line->len - 1] == '\t'))
        line->len--;
    return true;
}

/* "-----BEGIN X-----" → X; false when the line is something else. */
static bool boundary(struct moon_str line, struct moon_str opening, struct moon_str *label) {
    if (!moon_str_starts_with(line, opening) || !moon_str_ends_with(line, DASHES) ||
        line.len < opening.len + DASHES.len)
        return false;
    *label = moon_str(line.data + opening.len, line.len - opening.len - DASHES.len);
    return true;
}

/* Labels come from strangers: only what RFC 7468 allows in one is repeated. */
static void printable_label(char out[40], struct moon_str label) {
    size_t len = label.len < 39 ? label.len : 39;
    for (size_t i = 0; i < len; i++) {
        char c = label.data[i];
        out[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    out[len] = 0;
}

static bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || moon_is_digit(c) || c == '+' || c == '/';
}

/* Gathers the base64 of one block up to its END line. Returns the reason of a refusal, or NULL. */
static const char *gather_block(struct moon_str *text, char *base64, size_t *length) {
    struct moon_str line, label;
    size_t len = 0, padding = 0;
    for (;;) {
        if (!next_line(text, &line))
            return "the END line is missing";
        if (boundary(line, END, &label)) {
            if (!moon_str_equal(label, MOON_STR("CERTIFICATE")))
                return "BEGIN and END do not match";
            break;
        }
        for (size_t i = 0; i < line.len; i++) {
            char c = line.data[i];
            if (c == ' ' || c == '\t')
                continue;
            if (c == '=')
                padding++;
            else if (!is_base64(c) || padding)
                return "the text between BEGIN and END is not base64";
            base64[len++] = c;
        }
    }
    if (!len || len % 4 || padding > 2)
        return "the base64 text is incomplete";
    *length = len;
    return NULL;
}

/* One block's DER; NULL and *reason when it is not exactly one certificate. `base64` is overwritten. */
static X509 *decode_block(char *base64, size_t len, const char **reason) {
    size_t padding = (size_t)(base64[len - 1] == '=') + (size_t)(base64[len - 2] == '=');
    unsigned char *der = moon_alloc(len / 4 * 3 + 1);
    X509 *certificate = NULL;
    int decoded = EVP_DecodeBlock(der, (const unsigned char *)base64, (int)len);
    if (decoded <= (int)padding) {
        *reason = "the base64 text cannot be decoded";
        goto out;
    }
    const unsigned char *at = der;
    long size = decoded - (long)padding;
    certificate = d2i_X509(NULL, &at, size);
    if (!certificate) {
        *reason = "the bytes are not an X.509 certificate";
    } else if (at != der + size) {
        *reason = "there are bytes after the certificate inside the block";
    } else if (X509_get_extension_flags(certificate) & EXFLAG_INVALID) {
        *reason = "the certificate has a malformed extension";
    } else if (!X509_get0_pubkey(certificate)) {
        *reason = "the certificate's public key cannot be read";
    } else {
        goto out;
    }
    X509_free(certificate);
    certificate = NULL;
out:
    free(der);
    moon_crypto_forget_errors();
    return certificate;
}

int moon_pem_read_certificates(STACK_OF(X509) **out, struct moon_str pem, const char *where, struct moon_diag *diag) {
    STACK_OF(X509) *stack = NULL;
    char *base64 = NULL;
    struct moon_str line, label;
    char shown[40];
    int number = 0;
    *out = NULL;
    if (pem.len > MOON_CERTIFICATES_BYTES) {
        moon_diag_set(diag, where, "the text is longer than %d bytes", MOON_CERTIFICATES_BYTES);
        return MOON_EREFUSED;
    }
    stack = sk_X509_new_null();
    base64 = moon_alloc(pem.len + 1);
    if (!stack) {
        free(base64);
        return MOON_ENOMEM;
    }
    while (next_line(&pem, &line)) {
        const char *reason = NULL;
        size_t length = 0;
        if (boundary(line, END, &label)) {
            moon_diag_set(diag, where, "after block %d there is an END line without its BEGIN line", number);
            goto refused;
        }
        if (!boundary(line, BEGIN, &label))
            continue; /* comments between blocks are allowed (RFC 7468 section 2) */
        number++;
        if (!moon_str_equal(label, MOON_STR("CERTIFICATE"))) {
            printable_label(shown, label);
            moon_diag_set(diag, where, "block %d is a %s, only CERTIFICATE blocks are accepted", number, shown);
            goto refused;
        }
        if (number > MOON_CERTIFICATES_MAX) {
            moon_diag_set(diag, where, "there are more than %d certificates", MOON_CERTIFICATES_MAX);
            goto refused;
        }
        X509 *certificate = NULL;
        reason = gather_block(&pem, base64, &length);
        if (!reason)
            certificate = decode_block(base64, length, &reason);
        if (!certificate) {
            moon_diag_set(diag, where, "block %d: %s", number, reason);
            goto refused;
        }
        if (!sk_X509_push(stack, certificate)) {
            X509_free(certificate);
            goto refused;
        }
    }
    if (!number) {
        moon_diag_set(diag, where, "there is no CERTIFICATE block");
        goto refused;
    }
    free(base64);
    *out = stack;
    return 0;
refused:
    free(base64);
    sk_X509_pop_free(stack, X509_free);
    return MOON_EREFUSED;
}

/* In place of OpenSSL's default, which would prompt on the terminal. */
static int no_passphrase(char *room, int size, int writing, void *data) {
    return -1;
}

int moon_pem_read_key(EVP_PKEY **out, struct moon_str pem, const char *where, struct moon_diag *diag) {
    *out = NULL;
    if (pem.len > MOON_CERTIFICATES_BYTES) {
        moon_diag_set(diag, where, "the text is longer than %d bytes", MOON_CERTIFICATES_BYTES);
        return MOON_EREFUSED;
    }
    BIO *bio = BIO_new_mem_buf(pem.data ? pem.data : "", (int)pem.len);
    if (!bio)
        return MOON_ENOMEM;
    *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    moon_crypto_forget_errors();
    if (*out)
        return 0;
    bool encrypted = pem.len && (memmem(pem.data, pem.len, "BEGIN ENCRYPTED", 15) ||
                                 memmem(pem.data, pem.len, "Proc-Type", 9));
    moon_diag_set(diag, where, encrypted ? "the private key is encrypted; an unencrypted one is needed"
                                         : "the text holds no readable PEM private key");
    return MOON_EREFUSED;
}
