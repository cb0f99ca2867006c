/* spec/fuzz/fuzz_ca.h — a CA for the fuzz targets of the TLS floor, made once per process. */
#ifndef MOON_FUZZ_CA_H
#define MOON_FUZZ_CA_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fuzz.h"
#include "tls/crypto.h"

struct fuzz_ca {
    EVP_PKEY *key;
    X509 *certificate;
    struct moon_str pem;
};

static inline void fuzz_ca_extend(X509 *certificate, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    FUZZ_CHECK(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

/* Never freed. */
static inline const struct fuzz_ca *fuzz_ca(void) {
    static struct fuzz_ca ca;
    if (ca.key)
        return &ca;
    moon_crypto_init();
    ca.key = EVP_EC_gen("P-256");
    ca.certificate = X509_new();
    FUZZ_CHECK(ca.key && ca.certificate && X509_set_version(ca.certificate, 2));
    FUZZ_CHECK(X509_set_pubkey(ca.certificate, ca.key));
    X509_NAME *name = X509_get_subject_name(ca.certificate);
    FUZZ_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Fuzz", -1, -1, 0));
    FUZZ_CHECK(X509_set_issuer_name(ca.certificate, name));
    ASN1_INTEGER_set(X509_get_serialNumber(ca.certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(ca.certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(ca.certificate), 86400 * 365);
    fuzz_ca_extend(ca.certificate, NID_basic_constraints, "critical,CA:TRUE");
    fuzz_ca_extend(ca.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    FUZZ_CHECK(X509_sign(ca.certificate, ca.key, EVP_sha256()));
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    FUZZ_CHECK(bio && PEM_write_bio_X509(bio, ca.certificate));
    long len = BIO_get_mem_data(bio, &text);
    ca.pem = fuzz_copy(moon_str(text, (size_t)len));
    BIO_free(bio);
    return &ca;
}

#endif
