/* script/embedder.h — what the program around a library gives to the rules: fields whose values are C functions. The
 * list is made before the gateway starts and constant afterwards; values are asked on workers' threads, through FFI
 * from lua/embedder.lua. */
#ifndef MOON_SCRIPT_EMBEDDER_H
#define MOON_SCRIPT_EMBEDDER_H

#include "base/str.h"
#include "gate/facts.h"
#include "script/ffi.h"

#define MOON_EMBEDDER_FIELDS 256

/* ffi: begin */
struct moon_embedder;

enum moon_embedder_type { MOON_EMBEDDER_BOOLEAN = 0, MOON_EMBEDDER_INTEGER, MOON_EMBEDDER_STRING, MOON_EMBEDDER_IP };

/* The member of the field's type counts. */
struct moon_embedder_value {
    bool boolean;
    int64_t integer;
    struct moon_str text; /* of a string; of an address its 4 or 16 bytes. Valid until the next value is asked */
};

/* The type of field `index` and its name, borrowed; -1 past the end. */
MOON_FFI int moon_ffi_embedder_field(const struct moon_embedder *embedder, size_t index, struct moon_str *name);
/* False: the request has none. */
MOON_FFI bool moon_ffi_embedder_value(const struct moon_embedder *embedder, size_t index,
                                      const struct moon_facts *facts, struct moon_embedder_value *value);
/* ffi: end */

struct moon_embedder_field {
    char *name; /* the embedder's */
    enum moon_embedder_type type;
    bool (*value)(void *data, const struct moon_facts *facts, struct moon_embedder_value *value);
    void *data;
};

struct moon_embedder {
    struct moon_embedder_field fields[MOON_EMBEDDER_FIELDS];
    size_t count;
};

/* Takes what the fields own. */
void moon_embedder_free(struct moon_embedder *embedder);

#endif
