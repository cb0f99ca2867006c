#include "http/parse.h"

#include <llhttp.h>

#include "http/chars.h"
#include "http/target.h"
#include "http/write.h"

/* Two readers, one meaning: ours reads the head and decides every refusal with its status; then llhttp reads the same
 * bytes and must see the same fields at the same places and the same framing. llhttp can only refuse more, whatever its
 * version. */

enum { METHOD_MAX = 32 };

/* A reading under way. */
struct reading {
    struct moon_http_head *head;
    struct moon_str rest; /* what has not been read */
    const struct moon_http_limits *limits;
    const char **reason;
    bool has_length; /* a Content-Length, and its value */
    uint64_t length;
    bool has_coding; /* a Transfer-Encoding; it is "chunked" */
};

void moon_http_limits_init(struct moon_http_limits *limits) {
    *limits = (struct moon_http_limits){
        .start_line = 8 * 1024, .field = 16 * 1024, .fields = 64 * 1024, .field_count = MOON_HTTP_FIELDS_MAX};
}

static int refuse(const struct reading *reading, int status, const char *text) {
    *reading->reason = text;
    return status;
}

/* Not by assigning a whole empty struct: the fields are 4 KiB that nobody reads beyond field_count. */
static void reset(struct moon_http_head *head) {
    head->method = head->target = head->reason = head->host = MOON_STR_NONE;
    head->status = 0;
    head->minor_version = 0;
    head->field_count = 0;
    head->framing = MOON_HTTP_NO_BODY;
    head->content_length = 0;
    head->keep_alive = head->expect_continue = head->upgrade_websocket = false;
}

/* --- lines --- */

/* The next line without its CRLF. False when no CRLF ends it. */
static bool next_line(struct reading *reading, struct moon_str *line) {
    const char *cr = reading->rest.len ? memchr(reading->rest.data, '\r', reading->rest.len) : NULL;
    size_t len = cr ? (size_t)(cr - reading->rest.data) : 0;
    if (!cr || reading->rest.len < len + 2 || cr[1] != '\n')
        return false;
    *line = moon_str(reading->rest.data, len);
    reading->rest = moon_str(cr + 2, reading->rest.len - len - 2);
    return true;
}

static int read_field(struct reading *reading, struct moon_str line) {
    struct moon_http_head *head = reading->head;
    if (line.len > reading->limits->field)
        return refuse(reading, 431, "a field line is too long");
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return refuse(reading, 400, "a field line is folded");
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon)
        return refuse(reading, 400, "a field line has no colon");
    struct moon_str name = moon_str(line.data, (size_t)(colon - line.data));
    struct moon_str value = moon_str_trim(moon_str(colon + 1, line.len - name.len - 1));
    if (!moon_http_is_token(name))
        return refuse(reading, 400, "a field name is no token");
    if (!moon_http_is_field_value(value))
        return refuse(reading, 400, "a field value has a control byte");
    if (head->field_count >= MOON_HTTP_FIELDS_MAX || head->field_count >= reading->limits->field_count)
        return refuse(reading, 431, "too many fields");
    head->fields[head->field_count++] = (struct moon_http_field){name, value};
    return 0;
}

static int read_fields(struct reading *reading) {
    struct moon_str line;
    for (;;) {
        if (!next_line(reading, &line))
            return refuse(reading, 400, "the head does not end with an empty line");
        if (!line.len)
            return reading->rest.len ? refuse(reading, 400, "bytes follow the empty line") : 0;
        int status = read_field(reading, line);
        if (status)
            return status;
    }
}

/* --- start lines --- */

/* "HTTP/" DIGIT "." DIGIT. Returns 0 or the status. */
static int read_version(struct reading *reading, struct moon_str text) {
    if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || !moon_is_digit(text.data[5]) || text.data[6] != '.' ||
        !moon_is_digit(text.data[7]))
        return refuse(reading, 400, "the start line has no HTTP version");
    if (text.data[5] == '0')
        return refuse(reading, 400, "HTTP/0.9 is not served");
    if (text.data[5] != '1' || text.data[7] > '1')
        return refuse(reading, 505, "only HTTP/1.0 and HTTP/1.1 are served here");
    reading->head->minor_version = (unsigned)(text.data[7] - '0');
    return 0;
}

