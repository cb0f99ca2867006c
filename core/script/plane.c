/* The control plane's half of script/phases.h: the same stair, walked on the control thread by the admin listener, by the
 * program's start, tick and stop, and by errands (script/errand.h) that are done. */
#include "script/phases.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "script/errand.h"
#include "script/vm.h"

#define TRACE_SIZE 4096
#define BODY_CEILING (20 * 1024 * 1024) /* of an admin request: the items of a list; others have 1 MiB in Lua */
#define FIELDS_CEILING 64          /* of an admin response */

struct moon_plane {
    lua_State *L;
    struct moon_control *control;
    int module; /* registry reference of moongate.phases */
    int answer; /* registry reference of what the last response's views point into; LUA_NOREF at first */
    bool started;
    struct moon_link waiting; /* requests whose answer was put off */
    uint64_t last_ticket;
    struct moon_http_field fields[FIELDS_CEILING];
    char refusal[512]; /* body of the last refusal */
};

/* A request that an errand has to come back for. */
struct waiting {
    struct moon_link link;
    uint64_t ticket;
    struct moon_request *request;
};

static const char json_type[] = "application/json";
static const char broken_body[] =
    "{\"success\":false,\"errors\":[{\"code\":10013,\"message\":\"Internal error\"}],\"messages\":[],\"result\":null}";
static const char starting_body[] =
    "{\"success\":false,\"errors\":[{\"code\":10013,\"message\":\"The gateway is starting\"}],"
    "\"messages\":[],\"result\":null}";

/* Pushes moongate.phases.<name>. */
static void push_function(struct moon_plane *plane, const char *name) {
    lua_rawgeti(plane->L, LUA_REGISTRYINDEX, plane->module);
    lua_getfield(plane->L, -1, name);
    lua_remove(plane->L, -2);
}

static int set_up(struct moon_plane *plane, struct moon_diag *diag) {
    lua_State *L = plane->L;
    int rc = moon_vm_require(L, "moongate.phases", diag);
    if (rc)
        return rc;
    plane->module = luaL_ref(L, LUA_REGISTRYINDEX);
    push_function(plane, "attach");
    lua_pushlightuserdata(L, plane->control);
    return moon_vm_call(L, 1, 0, diag, NULL, 0);
}

static void on_errand(void *data, uint64_t id);

int moon_plane_new(struct moon_plane **out, lua_State *L, struct moon_control *control, struct moon_diag *diag) {
    struct moon_plane *plane = moon_new(struct moon_plane);
    plane->L = L;
    plane->control = control;
    plane->module = LUA_NOREF;
    plane->answer = LUA_NOREF;
    moon_list_init(&plane->waiting);
    if (control->errands)
        moon_errands_listen(control->errands, on_errand, plane);
    int rc = set_up(plane, diag);
    if (rc) {
        if (control->errands)
            moon_errands_listen(control->errands, NULL, NULL);
        luaL_unref(L, LUA_REGISTRYINDEX, plane->module);
        free(plane);
        plane = NULL;
    }
    *out = plane;
    return rc;
}

/* ---- one admin request ---- */

static void push_str(lua_State *L, struct moon_str text) {
    lua_pushlstring(L, text.len ? text.data : "", text.len);
}

static void set_str(lua_State *L, const char *key, struct moon_str text) {
    push_str(L, text);
    lua_setfield(L, -2, key);
}

/* Lower-cased name → value. Repeated fields are joined (RFC 9110 section 5.3): of two Authorization fields neither is
 * then a token, which is the answer we want. */
static void push_headers(lua_State *L, const struct moon_http_field *fields, size_t count) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        luaL_Buffer name;
        luaL_buffinit(L, &name);
        for (size_t k = 0; k < fields[i].name.len; k++)
            luaL_addchar(&name, moon_lower(fields[i].name.data[k]));
        luaL_pushresult(&name);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            push_str(L, fields[i].value);
        } else {
            lua_pushliteral(L, ", ");
            push_str(L, fields[i].value);
            lua_concat(L, 3);
        }
        lua_rawset(L, -3);
    }
}

struct call {
    struct moon_plane *plane;
    const struct moon_handler_request *request;
    uint64_t ticket;
};

/* Protected, since building the request allocates. Returns status, { name, value, name, value, … }, body; a status that is
 * false: the answer comes with an errand (on_errand). */
