#include "tls/texts.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"

/* In DER. An escape is at most six times as long as what it stands for (Latin-1 as UTF-8 in hex), the type of an
 * attribute about three times: a name of this size stays far below the ceiling of a text. */
#define NAME_BYTES (4 * 1024)
#define ALTERNATIVE_BYTES (16 * 1024)
#define ALTERNATIVE_COUNT 1024
#define USAGE_BYTES (4 * 1024)
#define TEXT_BYTES (64 * 1024)

struct list {
    struct moon_str *entries; /* each an allocation of its own */
    size_t count;
};

struct moon_texts {
    X509 *leaf;
    const STACK_OF(X509) *chain;
    struct moon_str texts[MOON_CERTIFICATE_TEXT_COUNT]; /* data NULL: not written yet */
    struct list *lists;                                 /* NULL: not read yet */
    char issuer_serial[2 * sizeof((struct moon_short_bytes *)0)->bytes + 2];
    char issuer_ski[2 * sizeof((struct moon_short_bytes *)0)->bytes + 2];
};

/* ---- what can be written down ---- */

/* That text is text in its own encoding is a condition of OpenSSL's for reading a certificate at all. */
static bool is_short_name(const X509_NAME *name) {
    const unsigned char *der;
    size_t len;
    return X509_NAME_get0_der(name, &der, &len) && len <= NAME_BYTES;
}

static int extension_bytes(const X509 *certificate, int nid) {
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    return at < 0 ? 0 : ASN1_STRING_length(X509_EXTENSION_get_data(X509_get_ext(certificate, at)));
}

static bool has_readable_lists(const X509 *leaf) {
    int alternatives = extension_bytes(leaf, NID_subject_alt_name);
    if (alternatives > ALTERNATIVE_BYTES || extension_bytes(leaf, NID_ext_key_usage) > USAGE_BYTES)
        return false;
    if (alternatives <= 2 * ALTERNATIVE_COUNT) /* an entry takes two bytes at least: no need to count */
        return true;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);
    GENERAL_NAMES_free(names);
    return count >= 0 && count <= ALTERNATIVE_COUNT;
}

bool moon_texts_possible(X509 *leaf) {
    if (X509_get_extension_flags(leaf) & EXFLAG_INVALID)
        return false;
    ERR_set_mark(); /* called inside handshakes: the errors before are not ours to forget */
    bool possible = is_short_name(X509_get_subject_name(leaf)) && is_short_name(X509_get_issuer_name(leaf)) &&
                    has_readable_lists(leaf);
    ERR_pop_to_mark();
    return possible;
}

/* ---- life ---- */

struct moon_texts *moon_texts_new(X509 *leaf, const STACK_OF(X509) *chain) {
    struct moon_texts *texts = moon_new(struct moon_texts);
    texts->leaf = leaf;
    texts->chain = chain;
    return texts;
}

void moon_texts_free(struct moon_texts **pointer) {
    struct moon_texts *gone = *pointer;
    *pointer = NULL;
    if (!gone)
        return;
    for (int i = 0; i < MOON_CERTIFICATE_TEXT_COUNT; i++)
        free((char *)gone->texts[i].data);
    for (int i = 0; gone->lists && i < MOON_CERTIFICATE_LIST_COUNT; i++) {
        for (size_t k = 0; k < gone->lists[i].count; k++)
            free((char *)gone->lists[i].entries[k].data);
        free(gone->lists[i].entries);
    }
    free(gone->lists);
    free(gone);
}

static struct moon_str keep(struct moon_str text) {
    return moon_str(moon_strdup(text), text.len);
}

/* ---- texts ---- */

static void append_hex(struct moon_buf *out, const unsigned char *bytes, size_t len, bool upper) {
    char *room = moon_buf_reserve(out, 2 * len + 1);
    if (!room)
        return;
    moon_hex_write(room, bytes, len, upper);
    moon_buf_commit(out, 2 * len);
}

static void append_octets(struct moon_buf *out, const ASN1_STRING *octets) {
    if (octets)
        append_hex(out, ASN1_STRING_get0_data(octets), (size_t)ASN1_STRING_length(octets), true);
}

static void append_digest(struct moon_buf *out, const unsigned char *bytes, size_t len, const EVP_MD *kind) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    if (EVP_Digest(bytes, len, digest, &size, kind, NULL) == 1)
        append_hex(out, digest, size, false);
}

static void append_fingerprint(struct moon_buf *out, const X509 *certificate, const EVP_MD *kind) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    if (X509_digest(certificate, kind, digest, &size) == 1)
        append_hex(out, digest, size, false);
}

static void append_spki(struct moon_buf *out, const X509 *certificate) {
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (len > 0)
        append_digest(out, der, (size_t)len, EVP_sha256());
    OPENSSL_free(der);
}

/* The print flags escape control bytes, separators and whatever is not ASCII. */
static void append_name(struct moon_buf *out, const X509_NAME *name) {
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(bio, &text);
        moon_buf_append(out, text, (size_t)len);
    }
    BIO_free(bio);
}

