/* tls/trust.c — the only file that validates a client's chain. Handshakes and later re-validation both end in
 * moon_trust_verify, because outside a handshake OpenSSL's defaults differ (security level 0, no purpose). */
#include "tls/trust.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/pem.h"
#include "tls/revocation.h"
#include "tls/wellformed.h"

#define DEPTH_MAX 6
#define PRESENTED_MAX 10  /* certificates in the client's message, the leaf included */
#define RSA_BITS_MIN 2048 /* security level 2 is a little more lenient */
#define RSA_BITS_MAX 8192 /* verification costs grow with the square of it */
#define ATTEMPTS_MAX 5    /* paths tried for one chain */
/* The list's own limit is 2^16-1 bytes (RFC 8446 section 4.2.4); in TLS 1.3 it shares that with the other
 * extensions. */
#define CA_NAMES_BYTES (65535 - 1024)

struct moon_trust {
    atomic_uint refs;
    X509_STORE *store; /* holds our callbacks; the anchors are in `anchors`, read without its lock */
    STACK_OF(X509) * anchors;
    STACK_OF(X509_NAME) * names;        /* without duplicates; empty when too long to be sent */
    struct moon_revocation *revocation; /* NULL: nothing is */
    enum moon_trust_usage usage;
    unsigned char identity[MOON_TRUST_IDENTITY];
    unsigned char revision[MOON_TRUST_IDENTITY];
};

void moon_short_bytes_set(struct moon_short_bytes *out, const ASN1_STRING *value) {
    int len = value ? ASN1_STRING_length(value) : 0;
    *out = (struct moon_short_bytes){0};
    if (len <= 0 || (size_t)len > sizeof out->bytes)
        return;
    out->len = (uint8_t)len;
    out->negative = ASN1_STRING_type(value) == V_ASN1_NEG_INTEGER;
    memcpy(out->bytes, ASN1_STRING_get0_data(value), (size_t)len);
}

/* OpenSSL's reading: a certificate is expired in the very second of notAfter. */
static bool is_valid_at(const X509 *certificate, int64_t now) {
    int64_t from, until;
    return moon_crypto_seconds(X509_get0_notBefore(certificate), &from) &&
           moon_crypto_seconds(X509_get0_notAfter(certificate), &until) && now >= from && now < until;
}

static int fitness(X509 *anchor, X509 *subject, int64_t now) {
    return (X509_verify(subject, X509_get0_pubkey(anchor)) == 1 ? 2 : 0) + (is_valid_at(anchor, now) ? 1 : 0);
}

/* The issuer of `subject` among the anchors. OpenSSL takes the first whose name and key identifier fit and never
 * comes back; of two CAs with the same name (a re-keyed CA, or a hostname with two customers' look-alikes) one would
 * then never verify. So where several fit, the one whose key made the signature is taken, and of those one that is
 * valid now. */
static int find_issuer(X509 **issuer, X509_STORE_CTX *ctx, X509 *subject) {
    const struct moon_trust *trust = X509_STORE_CTX_get_app_data(ctx);
    int64_t now = (int64_t)X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(ctx));
    X509 *best = NULL;
    int best_score =
        -1; /* of `best`; not worked out while it is the only one: the validation itself checks the signature */
    *issuer = NULL;
    for (int i = 0; i < sk_X509_num(trust->anchors); i++) {
        X509 *anchor = sk_X509_value(trust->anchors, i);
        if (X509_NAME_cmp(X509_get_subject_name(anchor), X509_get_issuer_name(subject)) != 0 ||
            X509_check_issued(anchor, subject) != X509_V_OK)
            continue;
        if (!best) {
            best = anchor;
            continue;
        }
        if (best_score < 0)
            best_score = fitness(best, subject, now);
        int score = fitness(anchor, subject, now);
        if (score > best_score) {
            best = anchor;
            best_score = score;
        }
    }
    if (!best)
        return 0;
    moon_assert(X509_up_ref(best));
    *issuer = best;
    return 1;
}

/* Asked only for "is the leaf itself an anchor" (partial chains) — which is never an answer for a client. */
static STACK_OF(X509) * find_nothing(X509_STORE_CTX *ctx, const X509_NAME *name) {
    return sk_X509_new_null();
}

static int compare_digests(const void *a, const void *b) {
    return memcmp(a, b, MOON_TRUST_IDENTITY);
}

static void digest_of(unsigned char out[MOON_TRUST_IDENTITY], const X509 *certificate) {
    moon_assert(X509_digest(certificate, EVP_sha256(), out, NULL) == 1);
}

