#include "tls/crl.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/pem.h"
#include "tls/serials.h"

struct moon_crl {
    atomic_uint refs;
    X509 *issuer;
    size_t issuer_index;
    struct moon_serials serials;
    int64_t this_update, next_update;
    unsigned char digest[32];
};

static int refuse(struct moon_diag *diag, const char *where, const char *text) {
    moon_diag_set(diag, where, "%s", text);
    moon_crypto_forget_errors();
    return MOON_EREFUSED;
}

/* ---- reading ---- */

/* The DER inside one PEM block; the caller frees it (OPENSSL_free). */
static int decode_pem(unsigned char **der, long *len, struct moon_str text, struct moon_diag *diag) {
    char *name = NULL, *header = NULL, *more = NULL, *unused = NULL;
    unsigned char *rest = NULL;
    long rest_len = 0;
    const char *reason = NULL;
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (!bio)
        return MOON_ENOMEM;
    if (!PEM_read_bio(bio, &name, &header, der, len))
        reason = "the text holds no PEM block";
    else if (strcmp(name, PEM_STRING_X509_CRL) != 0 || *header)
        reason = "the PEM block is not an X509 CRL";
    else if (PEM_read_bio(bio, &more, &unused, &rest, &rest_len))
        reason = "there is more than one PEM block";
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(more);
    OPENSSL_free(unused);
    OPENSSL_free(rest);
    BIO_free(bio);
    moon_crypto_forget_errors();
    return reason ? refuse(diag, "crl", reason) : 0;
}

/* The same inside base64 without armour. */
static int decode_base64(unsigned char **der, long *len, struct moon_str text, struct moon_diag *diag) {
    int some = 0, rest = 0;
    EVP_ENCODE_CTX *decoder = EVP_ENCODE_CTX_new();
    *der = OPENSSL_malloc(text.len + 3);
    if (!decoder || !*der) {
        EVP_ENCODE_CTX_free(decoder);
        return MOON_ENOMEM;
    }
    EVP_DecodeInit(decoder);
    bool fine = EVP_DecodeUpdate(decoder, *der, &some, (const unsigned char *)text.data, (int)text.len) >= 0 &&
                EVP_DecodeFinal(decoder, *der + some, &rest) >= 0;
    EVP_ENCODE_CTX_free(decoder);
    *len = some + rest;
    return fine && *len ? 0 : refuse(diag, "crl", "the text holds no PEM block, nor is it base64");
}

/* A restricted list says nothing about the rest (RFC 5280 section 5.2.5); only where it can be fetched is of no
 * concern. */
static bool is_whole(const X509_CRL *list) {
    ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, NULL, NULL);
    bool whole = point && point->onlyuser <= 0 && point->onlyCA <= 0 && point->onlyattr <= 0 &&
                 point->indirectCRL <= 0 && !point->onlysomereasons;
    ISSUING_DIST_POINT_free(point);
    return whole;
}

static const char *check_extensions(const X509_CRL *list) {
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(list, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (nid == NID_delta_crl)
            return "it is a delta list; the full one is needed";
        if (nid == NID_issuing_distribution_point && !is_whole(list))
            return "it covers only a part of what its issuer has issued";
        if (X509_EXTENSION_get_critical(extension) && nid != NID_issuing_distribution_point)
            return "it has a critical extension that is not known";
    }
    return NULL;
}

static const char *read_entries(struct moon_crl *crl, X509_CRL *list) {
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);
        const ASN1_INTEGER *serial = X509_REVOKED_get0_serialNumber(entry);
        for (int k = 0; k < X509_REVOKED_get_ext_count(entry); k++)
            if (X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, k)))
                return "an entry has a critical extension";
        if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ||
            !moon_serials_add(&crl->serials, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)))
            return "an entry has a serial number that no certificate can have";
    }
    moon_serials_seal(&crl->serials);
    return NULL;
}

static bool is_weak(const X509_CRL *list) {
    int digest = NID_undef;
    OBJ_find_sigid_algs(X509_CRL_get_signature_nid(list), &digest, NULL);
    return digest == NID_sha1 || digest == NID_md5 || digest == NID_md4 || digest == NID_md2 || digest == NID_md5_sha1;
}

/* Finds the CA whose list it is: the name may be that of several, the signature is that of one. */
static int find_issuer(struct moon_crl *crl, X509_CRL *list, const STACK_OF(X509) *candidates, struct moon_diag *diag) {
    const char *where = "crl", *reason = "it was issued under another name than that of the CA";
    if (is_weak(list))
        return refuse(diag, where, "its signature uses a weak digest (SHA-256 or better is needed)");
    for (int i = 0; i < sk_X509_num(candidates); i++) {
        X509 *candidate = sk_X509_value(candidates, i);
        if (X509_NAME_cmp(X509_get_subject_name(candidate), X509_CRL_get_issuer(list)) != 0)
            continue;
        EVP_PKEY *key = X509_get0_pubkey(candidate);
        if (!(X509_get_key_usage(candidate) & KU_CRL_SIGN)) { /* all bits are set where there is no key usage */
            where = "issuer";
            reason = "the CA's key usage does not allow signing revocation lists";
        } else if (key && X509_CRL_verify(list, key) == 1) {
            moon_assert(X509_up_ref(candidate));
            crl->issuer = candidate;
            crl->issuer_index = (size_t)i;
            return 0;
        } else {
            where = "crl";
            reason = "its signature is not the CA's";
        }
    }
    return refuse(diag, where, reason);
}

