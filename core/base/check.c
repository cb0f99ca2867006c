#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void moon_check_failed(const char *condition, const char *file, int line, const char *function) {
    fprintf(stderr, "moongate: internal check failed: %s (%s:%d, %s)\n", condition, file, line, function);
    abort();
}
