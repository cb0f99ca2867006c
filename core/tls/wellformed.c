#include "tls/wellformed.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* Versions count from zero on the wire. */
static int check_version(const X509 *certificate) {
    long version = X509_get_version(certificate);
    if (version < X509_VERSION_1 || version > X509_VERSION_3)
        return X509_V_ERR_CERT_REJECTED;
    if (version < X509_VERSION_3 && X509_get_ext_count(certificate) > 0)
        return X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3;
    return X509_V_OK;
}

static bool stands_again(const X509 *certificate, X509_EXTENSION *extension, int index) {
    return X509_get_ext_by_OBJ(certificate, X509_EXTENSION_get_object(extension), index) >= 0;
}

/* One element of definite length that fills the value: what comes behind it, OpenSSL would not look at. */
static bool is_one_element(const ASN1_OCTET_STRING *value) {
    const unsigned char *start = ASN1_STRING_get0_data(value), *at = start;
    long len = 0, all = ASN1_STRING_length(value);
    int tag = 0, class = 0;
    int kind = ASN1_get_object(&at, &len, &tag, &class, all);
    return !(kind & 0x81) && at - start + len == all; /* 0x80: unreadable; 0x01: of indefinite length */
}

int moon_wellformed_check(const X509 *certificate) {
    int error = check_version(certificate);
    for (int i = 0; !error && i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        if (stands_again(certificate, extension, i) ||
            (X509V3_EXT_get(extension) && !is_one_element(X509_EXTENSION_get_data(extension))))
            error = X509_V_ERR_INVALID_EXTENSION;
    }
    return error;
}