static void append_legacy_name(struct moon_buf *out, const X509_NAME *name) {
    char *text = X509_NAME_entry_count(name) ? X509_NAME_oneline(name, NULL, 0) : NULL;
    if (text)
        moon_buf_append(out, text, strlen(text));
    OPENSSL_free(text);
}

static void append_time(struct moon_buf *out, const ASN1_TIME *time) {
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts))
        moon_buf_printf(out, "%s %2d %02d:%02d:%02d %d GMT", months[parts.tm_mon], parts.tm_mday, parts.tm_hour,
                        parts.tm_min, parts.tm_sec, parts.tm_year + 1900);
}

static size_t encoded_bytes(int der) {
    return 2 + ((size_t)der + 2) / 3 * 4;
}

/* RFC 9440 section 2.1: a byte sequence of structured fields. */
static void append_encoded(struct moon_buf *out, X509 *certificate) {
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    char *room = len > 0 ? moon_buf_reserve(out, encoded_bytes(len) + 1) : NULL;
    if (room) {
        int written = EVP_EncodeBlock((unsigned char *)room + 1, der, len);
        room[0] = ':';
        room[written + 1] = ':';
        moon_buf_commit(out, (size_t)written + 2);
    }
    OPENSSL_free(der);
}

/* The first certificate of the chain that is not the leaf itself: OpenSSL hands out the message with it in front. */
static int first_of_chain(const struct moon_texts *texts) {
    return sk_X509_num(texts->chain) > 0 && sk_X509_value(texts->chain, 0) == texts->leaf ? 1 : 0;
}

static size_t chain_bytes(const struct moon_texts *texts) {
    size_t sum = 0;
    for (int first = first_of_chain(texts), i = first; i < sk_X509_num(texts->chain); i++) {
        int len = i2d_X509(sk_X509_value(texts->chain, i), NULL);
        sum += (i > first ? 2 : 0) + encoded_bytes(len > 0 ? len : 0);
    }
    return sum;
}

static void append_chain(struct moon_buf *out, const struct moon_texts *texts) {
    for (int first = first_of_chain(texts), i = first; i < sk_X509_num(texts->chain); i++) {
        if (i > first)
            moon_buf_append(out, ", ", 2);
        append_encoded(out, sk_X509_value(texts->chain, i));
    }
}

static void append_text(struct moon_buf *out, const struct moon_texts *texts, enum moon_certificate_text which) {
    X509 *leaf = texts->leaf;
    switch (which) {
    case MOON_CERTIFICATE_SUBJECT_DN:
        append_name(out, X509_get_subject_name(leaf));
        break;
    case MOON_CERTIFICATE_SUBJECT_DN_LEGACY:
        append_legacy_name(out, X509_get_subject_name(leaf));
        break;
    case MOON_CERTIFICATE_ISSUER_DN:
        append_name(out, X509_get_issuer_name(leaf));
        break;
    case MOON_CERTIFICATE_ISSUER_DN_LEGACY:
        append_legacy_name(out, X509_get_issuer_name(leaf));
        break;
    case MOON_CERTIFICATE_SERIAL:
        if (ASN1_STRING_type(X509_get0_serialNumber(leaf)) == V_ASN1_NEG_INTEGER)
            moon_buf_append(out, "-", 1);
        append_octets(out, X509_get0_serialNumber(leaf));
        break;
    case MOON_CERTIFICATE_SKI:
        append_octets(out, X509_get0_subject_key_id(leaf));
        break;
    case MOON_CERTIFICATE_FINGERPRINT_SHA256:
        append_fingerprint(out, leaf, EVP_sha256());
        break;
    case MOON_CERTIFICATE_FINGERPRINT_SHA1:
        append_fingerprint(out, leaf, EVP_sha1());
        break;
    case MOON_CERTIFICATE_SPKI_SHA256:
        append_spki(out, leaf);
        break;
    case MOON_CERTIFICATE_NOT_BEFORE:
        append_time(out, X509_get0_notBefore(leaf));
        break;
    case MOON_CERTIFICATE_NOT_AFTER:
        append_time(out, X509_get0_notAfter(leaf));
        break;
    case MOON_CERTIFICATE_RFC9440:
        append_encoded(out, leaf);
        break;
    case MOON_CERTIFICATE_CHAIN_RFC9440:
        append_chain(out, texts);
        break;
    case MOON_CERTIFICATE_ISSUER_SERIAL:
    case MOON_CERTIFICATE_ISSUER_SKI:
    case MOON_CERTIFICATE_TEXT_COUNT:
        break;
    }
}

