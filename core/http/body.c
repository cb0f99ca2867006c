#include "http/body.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "http/chars.h"

/* Where a chunked body stands. Data is handed out as spans; all else is read byte by byte. */
enum state {
    SIZE = 0, /* the line of a chunk, up to its CR */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* a line of the trailer section, up to its CR */
    TRAILER_LF,
    END_LF,
    FAILED,
};

/* Where a line stands. */
enum line_state {
    DIGITS = 0,
    EXT_NAME_FIRST, /* behind ';': white space is allowed there (BWS, RFC 9112 section 7.1.1), and nowhere before it */
    EXT_NAME,
    EXT_NAME_BLANK,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    EXT_VALUE_BLANK,
    FIELD_FIRST,
    FIELD_NAME,
    FIELD_VALUE,
};

enum { CHUNK_DIGITS_MAX = 16 };

void moon_http_body_init(struct moon_http_body *body, enum moon_http_framing framing, uint64_t content_length) {
    *body = (struct moon_http_body){.framing = framing};
    body->left = framing == MOON_HTTP_LENGTH ? content_length : 0;
    body->done = framing == MOON_HTTP_NO_BODY || (framing == MOON_HTTP_LENGTH && content_length == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* The next state inside a chunk's line behind its digits, or -1. */
static int next_in_extension(int state, char c) {
    bool token = moon_http_is_char(c, MOON_HTTP_TOKEN);
    switch (state) {
    case EXT_NAME_FIRST:
        return token ? EXT_NAME : is_blank(c) ? EXT_NAME_FIRST : -1;
    case EXT_NAME:
        if (token)
            return EXT_NAME;
        /* fall through */
    case EXT_NAME_BLANK:
        return c == '=' ? EXT_VALUE_FIRST : c == ';' ? EXT_NAME_FIRST : is_blank(c) ? EXT_NAME_BLANK : -1;
    case EXT_VALUE_FIRST:
        return token ? EXT_VALUE : c == '"' ? EXT_QUOTED : is_blank(c) ? EXT_VALUE_FIRST : -1;
    case EXT_VALUE:
        if (token)
            return EXT_VALUE;
        /* fall through */
    case EXT_QUOTED_END:
    case EXT_VALUE_BLANK:
        return c == ';' ? EXT_NAME_FIRST : is_blank(c) ? EXT_VALUE_BLANK : -1;
    case EXT_QUOTED:
        if (c == '"')
            return EXT_QUOTED_END;
        return c == '\\' ? EXT_ESCAPED : moon_http_is_char(c, MOON_HTTP_VALUE) ? EXT_QUOTED : -1;
    case EXT_ESCAPED:
        return moon_http_is_char(c, MOON_HTTP_VALUE) ? EXT_QUOTED : -1;
    default:
        return -1;
    }
}

static bool may_end_line(const struct moon_http_body *body) {
    switch (body->line_state) {
    case DIGITS:
        return body->digits > 0;
    case EXT_NAME:
    case EXT_VALUE:
    case EXT_QUOTED_END:
    case FIELD_VALUE:
        return true;
    default:
        return false;
    }
}

static bool read_digit(struct moon_http_body *body, char c) {
    int digit = moon_hex_digit(c);
    if (digit < 0)
        return false;
    if (++body->digits > CHUNK_DIGITS_MAX || body->left > (uint64_t)INT64_MAX >> 4)
        return false;
    body->left = body->left << 4 | (unsigned)digit;
    return true;
}

/* One byte of a chunk's line. */
static bool read_size(struct moon_http_body *body, char c) {
    if (c == '\r') {
        body->state = SIZE_LF;
        return may_end_line(body);
    }
    if (++body->line_len > MOON_HTTP_CHUNK_LINE_MAX)
        return false;
    if (body->line_state == DIGITS && c != ';')
        return read_digit(body, c);
    if (++body->extensions > MOON_HTTP_CHUNK_EXTENSIONS_MAX)
        return false;
    int next = body->line_state != DIGITS ? next_in_extension(body->line_state, c) : body->digits ? EXT_NAME_FIRST : -1;
    if (next < 0)
        return false;
    body->line_state = (unsigned char)next;
    return true;
}

/* One byte of the trailer section, the line ends left out. The fields are checked like any other and dropped. */
static bool read_trailer(struct moon_http_body *body, char c) {
    if (++body->trailers > MOON_HTTP_TRAILERS_MAX)
        return false;
    switch (body->line_state) {
    case FIELD_FIRST:
        if (c == '\r') {
            body->state = END_LF;
            return true;
        }
        body->line_state = FIELD_NAME;
        return moon_http_is_char(c, MOON_HTTP_TOKEN);
    case FIELD_NAME:
        if (c == ':')
            body->line_state = FIELD_VALUE;
        return c == ':' || moon_http_is_char(c, MOON_HTTP_TOKEN);
    default:
        if (c == '\r')
            body->state = TRAILER_LF;
        return c == '\r' || moon_http_is_char(c, MOON_HTTP_VALUE);
    }
}

static void begin_chunk(struct moon_http_body *body) {
    body->state = SIZE;
    body->line_state = DIGITS;
    body->line_len = 0;
    body->digits = 0;
    body->left = 0;
}

static void begin_trailer(struct moon_http_body *body) {
    body->state = TRAILER;
    body->line_state = FIELD_FIRST;
}

/* One byte of framing. False when it must not stand there. */
static bool read_framing(struct moon_http_body *body, char c) {
    switch (body->state) {
    case SIZE:
        return read_size(body, c);
    case SIZE_LF:
        if (body->left)
            body->state = DATA;
        else
            begin_trailer(body);
        return c == '\n';
    case DATA_CR:
        body->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        begin_chunk(body);
        return c == '\n';
    case TRAILER:
        return read_trailer(body, c);
    case TRAILER_LF:
        begin_trailer(body);
        return c == '\n';
    case END_LF:
        body->done = c == '\n';
        return body->done;
    default:
        return false;
    }
}

static void take_payload(struct moon_http_body *body, struct moon_str *input, struct moon_str *payload, size_t len) {
    *payload = moon_str(input->data, len);
    *input = moon_str(input->data + len, input->len - len);
    body->payload += len;
}

int moon_http_body_read(struct moon_http_body *body, struct moon_str *input, struct moon_str *payload) {
    *payload = MOON_STR_NONE;
    if (body->state == FAILED)
        return MOON_EBODY;
    if (body->done || !input->len)
        return 0;
    if (body->framing == MOON_HTTP_UNTIL_CLOSE) {
        take_payload(body, input, payload, input->len);
        return 0;
    }
    while (input->len && !body->done) {
        if (body->framing == MOON_HTTP_LENGTH || body->state == DATA) {
            size_t len = input->len < body->left ? input->len : (size_t)body->left;
            take_payload(body, input, payload, len);
            body->left -= len;
            if (!body->left && body->framing == MOON_HTTP_LENGTH)
                body->done = true;
            else if (!body->left)
                body->state = DATA_CR;
            return 0;
        }
        char c = input->data[0];
        input->data++;
        input->len--;
        if (!read_framing(body, c)) {
            body->state = FAILED;
            return MOON_EBODY;
        }
    }
    return 0;
}

bool moon_http_body_eof(struct moon_http_body *body) {
    if (body->state != FAILED && body->framing == MOON_HTTP_UNTIL_CLOSE)
        body->done = true;
    return body->done;
}

int moon_http_write_chunk(struct moon_buf *out, struct moon_str payload) {
    char size[24];
    if (!payload.len)
        return 0;
    int digits = snprintf(size, sizeof size, "%zx\r\n", payload.len);
    moon_assert(digits > 0 && (size_t)digits < sizeof size);
    if (payload.len > SIZE_MAX - sizeof size)
        return MOON_ETOOBIG;
    size_t total = (size_t)digits + payload.len + 2;
    char *room = moon_buf_reserve(out, total);
    if (!room)
        return MOON_ETOOBIG;
    memcpy(room, size, (size_t)digits);
    memcpy(room + digits, payload.data, payload.len);
    memcpy(room + total - 2, "\r\n", 2);
    moon_buf_commit(out, total);
    return 0;
}

int moon_http_write_last_chunk(struct moon_buf *out) {
    return moon_buf_append_str(out, MOON_STR("0\r\n\r\n"));
}
