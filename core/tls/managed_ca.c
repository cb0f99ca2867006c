#include "tls/managed_ca.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/issue.h"
#include "tls/pem.h"
#include "tls/public_key.h"

#define DAY 86400
#define BACKDATE 3600       /* of the CA itself: nobody's clock is that far behind ours */
#define SUBJECT_BYTES 4096  /* of a subject's DER */
#define COMMON_NAME_MAX 64  /* RFC 5280 appendix A */

/* ---- the CA ---- */

static X509 *make_root(const char *name, EVP_PKEY *key, int64_t now) {
    X509 *root = X509_new();
    if (root && X509_set_version(root, X509_VERSION_3) && moon_issue_serial(root) &&
        moon_issue_validity(root, now - BACKDATE, now - BACKDATE + (int64_t)MOON_MANAGED_CA_DAYS * DAY) &&
        moon_issue_common_name(X509_get_subject_name(root), name) &&
        X509_set_issuer_name(root, X509_get_subject_name(root)) && X509_set_pubkey(root, key) &&
        moon_issue_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        moon_issue_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        moon_issue_extension(root, root, NID_subject_key_identifier, "hash") && X509_sign(root, key, EVP_sha256()))
        return root;
    X509_free(root);
    return NULL;
}

int moon_managed_ca_make(struct moon_str name, int64_t now, struct moon_buf *certificate, struct moon_buf *private_key,
                         struct moon_diag *diag) {
    if (!name.len || name.len > COMMON_NAME_MAX || memchr(name.data, 0, name.len)) {
        moon_diag_set(diag, "name", "a CA's name has 1 to %d bytes", COMMON_NAME_MAX);
        return MOON_EREFUSED;
    }
    char *text = moon_strdup(name);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *root = key ? make_root(text, key, now) : NULL;
    int rc = root ? moon_issue_write_certificate(certificate, root) : MOON_ENOMEM;
    if (!rc)
        rc = moon_issue_write_key(private_key, key);
    if (rc)
        moon_diag_set(diag, "ca", "the CA cannot be made: %s", moon_crypto_error());
    moon_crypto_forget_errors();
    X509_free(root);
    EVP_PKEY_free(key);
    free(text);
    return rc;
}

/* ---- requests ---- */

static unsigned count_blocks(struct moon_str text) {
    static const char begin[] = "-----BEGIN ";
    unsigned count = 0;
    const char *found;
    while (text.len && (found = memmem(text.data, text.len, begin, sizeof begin - 1))) {
        size_t taken = (size_t)(found - text.data) + sizeof begin - 1;
        text = moon_str(text.data + taken, text.len - taken);
        count++;
    }
    return count;
}

/* The one block of `text` as DER, which the caller frees with OPENSSL_free; else the reason. */
static const char *read_block(unsigned char **der, long *len, struct moon_str text) {
    char *name = NULL, *header = NULL;
    const char *reason = NULL;
    if (text.len > MOON_CSR_BYTES)
        return "the text is too long";
    if (count_blocks(text) != 1)
        return "exactly one PEM block is expected";
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    moon_assert(bio);
    if (!PEM_read_bio(bio, &name, &header, der, len))
        reason = "the PEM block cannot be read";
    else if (strcmp(name, PEM_STRING_X509_REQ) != 0 && strcmp(name, PEM_STRING_X509_REQ_OLD) != 0)
        reason = "the PEM block is not a CERTIFICATE REQUEST";
    else if (header[0])
        reason = "the PEM block is encrypted";
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    return reason;
}

/* Everything about a request that can be wrong before its signature is computed. */
static const char *look_at(X509_REQ *request, const unsigned char *rest, char key[MOON_PUBLIC_KEY_NAME]) {
    if (!request)
        return "the bytes are not a certificate request (PKCS #10)";
    if (rest)
        return "there are bytes after the request inside the block";
    if (i2d_X509_NAME(X509_REQ_get_subject_name(request), NULL) > SUBJECT_BYTES)
        return "the subject is too long";
    if (!X509_REQ_get0_pubkey(request))
        return "the public key cannot be read";
    if (!moon_public_key_describe(key, X509_REQ_get_X509_PUBKEY(request)))
        return "the key is neither RSA from 2048 to 8192 bits nor EC on P-256, P-384 or P-521";
    return NULL;
}

static int read_request(X509_REQ **out, struct moon_str text, struct moon_diag *diag) {
    unsigned char *der = NULL;
    char key[MOON_PUBLIC_KEY_NAME];
    long len = 0;
    const char *reason = read_block(&der, &len, text);
    *out = NULL;
    if (!reason) {
        const unsigned char *at = der;
        *out = d2i_X509_REQ(NULL, &at, len);
        reason = look_at(*out, at == der + len ? NULL : at, key);
        if (!reason && X509_REQ_verify(*out, X509_REQ_get0_pubkey(*out)) != 1)
            reason = "its signature does not verify: whoever made it does not hold the key";
    }
    OPENSSL_free(der);
    moon_crypto_forget_errors();
    if (!reason)
        return 0;
    X509_REQ_free(*out);
    *out = NULL;
    moon_diag_set(diag, "csr", "%s", reason);
    return MOON_EREFUSED;
}

/* ---- the subject in words ---- */

