#include "tls/hello_trace.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

enum { SERVER_NAME = 0, GROUPS = 10, POINT_FORMATS = 11, SIGNATURES = 13, PROTOCOLS = 16, VERSIONS = 43 };

#define BASE64_SHA1 28
#define JA4_PART 12 /* hex digits of a truncated SHA-256 */

/* The texts; an empty first byte: not written yet. */
struct words {
    char ciphers[BASE64_SHA1 + 1];
    char extensions[BASE64_SHA1 + 1];
    char extensions_le[BASE64_SHA1 + 1];
    char ja3[33];
    char ja4[40];
};

/* Numbers as they were received: two bytes each, in network order. */
struct numbers {
    uint16_t at; /* in `bytes` */
    uint16_t count;
};

struct moon_hello_trace {
    struct words *words; /* NULL until the first question */
    uint16_t legacy_version;
    uint16_t best_version; /* of supported_versions; 0: none */
    unsigned char protocol[2]; /* first and last byte of the first protocol (ALPN) */
    bool has_protocol;
    struct numbers ciphers, extensions, groups, signatures;
    uint16_t formats_at, formats_len;
    unsigned char bytes[];
};

/* ---- reading ---- */

static bool take(struct moon_str *from, size_t len, struct moon_str *out) {
    if (from->len < len)
        return false;
    *out = moon_str(from->data, len);
    from->data += len;
    from->len -= len;
    return true;
}

static unsigned byte_at(struct moon_str text, size_t at) {
    return (unsigned char)text.data[at];
}

/* A vector with its length in front, in `width` bytes. */
static bool take_vector(struct moon_str *from, size_t width, struct moon_str *out) {
    struct moon_str prefix;
    size_t len = 0;
    if (!take(from, width, &prefix))
        return false;
    for (size_t i = 0; i < width; i++)
        len = len << 8 | byte_at(prefix, i);
    return take(from, len, out);
}

/* What one look over the message found; views into it. */
struct findings {
    uint16_t legacy_version;
    struct moon_str ciphers, extensions, groups, formats, signatures, protocols, versions;
};

/* A list alone in its extension; one that is malformed counts as empty. */
static struct moon_str list_in(struct moon_str extension, size_t width) {
    struct moon_str list;
    return take_vector(&extension, width, &list) && !extension.len ? list : MOON_STR("");
}

static bool read_extensions(struct moon_str extensions, struct findings *found) {
    struct moon_str type, body;
    while (extensions.len) {
        if (!take(&extensions, 2, &type) || !take_vector(&extensions, 2, &body))
            return false;
        switch (byte_at(type, 0) << 8 | byte_at(type, 1)) {
        case GROUPS:
            found->groups = list_in(body, 2);
            break;
        case POINT_FORMATS:
            found->formats = list_in(body, 1);
            break;
        case SIGNATURES:
            found->signatures = list_in(body, 2);
            break;
        case PROTOCOLS:
            found->protocols = list_in(body, 2);
            break;
        case VERSIONS:
            found->versions = list_in(body, 1);
            break;
        default:
            break;
        }
    }
    return true;
}

static bool read_message(struct moon_str message, struct findings *found) {
    struct moon_str type, body, version, ignored;
    *found = (struct findings){0};
    if (!take(&message, 1, &type) || byte_at(type, 0) != 1 || !take_vector(&message, 3, &body) || message.len)
        return false;
    if (!take(&body, 2, &version) || !take(&body, 32, &ignored) || !take_vector(&body, 1, &ignored) ||
        !take_vector(&body, 2, &found->ciphers) || found->ciphers.len % 2 || !take_vector(&body, 1, &ignored))
        return false;
    found->legacy_version = (uint16_t)(byte_at(version, 0) << 8 | byte_at(version, 1));
    if (body.len && (!take_vector(&body, 2, &found->extensions) || body.len))
        return false;
    return read_extensions(found->extensions, found);
}

/* RFC 8701: 0x0A0A, 0x1A1A, … */
static bool is_grease(unsigned number) {
    return (number & 0x0f0f) == 0x0a0a && number >> 8 == (number & 0xff);
}

static uint16_t best_version(struct moon_str versions) {
    unsigned best = 0;
    for (size_t i = 0; i + 1 < versions.len; i += 2) {
        unsigned version = byte_at(versions, i) << 8 | byte_at(versions, i + 1);
        if (!is_grease(version) && version > best)
            best = version;
    }
    return (uint16_t)best;
}

static struct numbers keep(struct moon_hello_trace *trace, size_t *used, struct moon_str list) {
    struct numbers numbers = {.at = (uint16_t)*used, .count = (uint16_t)(list.len / 2)};
    if (list.len)
        memcpy(trace->bytes + *used, list.data, list.len);
    *used += list.len;
    return numbers;
}

static struct numbers keep_types(struct moon_hello_trace *trace, size_t *used, struct moon_str extensions) {
    struct numbers numbers = {.at = (uint16_t)*used};
    struct moon_str type, body;
    while (take(&extensions, 2, &type) && take_vector(&extensions, 2, &body)) {
        memcpy(trace->bytes + *used, type.data, 2);
        *used += 2;
        numbers.count++;
    }
    return numbers;
}

