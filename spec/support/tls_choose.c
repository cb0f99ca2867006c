/* spec/support/tls_choose.c — a ClientHello chooser over a small table. In C, because LuaJIT's callbacks cannot
 * return a struct; compiled by spec/support/tls_loop.lua. */
#include <stdio.h>
#include <string.h>

#include "tls/hello.h"

struct spec_terms {
    const char *name; /* NULL: the terms of a session without a server name */
    struct moon_tls_policy *policy;
    struct moon_trust *trust;
    bool resumable;
};

struct spec_index {
    int calls;
    char asked[256]; /* the last name, "-" for none */
    int count;
    struct spec_terms terms[8];
};

struct moon_tls_choice spec_choose(void *data, struct moon_str sni);

struct moon_tls_choice spec_choose(void *data, struct moon_str sni) {
    struct spec_index *index = data;
    index->calls++;
    snprintf(index->asked, sizeof index->asked, "%.*s", sni.data ? (int)sni.len : 1, sni.data ? sni.data : "-");
    for (int i = 0; i < index->count; i++) {
        const char *name = index->terms[i].name;
        if (sni.data ? name && strcmp(name, index->asked) == 0 : !name)
            return (struct moon_tls_choice){index->terms[i].policy, index->terms[i].trust, index->terms[i].resumable};
    }
    return (struct moon_tls_choice){0};
}
