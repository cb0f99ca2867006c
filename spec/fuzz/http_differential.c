/* Two readings of a client's bytes: the gateway's, and a small strict one written here from RFC 9110, 9112 and 3986
 * without a look at the other and sharing none of its code. For every request of the stream, both refuse it, or both
 * see the same method, target, host and body, and the same place where the next request begins. */
#include <arpa/inet.h>
#include <ctype.h>

#include "fuzz.h"
#include "http/target.h"

/* --- the reference --- */

typedef const unsigned char *ref_at;

struct ref_span {
    ref_at from;
    ref_at to;
};

struct ref_request {
    struct ref_span method, target, fields[128][2];
    int field_count, minor;
    char host[260];
    struct ref_span uri;
    bool chunked;
    unsigned long long length;
    char body[8192];
    size_t body_len;
};

static bool ref_tchar(int c) {
    return c > 32 && c < 127 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c));
}

static bool ref_uri_char(int c) {
    return c > 32 && c < 127 && (isalnum(c) || strchr("-._~%:/?[]@!$&'()*+,;=", c));
}

static bool ref_is(struct ref_span span, const char *text) {
    return (size_t)(span.to - span.from) == strlen(text) && memcmp(span.from, text, strlen(text)) == 0;
}

static bool ref_is_nocase(struct ref_span span, const char *text) {
    return (size_t)(span.to - span.from) == strlen(text) &&
           strncasecmp((const char *)span.from, text, strlen(text)) == 0;
}

/* A line and the place behind its CRLF; NULL when there is none, or its end is not exactly that. */
static ref_at ref_line(ref_at at, ref_at end, struct ref_span *line) {
    for (ref_at c = at; c < end; c++) {
        if (*c == 0 || *c == '\n')
            return NULL;
        if (*c == '\r') {
            *line = (struct ref_span){at, c};
            return end - c >= 2 && c[1] == '\n' ? c + 2 : NULL;
        }
    }
    return NULL;
}

static bool ref_request_line(struct ref_span line, struct ref_request *out) {
    ref_at c = line.from;
    while (c < line.to && ref_tchar(*c))
        c++;
    out->method = (struct ref_span){line.from, c};
    if (c == line.from || c == line.to || *c++ != ' ')
        return false;
    out->target.from = c;
    while (c < line.to && ref_uri_char(*c))
        c++;
    out->target.to = c;
    struct ref_span version = {c, line.to};
    if (c == out->target.from || (!ref_is(version, " HTTP/1.1") && !ref_is(version, " HTTP/1.0")))
        return false;
    out->minor = line.to[-1] - '0';
    char padded[40];
    size_t len = (size_t)(out->method.to - out->method.from);
    if (len > 32)
        return false;
    snprintf(padded, sizeof padded, " %.*s ", (int)len, (const char *)out->method.from);
    return strstr(" GET HEAD POST PUT PATCH DELETE OPTIONS ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY "
                  "MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE UNBIND UNLINK "
                  "UNLOCK UNSUBSCRIBE ",
                  padded) != NULL;
}

static bool ref_field(struct ref_span line, struct ref_request *out) {
    ref_at c = line.from;
    while (c < line.to && ref_tchar(*c))
        c++;
    if (c == line.from || c == line.to || *c != ':' || out->field_count == 128)
        return false;
    out->fields[out->field_count][0] = (struct ref_span){line.from, c++};
    for (ref_at v = c; v < line.to; v++)
        if ((*v < 32 && *v != '\t') || *v == 127)
            return false;
    ref_at to = line.to;
    while (c < to && (*c == ' ' || *c == '\t'))
        c++;
    while (to > c && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    out->fields[out->field_count++][1] = (struct ref_span){c, to};
    return true;
}

/* How many fields of that name; *value is the last one's. */
static int ref_count(const struct ref_request *request, const char *name, struct ref_span *value) {
    int count = 0;
    for (int i = 0; i < request->field_count; i++) {
        if (!ref_is_nocase(request->fields[i][0], name))
            continue;
        *value = request->fields[i][1];
        count++;
    }
    return count;
}

/* host [":" port] → text in lower case without a final dot, or the canonical literal, and the port (0 when absent). */
static bool ref_authority(struct ref_span text, char *host, unsigned *port) {
    size_t len = (size_t)(text.to - text.from), label = 0, used = 0;
    char copy[600];
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text.from, len);
    copy[len] = 0;
    char *colon = copy[0] == '[' ? strchr(copy, ']') : copy;
    colon = colon ? strchr(colon, ':') : NULL;
    *port = 0;
    if (colon) {
        *colon++ = 0;
        if (strlen(colon) > 5 || strspn(colon, "0123456789") != strlen(colon))
            return false;
        *port = (unsigned)atoi(colon);
        if (*colon && (*port < 1 || *port > 65535))
            return false;
    }
    len = strlen(copy);
    if (copy[0] == '[') {
        unsigned char raw[16];
        if (len < 3 || copy[len - 1] != ']')
            return false;
        copy[len - 1] = 0;
        if (inet_pton(AF_INET6, copy + 1, raw) != 1)
            return false;
        host[0] = '[';
        inet_ntop(AF_INET6, raw, host + 1, 64);
        strcat(host, "]");
        return true;
    }
    if (len && copy[len - 1] == '.')
        copy[--len] = 0;
    if (len == 0 || len > 253)
        return false;
    for (; used < len; used++) {
        int c = (unsigned char)copy[used];
        if (c == '.' ? label == 0 : !(c < 128 && (isalnum(c) || c == '-' || c == '_')))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
        host[used] = (char)tolower(c);
    }
    host[used] = 0;
    return label > 0;
}

