#include "script/pattern.h"

#include <string.h>

#include "base/check.h"

#define CAPTURES_MAX 32
#define DEPTH_MAX 220 /* nested calls; each costs a stack frame */
#define PATTERN_MAX 1024

#define LEN_POSITION (-1)
#define LEN_OPEN (-2)

struct matcher {
    const char *subject;
    const char *subject_end;
    const char *pattern_end;
    struct moon_pattern_match *out;
    uint32_t *steps;
    int depth;
};

/* Every branch that fails asks whether it was a mistake: then nothing else is tried. */
static const char *fail(struct matcher *m, const char *why) {
    if (!m->out->error)
        m->out->error = why;
    return NULL;
}

static bool spend(struct matcher *m, size_t amount) {
    if (*m->steps > amount) {
        *m->steps -= (uint32_t)amount;
        return true;
    }
    *m->steps = 0;
    fail(m, "the pattern takes too many steps");
    return false;
}

/* ---- single characters ---- */

static bool is_alpha(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

/* The letter behind "%". An upper-case letter is the complement; no letter of a class stands for itself. */
static bool in_class(unsigned char c, unsigned char letter) {
    bool inverted = letter >= 'A' && letter <= 'Z';
    bool found;
    switch (inverted ? letter + ('a' - 'A') : letter) {
    case 'a':
        found = is_alpha(c);
        break;
    case 'c':
        found = c < 32 || c == 127;
        break;
    case 'd':
        found = is_digit(c);
        break;
    case 'g':
        found = c > 32 && c < 127;
        break;
    case 'l':
        found = c >= 'a' && c <= 'z';
        break;
    case 'p':
        found = c > 32 && c < 127 && !is_alpha(c) && !is_digit(c);
        break;
    case 's':
        found = c == 32 || (c >= 9 && c <= 13);
        break;
    case 'u':
        found = c >= 'A' && c <= 'Z';
        break;
    case 'w':
        found = is_alpha(c) || is_digit(c);
        break;
    case 'x':
        found = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        break;
    case 'z':
        found = c == 0;
        break;
    default:
        return letter == c;
    }
    return found != inverted;
}

/* `p` is behind the opening bracket, `last` is the closing one. */
static bool in_set(unsigned char c, const char *p, const char *last) {
    bool wanted = true;
    if (p < last && *p == '^') {
        wanted = false;
        p++;
    }
    for (; p < last; p++) {
        if (*p == '%') {
            if (++p < last && in_class(c, (unsigned char)*p))
                return wanted;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

/* Behind the item that begins at `p`: a character, an escaped one, or a set. */
static const char *item_end(struct matcher *m, const char *p) {
    const char *end = m->pattern_end;
    char first = *p++;
    if (first == '%') {
        if (p == end)
            return fail(m, "malformed pattern (ends with '%')");
        return p + 1;
    }
    if (first != '[')
        return p;
    if (p < end && *p == '^')
        p++;
    do { /* a bracket in the first place stands for itself */
        if (p == end)
            return fail(m, "malformed pattern (missing ']')");
        if (*p++ == '%' && p < end)
            p++;
    } while (p == end || *p != ']');
    return p + 1;
}

static bool fits(const struct matcher *m, const char *s, const char *p, const char *end) {
    if (s == m->subject_end)
        return false;
    unsigned char c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(c, p + 1, end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

/* ---- the whole ---- */

static const char *run(struct matcher *m, const char *s, const char *p);

static const char *longest_first(struct matcher *m, const char *s, const char *p, const char *end) {
    const char *reached = s;
    while (fits(m, reached, p, end))
        reached++;
    if (!spend(m, (size_t)(reached - s) + 1))
        return NULL;
    for (;; reached--) {
        const char *found = run(m, reached, end + 1);
        if (found || m->out->error || reached == s)
            return found;
    }
}

static const char *shortest_first(struct matcher *m, const char *s, const char *p, const char *end) {
    for (;; s++) {
        const char *found = run(m, s, end + 1);
        if (found || m->out->error || !fits(m, s, p, end))
            return found;
    }
}

static const char *open_capture(struct matcher *m, const char *s, const char *p, ptrdiff_t kind) {
    struct moon_pattern_match *out = m->out;
    if (out->count == CAPTURES_MAX)
        return fail(m, "too many captures");
    out->captures[out->count].begin = (size_t)(s - m->subject);
    out->captures[out->count].len = kind;
    out->count++;
    const char *found = run(m, s, p);
    if (!found)
        out->count--;
    return found;
}

static const char *close_capture(struct matcher *m, const char *s, const char *p) {
    struct moon_pattern_match *out = m->out;
    int index = out->count - 1;
    while (index >= 0 && out->captures[index].len != LEN_OPEN)
        index--;
    if (index < 0)
        return fail(m, "invalid pattern capture");
    out->captures[index].len = (s - m->subject) - (ptrdiff_t)out->captures[index].begin;
    const char *found = run(m, s, p);
    if (!found)
        out->captures[index].len = LEN_OPEN;
    return found;
}

/* "%1": the text of an earlier capture once more; a position is none. Behind it, or NULL. */
static const char *again(struct matcher *m, const char *s, char digit) {
    int index = digit - '1';
    if (index < 0 || index >= m->out->count || m->out->captures[index].len == LEN_OPEN)
        return fail(m, "invalid capture index");
    const struct moon_pattern_capture *capture = &m->out->captures[index];
    size_t len = (size_t)capture->len;
    if (capture->len == LEN_POSITION || (size_t)(m->subject_end - s) < len || !spend(m, len / 16 + 1) ||
        memcmp(m->subject + capture->begin, s, len) != 0)
        return NULL;
    return s + len;
}

/* "%bxy": from an x to its own y. Behind it, or NULL. */
static const char *balanced(struct matcher *m, const char *s, const char *p) {
    if (m->pattern_end - p < 2)
        return fail(m, "malformed pattern (missing arguments to '%b')");
    if (s == m->subject_end || *s != p[0])
        return NULL;
    size_t nested = 1;
    for (const char *at = s + 1; at < m->subject_end; at++) {
        if (*at == p[1]) {
            if (--nested == 0)
                return spend(m, (size_t)(at - s)) ? at + 1 : NULL;
        } else if (*at == p[0]) {
            nested++;
        }
    }
    spend(m, (size_t)(m->subject_end - s));
    return NULL;
}

/* "%f[set]": the border into a set. Behind the set in the pattern, or NULL. */
static const char *frontier(struct matcher *m, const char *s, const char *p) {
    if (p == m->pattern_end || *p != '[')
        return fail(m, "missing '[' after '%f' in pattern");
    const char *end = item_end(m, p);
    if (!end)
        return NULL;
    unsigned char before = s == m->subject ? 0 : (unsigned char)s[-1];
    unsigned char here = s == m->subject_end ? 0 : (unsigned char)*s;
    return !in_set(before, p + 1, end - 1) && in_set(here, p + 1, end - 1) ? end : NULL;
}

/* What stands behind a "%" and is no class. True when it was one of these; then *s and *p are behind it, or *s is NULL
 * when it does not match. */
static bool special(struct matcher *m, const char **s, const char **p) {
    const char *at = *p + 1;
    if (at == m->pattern_end)
        return false;
    if (*at == 'b') {
        *s = balanced(m, *s, at + 1);
        *p = at + 3;
    } else if (*at == 'f') {
        const char *behind = frontier(m, *s, at + 1);
        if (behind)
            *p = behind;
        else
            *s = NULL;
    } else if (is_digit((unsigned char)*at)) {
        *s = again(m, *s, *at);
        *p = at + 1;
    } else {
        return false;
    }
    return true;
}

static const char *run_deeper(struct matcher *m, const char *s, const char *p) {
    while (p != m->pattern_end) {
        if (*p == '(') {
            bool position = p + 1 < m->pattern_end && p[1] == ')';
            return open_capture(m, s, p + (position ? 2 : 1), position ? LEN_POSITION : LEN_OPEN);
        }
        if (*p == ')')
            return close_capture(m, s, p + 1);
        if (*p == '$' && p + 1 == m->pattern_end)
            return s == m->subject_end ? s : NULL;
        if (*p == '%' && special(m, &s, &p)) {
            if (!s || !spend(m, 1))
                return NULL;
            continue;
        }
        const char *end = item_end(m, p);
        if (!end || !spend(m, 1 + (size_t)(end - p) / 8))
            return NULL;
        char times = end < m->pattern_end ? *end : 0;
        bool here = fits(m, s, p, end);
        if (times == '*')
            return longest_first(m, s, p, end);
        if (times == '+')
            return here ? longest_first(m, s + 1, p, end) : NULL;
        if (times == '-')
            return shortest_first(m, s, p, end);
        if (times == '?') {
            const char *found = here ? run(m, s + 1, end + 1) : NULL;
            if (found || m->out->error)
                return found;
            p = end + 1;
            continue;
        }
        if (!here)
            return NULL;
        s++;
        p = end;
    }
    return s;
}

/* Behind the match of the pattern from `p` on that begins at `s`, or NULL. */
static const char *run(struct matcher *m, const char *s, const char *p) {
    if (m->depth == DEPTH_MAX)
        return fail(m, "the pattern is too complex");
    if (!spend(m, 1))
        return NULL;
    m->depth++;
    const char *found = run_deeper(m, s, p);
    m->depth--;
    return found;
}

int moon_ffi_pattern_match(struct moon_pattern_match *out, const char *subject, size_t len, const char *pattern,
                           size_t pattern_len, size_t from, bool anchors, uint32_t *steps) {
    bool anchored = anchors && pattern_len && pattern[0] == '^';
    struct matcher m = {.subject = subject,
                        .subject_end = subject + len,
                        .pattern_end = pattern + pattern_len,
                        .out = out,
                        .steps = steps};
    moon_assert(from <= len);
    out->error = NULL;
    if (pattern_len > PATTERN_MAX) {
        out->error = "the pattern is longer than 1024 bytes";
        return -1;
    }
    for (const char *s = subject + from; s <= m.subject_end; s++) {
        out->count = 0;
        const char *end = run(&m, s, pattern + (anchored ? 1 : 0));
        if (out->error)
            return -1;
        if (end) {
            for (int i = 0; i < out->count; i++) {
                if (out->captures[i].len == LEN_OPEN) {
                    out->error = "unfinished capture";
                    return -1;
                }
            }
            out->begin = (size_t)(s - subject);
            out->end = (size_t)(end - subject);
            return 1;
        }
        if (anchored)
            break;
    }
    return 0;
}

ptrdiff_t moon_ffi_pattern_plain(const char *subject, size_t len, const char *text, size_t text_len, size_t from) {
    moon_assert(from <= len);
    if (!text_len)
        return (ptrdiff_t)from;
    const char *found = memmem(subject + from, len - from, text, text_len);
    return found ? found - subject : -1;
}
