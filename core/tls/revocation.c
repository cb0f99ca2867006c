#include "tls/revocation.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"
#include "tls/serials.h"
#include "tls/twin.h"

#define DIGEST 32
#define STEPS_MAX 8 /* upwards among the anchors, which may have signed each other in a circle */

/* A CA whose certificates may be revoked: one anchor. Two anchors with one name and key are one CA to whoever asks. */
struct authority {
    X509 *certificate; /* counted */
    unsigned char digest[DIGEST];
    struct moon_serials denied;
};

struct list {
    struct moon_crl *crl; /* counted */
    bool soft;
};

struct moon_revocation {
    struct authority *authorities;
    size_t authority_count;
    struct list *lists;
    size_t list_count;
    unsigned char *fingerprints; /* sorted */
    size_t fingerprint_count;
};

/* ---- building ---- */

static int compare_digests(const void *a, const void *b) {
    return memcmp(a, b, DIGEST);
}

static bool read_digest(unsigned char out[DIGEST], struct moon_str hex) {
    if (hex.len != 2 * DIGEST)
        return false;
    for (size_t i = 0; i < DIGEST; i++) {
        int high = moon_hex_digit(hex.data[2 * i]), low = moon_hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static struct authority *find_authority(struct moon_revocation *revocation, const unsigned char digest[DIGEST]) {
    for (size_t i = 0; i < revocation->authority_count; i++)
        if (memcmp(revocation->authorities[i].digest, digest, DIGEST) == 0)
            return &revocation->authorities[i];
    return NULL;
}

static int add_denial(struct moon_revocation *revocation, const struct moon_trust_denial *denial, size_t index,
                      struct moon_diag *diag) {
    unsigned char digest[DIGEST];
    char where[48];
    snprintf(where, sizeof where, "denials[%zu]", index + 1);
    if (!read_digest(digest, denial->ca.len ? denial->ca : denial->certificate)) {
        moon_diag_set(diag, where, "64 hex digits (a SHA-256 of a certificate) are expected");
        return MOON_EREFUSED;
    }
    if (!denial->ca.len) {
        memcpy(revocation->fingerprints + DIGEST * revocation->fingerprint_count++, digest, DIGEST);
        return 0;
    }
    struct authority *authority = find_authority(revocation, digest);
    struct moon_serials unused = {0};
    bool readable = moon_serials_add_text(authority ? &authority->denied : &unused, denial->certificate);
    moon_serials_deinit(&unused);
    if (!readable) {
        moon_diag_set(diag, where, "the serial number is neither decimal nor \"0x\" and hex digits");
        return MOON_EREFUSED;
    }
    return 0;
}

static void add_list(struct moon_revocation *revocation, const struct moon_trust_crl *given) {
    for (size_t i = 0; i < revocation->authority_count; i++) {
        if (!moon_crl_is_of(given->crl, revocation->authorities[i].certificate))
            continue;
        revocation->lists[revocation->list_count].crl = moon_crl_ref(given->crl);
        revocation->lists[revocation->list_count++].soft = given->soft;
        return;
    }
}

static void add_authorities(struct moon_revocation *revocation, const STACK_OF(X509) *anchors) {
    int count = sk_X509_num(anchors);
    revocation->authorities = moon_alloc((size_t)count * sizeof *revocation->authorities);
    for (int i = 0; i < count; i++) {
        struct authority *authority = &revocation->authorities[revocation->authority_count++];
        authority->certificate = sk_X509_value(anchors, i);
        moon_assert(X509_up_ref(authority->certificate));
        moon_assert(X509_digest(authority->certificate, EVP_sha256(), authority->digest, NULL) == 1);
    }
}

int moon_revocation_new(struct moon_revocation **out, const struct moon_trust_options *options,
                        const STACK_OF(X509) *anchors, struct moon_diag *diag) {
    int rc = 0;
    *out = NULL;
    if (!options->crl_count && !options->denial_count)
        return 0;
    struct moon_revocation *revocation = moon_new(struct moon_revocation);
    add_authorities(revocation, anchors);
    revocation->lists = moon_alloc((options->crl_count + 1) * sizeof *revocation->lists);
    revocation->fingerprints = moon_alloc((options->denial_count + 1) * DIGEST);
    for (size_t i = 0; i < options->crl_count; i++)
        add_list(revocation, &options->crls[i]);
    for (size_t i = 0; i < options->denial_count && !rc; i++)
        rc = add_denial(revocation, &options->denials[i], i, diag);
    if (rc) {
        moon_revocation_free(&revocation);
        return rc;
    }
    for (size_t i = 0; i < revocation->authority_count; i++)
        moon_serials_seal(&revocation->authorities[i].denied);
    qsort(revocation->fingerprints, revocation->fingerprint_count, DIGEST, compare_digests);
    *out = revocation;
    return 0;
}

void moon_revocation_free(struct moon_revocation **pointer) {
    struct moon_revocation *gone = *pointer;
    *pointer = NULL;
    if (!gone)
        return;
    for (size_t i = 0; i < gone->authority_count; i++) {
        X509_free(gone->authorities[i].certificate);
        moon_serials_deinit(&gone->authorities[i].denied);
    }
    for (size_t i = 0; i < gone->list_count; i++)
        moon_crl_unref(&gone->lists[i].crl);
    free(gone->authorities);
    free(gone->lists);
    free(gone->fingerprints);
    free(gone);
}

static void mix(unsigned char digest[DIGEST], const void *data, size_t len) {
    unsigned char both[2 * DIGEST];
    memcpy(both, digest, DIGEST);
    moon_sha256(both + DIGEST, moon_str(data, len));
    moon_sha256(digest, moon_str((const char *)both, sizeof both));
}

/* Serial numbers in their sorted order, each with its length in front. */
static void mix_serials(unsigned char digest[DIGEST], const struct moon_serials *serials) {
    unsigned char *flat = moon_alloc(serials->len + 1);
    size_t len = 0;
    for (size_t i = 0; i < serials->count; i++) {
        const unsigned char *entry = serials->pool + serials->order[i];
        memcpy(flat + len, entry, 1u + entry[0]);
        len += 1u + entry[0];
    }
    mix(digest, flat, len);
    free(flat);
}

void moon_revocation_digest(const struct moon_revocation *revocation, unsigned char digest[DIGEST]) {
    memset(digest, 0, DIGEST);
    for (size_t i = 0; i < revocation->list_count; i++) {
        mix(digest, moon_crl_digest(revocation->lists[i].crl), DIGEST);
        mix(digest, revocation->lists[i].soft ? "soft" : "hard", 4);
    }
    for (size_t i = 0; i < revocation->authority_count; i++) {
        if (!revocation->authorities[i].denied.count)
            continue;
        mix(digest, revocation->authorities[i].digest, DIGEST);
        mix_serials(digest, &revocation->authorities[i].denied);
    }
    mix(digest, revocation->fingerprints, DIGEST * revocation->fingerprint_count);
}

/* ---- asking ---- */

static bool is_listed(const struct moon_revocation *revocation, const unsigned char digest[DIGEST]) {
    return bsearch(digest, revocation->fingerprints, revocation->fingerprint_count, DIGEST, compare_digests) != NULL;
}

static bool is_denied(const struct moon_revocation *revocation, const X509 *certificate, const X509 *issuer) {
    unsigned char digest[DIGEST];
    if (!revocation->fingerprint_count)
        return false;
    moon_assert(X509_digest(certificate, EVP_sha256(), digest, NULL) == 1);
    return is_listed(revocation, digest) ||
           (moon_twin_digest(digest, certificate, issuer) && is_listed(revocation, digest));
}

static bool is_same_authority(const X509 *a, const X509 *b) {
    if (a == b)
        return true;
    EVP_PKEY *key = X509_get0_pubkey(a), *other = X509_get0_pubkey(b);
    return key && other && X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
           EVP_PKEY_eq(key, other) == 1;
}

static bool is_denied_by_serial(const struct moon_revocation *revocation, const X509 *certificate, const X509 *issuer) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER)
        return false;
    for (size_t i = 0; i < revocation->authority_count; i++) {
        const struct authority *authority = &revocation->authorities[i];
        if (authority->denied.count && is_same_authority(authority->certificate, issuer) &&
            moon_serials_have(&authority->denied, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)))
            return true;
    }
    return false;
}

