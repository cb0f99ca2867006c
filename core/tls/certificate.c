/* tls/certificate.c — describes certificates in the words of Cloudflare's API (Go's names for algorithms and
 * attributes). */
#include "tls/certificate.h"

#include <openssl/bn.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/hostname.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/pem.h"
#include "tls/public_key.h"

static const struct {
    int nid;
    bool allowed; /* in the list of the API; the others only have a name */
    const char *name;
} signatures[] = {
    {NID_sha1WithRSAEncryption, true, "SHA1WithRSA"},     {NID_sha1WithRSA, true, "SHA1WithRSA"},
    {NID_sha256WithRSAEncryption, true, "SHA256WithRSA"}, {NID_sha384WithRSAEncryption, true, "SHA384WithRSA"},
    {NID_sha512WithRSAEncryption, true, "SHA512WithRSA"}, {NID_ecdsa_with_SHA1, true, "ECDSAWithSHA1"},
    {NID_ecdsa_with_SHA256, true, "ECDSAWithSHA256"},     {NID_ecdsa_with_SHA384, true, "ECDSAWithSHA384"},
    {NID_ecdsa_with_SHA512, true, "ECDSAWithSHA512"},     {NID_md5WithRSAEncryption, false, "MD5WithRSA"},
    {NID_md2WithRSAEncryption, false, "MD2WithRSA"},      {NID_rsassaPss, false, "RSAPSS"},
    {NID_ED25519, false, "PureEd25519"},
};

/* Go's pkix.AttributeTypeAndValue names; every other type is shown by its number. */
static const struct {
    int nid;
    const char *name;
} attributes[] = {
    {NID_countryName, "C"},
    {NID_organizationName, "O"},
    {NID_organizationalUnitName, "OU"},
    {NID_commonName, "CN"},
    {NID_serialNumber, "SERIALNUMBER"},
    {NID_localityName, "L"},
    {NID_stateOrProvinceName, "ST"},
    {NID_streetAddress, "STREET"},
    {NID_postalCode, "POSTALCODE"},
};

static void describe_signature(struct moon_certificate *out, const X509 *certificate) {
    int nid = X509_get_signature_nid(certificate);
    for (size_t i = 0; i < MOON_COUNT(signatures); i++) {
        if (signatures[i].nid == nid) {
            out->signature_allowed = signatures[i].allowed;
            snprintf(out->signature, sizeof out->signature, "%s", signatures[i].name);
            return;
        }
    }
    const char *name = OBJ_nid2ln(nid);
    snprintf(out->signature, sizeof out->signature, "%s", name ? name : "unknown");
}

/* RFC 4514 section 2.4; control bytes in hex too, so that no name can forge a line of a log or a header. */
static int append_escaped(struct moon_buf *text, const unsigned char *value, size_t len) {
    int rc = 0;
    for (size_t i = 0; i < len && !rc; i++) {
        unsigned char c = value[i];
        bool edge = (c == ' ' && (i == 0 || i + 1 == len)) || (c == '#' && i == 0);
        if (c < ' ' || c == 0x7f)
            rc = moon_buf_printf(text, "\\%02X", c);
        else if (edge || strchr(",+\"\\<>;", c))
            rc = moon_buf_printf(text, "\\%c", c);
        else
            rc = moon_buf_append(text, &value[i], 1);
    }
    return rc;
}

static int append_der_hex(struct moon_buf *text, const ASN1_STRING *value) {
    ASN1_TYPE type = {.type = ASN1_STRING_type(value), .value = {.asn1_string = (ASN1_STRING *)value}};
    unsigned char *der = NULL;
    int size = i2d_ASN1_TYPE(&type, &der);
    int rc = size < 0 ? MOON_EREFUSED : moon_buf_append(text, "#", 1);
    for (int i = 0; i < size && !rc; i++)
        rc = moon_buf_printf(text, "%02x", der[i]);
    OPENSSL_free(der);
    return rc;
}

static int append_attribute(struct moon_buf *text, const X509_NAME_ENTRY *entry) {
    const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    int nid = OBJ_obj2nid(object);
    for (size_t i = 0; i < MOON_COUNT(attributes); i++) {
        if (attributes[i].nid != nid)
            continue;
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, value);
        int rc = moon_buf_printf(text, "%s=", attributes[i].name);
        if (!rc) /* what is no text in its own encoding is shown as bytes */
            rc = len < 0 ? append_der_hex(text, value) : append_escaped(text, utf8, (size_t)len);
        OPENSSL_free(utf8);
        return rc;
    }
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, object, 1);
    int rc = moon_buf_printf(text, "%s=", oid);
    return rc ? rc : append_der_hex(text, value);
}

/* Last RDN first; several attributes of one RDN are joined by "+". False when the text does not fit. */
static bool write_name(char *out, size_t room, const X509_NAME *name) {
    struct moon_buf text;
    int rc = 0, entries = X509_NAME_entry_count(name);
    moon_buf_init(&text, room - 1);
    for (int last = entries - 1; last >= 0 && !rc;) {
        int set = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, last)), first = last;
        while (first > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(name, first - 1)) == set)
            first--;
        for (int i = first; i <= last && !rc; i++) {
            if (i > first)
                rc = moon_buf_append(&text, "+", 1);
            else if (last != entries - 1)
                rc = moon_buf_append(&text, ",", 1);
            if (!rc)
                rc = append_attribute(&text, X509_NAME_get_entry(name, i));
        }
        last = first - 1;
    }
    struct moon_str view = moon_buf_view(&text);
    memcpy(out, view.data, view.len);
    out[view.len] = 0;
    moon_buf_free(&text);
    return rc == 0;
}

