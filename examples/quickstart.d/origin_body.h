/* origin_body.h — reads the body of one request, by length or in chunks, for the small origin (origin.c). Knows no sockets:
 * bytes in, bytes of the body out. */
#ifndef ORIGIN_BODY_H
#define ORIGIN_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum origin_body_state { BODY_LENGTH, BODY_SIZE, BODY_DATA, BODY_DATA_END, BODY_TRAILER, BODY_DONE, BODY_BAD };

struct origin_body {
    enum origin_body_state state;
    uint64_t left; /* of the body, or of the present chunk */
    uint64_t seen; /* bytes of the body so far */
    size_t line;   /* bytes of the present size or trailer line */
};

void origin_body_start(struct origin_body *body, bool chunked, uint64_t length);

/* Takes bytes from `data`; returns how many. At most one run of body bytes is found per call: *piece and *piece_len, borrowed
 * from `data` (length 0: none). Call again until it takes nothing; then look at the state. */
size_t origin_body_take(struct origin_body *body, const char *data, size_t len, const char **piece, size_t *piece_len);

#endif
