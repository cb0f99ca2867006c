/* http/chars.h — which byte may stand where, in one table: tokens, field values, request targets. Readers and writers
 * of this floor ask here and nowhere else, so that what one of them lets in the other lets out. Floor-private. */
#ifndef MOON_HTTP_CHARS_H
#define MOON_HTTP_CHARS_H

#include "base/str.h"
#include "base/word.h"

#define MOON_HTTP_TOKEN 1u  /* tchar (RFC 9110 section 5.6.2) */
#define MOON_HTTP_VALUE 2u  /* HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5) */
#define MOON_HTTP_TARGET 4u /* what RFC 3986 allows in a URI without its fragment, and no obs-text */

extern const unsigned char moon_http_chars[256];

static inline bool moon_http_is_char(char c, unsigned kind) {
    return (moon_http_chars[(unsigned char)c] & kind) != 0;
}

/* True when every byte of `text` is of that kind; true for an empty text. */
static inline bool moon_http_are_chars(struct moon_str text, unsigned kind) {
    unsigned common = kind;
    size_t i = 0;
    if (kind == MOON_HTTP_VALUE) /* the long ones: a word at a time while it holds neither controls nor DEL */
        while (text.len - i >= MOON_WORD && !moon_word_has_below(moon_word(text.data + i), 0x20) &&
               !moon_word_has(moon_word(text.data + i), 0x7f))
            i += MOON_WORD;
    for (; i < text.len; i++)
        common &= moon_http_chars[(unsigned char)text.data[i]];
    return common != 0;
}

#endif