/* Known to every llhttp we build with, and harmless to forward; the usual ones first. */
static bool is_served_method(struct moon_str method) {
    static const char *const served[] = {
        "GET",    "POST",      "HEAD",  "PUT",        "PATCH",    "DELETE",    "OPTIONS",     "PROPFIND",
        "COPY",   "LOCK",      "MKCOL", "MOVE",       "SEARCH",   "PROPPATCH", "UNLOCK",      "BIND",
        "REBIND", "UNBIND",    "ACL",   "REPORT",     "CHECKOUT", "MERGE",     "MKACTIVITY",  "M-SEARCH",
        "NOTIFY", "SUBSCRIBE", "PURGE", "MKCALENDAR", "LINK",     "UNLINK",    "UNSUBSCRIBE",
    };
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (served[i][0] == method.data[0] && moon_str_equal(method, moon_str_of(served[i])))
            return true;
    return false;
}

static int check_method(const struct reading *reading, struct moon_str method) {
    if (moon_str_equal(method, MOON_STR("TRACE")) || moon_str_equal(method, MOON_STR("TRACK")) ||
        moon_str_equal(method, MOON_STR("CONNECT")))
        return refuse(reading, 405, "the method is not allowed");
    if (method.len > METHOD_MAX || !is_served_method(method))
        return refuse(reading, 501, "the method is not known");
    return 0;
}

/* method SP target SP version (RFC 9112 section 3). Shape first, then version, then method: what is no HTTP/1 at all
 * should not be told about methods. */
static int read_request_line(struct reading *reading) {
    struct moon_str line;
    if (!next_line(reading, &line))
        return refuse(reading, 400, "the request line does not end");
    if (line.len > reading->limits->start_line)
        return refuse(reading, 414, "the request line is too long");
    const char *first = line.len ? memchr(line.data, ' ', line.len) : NULL;
    const char *second = first ? memchr(first + 1, ' ', (size_t)(line.data + line.len - first - 1)) : NULL;
    if (!second)
        return refuse(reading, 400, "the request line has no three parts");
    struct moon_str method = moon_str(line.data, (size_t)(first - line.data));
    struct moon_str target = moon_str(first + 1, (size_t)(second - first - 1));
    struct moon_str version = moon_str(second + 1, (size_t)(line.data + line.len - second - 1));
    if (!moon_http_is_token(method))
        return refuse(reading, 400, "the method is no token");
    if (!moon_http_is_target(target))
        return refuse(reading, 400, "the target has a byte that a URI cannot have");
    reading->head->method = method;
    reading->head->target = target;
    int status = read_version(reading, version);
    return status ? status : check_method(reading, method);
}

/* version SP 3DIGIT [ SP reason ] (RFC 9112 section 4). The SP before an empty reason is often left out; nothing hangs
 * on it. */
