#include "tls/peer.h"

#include <openssl/bio.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "tls/verified.h"

/* All texts of one certificate. A name that needs more is nobody's name: such a certificate is never verified. */
#define TEXTS_BYTES (32 * 1024)

enum text { SUBJECT, ISSUER, ISSUER_SKI, SKI, SERIAL, FINGERPRINT, TEXT_COUNT };

struct moon_peer {
    struct moon_verified *verified; /* borrowed; NULL: none */
    X509 *leaf;            /* NULL: nothing was presented */
    STACK_OF(X509) *chain; /* as sent */
    struct moon_trust *trust; /* of the last validation */
    struct moon_verification last;
    int64_t last_at; /* when that was */
    bool has_texts, oversized;
    struct moon_buf texts;
    size_t ends[TEXT_COUNT]; /* offsets in `texts` */
};

struct moon_peer *moon_peer_new(struct moon_verified *verified) {
    struct moon_peer *peer = moon_new(struct moon_peer);
    peer->verified = verified;
    moon_buf_init(&peer->texts, TEXTS_BYTES);
    return peer;
}

static void forget(struct moon_peer *peer) {
    X509_free(peer->leaf);
    sk_X509_pop_free(peer->chain, X509_free);
    moon_trust_unref(&peer->trust);
    moon_buf_free(&peer->texts);
    *peer = (struct moon_peer){.verified = peer->verified};
    moon_buf_init(&peer->texts, TEXTS_BYTES);
}

void moon_peer_free(struct moon_peer **peer) {
    struct moon_peer *gone = *peer;
    *peer = NULL;
    if (!gone)
        return;
    forget(gone);
    free(gone);
}

static void validate(struct moon_peer *peer, struct moon_trust *trust, int64_t now) {
    if (peer->trust != trust) {
        struct moon_trust *old = peer->trust;
        peer->trust = moon_trust_ref(trust);
        moon_trust_unref(&old);
    }
    moon_verified_check(peer->verified, trust, peer->leaf, peer->chain, now, &peer->last);
    peer->last_at = now;
}

void moon_peer_present(struct moon_peer *peer, X509 *leaf, STACK_OF(X509) *chain, struct moon_trust *trust,
                       int64_t now) {
    moon_assert(leaf);
    forget(peer);
    moon_assert(X509_up_ref(leaf));
    peer->leaf = leaf;
    peer->chain = chain ? X509_chain_up_ref(chain) : NULL;
    if (trust)
        validate(peer, trust, now);
}

static void append_hex(struct moon_peer *peer, const unsigned char *bytes, size_t len, bool upper) {
    char *room = moon_buf_reserve(&peer->texts, 2 * len + 1);
    if (!room) {
        peer->oversized = true;
        return;
    }
    moon_hex_write(room, bytes, len, upper);
    moon_buf_commit(&peer->texts, 2 * len);
}

static void append_octets(struct moon_peer *peer, const ASN1_OCTET_STRING *octets) {
    if (octets)
        append_hex(peer, ASN1_STRING_get0_data(octets), (size_t)ASN1_STRING_length(octets), true);
}

/* The print flags escape control bytes, separators and whatever is not ASCII, so the text is safe in headers and
 * logs. */
static void append_name(struct moon_peer *peer, const X509_NAME *name) {
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0) {
        peer->oversized = true;
    } else {
        long len = BIO_get_mem_data(bio, &text);
        if (moon_buf_append(&peer->texts, text, (size_t)len))
            peer->oversized = true;
    }
    BIO_free(bio);
}

static void write_text(struct moon_peer *peer, enum text which) {
    const ASN1_INTEGER *serial;
    unsigned char digest[32];
    switch (which) {
    case SUBJECT:
        append_name(peer, X509_get_subject_name(peer->leaf));
        break;
    case ISSUER:
        append_name(peer, X509_get_issuer_name(peer->leaf));
        break;
    case ISSUER_SKI:
        append_octets(peer, X509_get0_authority_key_id(peer->leaf));
        break;
    case SKI:
        append_octets(peer, X509_get0_subject_key_id(peer->leaf));
        break;
    case SERIAL:
        serial = X509_get0_serialNumber(peer->leaf);
        if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER && moon_buf_append(&peer->texts, "-", 1))
            peer->oversized = true;
        append_octets(peer, serial);
        break;
    case FINGERPRINT:
        moon_assert(X509_digest(peer->leaf, EVP_sha256(), digest, NULL) == 1);
        append_hex(peer, digest, sizeof digest, false);
        break;
    case TEXT_COUNT:
        break;
    }
}

/* On the first request that asks, not in the handshake: many connections end before one. */
static void write_texts(struct moon_peer *peer) {
    for (enum text which = SUBJECT; which < TEXT_COUNT; which++) {
        write_text(peer, which);
        peer->ends[which] = peer->texts.len;
    }
    if (peer->oversized) {
        moon_buf_clear(&peer->texts);
        memset(peer->ends, 0, sizeof peer->ends);
    }
    peer->has_texts = true;
}

static struct moon_str text_of(const struct moon_peer *peer, enum text which) {
    size_t start = which ? peer->ends[which - 1] : 0;
    struct moon_str all = moon_buf_view(&peer->texts);
    return moon_str(all.data + start, peer->ends[which] - start);
}

/* A success stands until its interval ends. A failure may be mended by time alone (not yet valid, or another branch
 * of a cross-signed chain becomes valid), so it stands for the second it was found in. */
static bool is_current(const struct moon_peer *peer, const struct moon_trust *trust, int64_t now) {
    if (!peer->trust || !moon_trust_same(peer->trust, trust))
        return false;
    return peer->last.ok ? now >= peer->last.not_before && now < peer->last.not_after : now == peer->last_at;
}

void moon_peer_facts(struct moon_peer *peer, struct moon_trust *trust, int64_t now,
                     struct moon_certificate_facts *facts) {
    struct moon_str none = MOON_STR("");
    *facts = (struct moon_certificate_facts){.subject_dn = none,
                                             .issuer_dn = none,
                                             .issuer_ski = none,
                                             .ski = none,
                                             .serial = none,
                                             .fingerprint_sha256 = none};
    if (!trust || !peer->leaf)
        return;
    if (!is_current(peer, trust, now))
        validate(peer, trust, now);
    if (!peer->has_texts)
        write_texts(peer);
    facts->presented = true;
    facts->verified = peer->last.ok && !peer->oversized;
    facts->verify_error = peer->last.ok && peer->oversized ? X509_V_ERR_CERT_REJECTED : peer->last.error;
    facts->subject_dn = text_of(peer, SUBJECT);
    facts->issuer_dn = text_of(peer, ISSUER);
    facts->issuer_ski = text_of(peer, ISSUER_SKI);
    facts->ski = text_of(peer, SKI);
    facts->serial = text_of(peer, SERIAL);
    facts->fingerprint_sha256 = text_of(peer, FINGERPRINT);
}

const char *moon_verify_error_text(int error) {
    return X509_verify_cert_error_string(error);
}