static size_t count_types(struct moon_str extensions) {
    struct moon_str type, body;
    size_t count = 0;
    while (take(&extensions, 2, &type) && take_vector(&extensions, 2, &body))
        count++;
    return count;
}

struct moon_hello_trace *moon_hello_trace_new(struct moon_str message) {
    struct findings found;
    struct moon_str protocol;
    if (!read_message(message, &found))
        return NULL;
    size_t size = found.ciphers.len + 2 * count_types(found.extensions) + found.groups.len + found.formats.len +
                  found.signatures.len;
    size_t used = 0;
    if (size > MOON_HELLO_TRACE_BYTES)
        return NULL;
    struct moon_hello_trace *trace = moon_alloc(sizeof *trace + size);
    trace->legacy_version = found.legacy_version;
    trace->best_version = best_version(found.versions);
    if (take_vector(&found.protocols, 1, &protocol) && protocol.len) {
        trace->has_protocol = true;
        trace->protocol[0] = (unsigned char)protocol.data[0];
        trace->protocol[1] = (unsigned char)protocol.data[protocol.len - 1];
    }
    trace->ciphers = keep(trace, &used, found.ciphers);
    trace->extensions = keep_types(trace, &used, found.extensions);
    trace->groups = keep(trace, &used, found.groups);
    trace->signatures = keep(trace, &used, found.signatures);
    trace->formats_at = (uint16_t)used;
    trace->formats_len = (uint16_t)found.formats.len;
    keep(trace, &used, found.formats);
    moon_assert(used == size);
    return trace;
}

void moon_hello_trace_free(struct moon_hello_trace **trace) {
    struct moon_hello_trace *gone = *trace;
    *trace = NULL;
    if (!gone)
        return;
    free(gone->words);
    free(gone);
}

/* ---- writing ---- */

/* The longest text that is hashed: each number as five digits and a separator, and the version. */
#define PLAIN_BYTES (8 * MOON_HELLO_TRACE_BYTES)

static unsigned number_at(const struct moon_hello_trace *trace, struct numbers numbers, size_t i) {
    const unsigned char *at = trace->bytes + numbers.at + 2 * i;
    return (unsigned)at[0] << 8 | at[1];
}

static void digest(const EVP_MD *kind, const void *data, size_t len, unsigned char out[EVP_MAX_MD_SIZE]) {
    if (EVP_Digest(data, len, out, NULL, kind, NULL) != 1)
        memset(out, 0, EVP_MAX_MD_SIZE); /* a provider without MD5 */
}

static void write_sha1(char out[BASE64_SHA1 + 1], const unsigned char *bytes, size_t len) {
    unsigned char sha1[EVP_MAX_MD_SIZE];
    digest(EVP_sha1(), bytes, len, sha1);
    EVP_EncodeBlock((unsigned char *)out, sha1, 20);
}

static struct words *words_of(struct moon_hello_trace *trace) {
    if (!trace->words)
        trace->words = moon_new(struct words);
    return trace->words;
}

struct moon_str moon_hello_trace_ciphers(struct moon_hello_trace *trace) {
    char *out = words_of(trace)->ciphers;
    if (!*out)
        write_sha1(out, trace->bytes + trace->ciphers.at, 2u * trace->ciphers.count);
    return moon_str_of(out);
}

struct moon_str moon_hello_trace_extensions(struct moon_hello_trace *trace, bool little_endian) {
    char *out = little_endian ? words_of(trace)->extensions_le : words_of(trace)->extensions;
    unsigned char bytes[MOON_HELLO_TRACE_BYTES];
    if (!*out) {
        for (size_t i = 0; i < trace->extensions.count; i++) {
            const unsigned char *at = trace->bytes + trace->extensions.at + 2 * i;
            bytes[2 * i] = at[little_endian ? 1 : 0];
            bytes[2 * i + 1] = at[little_endian ? 0 : 1];
        }
        write_sha1(out, bytes, 2u * trace->extensions.count);
    }
    return moon_str_of(out);
}

static void append_decimals(struct moon_buf *out, const struct moon_hello_trace *trace, struct numbers numbers) {
    const char *separator = "";
    for (size_t i = 0; i < numbers.count; i++) {
        unsigned number = number_at(trace, numbers, i);
        if (is_grease(number))
            continue;
        moon_buf_printf(out, "%s%u", separator, number);
        separator = "-";
    }
}

