#include "tls/specimen.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "tls/crypto.h"
#include "tls/issue.h"
#include "tls/pem.h"

#define TEXT_MAX 128

struct issuer {
    X509 *certificate; /* counted; NULL: the specimen itself */
    EVP_PKEY *key;     /* counted */
};

static int read_issuer(struct issuer *issuer, const struct moon_specimen *specimen, struct moon_diag *diag) {
    STACK_OF(X509) *chain = NULL;
    if (!specimen->issuer.len)
        return 0;
    int rc = moon_pem_read_certificates(&chain, specimen->issuer, "issuer", diag);
    if (rc == 0)
        rc = moon_pem_read_key(&issuer->key, specimen->issuer_key, "issuer_key", diag);
    if (rc == 0)
        issuer->certificate = sk_X509_shift(chain);
    sk_X509_pop_free(chain, X509_free);
    return rc;
}

static bool add_text_extension(X509 *certificate, X509 *issuer, int nid, struct moon_str value) {
    char text[TEXT_MAX];
    if (value.len >= sizeof text)
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    return moon_issue_extension(certificate, issuer, nid, text);
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct issuer *issuer, const struct moon_specimen *specimen) {
    X509 *above = issuer->certificate ? issuer->certificate : certificate;
    struct moon_str identifier = specimen->identifier.len ? specimen->identifier : MOON_STR("hash");
    char name[TEXT_MAX];
    if (specimen->common_name.len >= sizeof name)
        return false;
    memcpy(name, specimen->common_name.data, specimen->common_name.len);
    name[specimen->common_name.len] = 0;
    return X509_set_version(certificate, X509_VERSION_3) && X509_set_pubkey(certificate, key) &&
           moon_issue_serial(certificate) &&
           moon_issue_validity(certificate, specimen->not_before, specimen->not_after) &&
           moon_issue_common_name(X509_get_subject_name(certificate), name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(above)) &&
           moon_issue_extension(certificate, above, NID_basic_constraints,
                                specimen->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
           moon_issue_extension(certificate, above, NID_key_usage,
                                specimen->is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           (!specimen->usage.len || add_text_extension(certificate, above, NID_ext_key_usage, specimen->usage)) &&
           add_text_extension(certificate, above, NID_subject_key_identifier, identifier) &&
           moon_issue_extension(certificate, above, NID_authority_key_identifier, "keyid:always");
}

int moon_specimen_make(struct moon_buf *certificate, struct moon_buf *key, const struct moon_specimen *specimen,
                       struct moon_diag *diag) {
    struct issuer issuer = {NULL, NULL};
    int rc = read_issuer(&issuer, specimen, diag);
    if (rc == 0) {
        EVP_PKEY *own = EVP_EC_gen("P-256");
        X509 *made = X509_new();
        bool signed_well =
            own && made && fill(made, own, &issuer, specimen) &&
            X509_sign(made, issuer.key ? issuer.key : own, specimen->with_sha1 ? EVP_sha1() : EVP_sha256());
        if (!signed_well) {
            moon_diag_set(diag, "specimen", "%s", moon_crypto_error());
            rc = MOON_EREFUSED;
        }
        if (rc == 0)
            rc = moon_issue_write_certificate(certificate, made);
        if (rc == 0)
            rc = moon_issue_write_key(key, own);
        X509_free(made);
        EVP_PKEY_free(own);
    }
    moon_crypto_forget_errors();
    X509_free(issuer.certificate);
    EVP_PKEY_free(issuer.key);
    return rc;
}
