#include "app/content.h"

#include <stdlib.h>
#include <string.h>

#include "app/request_view.h"
#include "base/check.h"
#include "base/mem.h"
#include "http/write.h"

/* ---- which requests ---- */

/* "*" stands for any bytes. In time of text times pattern at worst: after a star that failed, only the last one is
 * tried again. */
static bool fits(const char *pattern, struct moon_str text) {
    const char *star = NULL;
    size_t at = 0, back = 0;
    if (!pattern)
        return true;
    while (at < text.len) {
        if (*pattern == '*') {
            star = pattern++;
            back = at;
        } else if (*pattern && *pattern == text.data[at]) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star + 1;
            at = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

const struct moon_handler *moon_content_find(void *data, struct moon_str host, struct moon_str method,
                                             struct moon_str path) {
    const struct moon_content *content = data;
    for (size_t i = 0; i < content->count; i++) {
        const struct moon_gate_handler *given = &content->entries[i].given;
        if (given->method && !moon_str_equal(moon_str_of(given->method), method))
            continue;
        if (fits(given->host, host) && fits(given->path, path))
            return &content->entries[i].handler;
    }
    return NULL;
}

/* ---- answers ---- */

/* What every worker's thread has for itself while an answer is on its way out; the core copies before the next one. */
static _Thread_local struct moon_http_field fields_room[MOON_CONTENT_HEADERS + 1];

/* Fields that say where a message ends, or what becomes of the connection, are the gateway's own. */
static bool is_ours(struct moon_str name) {
    static const char *const names[] = {
        "connection", "content-length", "transfer-encoding", "keep-alive", "trailer", "upgrade", "date", "cf-ray"};
    for (size_t i = 0; i < MOON_COUNT(names); i++)
        if (moon_str_equal_nocase(name, moon_str_of(names[i])))
            return true;
    return false;
}

static bool add_field(struct moon_handler_response *response, const char *name, const char *value) {
    struct moon_http_field field = {moon_str_of(name), moon_str_of(value)};
    if (!moon_http_is_token(field.name) || !value || !moon_http_is_field_value(field.value) || is_ours(field.name))
        return false;
    fields_room[response->field_count++] = field;
    return true;
}

static bool take(const struct moon_gate_response *given, struct moon_handler_response *response) {
    bool bare = given->status == 204 || given->status == 304;
    if (given->status < 200 || given->status > 599 || given->header_count > MOON_CONTENT_HEADERS)
        return false;
    if (given->body_len && (bare || !given->body || given->body_len > MOON_CONTENT_BODY))
        return false;
    response->status = given->status;
    response->fields = fields_room;
    response->body = moon_str(given->body_len ? given->body : "", given->body_len);
    if (given->content_type && !add_field(response, "Content-Type", given->content_type))
        return false;
    for (size_t i = 0; i < given->header_count; i++)
        if (!add_field(response, given->headers[i].name, given->headers[i].value))
            return false;
    return true;
}

static void serve(void *data, const struct moon_handler_request *request, struct moon_handler_response *response) {
    const struct moon_content_entry *entry = data;
    struct moon_gate_request view = {.handler = request};
    struct moon_gate_response given = {.status = 200};
    if (entry->given.answer(entry->given.data, &view, &given) == 0 && take(&given, response))
        return;
    *response = (struct moon_handler_response){.status = 500, .body = MOON_STR("")};
}

/* ---- the list ---- */

static int refuse(struct moon_diag *diag, const char *text) {
    moon_diag_set(diag, "handler", "%s", text);
    return MOON_EREFUSED;
}

static char *copied(const char *text) {
    return text ? moon_strdup(moon_str_of(text)) : NULL;
}

int moon_content_add(struct moon_content *content, const struct moon_gate_handler *handler, struct moon_diag *diag) {
    if (content->count == MOON_CONTENT_HANDLERS)
        return refuse(diag, "there are 256 handlers already");
    if (!handler->answer)
        return refuse(diag, "has no function to answer with");
    if (handler->body_max > MOON_CONTENT_BODY)
        return refuse(diag, "body_max is more than 64 MiB");
    if (handler->path && handler->path[0] != '/' && handler->path[0] != '*')
        return refuse(diag, "path must begin with a slash");
    if (handler->method && !moon_http_is_token(moon_str_of(handler->method)))
        return refuse(diag, "method must be a word such as \"GET\"");
    for (const char *at = handler->host; at && *at; at++)
        if (*at != moon_lower(*at))
            return refuse(diag, "host must be in lower case");
    struct moon_content_entry *entry = &content->entries[content->count++];
    entry->given = *handler;
    entry->given.host = copied(handler->host);
    entry->given.method = copied(handler->method);
    entry->given.path = copied(handler->path);
    entry->handler = (struct moon_handler){.data = entry, .body_ceiling = handler->body_max, .serve = serve};
    return 0;
}

void moon_content_free(struct moon_content *content) {
    for (size_t i = 0; i < content->count; i++) {
        free((char *)content->entries[i].given.host);
        free((char *)content->entries[i].given.method);
        free((char *)content->entries[i].given.path);
    }
    content->count = 0;
}
