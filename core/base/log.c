#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/word.h"

#define RING_SIZE (256 * 1024) /* power of two */
#define LINE_MAX_BYTES (16 * 1024)
#define VALUE_MAX_BYTES 1024
#define WRITER_PERIOD_MS 50
#define CHANNELS_MAX 256

/* Single producer, single consumer. `head` is moved by the producer only, `tail` by the writer only. */
struct moon_log_channel {
    struct moon_log *log;
    bool open;
    bool skip; /* nobody wants this line, or it is too long */
    bool too_long;
    _Atomic size_t head;
    _Atomic size_t tail;
    _Atomic uint64_t dropped;
    uint64_t dropped_told;
    time_t second; /* that `time` is of */
    size_t time_len;
    char time[40];
    size_t len;
    char line[LINE_MAX_BYTES]; /* being built */
    char ring[RING_SIZE];
};

struct moon_log {
    int fd;
    moon_log_sink_fn sink;
    void *data;
    enum moon_log_level level;
    bool has_writer;
    pthread_t writer;
    pthread_mutex_t lock; /* guards `channels` growing, and `ending` */
    pthread_cond_t wake;
    bool ending;
    _Atomic size_t channel_count;
    struct moon_log_channel *channels[CHANNELS_MAX];
};

static const char *const level_starts[] = {
    "Z\",\"level\":\"error\",\"subject\":\"",
    "Z\",\"level\":\"warn\",\"subject\":\"",
    "Z\",\"level\":\"info\",\"subject\":\"",
    "Z\",\"level\":\"debug\",\"subject\":\"",
};

static void write_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) { /* somebody made it non-blocking; only this thread waits */
                usleep(1000);
                continue;
            }
            return; /* a closed pipe, a full disk: nothing here can mend it */
        }
        data += n;
        len -= (size_t)n;
    }
}

static void give_lines(struct moon_log *log, const char *data, size_t len) {
    if (!log->sink) {
        write_all(log->fd, data, len);
        return;
    }
    while (len) {
        const char *end = memchr(data, '\n', len);
        moon_assert(end);
        size_t line = (size_t)(end - data) + 1;
        log->sink(log->data, moon_str(data, line));
        data += line;
        len -= line;
    }
}

static bool empty_channel(struct moon_log *log, struct moon_log_channel *channel) {
    size_t head = atomic_load_explicit(&channel->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);
    size_t len = head - tail;
    if (!len)
        return false;
    char *copy = moon_realloc(NULL, len);
    size_t start = tail % RING_SIZE;
    size_t first = RING_SIZE - start < len ? RING_SIZE - start : len;
    memcpy(copy, channel->ring + start, first);
    memcpy(copy + first, channel->ring, len - first);
    atomic_store_explicit(&channel->tail, head, memory_order_release);
    give_lines(log, copy, len);
    free(copy);
    uint64_t dropped = atomic_load_explicit(&channel->dropped, memory_order_relaxed);
    if (dropped != channel->dropped_told) {
        char text[128];
        int n = snprintf(text, sizeof text,
                         "{\"level\":\"warn\",\"subject\":\"log\",\"what\":\"lines dropped\",\"count\":%llu}\n",
                         (unsigned long long)(dropped - channel->dropped_told));
        channel->dropped_told = dropped;
        give_lines(log, text, (size_t)n);
    }
    return true;
}

static bool empty_all(struct moon_log *log) {
    bool any = false;
    size_t count = atomic_load_explicit(&log->channel_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        any |= empty_channel(log, log->channels[i]);
    return any;
}

static void *writer_main(void *data) {
    struct moon_log *log = data;
    for (;;) {
        pthread_mutex_lock(&log->lock);
        bool ending = log->ending;
        if (!ending) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_nsec += WRITER_PERIOD_MS * 1000000L;
            if (until.tv_nsec >= 1000000000L) {
                until.tv_nsec -= 1000000000L;
                until.tv_sec++;
            }
            pthread_cond_timedwait(&log->wake, &log->lock, &until);
            ending = log->ending;
        }
        pthread_mutex_unlock(&log->lock);
        empty_all(log);
        if (ending)
            return NULL;
    }
}