/* What the lists of one issuer say, taken together. */
struct answer {
    bool has_list, has_hard_list;
    bool is_named;
    int error;      /* of a list that is out of date; 0: one speaks for now */
    int64_t from;   /* the interval that the list speaks for */
    int64_t until;
};

static struct answer ask_lists(const struct moon_revocation *revocation, const X509 *issuer, const ASN1_INTEGER *serial,
                               int64_t now) {
    struct answer answer = {.from = INT64_MIN, .until = INT64_MAX};
    bool speaks = false;
    for (size_t i = 0; i < revocation->list_count; i++) {
        const struct list *list = &revocation->lists[i];
        if (!moon_crl_is_of(list->crl, issuer))
            continue;
        int64_t from = moon_crl_this_update(list->crl), until = moon_crl_next_update(list->crl);
        answer.has_list = true;
        answer.has_hard_list |= !list->soft;
        answer.is_named |= serial && moon_crl_names(list->crl, serial);
        if (now < from || now >= until) {
            answer.error = now < from ? X509_V_ERR_CRL_NOT_YET_VALID : X509_V_ERR_CRL_HAS_EXPIRED;
        } else if (!speaks || until > answer.until) {
            answer.from = from;
            answer.until = until;
            speaks = true;
        }
    }
    if (speaks || !answer.has_hard_list)
        answer.error = 0;
    return answer;
}