static bool ref_target(struct ref_request *request, bool tls) {
    struct ref_span field = {0}, text = request->target;
    int hosts = ref_count(request, "host", &field);
    bool options = ref_is(request->method, "OPTIONS");
    unsigned field_port = 0, port = 0, standard = tls ? 443 : 80;
    char field_host[260] = "";
    if (hosts > 1 || (hosts == 0 && request->minor == 1))
        return false;
    if (hosts && !ref_authority(field, field_host, &field_port))
        return false;
    request->uri = text;
    strcpy(request->host, field_host);
    if (*text.from == '/')
        return true;
    if (ref_is(text, "*"))
        return options;
    const char *scheme = tls ? "https://" : "http://";
    struct ref_span head = {text.from, text.from + strlen(scheme)};
    if (text.to < head.to || !ref_is_nocase(head, scheme))
        return false;
    struct ref_span authority = {head.to, head.to};
    while (authority.to < text.to && *authority.to != '/' && *authority.to != '?')
        authority.to++;
    if (!ref_authority(authority, request->host, &port))
        return false;
    request->uri = (struct ref_span){authority.to, text.to};
    if (request->uri.from == request->uri.to)
        request->uri.from = (ref_at)(options ? "*" : "/"), request->uri.to = request->uri.from + 1;
    if (hosts &&
        (strcmp(field_host, request->host) != 0 || (field_port ? field_port : standard) != (port ? port : standard)))
        return false;
    return *request->uri.from != '?';
}

static bool ref_framing(struct ref_request *request) {
    struct ref_span coding = {0}, length = {0}, expect;
    int codings = ref_count(request, "transfer-encoding", &coding),
        lengths = ref_count(request, "content-length", &length);
    if (codings + lengths > 1 || (codings && (request->minor == 0 || !ref_is_nocase(coding, "chunked"))))
        return false;
    /* The one thing that is stricter here than the RFC: no tab between these values and the end of their line. */
    struct ref_span value = codings ? coding : length;
    for (ref_at c = value.to; c && *c != '\r'; c++)
        if (*c == '\t')
            return false;
    request->chunked = codings == 1;
    request->length = 0;
    if (lengths && length.from == length.to)
        return false;
    for (ref_at c = length.from; c < length.to; c++) {
        if (!isdigit(*c) || request->length > (9223372036854775807ull - (unsigned)(*c - '0')) / 10)
            return false;
        request->length = request->length * 10 + (unsigned)(*c - '0');
    }
    for (int i = 0; i < request->field_count; i++) {
        expect = request->fields[i][1];
        if (ref_is_nocase(request->fields[i][0], "expect") && !ref_is_nocase(expect, "100-continue"))
            return false;
    }
    return true;
}

/* chunk-ext behind the size: *( ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), BWS only where another part
 * follows. */
static bool ref_extensions(ref_at c, ref_at end) {
    while (c < end) {
        if (*c++ != ';')
            return false;
        while (c < end && (*c == ' ' || *c == '\t'))
            c++;
        ref_at name = c;
        while (c < end && ref_tchar(*c))
            c++;
        if (c == name)
            return false;
        ref_at blank = c;
        while (c < end && (*c == ' ' || *c == '\t'))
            c++;
        if (c < end && *c == '=') {
            for (c++; c < end && (*c == ' ' || *c == '\t');)
                c++;
            ref_at value = c;
            if (c < end && *c == '"') {
                for (c++; c < end && *c != '"'; c++) {
                    if (*c == '\\')
                        c++;
                    if (c >= end || (*c < 32 && *c != '\t') || *c == 127)
                        return false;
                }
                if (c++ >= end)
                    return false;
            } else {
                while (c < end && ref_tchar(*c))
                    c++;
            }
            if (c == value)
                return false;
            blank = c;
            while (c < end && (*c == ' ' || *c == '\t'))
                c++;
        }
        if (c == end && blank != c)
            return false;
    }
    return true;
}

