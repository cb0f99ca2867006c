/* http/scan.c — finds the end of a head and refuses what llhttp would let through. One pass, in the order of the bytes:
 * the first offence decides, whether the bytes came in one piece or one by one.
 *
 * Refused: a CR that no LF follows, an LF that no CR precedes, NUL, a line that begins with SP or HTAB (obs-fold,
 * RFC 9112 section 5.2), an empty start line, and every line or head beyond its limit. On x86-64 sixteen bytes at a
 * time (SSE2 is part of the architecture, so nothing is dispatched); the rest, and other machines, by memchr. */
#include <limits.h>

#include "base/check.h"
#include "http/parse.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct scan {
    const char *data;
    size_t position; /* all before it has been judged */
    size_t stop;     /* end of the bytes that may be judged: what is at hand, within the limit of the whole head */
    size_t head;     /* 0, or 2 behind the one CRLF that may come before a start line */
    size_t line;     /* where the present line begins */
    const struct moon_http_limits *limits;
};

/* What a step says when it is not the end: go on. Distinct from every refusal and every length. */
enum { GO_ON = INT_MIN };

static size_t line_limit(const struct scan *scan) {
    return scan->line == scan->head ? scan->limits->start_line : scan->limits->field;
}

static int too_long(const struct scan *scan) {
    return scan->line == scan->head ? -414 : -431;
}

/* A line ends with the LF at `lf`; the CR before it has been seen. The length of the head when that was the empty line.
 */
static int end_line(struct scan *scan, size_t lf) {
    size_t content = lf - 1 - scan->line;
    if (content > line_limit(scan))
        return too_long(scan);
    if (content == 0)
        return scan->line == scan->head ? -400 : (int)(lf + 1);
    scan->line = lf + 1;
    return GO_ON;
}

/* The present line is still open at `until`: its byte behind the limit can only be the CR of its end. */
static int open_line(const struct scan *scan, size_t until) {
    size_t limit = line_limit(scan);
    if (until > scan->line && until - scan->line > limit && scan->data[scan->line + limit] != '\r')
        return too_long(scan);
    return GO_ON;
}

static size_t first_of(const struct scan *scan, size_t from, size_t until, char wanted) {
    const char *found = from < until ? memchr(scan->data + from, wanted, until - from) : NULL;
    return found ? (size_t)(found - scan->data) : until;
}

/* One line, or what there is of it. */
static int step_line(struct scan *scan) {
    size_t from = scan->position;
    if (from > scan->line && scan->data[from - 1] == '\r')
        from--; /* its LF is what comes next */
    size_t cr = first_of(scan, from, scan->stop, '\r');
    size_t bad = first_of(scan, from, cr, '\n');
    bad = first_of(scan, from, bad, '\0');
    if (scan->data[scan->line] == ' ' || scan->data[scan->line] == '\t')
        bad = scan->line;
    size_t lf = cr + 1;
    if (bad == cr)
        bad = lf < scan->stop && scan->data[lf] != '\n' ? lf : scan->stop;
    if (bad == scan->stop && lf < scan->stop) {
        scan->position = lf + 1;
        return end_line(scan, lf);
    }
    int said = open_line(scan, bad);
    scan->position = scan->stop;
    return said == GO_ON && bad < scan->stop ? -400 : said;
}

#ifdef __SSE2__
static unsigned equal_mask(__m128i block, char byte) {
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte)));
}

static int step_blocks(struct scan *scan) {
    unsigned after_cr = scan->position > scan->line && scan->data[scan->position - 1] == '\r';
    unsigned after_lf = scan->position == scan->line; /* or at the very beginning: no SP before a start line either */
    while (scan->stop - scan->position >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(scan->data + scan->position));
        unsigned cr = equal_mask(block, '\r'), lf = equal_mask(block, '\n');
        unsigned blank = equal_mask(block, ' ') | equal_mask(block, '\t');
        unsigned behind_cr = (cr << 1 | after_cr) & 0xffff, behind_lf = (lf << 1 | after_lf) & 0xffff;
        unsigned bad = (behind_cr ^ lf) | (behind_lf & blank) | equal_mask(block, '\0');
        unsigned good = bad ? (unsigned)__builtin_ctz(bad) : 16;
        for (unsigned ends = lf & ((1u << good) - 1); ends; ends &= ends - 1) {
            int said = end_line(scan, scan->position + (unsigned)__builtin_ctz(ends));
            if (said != GO_ON)
                return said;
        }
        int said = open_line(scan, scan->position + good);
        if (said != GO_ON)
            return said;
        if (bad)
            return -400;
        after_cr = cr >> 15;
        after_lf = lf >> 15;
        scan->position += 16;
    }
    return GO_ON;
}
#endif

static int run(struct moon_str bytes, size_t *scanned, const struct moon_http_limits *limits, bool by_blocks) {
    struct scan scan = {.data = bytes.data, .position = *scanned, .limits = limits};
    moon_assert(*scanned <= bytes.len);
    if (bytes.len && bytes.data[0] == '\r') {
        if (bytes.len == 1)
            return 0; /* nothing counts as scanned: the next call asks again */
        if (bytes.data[1] != '\n')
            return -400;
        scan.head = 2;
    }
    if (scan.position < scan.head)
        scan.position = scan.head;
    size_t limit = limits->fields < INT_MAX - 2 ? limits->fields : INT_MAX - 2;
    scan.stop = bytes.len - scan.head > limit ? scan.head + limit : bytes.len;
    scan.line = scan.head;
    if (scan.position > scan.head) {
        const char *lf = memrchr(scan.data + scan.head, '\n', scan.position - scan.head);
        if (lf)
            scan.line = (size_t)(lf - scan.data) + 1;
    }
    int said = GO_ON;
#ifdef __SSE2__
    if (by_blocks)
        said = step_blocks(&scan);
#else
    (void)by_blocks;
#endif
    while (said == GO_ON && scan.position < scan.stop)
        said = step_line(&scan);
    if (said != GO_ON)
        return said;
    *scanned = scan.position;
    return scan.stop < bytes.len ? -431 : 0;
}

int moon_http_scan(struct moon_str bytes, size_t *scanned, const struct moon_http_limits *limits) {
    return run(bytes, scanned, limits, true);
}

int moon_http_scan_portable(struct moon_str bytes, size_t *scanned, const struct moon_http_limits *limits) {
    return run(bytes, scanned, limits, false);
}