static void identify(struct moon_trust *trust) {
    size_t count = (size_t)sk_X509_num(trust->anchors), len = count * MOON_TRUST_IDENTITY;
    unsigned char *digests = moon_alloc(len + 1), both[2 * MOON_TRUST_IDENTITY];
    for (size_t i = 0; i < count; i++)
        digest_of(digests + i * MOON_TRUST_IDENTITY, sk_X509_value(trust->anchors, (int)i));
    qsort(digests, count, MOON_TRUST_IDENTITY, compare_digests);
    if (trust->usage != MOON_TRUST_USAGE_REQUIRE)
        digests[len++] = (unsigned char)trust->usage;
    moon_sha256(trust->identity, moon_str((const char *)digests, len));
    free(digests);
    memcpy(trust->revision, trust->identity, MOON_TRUST_IDENTITY);
    if (trust->revocation) {
        memcpy(both, trust->identity, MOON_TRUST_IDENTITY);
        moon_revocation_digest(trust->revocation, both + MOON_TRUST_IDENTITY);
        moon_sha256(trust->revision, moon_str((const char *)both, sizeof both));
    }
}

static bool holds(const STACK_OF(X509) * stack, const X509 *certificate) {
    for (int i = 0; i < sk_X509_num(stack); i++)
        if (X509_cmp(sk_X509_value(stack, i), certificate) == 0)
            return true;
    return false;
}

static bool names_hold(const STACK_OF(X509_NAME) * names, const X509_NAME *name) {
    for (int i = 0; i < sk_X509_NAME_num(names); i++)
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0)
            return true;
    return false;
}

static bool gather_names(struct moon_trust *trust) {
    size_t bytes = 0;
    for (int i = 0; i < sk_X509_num(trust->anchors); i++) {
        const X509_NAME *name = X509_get_subject_name(sk_X509_value(trust->anchors, i));
        if (names_hold(trust->names, name))
            continue;
        X509_NAME *copy = X509_NAME_dup(name);
        if (!copy || !sk_X509_NAME_push(trust->names, copy)) {
            X509_NAME_free(copy);
            return false;
        }
        int size = i2d_X509_NAME(copy, NULL);
        bytes += 2 + (size_t)(size > 0 ? size : 0);
    }
    if (bytes > CA_NAMES_BYTES) { /* an empty list means "any CA"; a failing handshake would help nobody */
        sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
        trust->names = sk_X509_NAME_new_null();
    }
    return trust->names != NULL;
}

static bool is_rsa(const EVP_PKEY *key) {
    int type = EVP_PKEY_get_base_id(key);
    return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS;
}

static int add_anchors(struct moon_trust *trust, struct moon_str pem, const char *where, struct moon_diag *diag) {
    STACK_OF(X509) *found = NULL;
    int rc = moon_pem_read_certificates(&found, pem, where, diag);
    for (int i = 0; !rc && i < sk_X509_num(found); i++) {
        X509 *anchor = sk_X509_value(found, i);
        if (X509_check_ca(anchor) != 1) { /* above 1: a CA "by old custom" only */
            moon_diag_set(diag, where, "block %d is not a CA certificate (basic constraints CA:TRUE)", i + 1);
            rc = MOON_EREFUSED;
        } else if (is_rsa(X509_get0_pubkey(anchor)) && EVP_PKEY_get_bits(X509_get0_pubkey(anchor)) > RSA_BITS_MAX) {
            moon_diag_set(diag, where, "block %d has an RSA key of more than %d bits", i + 1, RSA_BITS_MAX);
            rc = MOON_EREFUSED;
        } else if (!holds(trust->anchors, anchor)) {
            if (!X509_up_ref(anchor) || !sk_X509_push(trust->anchors, anchor))
                rc = MOON_ENOMEM;
        }
    }
    sk_X509_pop_free(found, X509_free);
    return rc;
}

int moon_trust_new(struct moon_trust **out, const struct moon_str *pems, size_t count, struct moon_diag *diag) {
    struct moon_trust_options options = {.pems = pems, .pem_count = count};
    return moon_trust_build(out, &options, diag);
}

int moon_trust_build(struct moon_trust **out, const struct moon_trust_options *options, struct moon_diag *diag) {
    int rc = MOON_ENOMEM;
    struct moon_trust *trust = moon_new(struct moon_trust);
    *out = NULL;
    atomic_init(&trust->refs, 1);
    trust->usage = options->usage;
    trust->store = X509_STORE_new();
    trust->anchors = sk_X509_new_null();
    trust->names = sk_X509_NAME_new_null();
    if (!trust->store || !trust->anchors || !trust->names)
        goto fail;
    X509_STORE_set_get_issuer(trust->store, find_issuer);
    X509_STORE_set_lookup_certs(trust->store, find_nothing);
    if (!options->pem_count) {
        moon_diag_set(diag, "certificates", "a trust set needs at least one CA certificate");
        rc = MOON_EREFUSED;
        goto fail;
    }
    for (size_t i = 0; i < options->pem_count; i++) {
        char where[48];
        snprintf(where, sizeof where, "certificates[%zu]", i + 1);
        if ((rc = add_anchors(trust, options->pems[i], where, diag)) != 0)
            goto fail;
    }
    if ((rc = moon_revocation_new(&trust->revocation, options, trust->anchors, diag)) != 0)
        goto fail;
    rc = MOON_ENOMEM;
    if (!gather_names(trust))
        goto fail;
    identify(trust);
    *out = trust;
    return 0;
fail:
    moon_crypto_forget_errors();
    moon_trust_unref(&trust);
    return rc;
}