/* One certificate and its issuer. False: a list that is needed says nothing. */
static bool check_link(const struct moon_revocation *revocation, const X509 *certificate, const X509 *issuer,
                       bool wants_list, int64_t now, struct moon_verification *out) {
    struct answer answer = ask_lists(revocation, issuer, X509_get0_serialNumber(certificate), now);
    if (answer.error || (wants_list && !answer.has_list)) {
        out->error = answer.error ? answer.error : X509_V_ERR_UNABLE_TO_GET_CRL;
        return false;
    }
    if (answer.has_hard_list) {
        out->not_before = answer.from > out->not_before ? answer.from : out->not_before;
        out->not_after = answer.until < out->not_after ? answer.until : out->not_after;
    }
    out->revoked |= answer.is_named || is_denied(revocation, certificate, issuer) ||
                    is_denied_by_serial(revocation, certificate, issuer);
    return true;
}

/* The CA above an anchor, when it is an anchor too. */
static X509 *find_above(const struct moon_revocation *revocation, X509 *anchor) {
    for (size_t i = 0; i < revocation->authority_count; i++) {
        X509 *candidate = revocation->authorities[i].certificate;
        if (X509_check_issued(candidate, anchor) == X509_V_OK && !is_same_authority(candidate, anchor) &&
            X509_verify(anchor, X509_get0_pubkey(candidate)) == 1)
            return candidate;
    }
    return NULL;
}

/* A path ends at the first anchor, so of a bundle with root and intermediate at the intermediate; what is known about
 * that one from above holds all the same. */
static bool check_above(const struct moon_revocation *revocation, X509 *anchor, int64_t now,
                        struct moon_verification *out) {
    for (int step = 0; step < STEPS_MAX; step++) {
        X509 *issuer = find_above(revocation, anchor);
        if (!issuer)
            break;
        if (!check_link(revocation, anchor, issuer, false, now, out))
            return false;
        anchor = issuer;
    }
    return true;
}

bool moon_revocation_check(const struct moon_revocation *revocation, STACK_OF(X509) * path, int64_t now,
                           struct moon_verification *out) {
    int last = sk_X509_num(path) - 1;
    X509 *anchor = sk_X509_value(path, last);
    /* A CA with a list of its own wants to know about everything below it. */
    bool wants_all = ask_lists(revocation, anchor, NULL, now).has_hard_list;
    for (int i = 0; i < last; i++)
        if (!check_link(revocation, sk_X509_value(path, i), sk_X509_value(path, i + 1), wants_all, now, out))
            return false;
    return check_above(revocation, anchor, now, out);
}
