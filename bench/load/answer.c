#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of a field in a complete head, NULL when it is absent. */
static const char *field(const char *head, size_t len, const char *name, size_t name_len) {
    const char *end = head + len;
    for (const char *line = memchr(head, '\n', len); line && end - line > (ptrdiff_t)name_len + 1;
         line = memchr(line + 1, '\n', (size_t)(end - line - 1))) {
        if (strncasecmp(line + 1, name, name_len) != 0 || line[1 + name_len] != ':')
            continue;
        const char *value = line + 2 + name_len;
        while (*value == ' ' || *value == '\t')
            value++;
        return value;
    }
    return NULL;
}

/* The head ends with CRLF CRLF, so that scanning for what is no digit always stops within it. */
static bool read_head(struct moon_load_answer *answer, const char *head, size_t len) {
    if (len < 16 || memcmp(head, "HTTP/1.1 ", 9) != 0)
        return false;
    answer->status = (unsigned)(head[9] - '0') * 100 + (unsigned)(head[10] - '0') * 10 + (unsigned)(head[11] - '0');
    const char *length = field(head, len, "content-length", 14);
    if (!length || *length < '0' || *length > '9')
        return false;
    answer->left = strtoull(length, NULL, 10);
    const char *connection = field(head, len, "connection", 10);
    answer->closes = connection && strncasecmp(connection, "close", 5) == 0;
    answer->in_body = true;
    return true;
}

/* Returns the bytes of `data` that belong to the head, 0 when its end has not come, -1 when it is not understood. */
static long take_head(struct moon_load_answer *answer, const char *data, size_t len) {
    const char *end;
    if (!answer->carry_len && (end = memmem(data, len, "\r\n\r\n", 4)) != NULL) {
        long size = end + 4 - data;
        return read_head(answer, data, (size_t)size) ? size : -1;
    }
    if (!answer->carry && !(answer->carry = malloc(MOON_LOAD_HEAD_MAX)))
        abort();
    size_t before = answer->carry_len;
    size_t take = MOON_LOAD_HEAD_MAX - before < len ? MOON_LOAD_HEAD_MAX - before : len;
    memcpy(answer->carry + before, data, take);
    answer->carry_len += take;
    end = memmem(answer->carry, answer->carry_len, "\r\n\r\n", 4);
    if (!end)
        return answer->carry_len == MOON_LOAD_HEAD_MAX ? -1 : 0;
    size_t size = (size_t)(end + 4 - answer->carry);
    answer->carry_len = 0;
    return read_head(answer, answer->carry, size) ? (long)(size - before) : -1;
}

int moon_load_answer_feed(struct moon_load_answer *answer, const char *data, size_t len, size_t *used, uint64_t *body) {
    *used = 0;
    *body = 0;
    if (!answer->in_body) {
        long head = take_head(answer, data, len);
        if (head <= 0) {
            *used = len;
            return (int)head;
        }
        *used = (size_t)head;
    }
    uint64_t take = len - *used < answer->left ? len - *used : answer->left;
    *used += take;
    *body = take;
    answer->left -= take;
    if (answer->left)
        return 0;
    answer->in_body = false;
    return 1;
}

void moon_load_answer_reset(struct moon_load_answer *answer) {
    answer->in_body = false;
    answer->carry_len = 0;
}