struct moon_trust *moon_trust_ref(struct moon_trust *trust) {
    if (trust)
        atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
    return trust;
}

void moon_trust_unref(struct moon_trust **trust) {
    struct moon_trust *gone = *trust;
    *trust = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    moon_revocation_free(&gone->revocation);
    sk_X509_NAME_pop_free(gone->names, X509_NAME_free);
    sk_X509_pop_free(gone->anchors, X509_free);
    X509_STORE_free(gone->store);
    free(gone);
}

const unsigned char *moon_trust_identity(const struct moon_trust *trust) {
    return trust->identity;
}

const unsigned char *moon_trust_revision(const struct moon_trust *trust) {
    return trust->revision;
}

bool moon_trust_same(const struct moon_trust *a, const struct moon_trust *b) {
    if (!a || !b)
        return a == b;
    return a == b || memcmp(a->identity, b->identity, MOON_TRUST_IDENTITY) == 0;
}

STACK_OF(X509_NAME) * moon_trust_ca_names(const struct moon_trust *trust) {
    return SSL_dup_CA_list(trust->names);
}

size_t moon_trust_list_names(const struct moon_trust *trust, struct moon_buf *out) {
    int count = sk_X509_NAME_num(trust->names);
    for (int i = 0; i < count; i++) {
        char *text = NULL;
        BIO *bio = BIO_new(BIO_s_mem());
        if (bio && X509_NAME_print_ex(bio, sk_X509_NAME_value(trust->names, i), 0, XN_FLAG_RFC2253) >= 0) {
            long len = BIO_get_mem_data(bio, &text);
            if (moon_buf_printf(out, "%s%.*s", i ? "; " : "", (int)len, text) != 0)
                i = count; /* the rest would not fit either, or would stand in another one's place */
        }
        BIO_free(bio);
    }
    return (size_t)sk_X509_num(trust->anchors);
}

/* `any_usage`: without OpenSSL's opinion on the purpose. That certificates of the path are CAs, and may sign
 * certificates, is checked all the same. */
static void set_parameters(X509_VERIFY_PARAM *parameters, int64_t now, bool any_usage) {
    if (!any_usage)
        moon_assert(X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_CLIENT));
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    X509_VERIFY_PARAM_set_depth(parameters, DEPTH_MAX);
    moon_assert(X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN));
    X509_VERIFY_PARAM_set_time(parameters, (time_t)now);
}

/* What must be known before any mathematics is done for a stranger. */
static int check_presented(const struct moon_trust *trust, X509 *leaf, const STACK_OF(X509) * chain) {
    int count = sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0;
    /* libssl hands out the message with the leaf in front. */
    bool has_leaf = count > 0 && sk_X509_value(chain, 0) == leaf;
    if (count + (has_leaf ? 0 : 1) > PRESENTED_MAX)
        return X509_V_ERR_CERT_CHAIN_TOO_LONG;
    for (int i = -1; i < count; i++) {
        const X509 *certificate = i < 0 ? leaf : sk_X509_value(chain, i);
        const EVP_PKEY *key = X509_get0_pubkey(certificate);
        int is_explicit = 0;
        if (!key)
            return X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY;
        if (is_rsa(key) && EVP_PKEY_get_bits(key) > RSA_BITS_MAX)
            return X509_V_ERR_CERT_REJECTED;
        if (is_rsa(key) && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
            return i < 0 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL;
        if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
            EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) && is_explicit)
            return X509_V_ERR_EC_KEY_EXPLICIT_PARAMS;
    }
    /* A CA's own certificate proves that the CA is there, not that one of its clients is. */
    return holds(trust->anchors, leaf) ? X509_V_ERR_INVALID_PURPOSE : X509_V_OK;
}

/* Of the purpose, only the extended key usage may be waived: a key that may not sign proves nothing in a handshake. */
static bool may_sign(X509 *leaf) {
    return X509_get_key_usage(leaf) & (KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT); /* all bits without the extension */
}