struct moon_log *moon_log_open_pumped(int fd, moon_log_sink_fn sink, void *data, enum moon_log_level level) {
    struct moon_log *log = moon_new(struct moon_log);
    log->fd = fd;
    log->sink = sink;
    log->data = data;
    log->level = level;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&log->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

struct moon_log *moon_log_open(int fd, moon_log_sink_fn sink, void *data, enum moon_log_level level) {
    struct moon_log *log = moon_log_open_pumped(fd, sink, data, level);
    log->has_writer = true;
    moon_assert(moon_thread_start(&log->writer, writer_main, log) == 0);
    return log;
}

void moon_log_pump(struct moon_log *log) {
    moon_assert(!log->has_writer);
    empty_all(log);
}

void moon_log_close(struct moon_log **pointer) {
    struct moon_log *log = *pointer;
    if (!log)
        return;
    *pointer = NULL;
    if (log->has_writer) {
        pthread_mutex_lock(&log->lock);
        log->ending = true;
        pthread_cond_signal(&log->wake);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->writer, NULL);
    } else {
        empty_all(log);
    }
    for (size_t i = 0; i < log->channel_count; i++) {
        free(log->channels[i]);
    }
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

enum moon_log_level moon_log_level(const struct moon_log *log) {
    return log->level;
}

struct moon_log_channel *moon_log_channel_open(struct moon_log *log) {
    struct moon_log_channel *channel = moon_new(struct moon_log_channel);
    channel->log = log;
    pthread_mutex_lock(&log->lock);
    size_t count = log->channel_count;
    moon_assert(count < CHANNELS_MAX);
    log->channels[count] = channel;
    atomic_store_explicit(&log->channel_count, count + 1, memory_order_release);
    pthread_mutex_unlock(&log->lock);
    return channel;
}

bool moon_log_wants(const struct moon_log_channel *channel, enum moon_log_level level) {
    return level <= channel->log->level;
}

uint64_t moon_log_dropped(const struct moon_log_channel *channel) {
    return atomic_load_explicit(&channel->dropped, memory_order_relaxed);
}

static void put(struct moon_log_channel *channel, const char *data, size_t len) {
    if (len > LINE_MAX_BYTES - channel->len) {
        channel->skip = channel->too_long = true;
        return;
    }
    memcpy(channel->line + channel->len, data, len);
    channel->len += len;
}

static void put_byte(struct moon_log_channel *channel, char c) {
    put(channel, &c, 1);
}

static void put_text(struct moon_log_channel *channel, const char *text) {
    put(channel, text, strlen(text));
}

/* Length of a well-formed UTF-8 sequence at `text`, or 0 (RFC 3629: no surrogates, nothing overlong). */
static size_t utf8_length(const unsigned char *text, size_t left) {
    unsigned char c = text[0];
    size_t len = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    if (c > 0xf4 || c < 0xc2 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) || (c == 0xf0 && text[1] < 0x90) ||
        (c == 0xf4 && text[1] > 0x8f))
        return 0;
    return len;
}

/* ASCII that stands for itself in a JSON string. DEL does not: a terminal acts on it. */
static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static bool are_plain(uint64_t word) {
    return !(moon_word_has_high(word) || moon_word_has_below(word, 0x20) || moon_word_has(word, '"') ||
             moon_word_has(word, '\\') || moon_word_has(word, 0x7f));
}

static void put_escape(struct moon_log_channel *channel, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    if (c == '"' || c == '\\') {
        escape[1] = (char)c;
        put(channel, escape, 2);
    } else {
        put(channel, escape, 6);
    }
}

