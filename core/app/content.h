/* app/content.h — content of the program that the gateway is part of: which handler of moongate.h answers which
 * request, and the way to it and back. Filled before the gateway starts, constant afterwards; handlers are called on
 * workers' threads. */
#ifndef MOON_APP_CONTENT_H
#define MOON_APP_CONTENT_H

#include "base/error.h"
#include "gate/handler.h"
#include "include/moongate.h"

#define MOON_CONTENT_HANDLERS 256
#define MOON_CONTENT_BODY (64 * 1024 * 1024)
#define MOON_CONTENT_HEADERS 64

struct moon_content_entry {
    struct moon_gate_handler given; /* its texts are ours */
    struct moon_handler handler;    /* what the core calls; its data is this entry */
};

struct moon_content {
    struct moon_content_entry entries[MOON_CONTENT_HANDLERS];
    size_t count;
};

/* MOON_EREFUSED with diag->where "handler". */
int moon_content_add(struct moon_content *content, const struct moon_gate_handler *handler, struct moon_diag *diag);
/* For hooks->content: `content` is a struct moon_content. NULL when nobody answers. */
const struct moon_handler *moon_content_find(void *content, struct moon_str host, struct moon_str method,
                                             struct moon_str path);
void moon_content_free(struct moon_content *content);

#endif