/* Intersects the validity of every certificate of the path. */
static bool measure_interval(STACK_OF(X509) * path, struct moon_verification *out) {
    out->not_before = INT64_MIN;
    out->not_after = INT64_MAX;
    for (int i = 0; i < sk_X509_num(path); i++) {
        const X509 *certificate = sk_X509_value(path, i);
        int64_t from, until;
        if (!moon_crypto_seconds(X509_get0_notBefore(certificate), &from) ||
            !moon_crypto_seconds(X509_get0_notAfter(certificate), &until))
            return false;
        if (from > out->not_before)
            out->not_before = from;
        if (until < out->not_after)
            out->not_after = until;
    }
    return true;
}

/* Everything about a path that OpenSSL has found valid. The anchor's form is for whoever uploads it. */
static int examine(const struct moon_trust *trust, STACK_OF(X509) * path, int64_t now, struct moon_verification *out) {
    const X509 *issuer = sk_X509_value(path, sk_X509_num(path) > 1 ? 1 : 0);
    for (int i = 0; i < sk_X509_num(path) - 1; i++) {
        int error = moon_wellformed_check(sk_X509_value(path, i));
        if (error)
            return error;
    }
    if (!measure_interval(path, out))
        return X509_V_ERR_UNSPECIFIED;
    moon_short_bytes_set(&out->issuer_serial, X509_get0_serialNumber(issuer));
    moon_short_bytes_set(&out->issuer_ski, X509_get0_subject_key_id((X509 *)issuer));
    if (trust->revocation && !moon_revocation_check(trust->revocation, path, now, out))
        return out->error;
    return X509_V_OK;
}

/* One full validation. On failure *suspect is the topmost presented certificate that the path went through, or NULL. */
static int try_path(const struct moon_trust *trust, X509 *leaf, STACK_OF(X509) * untrusted, int64_t now, bool any_usage,
                    struct moon_verification *out, X509 **suspect) {
    int error = X509_V_ERR_OUT_OF_MEM;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    *suspect = NULL;
    if (!ctx || !X509_STORE_CTX_init(ctx, trust->store, leaf, untrusted))
        goto out;
    X509_STORE_CTX_set_app_data(ctx, (void *)trust);
    set_parameters(X509_STORE_CTX_get0_param(ctx), now, any_usage);
    if (X509_verify_cert(ctx) == 1) {
        error = examine(trust, X509_STORE_CTX_get0_chain(ctx), now, out);
        goto out;
    }
    error = X509_STORE_CTX_get_error(ctx);
    if (error == X509_V_OK)
        error = X509_V_ERR_UNSPECIFIED;
    int presented = X509_STORE_CTX_get_num_untrusted(ctx);
    STACK_OF(X509) *path = X509_STORE_CTX_get0_chain(ctx);
    if (presented > 1 && presented <= sk_X509_num(path))
        *suspect = sk_X509_value(path, presented - 1); /* stays alive in the caller's list */
out:
    X509_STORE_CTX_free(ctx);
    return error;
}

static void verify(const struct moon_trust *trust, X509 *leaf, STACK_OF(X509) * chain, int64_t now, bool any_usage,
                   struct moon_verification *out) {
    *out = (struct moon_verification){.error = check_presented(trust, leaf, chain)};
    if (!out->error && any_usage && !may_sign(leaf))
        out->error = X509_V_ERR_INVALID_PURPOSE;
    if (out->error)
        return;
    STACK_OF(X509) *untrusted = chain ? sk_X509_dup(chain) : sk_X509_new_null();
    int first_error = X509_V_ERR_OUT_OF_MEM;
    for (int attempt = 0; untrusted && attempt < ATTEMPTS_MAX; attempt++) {
        X509 *suspect = NULL;
        *out = (struct moon_verification){0};
        out->error = try_path(trust, leaf, untrusted, now, any_usage, out, &suspect);
        if (attempt == 0)
            first_error = out->error;
        if (!out->error || !suspect)
            break;
        /* OpenSSL does not come back from a branch: with cross-signed CAs it may end at a foreign or expired root
         * although another presented certificate leads home. Validate again without the one at the end of the
         * failing path. */
        sk_X509_delete_ptr(untrusted, suspect);
    }
    if (!untrusted || out->error) /* of the failures, the first tells most */
        *out = (struct moon_verification){.error = first_error};
    out->ok = out->error == X509_V_OK;
    sk_X509_free(untrusted);
}

void moon_trust_verify(const struct moon_trust *trust, X509 *leaf, STACK_OF(X509) * chain, int64_t now,
                       struct moon_verification *out) {
    ERR_set_mark(); /* called inside handshakes too: what fails here is a fact, not an error of libssl's */
    verify(trust, leaf, chain, now, trust->usage == MOON_TRUST_USAGE_IGNORE, out);
    if (trust->usage == MOON_TRUST_USAGE_WARN && out->error == X509_V_ERR_INVALID_PURPOSE) {
        verify(trust, leaf, chain, now, true, out);
        out->lacks_usage = out->ok;
    }
    ERR_pop_to_mark();
}