/* JSON string: quotes, backslash, controls, DEL, C1 controls and whatever is not UTF-8 as \u00XX. */
static void put_json(struct moon_log_channel *channel, struct moon_str value) {
    if (!value.len) /* the view may be of nothing at all */
        value.data = "";
    const unsigned char *text = (const unsigned char *)value.data;
    bool cut = value.len > VALUE_MAX_BYTES;
    size_t len = cut ? VALUE_MAX_BYTES : value.len;
    size_t clean = 0;
    put_byte(channel, '"');
    for (size_t i = 0; i < len;) {
        while (len - i >= MOON_WORD && are_plain(moon_word(value.data + i)))
            i += MOON_WORD;
        while (i < len && is_plain(text[i]))
            i++;
        if (i == len)
            break;
        unsigned char c = text[i];
        size_t step = c < 0x80 ? 0 : utf8_length(text + i, len - i);
        if (step && !(c == 0xc2 && text[i + 1] < 0xa0)) {
            i += step;
            continue;
        }
        put(channel, value.data + clean, i - clean);
        put_escape(channel, c);
        clean = ++i;
    }
    if (len > clean)
        put(channel, value.data + clean, len - clean);
    if (cut)
        put_text(channel, "…");
    put_byte(channel, '"');
}

static void put_key(struct moon_log_channel *channel, const char *key) {
    size_t len = strlen(key);
    if (len + 4 > LINE_MAX_BYTES - channel->len) {
        channel->skip = channel->too_long = true;
        return;
    }
    char *room = channel->line + channel->len;
    room[0] = ',';
    room[1] = '"';
    memcpy(room + 2, key, len);
    room[len + 2] = '"';
    room[len + 3] = ':';
    channel->len += len + 4;
}

/* The calendar is asked once a second. */
static void put_time(struct moon_log_channel *channel) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != channel->second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        channel->time_len = strftime(channel->time, sizeof channel->time, "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &utc);
        channel->second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    char rest[] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};
    put(channel, channel->time, channel->time_len);
    put(channel, rest, sizeof rest);
}

void moon_log_begin(struct moon_log_channel *channel, enum moon_log_level level, const char *subject,
                    const char *what) {
    moon_assert(!channel->open);
    channel->open = true;
    channel->skip = !moon_log_wants(channel, level);
    channel->too_long = false;
    channel->len = 0;
    if (channel->skip)
        return;
    put_time(channel);
    put_text(channel, level_starts[level]);
    put_text(channel, subject);
    put(channel, "\",\"what\":", 9);
    put_json(channel, moon_str_of(what));
}

void moon_log_str(struct moon_log_channel *channel, const char *key, struct moon_str value) {
    if (channel->skip)
        return;
    put_key(channel, key);
    put_json(channel, value);
}

void moon_log_text(struct moon_log_channel *channel, const char *key, const char *value) {
    if (value)
        moon_log_str(channel, key, moon_str_of(value));
}

void moon_log_int(struct moon_log_channel *channel, const char *key, int64_t value) {
    if (channel->skip)
        return;
    char digits[24];
    char *first = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--first = '-';
    put_key(channel, key);
    put(channel, first, (size_t)(digits + sizeof digits - first));
}

void moon_log_bool(struct moon_log_channel *channel, const char *key, bool value) {
    if (channel->skip)
        return;
    put_key(channel, key);
    put_text(channel, value ? "true" : "false");
}

void moon_log_end(struct moon_log_channel *channel) {
    moon_assert(channel->open);
    channel->open = false;
    if (channel->skip && !channel->too_long)
        return;
    put(channel, "}\n", 2);
    struct moon_str line = moon_str(channel->line, channel->len);
    size_t head = atomic_load_explicit(&channel->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&channel->tail, memory_order_acquire);
    if (channel->too_long || RING_SIZE - (head - tail) < line.len) {
        atomic_fetch_add_explicit(&channel->dropped, 1, memory_order_relaxed);
        return;
    }
    size_t start = head % RING_SIZE;
    size_t first = RING_SIZE - start < line.len ? RING_SIZE - start : line.len;
    memcpy(channel->ring + start, line.data, first);
    memcpy(channel->ring, line.data + first, line.len - first);
    atomic_store_explicit(&channel->head, head + line.len, memory_order_release);
    /* In a burst the writer must not sleep out its time. Missing the signal costs that time, no more. */
    if (head - tail < RING_SIZE / 2 && head + line.len - tail >= RING_SIZE / 2)
        pthread_cond_signal(&channel->log->wake);
}

void moon_log_line(struct moon_log_channel *channel, enum moon_log_level level, const char *subject, const char *what,
                   const char *detail) {
    moon_log_begin(channel, level, subject, what);
    moon_log_text(channel, "detail", detail);
    moon_log_end(channel);
}