static bool is_too_large(const struct moon_texts *texts, enum moon_certificate_text which) {
    if (which == MOON_CERTIFICATE_RFC9440) {
        int len = i2d_X509(texts->leaf, NULL);
        return encoded_bytes(len > 0 ? len : 0) > MOON_RFC9440_LEAF_BYTES;
    }
    return which == MOON_CERTIFICATE_CHAIN_RFC9440 && chain_bytes(texts) > MOON_RFC9440_CHAIN_BYTES;
}

/* The issuer's values follow from the validation of the moment, hence are written anew each time; they are short. */
static struct moon_str issuer_text(char *room, const struct moon_short_bytes *of_path, const ASN1_STRING *of_leaf) {
    struct moon_short_bytes value = {0};
    if (of_path && of_path->len)
        value = *of_path;
    else
        moon_short_bytes_set(&value, of_leaf);
    size_t sign = value.negative ? 1 : 0;
    room[0] = '-';
    moon_hex_write(room + sign, value.bytes, value.len, true);
    return moon_str(room, sign + 2u * value.len);
}

int moon_texts_get(struct moon_texts *texts, enum moon_certificate_text which, const struct moon_short_bytes *serial,
                   const struct moon_short_bytes *ski, struct moon_str *out) {
    moon_assert(which < MOON_CERTIFICATE_TEXT_COUNT);
    if (which == MOON_CERTIFICATE_ISSUER_SERIAL) {
        *out = issuer_text(texts->issuer_serial, serial, X509_get0_authority_serial(texts->leaf));
        return 0;
    }
    if (which == MOON_CERTIFICATE_ISSUER_SKI) {
        *out = issuer_text(texts->issuer_ski, ski, X509_get0_authority_key_id(texts->leaf));
        return 0;
    }
    bool too_large = is_too_large(texts, which);
    if (!texts->texts[which].data) {
        struct moon_buf text;
        moon_buf_init(&text, TEXT_BYTES);
        if (!too_large)
            append_text(&text, texts, which);
        texts->texts[which] = keep(moon_buf_view(&text));
        moon_buf_free(&text);
        moon_crypto_forget_errors();
    }
    *out = texts->texts[which];
    return too_large ? 1 : 0;
}

/* ---- lists ---- */

static void add(struct list *list, struct moon_str entry) {
    list->entries = moon_realloc(list->entries, (list->count + 1) * sizeof *list->entries);
    list->entries[list->count++] = keep(entry);
}

static void add_escaped(struct list *list, const ASN1_STRING *value) {
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    struct moon_buf text;
    moon_buf_init(&text, 3 * ALTERNATIVE_BYTES);
    for (int i = 0; i < ASN1_STRING_length(value); i++) {
        if (bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '\\')
            moon_buf_append(&text, bytes + i, 1);
        else
            moon_buf_printf(&text, "\\%02X", bytes[i]);
    }
    add(list, moon_buf_view(&text));
    moon_buf_free(&text);
}

static void read_alternatives(struct moon_texts *texts) {
    GENERAL_NAMES *names = X509_get_ext_d2i(texts->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < ALTERNATIVE_COUNT; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *ip = name->d.iPAddress;
        if (name->type == GEN_DNS)
            add_escaped(&texts->lists[MOON_CERTIFICATE_SAN_DNS], name->d.dNSName);
        else if (name->type == GEN_URI)
            add_escaped(&texts->lists[MOON_CERTIFICATE_SAN_URI], name->d.uniformResourceIdentifier);
        else if (name->type == GEN_EMAIL)
            add_escaped(&texts->lists[MOON_CERTIFICATE_SAN_EMAIL], name->d.rfc822Name);
        else if (name->type == GEN_IPADD && (ASN1_STRING_length(ip) == 4 || ASN1_STRING_length(ip) == 16))
            add(&texts->lists[MOON_CERTIFICATE_SAN_IP],
                moon_str((const char *)ASN1_STRING_get0_data(ip), (size_t)ASN1_STRING_length(ip)));
    }
    GENERAL_NAMES_free(names);
}

static void read_usages(struct moon_texts *texts) {
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(texts->leaf, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages) && i < ALTERNATIVE_COUNT; i++) {
        char dotted[256];
        int len = OBJ_obj2txt(dotted, sizeof dotted, sk_ASN1_OBJECT_value(usages, i), 1);
        if (len > 0)
            add(&texts->lists[MOON_CERTIFICATE_EKU], moon_str_of(dotted)); /* cut where it is longer */
    }
    EXTENDED_KEY_USAGE_free(usages);
}

bool moon_texts_entry(struct moon_texts *texts, enum moon_certificate_list which, size_t index, struct moon_str *out) {
    moon_assert(which < MOON_CERTIFICATE_LIST_COUNT);
    if (!texts->lists) {
        texts->lists = moon_alloc(MOON_CERTIFICATE_LIST_COUNT * sizeof *texts->lists);
        read_alternatives(texts);
        read_usages(texts);
        moon_crypto_forget_errors();
    }
    const struct list *list = &texts->lists[which];
    if (index >= list->count)
        return false;
    *out = list->entries[index];
    return true;
}
