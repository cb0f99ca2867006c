/* Hooks and a handler for spec/core/gate, where Lua's would be called on the gateway's threads: the rules by what stands in the path, the
 * handler answers as many bytes as its query says. Every function is for spec/support/gate.lua. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "gate/handler.h"
#include "gate/hooks.h"
#include "gate/snapshot.h"

struct moon_hooks *moon_spec_hooks_new(bool refuse_to_open, uint64_t refuse_to_adopt);
struct moon_handler *moon_spec_handler_new(size_t body_ceiling);
bool moon_spec_handler_waits(void);
void moon_spec_handler_answer(void);

struct settings {
    bool refuse_to_open;
    uint64_t refuse_to_adopt; /* this generation */
};

/* One worker's. */
struct state {
    struct settings *settings;
    struct moon_facts *facts;
    struct moon_verdict *verdict;
    bool adopted;
};

static int on_open(void *data, void **state, struct moon_facts *facts, struct moon_verdict *verdict,
                   struct moon_log_channel *log, struct moon_diag *diag) {
    struct settings *settings = data;
    (void)log;
    if (settings->refuse_to_open) {
        moon_diag_set(diag, "hooks", "refuse to open");
        return MOON_ESCRIPT;
    }
    struct state *own = moon_new(struct state);
    *own = (struct state){.settings = settings, .facts = facts, .verdict = verdict};
    *state = own;
    return 0;
}

static int on_adopt(void *data, struct moon_snapshot *snapshot, struct moon_diag *diag) {
    struct state *state = data;
    if (moon_snapshot_generation(snapshot) == state->settings->refuse_to_adopt) {
        moon_diag_set(diag, "hooks", "refuse generation %llu", (unsigned long long)state->settings->refuse_to_adopt);
        return MOON_ESCRIPT;
    }
    state->adopted = true;
    return 0;
}

/* "/body" (blocks a body with "evil" in it), "/pass…", "/block", "/custom", "/log", "/silent" (no verdict at all); everything else passes. */
static void on_rules(void *data) {
    struct state *state = data;
    struct moon_verdict *verdict = state->verdict;
    struct moon_str path = state->facts->path;
    moon_assert(state->adopted && state->facts->host && state->facts->http_host.data);
    if (moon_str_equal(path, MOON_STR("/silent")))
        return;
    verdict->action = MOON_ACTION_PASS;
    if (moon_str_equal(path, MOON_STR("/body"))) {
        const struct moon_facts *facts = state->facts;
        if (!facts->body_ready)
            verdict->action = MOON_ACTION_NEED_BODY;
        else if (facts->body.len && memmem(facts->body.data, facts->body.len, "evil", 4))
            verdict->action = MOON_ACTION_BLOCK;
    } else if (moon_str_starts_with(path, MOON_STR("/block"))) {
        verdict->action = MOON_ACTION_BLOCK;
        verdict->rule_id = MOON_STR("rule-block");
    } else if (moon_str_equal(path, MOON_STR("/custom"))) {
        verdict->action = MOON_ACTION_BLOCK;
        verdict->status = 418;
        verdict->content = MOON_STR("custom");
        verdict->content_type = MOON_STR("text/x-custom");
    } else if (moon_str_equal(path, MOON_STR("/evil"))) {
        verdict->action = MOON_ACTION_BLOCK;
        verdict->status = 418;
        verdict->content_type = MOON_STR("text/plain\r\nSet-Cookie: evil");
    } else if (moon_str_equal(path, MOON_STR("/log"))) {
        for (verdict->match_count = 0; verdict->match_count < MOON_VERDICT_MATCHES; verdict->match_count++)
            verdict->matches[verdict->match_count] = MOON_STR("0123456789abcdef0123456789abcdef");
    }
}

static void on_close(void *data) {
    free(data);
}

struct moon_hooks *moon_spec_hooks_new(bool refuse_to_open, uint64_t refuse_to_adopt) {
    struct settings *settings = moon_new(struct settings); /* with the hooks as long as the process lives */
    struct moon_hooks *hooks = moon_new(struct moon_hooks);
    *settings = (struct settings){refuse_to_open, refuse_to_adopt};
    *hooks = (struct moon_hooks){
        .data = settings, .open = on_open, .adopt = on_adopt, .rules = on_rules, .close = on_close};
    return hooks;
}

/* The last request whose answer was put off, until it is given or the request has gone. */
static struct moon_request *put_off;

static void on_gone(void *data, void *later) {
    (void)data;
    if (later == put_off)
        put_off = NULL;
}

bool moon_spec_handler_waits(void) {
    return put_off != NULL;
}

/* On the control loop's thread, between its rounds. */
void moon_spec_handler_answer(void) {
    const struct moon_handler_response response = {.status = 202, .body = MOON_STR("later")};
    moon_handler_answer(put_off, &response);
}

/* The query is how many bytes the answer has; the method and the body's length come back in fields. The path /later puts
 * the answer off. */
static void on_serve(void *data, const struct moon_handler_request *request, struct moon_handler_response *response) {
    static struct moon_http_field fields[2];
    static char length[24];
    static struct moon_buf body;
    uint64_t size = 0;
    (void)data;
    if (moon_str_equal(request->path, MOON_STR("/later"))) {
        put_off = request->request;
        response->later = put_off;
        return;
    }
    moon_str_to_uint63(request->query, &size);
    moon_buf_free(&body);
    moon_buf_init(&body, (size_t)size + 1);
    memset(moon_buf_reserve(&body, (size_t)size + 1), 'b', (size_t)size);
    moon_buf_commit(&body, (size_t)size);
    snprintf(length, sizeof length, "%zu", request->body.len);
    fields[0] = (struct moon_http_field){MOON_STR("X-Method"), request->method};
    fields[1] = (struct moon_http_field){MOON_STR("X-Received"), moon_str_of(length)};
    *response = (struct moon_handler_response){200, fields, 2, moon_buf_view(&body), NULL};
}

struct moon_handler *moon_spec_handler_new(size_t body_ceiling) {
    struct moon_handler *handler = moon_new(struct moon_handler);
    *handler = (struct moon_handler){.body_ceiling = body_ceiling, .serve = on_serve, .gone = on_gone};
    return handler;
}
