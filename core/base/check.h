/* base/check.h — checks for what only our own bug can do. On in release builds too: a wrong decision is worse than an
 * abort that the supervisor restarts from. What the world can do (bad bytes, closed sockets) is a return value instead. */
#ifndef MOON_BASE_CHECK_H
#define MOON_BASE_CHECK_H

#include <stddef.h>

#define moon_assert(condition) \
    ((condition) ? (void)0 : moon_check_failed(#condition, __FILE__, __LINE__, __func__))

__attribute__((noreturn, cold)) void moon_check_failed(const char *condition, const char *file, int line,
                                                       const char *function);

#define MOON_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOON_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#endif