struct moon_str moon_hello_trace_ja3(struct moon_hello_trace *trace) {
    char *out = words_of(trace)->ja3;
    if (*out)
        return moon_str_of(out);
    struct moon_buf plain;
    unsigned char md5[EVP_MAX_MD_SIZE];
    moon_buf_init(&plain, PLAIN_BYTES);
    moon_buf_printf(&plain, "%u,", trace->legacy_version);
    append_decimals(&plain, trace, trace->ciphers);
    moon_buf_append(&plain, ",", 1);
    append_decimals(&plain, trace, trace->extensions);
    moon_buf_append(&plain, ",", 1);
    append_decimals(&plain, trace, trace->groups);
    moon_buf_append(&plain, ",", 1);
    for (size_t i = 0; i < trace->formats_len; i++)
        moon_buf_printf(&plain, "%s%u", i ? "-" : "", trace->bytes[trace->formats_at + i]);
    struct moon_str text = moon_buf_view(&plain);
    digest(EVP_md5(), text.data, text.len, md5);
    moon_hex_write(out, md5, 16, false);
    moon_buf_free(&plain);
    return moon_str_of(out);
}

static int compare_numbers(const void *a, const void *b) {
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* Without GREASE; `without_names` leaves out what the first part of JA4 says already. Sorted or as received. Returns
 * how many. */
static size_t append_hex(struct moon_buf *out, const struct moon_hello_trace *trace, struct numbers numbers,
                         bool sorted, bool without_names) {
    uint16_t list[MOON_HELLO_TRACE_BYTES / 2];
    size_t count = 0;
    for (size_t i = 0; i < numbers.count; i++) {
        unsigned number = number_at(trace, numbers, i);
        if (!is_grease(number) && !(without_names && (number == SERVER_NAME || number == PROTOCOLS)))
            list[count++] = (uint16_t)number;
    }
    if (sorted)
        qsort(list, count, sizeof *list, compare_numbers);
    for (size_t i = 0; i < count; i++)
        moon_buf_printf(out, "%s%04x", i ? "," : "", list[i]);
    return count;
}

/* Twelve hex digits of the text's SHA-256, and empties the buffer; zeros for no text. */
static void write_part(char out[JA4_PART + 1], struct moon_buf *plain) {
    unsigned char sha256[EVP_MAX_MD_SIZE] = {0};
    struct moon_str text = moon_buf_view(plain);
    if (text.len)
        digest(EVP_sha256(), text.data, text.len, sha256);
    moon_hex_write(out, sha256, JA4_PART / 2, false);
    moon_buf_clear(plain);
}

static const char *version_name(unsigned version) {
    switch (version) {
    case 0x0304:
        return "13";
    case 0x0303:
        return "12";
    case 0x0302:
        return "11";
    case 0x0301:
        return "10";
    case 0x0300:
        return "s3";
    case 0x0002:
        return "s2";
    default:
        return "00";
    }
}

static bool is_alphanumeric(unsigned char c) {
    return moon_is_digit((char)c) || (moon_lower((char)c) >= 'a' && moon_lower((char)c) <= 'z');
}

/* First and last character of the first protocol; of bytes that are neither letter nor digit, of their hex form. */
static void write_protocol(char out[3], const struct moon_hello_trace *trace) {
    static const char digits[] = "0123456789abcdef";
    unsigned char first = trace->protocol[0], last = trace->protocol[1];
    memcpy(out, "00", 3);
    if (!trace->has_protocol)
        return;
    bool readable = is_alphanumeric(first) && is_alphanumeric(last);
    out[0] = readable ? (char)first : digits[first >> 4];
    out[1] = readable ? (char)last : digits[last & 15];
}

static unsigned at_most_99(size_t count) {
    return count > 99 ? 99 : (unsigned)count;
}

static size_t count_plain(const struct moon_hello_trace *trace, struct numbers numbers, bool *has_name) {
    size_t count = 0;
    for (size_t i = 0; i < numbers.count; i++) {
        unsigned number = number_at(trace, numbers, i);
        count += !is_grease(number);
        *has_name |= number == SERVER_NAME;
    }
    return count;
}

struct moon_str moon_hello_trace_ja4(struct moon_hello_trace *trace) {
    char *out = words_of(trace)->ja4;
    if (*out)
        return moon_str_of(out);
    struct moon_buf plain;
    char ciphers[JA4_PART + 1], extensions[JA4_PART + 1], protocol[3];
    bool has_name = false, unused = false;
    size_t extension_count = count_plain(trace, trace->extensions, &has_name);
    size_t cipher_count = count_plain(trace, trace->ciphers, &unused);
    moon_buf_init(&plain, PLAIN_BYTES);
    append_hex(&plain, trace, trace->ciphers, true, false);
    write_part(ciphers, &plain);
    if (append_hex(&plain, trace, trace->extensions, true, true) && trace->signatures.count) {
        moon_buf_append(&plain, "_", 1);
        append_hex(&plain, trace, trace->signatures, false, false);
    }
    write_part(extensions, &plain);
    moon_buf_free(&plain);
    write_protocol(protocol, trace);
    snprintf(out, sizeof trace->words->ja4, "t%s%c%02u%02u%s_%s_%s",
             version_name(trace->best_version ? trace->best_version : trace->legacy_version), has_name ? 'd' : 'i',
             at_most_99(cipher_count), at_most_99(extension_count), protocol, ciphers, extensions);
    return moon_str_of(out);
}