static int serve_protected(lua_State *L) {
    const struct call *call = lua_touserdata(L, 1);
    const struct moon_handler_request *request = call->request;
    push_function(call->plane, "serve");
    lua_createtable(L, 0, 9);
    set_str(L, "method", request->method);
    set_str(L, "host", request->host);
    set_str(L, "path", request->path);
    if (request->has_query)
        set_str(L, "query", request->query);
    push_headers(L, request->fields, request->field_count);
    lua_setfield(L, -2, "headers");
    set_str(L, "body", request->body);
    set_str(L, "address", request->address);
    set_str(L, "ray", request->ray);
    lua_pushnumber(L, (lua_Number)call->ticket);
    lua_setfield(L, -2, "ticket");
    lua_call(L, 1, 3);
    return 3;
}

static void answer_with(struct moon_plane *plane, struct moon_handler_response *response, unsigned status,
                        const char *body, size_t len) {
    plane->fields[0].name = MOON_STR("Content-Type");
    plane->fields[0].value = moon_str(json_type, sizeof json_type - 1);
    plane->fields[1].name = MOON_STR("Cache-Control");
    plane->fields[1].value = MOON_STR("no-store");
    response->status = status;
    response->fields = plane->fields;
    response->field_count = 2;
    response->body = moon_str(body, len);
}

static struct moon_str view_at(lua_State *L, int index) {
    struct moon_str view = {NULL, 0};
    view.data = lua_tolstring(L, index, &view.len);
    return view;
}

/* The results are on top of the stack; lua/phases.lua has checked their types. Anchors them until the next call. */
static void take_answer(struct moon_plane *plane, struct moon_handler_response *response) {
    lua_State *L = plane->L;
    int status = lua_gettop(L) - 2;
    size_t count = lua_objlen(L, status + 1) / 2;
    moon_assert(count <= FIELDS_CEILING);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, status + 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, status + 2);
    lua_rawseti(L, -2, 2);
    plane->answer = luaL_ref(L, LUA_REGISTRYINDEX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, status + 1, (int)(2 * i + 1));
        lua_rawgeti(L, status + 1, (int)(2 * i + 2));
        plane->fields[i].name = view_at(L, -2);
        plane->fields[i].value = view_at(L, -1);
        lua_pop(L, 2);
    }
    response->status = (unsigned)lua_tointeger(L, status);
    response->fields = plane->fields;
    response->field_count = count;
    response->body = view_at(L, status + 2);
    lua_settop(L, status - 1);
}

static void forget_answer(struct moon_plane *plane) {
    luaL_unref(plane->L, LUA_REGISTRYINDEX, plane->answer);
    plane->answer = LUA_NOREF;
}

/* The three results are on top of the stack. */
static void take_results(struct moon_plane *plane, const struct call *call, struct moon_handler_response *response) {
    if (lua_type(plane->L, -3) == LUA_TNUMBER) {
        take_answer(plane, response);
        return;
    }
    struct waiting *waiting = moon_new(struct waiting);
    waiting->ticket = call->ticket;
    waiting->request = call->request->request;
    moon_list_append(&plane->waiting, &waiting->link);
    response->later = waiting;
    lua_pop(plane->L, 3);
}

static void serve(void *data, const struct moon_handler_request *request, struct moon_handler_response *response) {
    struct moon_plane *plane = data;
    lua_State *L = plane->L;
    struct call call = {plane, request, ++plane->last_ticket};
    struct moon_diag diag;
    char trace[TRACE_SIZE];
    if (!plane->started) {
        answer_with(plane, response, 503, starting_body, sizeof starting_body - 1);
        return;
    }
    forget_answer(plane);
    lua_pushcfunction(L, serve_protected);
    lua_pushlightuserdata(L, &call);
    if (moon_vm_call(L, 1, 3, &diag, trace, sizeof trace) == 0) {
        take_results(plane, &call, response);
        return;
    }
    moon_log_begin(plane->control->log, MOON_LOG_ERROR, "admin", "a request failed");
    moon_log_str(plane->control->log, "ray", request->ray);
    moon_log_str(plane->control->log, "method", request->method);
    moon_log_str(plane->control->log, "path", request->path);
    moon_log_text(plane->control->log, "detail", trace);
    moon_log_end(plane->control->log);
    answer_with(plane, response, 500, broken_body, sizeof broken_body - 1);
}

/* The API's envelope for what never reached Lua. Codes as in its catalogue of errors. */
static void refuse(void *data, unsigned status, const char *reason, struct moon_handler_response *response) {
    struct moon_plane *plane = data;
    int code = status == 413 ? 10413 : status == 405 || status == 501 ? 7001 : status == 408 ? 10013 : 6003;
    const char *message = status == 413 ? "Request body too large" : reason;
    int len = snprintf(plane->refusal, sizeof plane->refusal,
                       "{\"success\":false,\"errors\":[{\"code\":%d,\"message\":\"%s\"}],\"messages\":[],\"result\":null}",
                       code, message);
    moon_assert(len > 0 && (size_t)len < sizeof plane->refusal);
    answer_with(plane, response, status, plane->refusal, (size_t)len);
}

