/* http/body.h — reads a message body out of a stream of bytes by its framing, and frames one again. No buffering, no
 * copying: each step hands out the next span of payload as a view. The chunked grammar is strict (RFC 9112
 * section 7.1): CRLF only, at most 16 hex digits, extensions checked and dropped, trailers checked and dropped. */
#ifndef MOON_HTTP_BODY_H
#define MOON_HTTP_BODY_H

#include "base/buf.h"
#include "http/head.h"

#define MOON_HTTP_CHUNK_LINE_MAX 256        /* one chunk-size line with its extensions */
#define MOON_HTTP_CHUNK_EXTENSIONS_MAX 8192 /* all extensions of one body together */
#define MOON_HTTP_TRAILERS_MAX 16384        /* the whole trailer section */

struct moon_http_body {
    enum moon_http_framing framing;
    uint64_t left;    /* of the length, or of the present chunk */
    uint64_t payload; /* payload bytes handed out so far */
    bool done;
    /* private to body.c */
    unsigned char state;
    unsigned char line_state;
    unsigned short line_len;
    unsigned digits;
    size_t extensions;
    size_t trailers;
};

/* `content_length` counts with MOON_HTTP_LENGTH only. A body of no bytes is done at once. */
void moon_http_body_init(struct moon_http_body *body, enum moon_http_framing framing, uint64_t content_length);

/* Reads on. On entry *input is the bytes at hand; on return it has lost the bytes that were read, and *payload is the
 * next span of payload (may be empty when only framing was read). Call again until *input is empty or body->done.
 * Returns 0; MOON_EBODY when the framing is malformed or beyond a limit (the connection must be closed).
 * Bytes behind the end of the body are left in *input. */
int moon_http_body_read(struct moon_http_body *body, struct moon_str *input, struct moon_str *payload);

/* The stream has ended. True when that ends the body cleanly (done already, or MOON_HTTP_UNTIL_CLOSE, which is then
 * done). */
bool moon_http_body_eof(struct moon_http_body *body);

/* Framing toward the next hop: append one chunk (nothing for an empty payload), and the last chunk. MOON_ETOOBIG as
 * moon_buf_append; then nothing was appended. */
int moon_http_write_chunk(struct moon_buf *out, struct moon_str payload);
int moon_http_write_last_chunk(struct moon_buf *out);

#endif