static int read_status_line(struct reading *reading) {
    struct moon_str line;
    if (!next_line(reading, &line))
        return refuse(reading, 502, "the status line does not end");
    if (line.len > reading->limits->start_line)
        return refuse(reading, 502, "the status line is too long");
    const char *at = line.data;
    if (line.len < 12 || at[8] != ' ' || (line.len > 12 && at[12] != ' '))
        return refuse(reading, 502, "the status line is malformed");
    int status = read_version(reading, moon_str(at, 8));
    if (status)
        return status;
    if (!moon_is_digit(at[9]) || !moon_is_digit(at[10]) || !moon_is_digit(at[11]) || at[9] == '0')
        return refuse(reading, 502, "the status is no number from 100 to 999");
    reading->head->status = (unsigned)((at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0'));
    if (line.len > 13)
        reading->head->reason = moon_str(at + 13, line.len - 13);
    if (!moon_http_is_field_value(reading->head->reason))
        return refuse(reading, 502, "the reason phrase has a control byte");
    return 0;
}

/* --- what the fields say --- */

/* Exactly "chunked" is what we serve. Of the rest, a well-formed list of codings is unknown to us (501), and what is no
 * such list, or has "chunked" twice or not last, is malformed (400; RFC 9112 section 6.1, 6.3). */
static int refuse_coding(const struct reading *reading, struct moon_str value) {
    const char *end = value.data + value.len, *at = value.data;
    bool chunked = false;
    while (at <= end) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        struct moon_str element = moon_str_trim(moon_str(at, (size_t)((comma ? comma : end) - at)));
        if (chunked || !moon_http_is_token(element))
            return refuse(reading, 400, "Transfer-Encoding is malformed");
        chunked = moon_str_equal_nocase(element, MOON_STR("chunked"));
        if (!comma)
            break;
        at = comma + 1;
    }
    return refuse(reading, 501, "Transfer-Encoding names a coding other than chunked");
}

/* Content-Length and Transfer-Encoding: at most one line of one of them (RFC 9112 section 6.1–6.3). */
static int read_length_field(struct reading *reading, const struct moon_http_field *field) {
    bool coding = field->name.len == 17 && moon_str_equal_nocase(field->name, MOON_STR("transfer-encoding"));
    bool length = field->name.len == 14 && moon_str_equal_nocase(field->name, MOON_STR("content-length"));
    if (!coding && !length)
        return 0;
    /* Strict llhttp takes spaces behind these two values and no HTAB; other readers differ, so nothing but spaces. */
    for (const char *at = field->value.data + field->value.len; *at != '\r'; at++)
        if (*at != ' ')
            return refuse(reading, 400, "a tab behind Content-Length or Transfer-Encoding");
    if (coding ? reading->has_length : reading->has_coding)
        return refuse(reading, 400, "both Content-Length and Transfer-Encoding");
    if (coding) {
        if (reading->has_coding)
            return refuse(reading, 400, "two Transfer-Encoding fields");
        if (reading->head->minor_version == 0)
            return refuse(reading, 400, "Transfer-Encoding in HTTP/1.0");
        reading->has_coding = true;
        return moon_str_equal_nocase(field->value, MOON_STR("chunked")) ? 0 : refuse_coding(reading, field->value);
    }
    if (reading->has_length)
        return refuse(reading, 400, "two Content-Length fields");
    if (!moon_str_to_uint63(field->value, &reading->length))
        return refuse(reading, 400, "Content-Length is no number below 2^63");
    reading->has_length = true;
    return 0;
}

/* The order of the fields must not decide which refusal it is: a coding that we refuse with 501 on its own is 400
 * beside a Content-Length or a second one. */
static int read_framing(struct reading *reading) {
    int first = 0;
    const char *why = NULL;
    for (size_t i = 0; i < reading->head->field_count; i++) {
        int status = read_length_field(reading, &reading->head->fields[i]);
        if (status == 400)
            return status;
        if (status) {
            first = status;
            why = *reading->reason;
        }
    }
    return first ? refuse(reading, first, why) : 0;
}

static void read_connection(struct moon_http_head *head) {
    bool close = moon_http_lists(head, MOON_STR("connection"), MOON_STR("close"));
    bool keep = head->minor_version == 1 || moon_http_lists(head, MOON_STR("connection"), MOON_STR("keep-alive"));
    head->keep_alive = keep && !close;
}

/* RFC 9110 section 7.8: not in HTTP/1.0. One Upgrade field with one protocol; a list would leave the choice to the
 * origin. */
static bool names_websocket(const struct moon_http_head *head) {
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!moon_str_equal_nocase(head->fields[i].name, MOON_STR("upgrade")))
            continue;
        if (++count > 1 || !moon_str_equal_nocase(head->fields[i].value, MOON_STR("websocket")))
            return false;
    }
    return count == 1 && head->minor_version == 1 && moon_http_lists(head, MOON_STR("connection"), MOON_STR("upgrade"));
}

/* RFC 9112 section 3.2: exactly one, and none at most in HTTP/1.0. What is in it is target.c's to judge. */
static int read_host(struct reading *reading) {
    struct moon_http_head *head = reading->head;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!moon_str_equal_nocase(head->fields[i].name, MOON_STR("host")))
            continue;
        if (head->host.data)
            return refuse(reading, 400, "two Host fields");
        head->host = head->fields[i].value;
    }
    if (!head->host.data && head->minor_version == 1)
        return refuse(reading, 400, "no Host field");
    if (head->host.data && !head->host.len)
        return refuse(reading, 400, "the Host field is empty");
    return 0;
}

/* RFC 9110 section 10.1.1. In HTTP/1.0 the expectation of a 100 is to be ignored. */
static int read_expect(struct reading *reading) {
    struct moon_http_head *head = reading->head;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!moon_str_equal_nocase(head->fields[i].name, MOON_STR("expect")))
            continue;
        if (!moon_str_equal_nocase(head->fields[i].value, MOON_STR("100-continue")))
            return refuse(reading, 417, "the expectation is not known");
        head->expect_continue = head->minor_version == 1;
    }
    return 0;
}

/* --- the second reader --- */

struct second {
    const struct reading *reading;
    size_t fields; /* names seen */
    bool differs;
    bool complete;
};

static bool is_same_span(struct moon_str a, struct moon_str b) {
    return a.len == b.len && (a.len == 0 || a.data == b.data);
}

/* llhttp knows this value as "go no further, and keep the error". */
static int compare(struct second *second, bool same) {
    second->differs |= !same;
    return same ? 0 : -1;
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
    struct second *second = parser->data;
    return compare(second, is_same_span(moon_str(at, len), second->reading->head->target));
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
    struct second *second = parser->data;
    const struct moon_http_head *head = second->reading->head;
    size_t i = second->fields++;
    return compare(second, i < head->field_count && is_same_span(moon_str(at, len), head->fields[i].name));
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
    struct second *second = parser->data;
    const struct moon_http_head *head = second->reading->head;
    return compare(second, second->fields > 0 &&
                               is_same_span(moon_str_trim(moon_str(at, len)), head->fields[second->fields - 1].value));
}

