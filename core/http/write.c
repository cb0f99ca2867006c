#include "http/write.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "http/chars.h"
#include "http/target.h"

bool moon_http_is_token(struct moon_str text) {
    return text.len > 0 && moon_http_are_chars(text, MOON_HTTP_TOKEN);
}

bool moon_http_is_field_value(struct moon_str text) {
    return moon_http_are_chars(text, MOON_HTTP_VALUE);
}

/* All pieces or nothing: a start line or a field is never half written. */
static int append(struct moon_buf *out, const struct moon_str *pieces, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > SIZE_MAX - total)
            return MOON_ETOOBIG;
        total += pieces[i].len;
    }
    char *room = moon_buf_reserve(out, total);
    if (!room)
        return MOON_ETOOBIG;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len)
            memcpy(room, pieces[i].data, pieces[i].len);
        room += pieces[i].len;
    }
    moon_buf_commit(out, total);
    return 0;
}

int moon_http_write_request_line(struct moon_buf *out, struct moon_str method, struct moon_str uri) {
    if (!moon_http_is_token(method) || !moon_http_is_target(uri))
        return MOON_EHEAD;
    const struct moon_str pieces[] = {method, MOON_STR(" "), uri, MOON_STR(" HTTP/1.1\r\n")};
    return append(out, pieces, MOON_COUNT(pieces));
}

int moon_http_write_status_line(struct moon_buf *out, unsigned status) {
    if (status < 100 || status > 999)
        return MOON_EHEAD;
    char number[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    const struct moon_str pieces[] = {MOON_STR("HTTP/1.1 "), moon_str(number, sizeof number), MOON_STR(" "),
                                      moon_str_of(moon_http_reason(status)), MOON_STR("\r\n")};
    return append(out, pieces, MOON_COUNT(pieces));
}

int moon_http_write_field(struct moon_buf *out, struct moon_str name, struct moon_str value) {
    if (!moon_http_is_token(name) || !moon_http_is_field_value(value))
        return MOON_EHEAD;
    const struct moon_str pieces[] = {name, MOON_STR(": "), value, MOON_STR("\r\n")};
    return append(out, pieces, MOON_COUNT(pieces));
}

int moon_http_write_field_number(struct moon_buf *out, struct moon_str name, uint64_t value) {
    char digits[24];
    char *first = digits + sizeof digits;
    do
        *--first = (char)('0' + value % 10);
    while (value /= 10);
    return moon_http_write_field(out, name, moon_str(first, (size_t)(digits + sizeof digits - first)));
}

int moon_http_write_end(struct moon_buf *out) {
    return moon_buf_append_str(out, MOON_STR("\r\n"));
}

/* clang-format off */
/* The registry of RFC 9110 section 15 and its later entries, then the family that edge gateways answer with when an
 * origin fails. */
#define MOON_HTTP_STATUS_LIST(X)                                                                                    \
    X(100, "Continue") X(101, "Switching Protocols") X(102, "Processing") X(103, "Early Hints")                     \
    X(200, "OK") X(201, "Created") X(202, "Accepted") X(203, "Non-Authoritative Information")                       \
    X(204, "No Content") X(205, "Reset Content") X(206, "Partial Content") X(207, "Multi-Status")                   \
    X(208, "Already Reported") X(226, "IM Used")                                                                    \
    X(300, "Multiple Choices") X(301, "Moved Permanently") X(302, "Found") X(303, "See Other")                      \
    X(304, "Not Modified") X(305, "Use Proxy") X(307, "Temporary Redirect") X(308, "Permanent Redirect")            \
    X(400, "Bad Request") X(401, "Unauthorized") X(402, "Payment Required") X(403, "Forbidden")                     \
    X(404, "Not Found") X(405, "Method Not Allowed") X(406, "Not Acceptable")                                       \
    X(407, "Proxy Authentication Required") X(408, "Request Timeout") X(409, "Conflict") X(410, "Gone")             \
    X(411, "Length Required") X(412, "Precondition Failed") X(413, "Content Too Large") X(414, "URI Too Long")      \
    X(415, "Unsupported Media Type") X(416, "Range Not Satisfiable") X(417, "Expectation Failed")                   \
    X(421, "Misdirected Request") X(422, "Unprocessable Content") X(423, "Locked") X(424, "Failed Dependency")      \
    X(425, "Too Early") X(426, "Upgrade Required") X(428, "Precondition Required") X(429, "Too Many Requests")      \
    X(431, "Request Header Fields Too Large") X(451, "Unavailable For Legal Reasons")                               \
    X(500, "Internal Server Error") X(501, "Not Implemented") X(502, "Bad Gateway") X(503, "Service Unavailable")   \
    X(504, "Gateway Timeout") X(505, "HTTP Version Not Supported") X(506, "Variant Also Negotiates")                \
    X(507, "Insufficient Storage") X(508, "Loop Detected") X(510, "Not Extended")                                   \
    X(511, "Network Authentication Required")                                                                       \
    X(520, "Unknown Origin Error") X(521, "Origin Is Down") X(522, "Origin Connection Timeout")                     \
    X(523, "Origin Is Unreachable") X(524, "Origin Response Timeout") X(525, "Origin TLS Handshake Failed")         \
    X(526, "Invalid Origin Certificate") X(530, "No Origin")
/* clang-format on */

const char *moon_http_reason(unsigned status) {
    switch (status) {
#define MOON_HTTP_STATUS_TEXT(number, text)                                                                            \
    case number:                                                                                                       \
        return text;
        MOON_HTTP_STATUS_LIST(MOON_HTTP_STATUS_TEXT)
#undef MOON_HTTP_STATUS_TEXT
    default:
        return "Unknown";
    }
}

void moon_http_date(char *out, long long unix_seconds) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const long long last = 253402300799; /* the end of the year 9999: four digits are all the format has */
    time_t when = unix_seconds < 0 ? 0 : unix_seconds > last ? (time_t)last : (time_t)unix_seconds;
    struct tm tm;
    moon_assert(gmtime_r(&when, &tm) != NULL);
    /* By hand and not by strftime, whose names follow the locale of the process that we may be a library in. */
    char text[64];
    int len = snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
                       months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    moon_assert(len == 29);
    memcpy(out, text, 30);
}