static const char *describe(struct moon_certificate *out, X509 *certificate) {
    unsigned char digest[32];
    const char *refused = NULL;
    *out = (struct moon_certificate){0};
    out->is_ca = X509_check_ca(certificate) == 1;
    out->self_issued = X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
    describe_signature(out, certificate);
    out->key_allowed = moon_public_key_describe(out->key, X509_get_X509_PUBKEY(certificate));
    moon_assert(X509_digest(certificate, EVP_sha256(), digest, NULL) == 1);
    moon_hex_write(out->sha256, digest, sizeof digest, false);
    moon_assert(X509_digest(certificate, EVP_md5(), digest, NULL) == 1);
    moon_hex_write(out->md5, digest, 16, false);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *decimal = number ? BN_bn2dec(number) : NULL;
    if (!decimal || ASN1_STRING_length(serial) > 20)
        refused = "the serial number is longer than 20 octets";
    else
        snprintf(out->serial, sizeof out->serial, "%s", decimal);
    OPENSSL_free(decimal);
    BN_free(number);
    if (!moon_crypto_seconds(X509_get0_notBefore(certificate), &out->not_before) ||
        !moon_crypto_seconds(X509_get0_notAfter(certificate), &out->not_after))
        refused = "the validity period cannot be read";
    if (!write_name(out->subject, sizeof out->subject, X509_get_subject_name(certificate)))
        refused = "the subject name is too long";
    if (!write_name(out->issuer, sizeof out->issuer, X509_get_issuer_name(certificate)))
        refused = "the issuer name is too long";
    return refused;
}

int moon_certificates_read(struct moon_certificate *list, size_t room, size_t *count, struct moon_str pem,
                           struct moon_diag *diag) {
    STACK_OF(X509) *stack = NULL;
    *count = 0;
    int rc = moon_pem_read_certificates(&stack, pem, "certificates", diag);
    if (rc)
        return rc;
    size_t found = (size_t)sk_X509_num(stack);
    for (size_t i = 0; i < found && !rc; i++) {
        struct moon_certificate beyond; /* those without room are still read, so that they are still refused */
        const char *refused = describe(i < room ? &list[i] : &beyond, sk_X509_value(stack, (int)i));
        if (refused) {
            moon_diag_set(diag, "certificates", "block %zu: %s", i + 1, refused);
            rc = MOON_EREFUSED;
        }
    }
    if (!rc)
        *count = found;
    sk_X509_pop_free(stack, X509_free);
    moon_crypto_forget_errors();
    return rc;
}

/* A DNS name of a certificate in the form that hosts have; the length, or 0 when it is no such name. */
static size_t host_of(char out[MOON_HOSTNAME_MAX + 3], const ASN1_IA5STRING *value) {
    struct moon_str name = moon_str((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    size_t prefix = moon_str_starts_with(name, MOON_STR("*.")) ? 2 : 0;
    memcpy(out, "*.", 2);
    int len = moon_hostname_normalise(out + prefix, moon_str(name.data + prefix, name.len - prefix), false);
    return len > 0 ? prefix + (size_t)len : 0;
}

/* Is this line among those from `start` on? */
static bool has_line(const struct moon_buf *lines, size_t start, struct moon_str line) {
    struct moon_str rest = moon_buf_view(lines);
    rest = moon_str(rest.data + start, rest.len - start);
    while (rest.len) {
        size_t len = (size_t)((const char *)memchr(rest.data, '\n', rest.len) - rest.data) + 1;
        if (moon_str_equal(moon_str(rest.data, len), line))
            return true;
        rest = moon_str(rest.data + len, rest.len - len);
    }
    return false;
}

int moon_certificates_hosts(struct moon_buf *out, struct moon_str pem, struct moon_diag *diag) {
    STACK_OF(X509) *stack = NULL;
    size_t start = out->len;
    int rc = moon_pem_read_certificates(&stack, pem, "certificates", diag);
    if (rc)
        return rc;
    GENERAL_NAMES *names = X509_get_ext_d2i(sk_X509_value(stack, 0), NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !rc; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char host[MOON_HOSTNAME_MAX + 4];
        size_t len = name->type == GEN_DNS ? host_of(host, name->d.dNSName) : 0;
        host[len] = '\n';
        if (len && !has_line(out, start, moon_str(host, len + 1)))
            rc = moon_buf_append(out, host, len + 1);
    }
    if (rc)
        moon_diag_set(diag, "certificates", "the first certificate has too many names");
    GENERAL_NAMES_free(names);
    sk_X509_pop_free(stack, X509_free);
    moon_crypto_forget_errors();
    return rc;
}

int moon_certificates_match_key(struct moon_str pem, struct moon_str private_key, struct moon_diag *diag) {
    STACK_OF(X509) *stack = NULL;
    EVP_PKEY *key = NULL;
    int rc = moon_pem_read_certificates(&stack, pem, "certificates", diag);
    if (!rc)
        rc = moon_pem_read_key(&key, private_key, "private_key", diag);
    if (!rc && X509_check_private_key(sk_X509_value(stack, 0), key) != 1) {
        moon_diag_set(diag, "match", "the private key does not belong to the first certificate");
        rc = MOON_EREFUSED;
    }
    EVP_PKEY_free(key);
    sk_X509_pop_free(stack, X509_free);
    moon_crypto_forget_errors();
    return rc;
}