static int on_headers_complete(llhttp_t *parser) {
    struct second *second = parser->data;
    const struct reading *reading = second->reading;
    bool chunked = (parser->flags & F_CHUNKED) != 0, length = (parser->flags & F_CONTENT_LENGTH) != 0;
    bool same = second->fields == reading->head->field_count && parser->http_major == 1 &&
                parser->http_minor == reading->head->minor_version && parser->status_code == reading->head->status &&
                chunked == reading->has_coding && length == reading->has_length &&
                (!length || parser->content_length == reading->length);
    second->complete = true;
    return compare(second, same) ? -1 : HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

/* True when llhttp reads `bytes` as one head, to the last byte, and sees what we saw. */
static bool second_reader_agrees(const struct reading *reading, llhttp_type_t type, struct moon_str bytes) {
    struct second second = {.reading = reading};
    llhttp_t parser;
    llhttp_init(&parser, type, &settings);
    parser.data = &second;
    llhttp_errno_t said = llhttp_execute(&parser, bytes.data, bytes.len);
    return said == HPE_PAUSED && second.complete && !second.differs &&
           llhttp_get_error_pos(&parser) == bytes.data + bytes.len;
}

/* --- the two messages --- */

int moon_http_parse_request(struct moon_http_head *head, struct moon_str bytes, const struct moon_http_limits *limits,
                            const char **reason) {
    if (bytes.len >= 2 && bytes.data[0] == '\r' && bytes.data[1] == '\n')
        bytes = moon_str(bytes.data + 2, bytes.len - 2); /* RFC 9112 section 2.2 */
    struct reading reading = {.head = head, .rest = bytes, .limits = limits, .reason = reason};
    *reason = NULL;
    reset(head);
    if (bytes.len > limits->fields)
        return refuse(&reading, 431, "the head is too long");
    int status = read_request_line(&reading);
    if (!status)
        status = read_fields(&reading);
    if (!status)
        status = read_host(&reading);
    if (!status)
        status = read_framing(&reading);
    if (!status)
        status = read_expect(&reading);
    if (status)
        return status;
    if (!second_reader_agrees(&reading, HTTP_REQUEST, bytes))
        return refuse(&reading, 400, "the head can be read in two ways");
    read_connection(head);
    if (reading.has_coding)
        head->framing = MOON_HTTP_CHUNKED;
    else if (reading.has_length)
        head->framing = MOON_HTTP_LENGTH;
    head->content_length = reading.length;
    bool bodiless = head->framing == MOON_HTTP_NO_BODY || (head->framing == MOON_HTTP_LENGTH && !head->content_length);
    head->upgrade_websocket = bodiless && moon_str_equal(head->method, MOON_STR("GET")) && names_websocket(head);
    return 0;
}

/* RFC 9112 section 6.3. Content-Length and Transfer-Encoding were read and are sound, also where they do not count. */
static void frame_response(struct moon_http_head *head, const struct reading *reading, bool to_head) {
    bool announces = reading->has_coding || (reading->has_length && reading->length);
    if (to_head || head->status < 200 || head->status == 204 || head->status == 304) {
        head->framing = MOON_HTTP_NO_BODY;
        if (head->status == 204 && announces)
            head->keep_alive = false; /* its bytes, if they come, must not be taken for the next response */
    } else if (reading->has_coding) {
        head->framing = MOON_HTTP_CHUNKED;
    } else if (reading->has_length) {
        head->framing = MOON_HTTP_LENGTH;
        head->content_length = reading->length;
    } else {
        head->framing = MOON_HTTP_UNTIL_CLOSE;
        head->keep_alive = false;
    }
}

int moon_http_parse_response(struct moon_http_head *head, struct moon_str bytes, const struct moon_http_limits *limits,
                             bool to_head, const char **reason) {
    struct reading reading = {.head = head, .rest = bytes, .limits = limits, .reason = reason};
    *reason = NULL;
    reset(head);
    if (bytes.len > limits->fields)
        return refuse(&reading, 502, "the head is too long");
    if (read_status_line(&reading) || read_fields(&reading) || read_framing(&reading))
        return 502;
    if (!second_reader_agrees(&reading, HTTP_RESPONSE, bytes))
        return refuse(&reading, 502, "the head can be read in two ways");
    read_connection(head);
    frame_response(head, &reading, to_head);
    head->upgrade_websocket = head->status == 101 && names_websocket(head);
    return 0;
}
