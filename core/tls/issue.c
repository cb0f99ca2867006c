#include "tls/issue.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "tls/crypto.h"

bool moon_issue_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

bool moon_issue_serial(X509 *certificate) {
    unsigned char bytes[16];
    moon_random(bytes, sizeof bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and always of the same length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

bool moon_issue_validity(X509 *certificate, int64_t from, int64_t until) {
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until);
}

bool moon_issue_common_name(X509_NAME *name, const char *text) {
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1;
}

bool moon_issue_sign(X509 **certificate, EVP_PKEY *key) {
    X509 *read = X509_sign(*certificate, key, EVP_sha256()) ? X509_dup(*certificate) : NULL;
    if (!read)
        return false;
    X509_free(*certificate);
    *certificate = read;
    return true;
}

static int write_pem(struct moon_buf *out, X509 *certificate, EVP_PKEY *key) {
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    moon_assert(bio);
    int written = certificate ? PEM_write_bio_X509(bio, certificate)
                              : PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(bio, &text);
    int rc = written == 1 ? moon_buf_append(out, text, (size_t)len) : MOON_ENOMEM;
    if (len > 0)
        moon_wipe(text, (size_t)len);
    BIO_free(bio);
    return rc;
}

int moon_issue_write_certificate(struct moon_buf *out, X509 *certificate) {
    return write_pem(out, certificate, NULL);
}

int moon_issue_write_key(struct moon_buf *out, EVP_PKEY *key) {
    return write_pem(out, NULL, key);
}
