/* script/errand.h — what the control thread has sent out and waits for, by number: the stair to it for lua/errands.lua.
 * A bounded number are under way; whoever began one is told by its number, once, never from within the beginning, and
 * ends it. The control thread only. */
#ifndef MOON_SCRIPT_ERRAND_H
#define MOON_SCRIPT_ERRAND_H

#include <uv.h>

#include "base/error.h"
#include "base/str.h"
#include "script/ffi.h"

struct moon_errands;

/* Called on the loop, outside of everything else. */
typedef void (*moon_errand_done_fn)(void *data, uint64_t id);

int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
/* From now on `done` is told. NULL: nobody. */
void moon_errands_listen(struct moon_errands *errands, moon_errand_done_fn done, void *data);
/* Ends all of them, untold. Its handles close in the loop's next rounds. Clears; NULL inside is fine. */
void moon_errands_close(struct moon_errands **errands);

/* ffi: begin */
struct moon_control;
struct moon_keyring;

/* A request to the outside (script/outgoing.h says what is refused and what is bounded). */
struct moon_ffi_request {
    struct moon_str method;
    struct moon_str url;
    const struct moon_str *headers; /* "Name: value" each */
    size_t header_count;
    /* One header more, whose value is sealed (tls/keyring.h): opened, sent and wiped in C. Without `sealed`: none. */
    struct moon_str secret_prefix; /* "Name: ", perhaps with the beginning of the value */
    struct moon_str sealed;
    struct moon_str context;
    struct moon_str body;
    struct moon_str ca;
    unsigned timeout_ms;
    size_t max_bytes;
    bool allow_local;
};

/* What came of an errand; views are borrowed until it is ended. */
struct moon_ffi_outcome {
    unsigned status; /* of the answer, or 1: it went well; 0: nothing came of it, and `failure` says why */
    struct moon_str body;
    struct moon_str failure;
};

/* A number, or 0 with diag: refused (where says what), or too many are under way (where is "errands"). */
MOON_FFI uint64_t moon_ffi_errand_request(struct moon_control *control, const struct moon_ffi_request *request,
                                          struct moon_keyring *ring, struct moon_diag *diag);
/* The same for a program (script/process.h) that reads `input`. */
MOON_FFI uint64_t moon_ffi_errand_command(struct moon_control *control, const struct moon_str *words, size_t word_count,
                                          struct moon_str input, unsigned timeout_ms, struct moon_diag *diag);
/* A revocation list that is read away from this thread (script/crl_reading.h): a number, or 0 with diag as above. Copies. */
struct moon_crl;
MOON_FFI uint64_t moon_ffi_errand_crl(struct moon_control *control, struct moon_str text, struct moon_str issuer,
                                      struct moon_diag *diag);
/* Of such an errand that is done; as moon_ffi_crl_new, once. */
MOON_FFI int moon_ffi_errand_crl_take(struct moon_control *control, uint64_t id, struct moon_crl **out,
                                      struct moon_diag *diag);
/* A file that is written away from this thread (script/saving.h): a number, or 0 with diag as above. Copies. `path` is NUL
 * terminated. */
MOON_FFI uint64_t moon_ffi_errand_save(struct moon_control *control, const char *path, const struct moon_str *pieces,
                                       size_t count, struct moon_diag *diag);
/* Of such an errand that is done: 0, or why not. */
MOON_FFI int moon_ffi_errand_save_result(struct moon_control *control, uint64_t id, struct moon_diag *diag);
/* Returns when none of them is being written any more, told or not. */
MOON_FFI void moon_ffi_errand_await_saves(struct moon_control *control);
/* The TXT records of a name (net/text_lookup.h), of `server` ("IPv4:port") or, when that is empty, of the system's resolvers: a
 * number, or 0 with diag (where: name, server). Its outcome has status 1 and the lines as body, or the failure. */
MOON_FFI uint64_t moon_ffi_errand_text(struct moon_control *control, struct moon_str name, struct moon_str server,
                                       struct moon_diag *diag);
/* Nothing but its end, after everything that the loop has to do now: a number, or 0 with diag as above. */
MOON_FFI uint64_t moon_ffi_errand_turn(struct moon_control *control, struct moon_diag *diag);
/* False when there is no such errand, or it is still under way. Of a revocation list and of a
 * file, only that it is done. */
MOON_FFI bool moon_ffi_errand_outcome(struct moon_control *control, uint64_t id, struct moon_ffi_outcome *outcome);
/* Whatever its state. */
MOON_FFI void moon_ffi_errand_end(struct moon_control *control, uint64_t id);
/* ffi: end */

#endif