static const char *read_times(struct moon_crl *crl, const X509_CRL *list) {
    crl->next_update = INT64_MAX;
    if (!moon_crypto_seconds(X509_CRL_get0_lastUpdate(list), &crl->this_update) ||
        (X509_CRL_get0_nextUpdate(list) && !moon_crypto_seconds(X509_CRL_get0_nextUpdate(list), &crl->next_update)))
        return "one of its dates is not in the calendar";
    return NULL;
}

static int read_candidates(STACK_OF(X509) **candidates, struct moon_str pem, struct moon_diag *diag) {
    int rc = moon_pem_read_certificates(candidates, pem, "issuer", diag);
    for (int i = 0; !rc && i < sk_X509_num(*candidates); i++)
        if (X509_check_ca(sk_X509_value(*candidates, i)) != 1)
            rc = refuse(diag, "issuer", "the certificate is not a CA's");
    return rc;
}

static int read_list(struct moon_crl *crl, const unsigned char *der, long len, const STACK_OF(X509) *candidates,
                     struct moon_diag *diag) {
    const unsigned char *at = der;
    const char *reason = NULL;
    int rc = 0;
    if (len > MOON_CRL_BYTES)
        return refuse(diag, "crl", "it is larger than 10 MiB");
    X509_CRL *list = d2i_X509_CRL(NULL, &at, len);
    if (!list || at != der + len)
        reason = "the bytes are not a revocation list";
    if (!reason)
        reason = check_extensions(list);
    if (!reason)
        rc = find_issuer(crl, list, candidates, diag);
    if (!reason && !rc)
        reason = read_times(crl, list);
    if (!reason && !rc)
        reason = read_entries(crl, list);
    X509_CRL_free(list);
    moon_sha256(crl->digest, moon_str((const char *)der, (size_t)len));
    return reason ? refuse(diag, "crl", reason) : rc;
}

/* Text that is not DER. The caller frees *der (OPENSSL_free). */
static int decode(unsigned char **der, long *len, struct moon_str text, struct moon_diag *diag) {
    if (!text.len)
        return refuse(diag, "crl", "it is empty");
    bool is_pem = memmem(text.data, text.len, "-----BEGIN", 10) != NULL;
    return (is_pem ? decode_pem : decode_base64)(der, len, text, diag);
}

int moon_crl_new(struct moon_crl **out, struct moon_str text, struct moon_str issuer, struct moon_diag *diag) {
    STACK_OF(X509) *candidates = NULL;
    unsigned char *decoded = NULL;
    long len = 0;
    struct moon_crl *crl = moon_new(struct moon_crl);
    *out = NULL;
    atomic_init(&crl->refs, 1);
    int rc = read_candidates(&candidates, issuer, diag);
    if (!rc && text.len > MOON_CRL_BYTES / 2 * 3) /* base64 with line ends */
        rc = refuse(diag, "crl", "it is larger than 10 MiB");
    if (!rc && text.len && text.data[0] == V_ASN1_SEQUENCE + V_ASN1_CONSTRUCTED) {
        rc = read_list(crl, (const unsigned char *)text.data, (long)text.len, candidates, diag);
    } else if (!rc) {
        rc = decode(&decoded, &len, text, diag);
        if (!rc)
            rc = read_list(crl, decoded, len, candidates, diag);
    }
    OPENSSL_free(decoded);
    sk_X509_pop_free(candidates, X509_free);
    moon_crypto_forget_errors();
    if (rc)
        moon_crl_unref(&crl);
    *out = crl;
    return rc;
}

/* ---- the rest ---- */

struct moon_crl *moon_crl_ref(struct moon_crl *crl) {
    if (crl)
        atomic_fetch_add_explicit(&crl->refs, 1, memory_order_relaxed);
    return crl;
}

void moon_crl_unref(struct moon_crl **crl) {
    struct moon_crl *gone = *crl;
    *crl = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    moon_serials_deinit(&gone->serials);
    X509_free(gone->issuer);
    free(gone);
}

bool moon_crl_is_of(const struct moon_crl *crl, const X509 *certificate) {
    if (crl->issuer == certificate)
        return true;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    return key && X509_NAME_cmp(X509_get_subject_name(crl->issuer), X509_get_subject_name(certificate)) == 0 &&
           EVP_PKEY_eq(X509_get0_pubkey(crl->issuer), key) == 1;
}

bool moon_crl_names(const struct moon_crl *crl, const ASN1_INTEGER *serial) {
    return ASN1_STRING_type(serial) != V_ASN1_NEG_INTEGER &&
           moon_serials_have(&crl->serials, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

int64_t moon_crl_this_update(const struct moon_crl *crl) {
    return crl->this_update;
}

int64_t moon_crl_next_update(const struct moon_crl *crl) {
    return crl->next_update;
}

size_t moon_crl_count(const struct moon_crl *crl) {
    return crl->serials.count;
}

size_t moon_crl_issuer(const struct moon_crl *crl) {
    return crl->issuer_index;
}

const unsigned char *moon_crl_digest(const struct moon_crl *crl) {
    return crl->digest;
}
