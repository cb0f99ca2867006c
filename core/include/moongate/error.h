/* moongate/error.h — the one list of error codes of moongate, and the diagnostic that goes with a refusal. Codes are negative
 * ints below libuv's, so that both travel in one int and moon_gate_strerror tells them apart. Included by moongate.h. */
#ifndef MOONGATE_ERROR_H
#define MOONGATE_ERROR_H

#define MOON_ERROR_LIST(X)                                                  \
    X(ENOMEM, -20001, "out of memory")                                      \
    X(ETOOBIG, -20002, "a buffer reached its ceiling")                      \
    X(EREFUSED, -20003, "the input was refused; see the diagnostic")        \
    X(EHEAD, -20004, "the message head is malformed or beyond the limits")  \
    X(EBODY, -20005, "the message body is malformed or beyond the limits")  \
    X(ETLS, -20006, "the TLS session failed")                               \
    X(EAGAIN, -20007, "more bytes are needed")                              \
    X(ECLOSED, -20008, "the other side has closed")                         \
    X(ETIMEOUT, -20009, "a deadline has passed")                            \
    X(ESYSTEM, -20010, "a system call failed")                              \
    X(EBUSY, -20011, "the queue is full")                                   \
    X(ESCRIPT, -20012, "a Lua function failed; see the diagnostic")

enum moon_error {
    MOON_OK = 0,
#define MOON_ERROR_ENUM(name, code, text) MOON_##name = code,
    MOON_ERROR_LIST(MOON_ERROR_ENUM)
#undef MOON_ERROR_ENUM
};

/* Human detail of a refusal: what, where, what would be right. Lives on the caller's stack.
 * `where` names a file with line, a path or a field; may be empty. */
/* ffi: begin */
struct moon_diag {
    char where[256];
    char text[768];
};
/* ffi: end */

#endif