/* ---- answers that were put off ---- */

static void forget_waiting(struct waiting *waiting) {
    moon_list_remove(&waiting->link);
    free(waiting);
}

static void gone(void *data, void *later) {
    (void)data;
    forget_waiting(later); /* what its errand comes back with is nobody's */
}

static struct waiting *find_waiting(struct moon_plane *plane, uint64_t ticket) {
    for (struct moon_link *link = plane->waiting.next; link != &plane->waiting; link = link->next) {
        struct waiting *waiting = MOON_LINKED(link, struct waiting, link);
        if (waiting->ticket == ticket)
            return waiting;
    }
    return NULL;
}

/* Ticket, status, fields and body are on top of the stack: of a request that can be answered now, if it is still there. */
static void answer_later(struct moon_plane *plane) {
    struct moon_handler_response response = {.status = 500};
    struct waiting *waiting = find_waiting(plane, (uint64_t)lua_tonumber(plane->L, -4));
    if (!waiting) {
        lua_pop(plane->L, 4);
        return;
    }
    struct moon_request *request = waiting->request;
    forget_waiting(waiting);
    forget_answer(plane);
    if (lua_type(plane->L, -3) == LUA_TNUMBER) {
        take_answer(plane, &response);
        lua_pop(plane->L, 1);
    } else {
        answer_with(plane, &response, 500, broken_body, sizeof broken_body - 1);
        lua_pop(plane->L, 4);
    }
    moon_handler_answer(request, &response); /* the connection's next request may be served in it */
}

static void on_errand(void *data, uint64_t id) {
    struct moon_plane *plane = data;
    struct moon_diag diag;
    char trace[TRACE_SIZE];
    push_function(plane, "completed");
    lua_pushnumber(plane->L, (lua_Number)id);
    if (moon_vm_call(plane->L, 1, 4, &diag, trace, sizeof trace) != 0)
        moon_log_line(plane->control->log, MOON_LOG_ERROR, "admin", "what an errand came back with was lost", trace);
    else if (lua_type(plane->L, -4) == LUA_TNUMBER)
        answer_later(plane);
    else
        lua_pop(plane->L, 4);
}

void moon_plane_handler(struct moon_plane *plane, struct moon_handler *handler) {
    handler->data = plane;
    handler->gone = gone;
    handler->body_ceiling = BODY_CEILING;
    handler->serve = serve;
    handler->refuse = refuse;
}

/* ---- start, tick, stop ---- */

int moon_plane_start(struct moon_plane *plane, int config, struct moon_diag *diag) {
    lua_State *L = plane->L;
    lua_pushvalue(L, config);
    int rc = moon_vm_require(L, "moongate.admin.boot", diag);
    if (rc) {
        lua_pop(L, 1);
        return rc;
    }
    push_function(plane, "start");
    lua_insert(L, -3); /* start, config, boot */
    rc = moon_vm_call(L, 2, 3, diag, NULL, 0);
    if (rc)
        return rc;
    if (lua_toboolean(L, -3)) {
        plane->started = true;
    } else {
        const char *where = lua_tostring(L, -2), *text = lua_tostring(L, -1);
        moon_diag_set(diag, where ? where : "", "%s", text ? text : "the admin API did not start");
        rc = MOON_EREFUSED;
    }
    lua_pop(L, 3);
    return rc;
}

static void call_plain(struct moon_plane *plane, const char *name, const char *what) {
    struct moon_diag diag;
    char trace[TRACE_SIZE];
    push_function(plane, name);
    if (moon_vm_call(plane->L, 0, 0, &diag, trace, sizeof trace) != 0)
        moon_log_line(plane->control->log, MOON_LOG_ERROR, "admin", what, trace);
}

void moon_plane_tick(struct moon_plane *plane) {
    if (plane->started)
        call_plain(plane, "tick", "the periodic work failed");
}

void moon_plane_stop(struct moon_plane **pointer) {
    struct moon_plane *plane = *pointer;
    *pointer = NULL;
    if (!plane)
        return;
    if (plane->control->errands)
        moon_errands_listen(plane->control->errands, NULL, NULL);
    while (!moon_list_is_empty(&plane->waiting))
        forget_waiting(MOON_LINKED(plane->waiting.next, struct waiting, link));
    if (plane->started)
        call_plain(plane, "stop", "the admin API did not stop cleanly");
    luaL_unref(plane->L, LUA_REGISTRYINDEX, plane->answer);
    luaL_unref(plane->L, LUA_REGISTRYINDEX, plane->module);
    free(plane);
}
