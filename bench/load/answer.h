/* load/answer.h — reads HTTP/1.1 answers in pieces, as far as a load generator must: status, length, end. Only
 * answers framed by Content-Length are understood; anything else is an error, since it would be measured as something
 * it is not. */
#ifndef MOON_LOAD_ANSWER_H
#define MOON_LOAD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOON_LOAD_HEAD_MAX 4096

struct moon_load_answer {
    bool in_body;
    unsigned status;
    bool closes;   /* the server said that it closes after this answer */
    uint64_t left; /* body bytes still to come */
    size_t carry_len;
    char *carry; /* the beginning of a head whose end has not come; allocated when that first happens */
};

/* Takes bytes up to the end of one answer. Returns 1 when it is complete, 0 when more must come, -1 when it cannot be
 * understood. *used says how many bytes were taken, *body how many of them were body. */
int moon_load_answer_feed(struct moon_load_answer *answer, const char *data, size_t len, size_t *used, uint64_t *body);

/* Forgets a half-read answer; for a new connection. */
void moon_load_answer_reset(struct moon_load_answer *answer);

#endif
