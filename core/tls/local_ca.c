#include "tls/local_ca.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/file.h"
#include "base/hostname.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/issue.h"
#include "tls/pem.h"

#define FILE_BYTES (64 * 1024)
#define NAMES_MAX 100
#define DAY 86400
#define CA_DAYS 3650
#define LEAF_DAYS 397
#define CLIENT_RENEWAL (90 * DAY)
#define CLIENT_NAME "Moongate origin pull"
#define RSA_BITS 2048
#define BACKDATE 3600 /* for clients whose clocks are behind ours */

struct moon_local_ca {
    X509 *certificate;
    EVP_PKEY *key;
    EVP_PKEY *rsa; /* of all server certificates with such a key; NULL until the first */
    int64_t not_after;
    struct moon_buf client, client_key; /* PEM, of the certificate toward origins; empty until the first */
    int64_t client_issued;
};

/* Certificates */

static X509 *make_root(EVP_PKEY *key) {
    int64_t now = (int64_t)time(NULL);
    unsigned char tag[4];
    char text[32], name[64];
    X509 *root = X509_new();
    /* Two gateways' CAs must not have the same name in one browser: the store would confuse them. */
    moon_random(tag, sizeof tag);
    moon_hex_write(text, tag, sizeof tag, false);
    snprintf(name, sizeof name, "Moongate local CA %s", text);
    if (root && X509_set_version(root, X509_VERSION_3) && moon_issue_serial(root) &&
        moon_issue_validity(root, now - BACKDATE, now + (int64_t)CA_DAYS * DAY) &&
        moon_issue_common_name(X509_get_subject_name(root), name) &&
        X509_set_issuer_name(root, X509_get_subject_name(root)) && X509_set_pubkey(root, key) &&
        moon_issue_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        moon_issue_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        moon_issue_extension(root, root, NID_subject_key_identifier, "hash") && moon_issue_sign(&root, key))
        return root;
    X509_free(root);
    return NULL;
}

/* One SAN entry; also the normalised text in `shown` (MOON_HOSTNAME_MAX+3 bytes). NULL when the name is none. */
static GENERAL_NAME *make_san(struct moon_str name, char *shown) {
    char text[MOON_HOSTNAME_MAX + 1];
    unsigned char address[16];
    bool wildcard = moon_str_starts_with(name, MOON_STR("*."));
    bool bracketed = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';
    struct moon_str rest = wildcard ? moon_str(name.data + 2, name.len - 2) : name;
    struct moon_str inner = bracketed ? moon_str(name.data + 1, name.len - 2) : rest;
    size_t size = 0;
    if (inner.len && inner.len < sizeof text && !memchr(inner.data, 0, inner.len)) {
        memcpy(text, inner.data, inner.len);
        text[inner.len] = 0;
        if (inet_pton(AF_INET6, text, address) == 1)
            size = 16;
        else if (!bracketed && inet_pton(AF_INET, text, address) == 1)
            size = 4;
    }
    if (wildcard && size)
        return NULL;
    GENERAL_NAME *san = GENERAL_NAME_new();
    ASN1_STRING *value = size ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    moon_assert(san && value);
    if (size) {
        snprintf(shown, MOON_HOSTNAME_MAX + 3, "%s", text);
        moon_assert(ASN1_STRING_set(value, address, (int)size));
        GENERAL_NAME_set0_value(san, GEN_IPADD, value);
        return san;
    }
    if (moon_hostname_normalise(text, rest, false) > 0) {
        snprintf(shown, MOON_HOSTNAME_MAX + 3, "%s%s", wildcard ? "*." : "", text);
        moon_assert(ASN1_STRING_set(value, shown, -1));
        GENERAL_NAME_set0_value(san, GEN_DNS, value);
        return san;
    }
    ASN1_STRING_free(value);
    GENERAL_NAME_free(san);
    return NULL;
}