/* The last value of one attribute. False when it is no text, too long, or has control characters. */
static bool write_part(char room[256], const X509_NAME *subject, int nid) {
    int last = -1;
    room[0] = 0;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0;)
        last = at;
    if (last < 0)
        return true;
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    bool fine = len >= 0 && len < 256;
    for (int i = 0; fine && i < len; i++)
        fine = utf8[i] >= ' ' && utf8[i] != 0x7f;
    if (fine) {
        memcpy(room, utf8, (size_t)len);
        room[len] = 0;
    }
    OPENSSL_free(utf8);
    return fine;
}

static bool write_subject(struct moon_issued *issued, const X509_NAME *subject) {
    return write_part(issued->common_name, subject, NID_commonName) &&
           write_part(issued->country, subject, NID_countryName) &&
           write_part(issued->state, subject, NID_stateOrProvinceName) &&
           write_part(issued->location, subject, NID_localityName) &&
           write_part(issued->organization, subject, NID_organizationName) &&
           write_part(issued->organizational_unit, subject, NID_organizationalUnitName);
}

static void write_hex(char room[48], const ASN1_STRING *value) {
    size_t len = value ? (size_t)ASN1_STRING_length(value) : 0;
    moon_assert(len <= 20);
    moon_hex_write(room, len ? ASN1_STRING_get0_data(value) : (const unsigned char *)"", len, false);
}

/* ---- signing ---- */

struct signer {
    X509 *certificate;
    EVP_PKEY *key;
};

static int read_signer(struct signer *signer, struct moon_str certificate, struct moon_str key, int64_t until,
                       struct moon_diag *diag) {
    STACK_OF(X509) *found = NULL;
    int64_t not_after;
    int rc = moon_pem_read_certificates(&found, certificate, "ca", diag);
    if (rc)
        return rc;
    signer->certificate = sk_X509_shift(found);
    sk_X509_pop_free(found, X509_free);
    if ((rc = moon_pem_read_key(&signer->key, key, "ca", diag)) != 0)
        return rc;
    const char *reason = NULL;
    if (X509_check_ca(signer->certificate) != 1 || X509_check_private_key(signer->certificate, signer->key) != 1)
        reason = "certificate and key are not those of one CA";
    else if (!moon_crypto_seconds(X509_get0_notAfter(signer->certificate), &not_after) || until > not_after)
        reason = "the CA expires before the certificate would";
    moon_crypto_forget_errors();
    if (!reason)
        return 0;
    moon_diag_set(diag, "ca", "%s", reason);
    return MOON_EREFUSED;
}

static X509 *sign(const struct signer *signer, X509_REQ *request, int64_t from, int64_t until) {
    X509 *issuer = signer->certificate, *leaf = X509_new();
    if (leaf && X509_set_version(leaf, X509_VERSION_3) && moon_issue_serial(leaf) &&
        moon_issue_validity(leaf, from, until) && X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) &&
        X509_set_subject_name(leaf, X509_REQ_get_subject_name(request)) &&
        X509_set_pubkey(leaf, X509_REQ_get0_pubkey(request)) &&
        moon_issue_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
        moon_issue_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") &&
        moon_issue_extension(leaf, issuer, NID_ext_key_usage, "clientAuth") &&
        moon_issue_extension(leaf, issuer, NID_subject_key_identifier, "hash") &&
        moon_issue_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always") &&
        X509_sign(leaf, signer->key, EVP_sha256()))
        return leaf;
    X509_free(leaf);
    return NULL;
}

int moon_managed_ca_issue(struct moon_str ca_certificate, struct moon_str ca_key, struct moon_str csr, unsigned days,
                          int64_t now, struct moon_buf *certificate, struct moon_issued *issued,
                          struct moon_diag *diag) {
    struct signer signer = {NULL, NULL};
    X509_REQ *request = NULL;
    X509 *leaf = NULL;
    int64_t until = now + (int64_t)days * DAY;
    if (days < 1 || days > MOON_MANAGED_LEAF_DAYS) {
        moon_diag_set(diag, "days", "a certificate is valid for 1 to %d days", MOON_MANAGED_LEAF_DAYS);
        return MOON_EREFUSED;
    }
    *issued = (struct moon_issued){.serial = ""};
    int rc = read_request(&request, csr, diag);
    if (!rc && !write_subject(issued, X509_REQ_get_subject_name(request))) {
        moon_diag_set(diag, "csr", "a part of the subject is no text, is too long, or has control characters");
        rc = MOON_EREFUSED;
    }
    if (!rc)
        rc = read_signer(&signer, ca_certificate, ca_key, until, diag);
    if (!rc && X509_NAME_cmp(X509_REQ_get_subject_name(request), X509_get_subject_name(signer.certificate)) == 0) {
        moon_diag_set(diag, "csr", "the subject is the CA's own");
        rc = MOON_EREFUSED;
    }
    if (!rc) {
        leaf = sign(&signer, request, now, until);
        rc = leaf ? moon_issue_write_certificate(certificate, leaf) : MOON_ENOMEM;
        if (rc)
            moon_diag_set(diag, "ca", "the certificate cannot be signed: %s", moon_crypto_error());
    }
    if (!rc) {
        write_hex(issued->serial, X509_get0_serialNumber(leaf));
        write_hex(issued->ski, X509_get0_subject_key_id(leaf));
    }
    moon_crypto_forget_errors();
    X509_free(leaf);
    X509_REQ_free(request);
    X509_free(signer.certificate);
    EVP_PKEY_free(signer.key);
    return rc;
}
