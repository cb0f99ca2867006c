#include "script/regex.h"

#include <re2/re2.h>

#include <cstdio>
#include <memory>

/* Program and DFA caches of one pattern: two thirds of it bound the forward and one third the reverse machine. */
static const int64_t memory_max = 8 << 20;
static const int groups_max = 17;

struct moon_regex {
    RE2 re;
    moon_regex(re2::StringPiece pattern, const RE2::Options &options) : re(pattern, options) {}
};

struct moon_regex *moon_ffi_regex_new(const char *pattern, size_t len, bool unicode, char *error, size_t error_size) {
    RE2::Options options;
    options.set_encoding(unicode ? RE2::Options::EncodingUTF8 : RE2::Options::EncodingLatin1);
    options.set_log_errors(false);
    options.set_max_mem(memory_max);
    std::unique_ptr<moon_regex> regex(new moon_regex(re2::StringPiece(pattern, len), options));
    if (!regex->re.ok()) {
        std::snprintf(error, error_size, "%s", regex->re.error().c_str());
        return nullptr;
    }
    return regex.release();
}

void moon_ffi_regex_free(struct moon_regex *regex) {
    delete regex;
}

bool moon_ffi_regex_test(const struct moon_regex *regex, const char *value, size_t len) {
    re2::StringPiece text(value, len);
    return regex->re.Match(text, 0, len, RE2::UNANCHORED, nullptr, 0);
}

int moon_ffi_regex_groups(const struct moon_regex *regex) {
    return regex->re.NumberOfCapturingGroups();
}

bool moon_ffi_regex_find(const struct moon_regex *regex, const char *value, size_t len, int *offsets, int count) {
    re2::StringPiece text(value, len);
    re2::StringPiece groups[groups_max];
    if (count > groups_max)
        count = groups_max;
    if (!regex->re.Match(text, 0, len, RE2::UNANCHORED, groups, count))
        return false;
    for (int i = 0; i < count; i++) {
        bool took_part = groups[i].data() != nullptr;
        offsets[2 * i] = took_part ? static_cast<int>(groups[i].data() - value) : -1;
        offsets[2 * i + 1] = took_part ? offsets[2 * i] + static_cast<int>(groups[i].size()) : -1;
    }
    return true;
}