static ref_at ref_chunked(ref_at at, ref_at end, struct ref_request *out) {
    struct ref_span line;
    for (;;) {
        at = ref_line(at, end, &line);
        if (!at || line.to - line.from > 256)
            return NULL;
        ref_at c = line.from;
        unsigned long long size = 0;
        while (c < line.to && isxdigit(*c)) {
            size = size * 16 + (unsigned)(isdigit(*c) ? *c - '0' : tolower(*c) - 'a' + 10);
            c++;
        }
        if (c == line.from || c - line.from > 16 || size > 9223372036854775807ull || !ref_extensions(c, line.to))
            return NULL;
        if (size == 0)
            break;
        if ((unsigned long long)(end - at) < size + 2 || at[size] != '\r' || at[size + 1] != '\n')
            return NULL;
        memcpy(out->body + out->body_len, at, size);
        out->body_len += size;
        at += size + 2;
    }
    for (;;) {
        at = ref_line(at, end, &line);
        if (!at || line.from == line.to)
            return at;
        struct ref_request scratch = {.field_count = 0};
        if (!ref_field(line, &scratch))
            return NULL;
    }
}

/* Reads one request. Returns the place behind it, or NULL when it is refused or not complete. */
static ref_at ref_read(ref_at at, ref_at end, bool tls, struct ref_request *out) {
    struct ref_span line;
    memset(out, 0, sizeof *out);
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
        at += 2;
    at = ref_line(at, end, &line);
    if (!at || !ref_request_line(line, out))
        return NULL;
    for (;;) {
        at = ref_line(at, end, &line);
        if (!at)
            return NULL;
        if (line.from == line.to)
            break;
        if (!ref_field(line, out))
            return NULL;
    }
    if (!ref_framing(out) || !ref_target(out, tls))
        return NULL;
    if (out->chunked)
        return ref_chunked(at, end, out);
    if ((unsigned long long)(end - at) < out->length)
        return NULL;
    memcpy(out->body, at, out->length);
    out->body_len = out->length;
    return at + out->length;
}

/* --- the gateway's --- */

struct seen {
    struct moon_http_head head;
    struct moon_http_target target;
    struct fuzz_body body;
};

/* Returns how many bytes the request took, or 0 when it is refused or not complete. */
static size_t read_ours(struct moon_str bytes, bool tls, struct seen *seen) {
    struct moon_http_limits limits;
    moon_http_limits_init(&limits);
    size_t scanned = 0;
    const char *reason;
    seen->body.payload = NULL;
    int length = moon_http_scan(bytes, &scanned, &limits);
    if (length <= 0)
        return 0;
    if (moon_http_parse_request(&seen->head, moon_str(bytes.data, (size_t)length), &limits, &reason) ||
        moon_http_read_target(&seen->target, &seen->head, tls, &reason))
        return 0;
    struct moon_str rest = moon_str(bytes.data + length, bytes.len - (size_t)length);
    seen->body = fuzz_read_body(seen->head.framing, seen->head.content_length, rest, rest.len ? rest.len : 1);
    return seen->body.code || !seen->body.reader.done ? 0 : (size_t)length + seen->body.read;
}

static bool is_same(struct moon_str ours, struct ref_span theirs) {
    return ours.len == (size_t)(theirs.to - theirs.from) && memcmp(ours.data, theirs.from, ours.len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct seen seen;
    static struct ref_request reference;
    if (size < 1 || size > 8000) /* below every limit but those on counts and chunk lines, which both have */
        return 0;
    bool tls = data[0] & 1;
    struct moon_str rest = moon_str((const char *)data + 1, size - 1);
    for (bool more = true; more && rest.len;) {
        size_t ours = read_ours(rest, tls, &seen);
        ref_at from = (ref_at)rest.data, theirs = ref_read(from, from + rest.len, tls, &reference);
        FUZZ_CHECK(ours == (theirs ? (size_t)(theirs - from) : 0));
        if (ours) {
            FUZZ_CHECK(is_same(seen.head.method, reference.method) && is_same(seen.head.target, reference.target));
            FUZZ_CHECK(is_same(seen.target.uri, reference.uri) && strcmp(seen.target.host, reference.host) == 0);
            FUZZ_CHECK(seen.head.field_count == (size_t)reference.field_count);
            for (int i = 0; i < reference.field_count; i++)
                FUZZ_CHECK(is_same(seen.head.fields[i].name, reference.fields[i][0]) &&
                           is_same(seen.head.fields[i].value, reference.fields[i][1]));
            FUZZ_CHECK(seen.body.payload_len == reference.body_len &&
                       memcmp(seen.body.payload, reference.body, reference.body_len) == 0);
        }
        free(seen.body.payload);
        more = ours > 0;
        rest = moon_str(rest.data + ours, rest.len - ours);
    }
    return 0;
}
