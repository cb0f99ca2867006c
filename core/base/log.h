/* base/log.h — log lines without waiting. Each thread appends to a bounded ring of its own (no lock, no system call); one writer
 * thread empties the rings into a descriptor. When a ring is full the line is dropped and counted: the request path never waits
 * for a disk. Lines are JSON objects, one per line; every string is escaped here. */
#ifndef MOON_BASE_LOG_H
#define MOON_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum moon_log_level { MOON_LOG_ERROR = 0, MOON_LOG_WARN, MOON_LOG_INFO, MOON_LOG_DEBUG };

struct moon_log;         /* one per gateway: the writer thread and its descriptor */
struct moon_log_channel; /* one per producing thread */

/* Gets each finished line, with its line feed, instead of a descriptor; called on the writer thread, or in moon_log_pump. */
typedef void (*moon_log_sink_fn)(void *data, struct moon_str line);

/* `fd` is borrowed (not closed); `sink` NULL writes to it. */
struct moon_log *moon_log_open(int fd, moon_log_sink_fn sink, void *data, enum moon_log_level level);
/* Without a writer thread: lines wait in their rings until moon_log_pump, or the end. For one loop that serves alone. */
struct moon_log *moon_log_open_pumped(int fd, moon_log_sink_fn sink, void *data, enum moon_log_level level);
/* Of a log without a writer: writes what is there, on the calling thread. */
void moon_log_pump(struct moon_log *log);
/* Writes what is left, joins the writer and frees all channels. */
void moon_log_close(struct moon_log **log);
enum moon_log_level moon_log_level(const struct moon_log *log);

/* A channel for the calling thread to be; belongs to the log. Any thread may open one; one thread at a time uses it. */
struct moon_log_channel *moon_log_channel_open(struct moon_log *log);
bool moon_log_wants(const struct moon_log_channel *channel, enum moon_log_level level);
/* Lines dropped so far because the ring was full. */
uint64_t moon_log_dropped(const struct moon_log_channel *channel);

/* Building one line. Begin, fields, end; only between begin and end is the channel's line open. */
void moon_log_begin(struct moon_log_channel *channel, enum moon_log_level level, const char *subject, const char *what);
void moon_log_str(struct moon_log_channel *channel, const char *key, struct moon_str value); /* at most 1 KiB of it */
void moon_log_text(struct moon_log_channel *channel, const char *key, const char *value);    /* NULL: left out */
void moon_log_int(struct moon_log_channel *channel, const char *key, int64_t value);
void moon_log_bool(struct moon_log_channel *channel, const char *key, bool value);
void moon_log_end(struct moon_log_channel *channel);

/* All in one for plain messages: subject, what happened, and one detail text (NULL: none). */
void moon_log_line(struct moon_log_channel *channel, enum moon_log_level level, const char *subject, const char *what,
                   const char *detail);

#endif