static int add_names(X509 *leaf, const struct moon_str *names, size_t count, struct moon_diag *diag) {
    int rc = MOON_EREFUSED;
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    bool has_subject = false;
    moon_assert(list);
    for (size_t i = 0; i < count; i++) {
        char shown[MOON_HOSTNAME_MAX + 3];
        GENERAL_NAME *san = make_san(names[i], shown);
        if (!san) {
            moon_diag_set(diag, "names", "name %zu is neither a hostname, a wildcard nor an IP address", i + 1);
            goto out;
        }
        moon_assert(sk_GENERAL_NAME_push(list, san));
        if (i == 0 && strlen(shown) <= 64) /* the upper bound of a common name, RFC 5280 appendix A */
            has_subject = moon_issue_common_name(X509_get_subject_name(leaf), shown);
    }
    /* Critical when there is no subject beside it (RFC 5280 section 4.2.1.6). */
    rc = X509_add1_ext_i2d(leaf, NID_subject_alt_name, list, !has_subject, 0) == 1 ? 0 : MOON_ENOMEM;
out:
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return rc;
}

/* Counted for the caller; NULL without memory. */
static EVP_PKEY *leaf_key(struct moon_local_ca *ca, bool rsa) {
    if (!rsa)
        return EVP_EC_gen("P-256");
    if (!ca->rsa)
        ca->rsa = EVP_RSA_gen(RSA_BITS);
    if (ca->rsa)
        moon_assert(EVP_PKEY_up_ref(ca->rsa));
    return ca->rsa;
}

/* What a leaf is for. Without names it carries its common name alone. */
struct order {
    const struct moon_str *names;
    size_t count;
    const char *common_name;
    const char *usage, *purpose; /* in the words of OpenSSL's configuration */
};

