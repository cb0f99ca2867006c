/* A revocation list, as it stands (refused, or not a list) and with its issuer and signature made right: then
 * every serial number in it is revoked, and nothing else is found wrong twice. */
#include "fuzz_ca.h"
#include "tls/crl.h"

static void check_list(X509_CRL *list, struct moon_str bytes, const struct fuzz_ca *ca) {
    struct moon_crl *crl = NULL;
    struct moon_diag diag = {0};
    int rc = moon_crl_new(&crl, bytes, ca->pem, &diag);
    FUZZ_CHECK(rc == 0 ? crl != NULL : !crl && diag.text[0] && diag.where[0]);
    if (rc == 0) {
        STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
        int count = sk_X509_REVOKED_num(entries) > 0 ? sk_X509_REVOKED_num(entries) : 0;
        FUZZ_CHECK(moon_crl_count(crl) <= (size_t)count && (moon_crl_count(crl) > 0) == (count > 0));
        FUZZ_CHECK(moon_crl_is_of(crl, ca->certificate));
        for (int i = 0; i < count; i++)
            FUZZ_CHECK(moon_crl_names(crl, X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
    moon_crl_unref(&crl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct fuzz_ca *ca = fuzz_ca();
    struct moon_crl *crl = NULL;
    struct moon_str bytes = fuzz_copy(moon_str((const char *)data, size));
    FUZZ_CHECK(moon_crl_new(&crl, bytes, ca->pem, NULL) != 0 && !crl);
    free((void *)bytes.data);
    const unsigned char *at = data;
    X509_CRL *list = d2i_X509_CRL(NULL, &at, (long)size);
    unsigned char *der = NULL;
    if (list && X509_CRL_set_issuer_name(list, X509_get_subject_name(ca->certificate)) &&
        X509_CRL_sign(list, ca->key, EVP_sha256())) {
        int len = i2d_X509_CRL(list, &der);
        if (len > 0)
            check_list(list, moon_str((const char *)der, (size_t)len), ca);
    }
    OPENSSL_free(der);
    X509_CRL_free(list);
    moon_crypto_forget_errors();
    return 0;
}
