#include "base/error.h"

#include <stdio.h>

const char *moon_strerror(int code) {
    switch (code) {
    case MOON_OK:
        return "no error";
#define MOON_ERROR_TEXT(name, number, text) \
    case number:                            \
        return text;
        MOON_ERROR_LIST(MOON_ERROR_TEXT)
#undef MOON_ERROR_TEXT
    default:
        return "unknown error";
    }
}

void moon_diag_set(struct moon_diag *diag, const char *where, const char *format, ...) {
    if (!diag)
        return;
    va_list args;
    va_start(args, format);
    snprintf(diag->where, sizeof diag->where, "%s", where ? where : "");
    vsnprintf(diag->text, sizeof diag->text, format, args);
    va_end(args);
}