static int sign(struct moon_local_ca *ca, EVP_PKEY *key, const struct order *order, X509 **out,
                struct moon_diag *diag) {
    int64_t now = (int64_t)time(NULL), until = now - BACKDATE + (int64_t)LEAF_DAYS * DAY;
    if (now >= ca->not_after) {
        moon_diag_set(diag, "local CA", "the local CA has expired");
        return MOON_EREFUSED;
    }
    if (until > ca->not_after)
        until = ca->not_after;
    int rc = MOON_ENOMEM;
    X509 *leaf = X509_new();
    *out = NULL;
    if (!leaf || !key || !X509_set_version(leaf, X509_VERSION_3) || !moon_issue_serial(leaf) ||
        !moon_issue_validity(leaf, now - BACKDATE, until) ||
        !X509_set_issuer_name(leaf, X509_get_subject_name(ca->certificate)) || !X509_set_pubkey(leaf, key) ||
        (order->common_name && !moon_issue_common_name(X509_get_subject_name(leaf), order->common_name)))
        goto out;
    if (order->count && (rc = add_names(leaf, order->names, order->count, diag)) != 0)
        goto out;
    rc = MOON_ENOMEM;
    if (!moon_issue_extension(leaf, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") ||
        !moon_issue_extension(leaf, ca->certificate, NID_key_usage, order->usage) ||
        !moon_issue_extension(leaf, ca->certificate, NID_ext_key_usage, order->purpose) ||
        !moon_issue_extension(leaf, ca->certificate, NID_subject_key_identifier, "hash") ||
        !moon_issue_extension(leaf, ca->certificate, NID_authority_key_identifier, "keyid:always") ||
        !moon_issue_sign(&leaf, ca->key))
        goto out;
    *out = leaf;
    leaf = NULL;
    rc = 0;
out:
    moon_crypto_forget_errors();
    X509_free(leaf);
    return rc;
}

static int issue(struct moon_local_ca *ca, EVP_PKEY *key, const struct order *order, struct moon_buf *certificates,
                 struct moon_buf *private_key, struct moon_diag *diag) {
    X509 *leaf;
    int rc = sign(ca, key, order, &leaf, diag);
    if (rc == 0 && (rc = moon_issue_write_certificate(certificates, leaf)) == 0 &&
        (rc = moon_issue_write_certificate(certificates, ca->certificate)) == 0)
        rc = moon_issue_write_key(private_key, key);
    moon_crypto_forget_errors();
    X509_free(leaf);
    return rc;
}

int moon_local_ca_sign(struct moon_local_ca *ca, const struct moon_str *names, size_t count, bool rsa, X509 **leaf,
                       X509 **issuer, EVP_PKEY **key, struct moon_diag *diag) {
    /* With RSA the suites without forward secrecy, whose clients encrypt to the key, may have been chosen. */
    const struct order order = {
        .names = names,
        .count = count,
        .usage = rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature",
        .purpose = "serverAuth",
    };
    *leaf = NULL;
    *key = NULL;
    *issuer = ca->certificate;
    if (count == 0 || count > NAMES_MAX) {
        moon_diag_set(diag, "names", "a certificate carries 1 to %d names", NAMES_MAX);
        return MOON_EREFUSED;
    }
    *key = leaf_key(ca, rsa);
    int rc = sign(ca, *key, &order, leaf, diag);
    if (rc) {
        EVP_PKEY_free(*key);
        *key = NULL;
    }
    return rc;
}

int moon_local_ca_issue(struct moon_local_ca *ca, const struct moon_str *names, size_t count, bool rsa,
                        struct moon_buf *certificates, struct moon_buf *private_key, struct moon_diag *diag) {
    X509 *leaf, *issuer;
    EVP_PKEY *key;
    int rc = moon_local_ca_sign(ca, names, count, rsa, &leaf, &issuer, &key, diag);
    if (rc == 0 && (rc = moon_issue_write_certificate(certificates, leaf)) == 0 &&
        (rc = moon_issue_write_certificate(certificates, issuer)) == 0)
        rc = moon_issue_write_key(private_key, key);
    moon_crypto_forget_errors();
    X509_free(leaf);
    EVP_PKEY_free(key);
    return rc;
}

static void forget_client(struct moon_local_ca *ca) {
    if (ca->client_key.data)
        OPENSSL_cleanse(ca->client_key.data, ca->client_key.capacity);
    moon_buf_free(&ca->client_key);
    moon_buf_free(&ca->client);
}

int moon_local_ca_client(struct moon_local_ca *ca, struct moon_str *certificates, struct moon_str *private_key,
                         struct moon_diag *diag) {
    static const struct order order = {
        .common_name = CLIENT_NAME,
        .usage = "critical,digitalSignature",
        .purpose = "clientAuth",
    };
    int64_t now = (int64_t)time(NULL);
    if (!ca->client.len || now - ca->client_issued >= CLIENT_RENEWAL) {
        forget_client(ca);
        moon_buf_init(&ca->client, FILE_BYTES);
        moon_buf_init(&ca->client_key, FILE_BYTES);
        EVP_PKEY *key = EVP_EC_gen("P-256");
        int rc = issue(ca, key, &order, &ca->client, &ca->client_key, diag);
        EVP_PKEY_free(key);
        if (rc) {
            forget_client(ca);
            return rc;
        }
        ca->client_issued = now;
    }
    *certificates = moon_buf_view(&ca->client);
    *private_key = moon_buf_view(&ca->client_key);
    return 0;
}

/* Files */

static int make_pair(struct moon_local_ca *ca) {
    ca->key = EVP_EC_gen("P-256");
    ca->certificate = ca->key ? make_root(ca->key) : NULL;
    return ca->certificate ? 0 : MOON_ENOMEM;
}

int moon_local_ca_make(struct moon_local_ca **out, struct moon_diag *diag) {
    struct moon_local_ca *ca = moon_new(struct moon_local_ca);
    int rc = make_pair(ca);
    if (!rc && !moon_crypto_seconds(X509_get0_notAfter(ca->certificate), &ca->not_after))
        rc = MOON_ENOMEM;
    if (rc) {
        moon_diag_set(diag, "local CA", "cannot be made: %s", moon_strerror(rc));
        moon_local_ca_close(&ca);
    }
    *out = ca;
    return rc;
}

int moon_local_ca_certificate(const struct moon_local_ca *ca, struct moon_buf *out) {
    return moon_issue_write_certificate(out, ca->certificate);
}

static int make(struct moon_local_ca *ca, const char *certificate_path, const char *key_path, struct moon_diag *diag) {
    struct moon_buf certificate, key;
    moon_buf_init(&certificate, FILE_BYTES);
    moon_buf_init(&key, FILE_BYTES);
    int rc = make_pair(ca);
    if (!rc && (rc = moon_issue_write_key(&key, ca->key)) == 0 &&
        (rc = moon_issue_write_certificate(&certificate, ca->certificate)) == 0 &&
        (rc = moon_file_replace(key_path, moon_buf_view(&key), 0600, diag)) == 0)
        rc = moon_file_replace(certificate_path, moon_buf_view(&certificate), 0644, diag);
    if (key.data)
        OPENSSL_cleanse(key.data, key.capacity);
    moon_buf_free(&key);
    moon_buf_free(&certificate);
    return rc;
}

static int load(struct moon_local_ca *ca, const char *certificate_path, struct moon_str certificate,
                const char *key_path, struct moon_str key, struct moon_diag *diag) {
    STACK_OF(X509) *found = NULL;
    int rc = moon_pem_read_certificates(&found, certificate, certificate_path, diag);
    if (rc)
        return rc;
    ca->certificate = sk_X509_shift(found);
    sk_X509_pop_free(found, X509_free);
    if ((rc = moon_pem_read_key(&ca->key, key, key_path, diag)) != 0)
        return rc;
    if (X509_check_ca(ca->certificate) != 1)
        moon_diag_set(diag, certificate_path, "this is not a CA certificate (basic constraints CA:TRUE)");
    else if (X509_check_private_key(ca->certificate, ca->key) != 1)
        moon_diag_set(diag, certificate_path, "the certificate does not belong to the key in %s", key_path);
    else
        return 0;
    return MOON_EREFUSED;
}

int moon_local_ca_open(struct moon_local_ca **out, const char *certificate_path, const char *key_path,
                       struct moon_diag *diag) {
    struct moon_local_ca *ca = moon_new(struct moon_local_ca);
    struct moon_buf certificate, key;
    bool has_certificate, has_key;
    *out = NULL;
    moon_buf_init(&certificate, FILE_BYTES);
    moon_buf_init(&key, FILE_BYTES);
    int rc = moon_file_read(certificate_path, false, &certificate, &has_certificate, diag);
    if (!rc)
        rc = moon_file_read(key_path, true, &key, &has_key, diag);
    if (rc)
        goto out;
    if (has_certificate != has_key) {
        moon_diag_set(diag, has_certificate ? key_path : certificate_path,
                      "the file is missing while %s exists; restore it, or remove the other to have a new CA made",
                      has_certificate ? certificate_path : key_path);
        rc = MOON_EREFUSED;
    } else if (has_certificate) {
        rc = load(ca, certificate_path, moon_buf_view(&certificate), key_path, moon_buf_view(&key), diag);
    } else {
        rc = make(ca, certificate_path, key_path, diag);
    }
    if (!rc && (!moon_crypto_seconds(X509_get0_notAfter(ca->certificate), &ca->not_after) ||
                ca->not_after <= (int64_t)time(NULL))) {
        moon_diag_set(diag, certificate_path, "the local CA has expired; remove it and its key to have a new one made");
        rc = MOON_EREFUSED;
    }
out:
    if (key.data)
        OPENSSL_cleanse(key.data, key.capacity);
    moon_buf_free(&key);
    moon_buf_free(&certificate);
    moon_crypto_forget_errors();
    if (rc)
        moon_local_ca_close(&ca);
    *out = ca;
    return rc;
}

void moon_local_ca_close(struct moon_local_ca **ca) {
    struct moon_local_ca *gone = *ca;
    *ca = NULL;
    if (!gone)
        return;
    X509_free(gone->certificate);
    EVP_PKEY_free(gone->key);
    EVP_PKEY_free(gone->rsa);
    forget_client(gone);
    free(gone);
}
