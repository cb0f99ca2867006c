#include "script/embedder.h"

#include <stdlib.h>

#include "base/check.h"

int moon_ffi_embedder_field(const struct moon_embedder *embedder, size_t index, struct moon_str *name) {
    if (index >= embedder->count)
        return -1;
    *name = moon_str_of(embedder->fields[index].name);
    return (int)embedder->fields[index].type;
}

bool moon_ffi_embedder_value(const struct moon_embedder *embedder, size_t index, const struct moon_facts *facts,
                             struct moon_embedder_value *value) {
    moon_assert(index < embedder->count);
    const struct moon_embedder_field *field = &embedder->fields[index];
    *value = (struct moon_embedder_value){.text = MOON_STR("")};
    if (!field->value(field->data, facts, value))
        return false;
    if (!value->text.len)
        value->text.data = "";
    return field->type != MOON_EMBEDDER_IP || value->text.len == 4 || value->text.len == 16;
}

void moon_embedder_free(struct moon_embedder *embedder) {
    for (size_t i = 0; i < embedder->count; i++)
        free(embedder->fields[i].name);
    embedder->count = 0;
}
