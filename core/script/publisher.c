#include "script/publisher.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"
#include "script/vm.h"

#define TRACE_SIZE 4096

struct moon_publisher {
    lua_State *L;
    struct moon_control *control;
};

enum { AT_PHASES = 1 }; /* place of moongate.phases on the stack, from new to close */

/* Calls phases.<name> with the arguments on top of the stack. What goes wrong in there is our bug: logged with its
 * trace. */
static int call(struct moon_publisher *publisher, const char *name, int arguments, int results,
                struct moon_diag *diag) {
    lua_State *L = publisher->L;
    char trace[TRACE_SIZE] = "";
    lua_getfield(L, AT_PHASES, name);
    lua_insert(L, -1 - arguments);
    int rc = moon_vm_call(L, arguments, results, diag, trace, sizeof trace);
    if (rc)
        moon_log_line(publisher->control->log, MOON_LOG_ERROR, "embedded", "a call of the program failed", trace);
    return rc;
}

static int set_up(struct moon_publisher *publisher, struct moon_diag *diag) {
    lua_State *L = publisher->L;
    int rc = moon_vm_require(L, "moongate.phases", diag);
    if (rc)
        return rc;
    lua_pushlightuserdata(L, publisher->control);
    rc = call(publisher, "attach", 1, 0, diag);
    if (rc == 0)
        rc = moon_vm_require(L, "moongate.admin.embedded", diag);
    if (rc == 0)
        rc = call(publisher, "embed", 1, 0, diag);
    return rc;
}

int moon_publisher_new(struct moon_publisher **out, struct moon_control *control, struct moon_diag *diag) {
    struct moon_publisher *publisher = moon_new(struct moon_publisher);
    publisher->control = control;
    publisher->L = moon_vm_open(NULL, diag);
    int rc = publisher->L ? set_up(publisher, diag) : MOON_ESCRIPT;
    if (rc)
        moon_publisher_close(&publisher);
    *out = publisher;
    return rc;
}

void moon_publisher_close(struct moon_publisher **pointer) {
    struct moon_publisher *publisher = *pointer;
    *pointer = NULL;
    if (!publisher)
        return;
    moon_vm_close(&publisher->L);
    free(publisher);
}

static int refuse(lua_State *L, const char *where, struct moon_diag *diag) {
    const char *text = lua_tostring(L, -1);
    moon_diag_set(diag, where, "%s", text ? text : "no reason given");
    lua_pop(L, 2);
    return MOON_EREFUSED;
}

/* A text in a place where Lua must not raise for want of memory: the arguments of a call are pushed unprotected, like
 * everywhere in this folder; the state's panic ends the process then. */
static void push_str(lua_State *L, struct moon_str text) {
    lua_pushlstring(L, text.len ? text.data : "", text.len);
}

int moon_publisher_settings(struct moon_publisher *publisher, struct moon_str json, lua_State **L,
                            struct moon_diag *diag) {
    *L = publisher->L;
    push_str(publisher->L, json);
    int rc = call(publisher, "settings", 1, 2, diag);
    if (rc)
        return rc;
    if (!lua_istable(publisher->L, -2))
        return refuse(publisher->L, "settings", diag);
    lua_pop(publisher->L, 1);
    return 0;
}

int moon_publisher_declare_policies(struct moon_publisher *publisher, struct moon_str declared,
                                    struct moon_diag *diag) {
    push_str(publisher->L, declared);
    return call(publisher, "declare_policies", 1, 0, diag);
}

int moon_publisher_check_field(struct moon_publisher *publisher, const char *name, struct moon_diag *diag) {
    push_str(publisher->L, moon_str_of(name));
    int rc = call(publisher, "check_field", 1, 2, diag);
    if (rc)
        return rc;
    if (!lua_toboolean(publisher->L, -2))
        return refuse(publisher->L, name, diag);
    lua_pop(publisher->L, 2);
    return 0;
}

int moon_publisher_declare_fields(struct moon_publisher *publisher, const struct moon_embedder *embedder,
                                  struct moon_diag *diag) {
    lua_pushlightuserdata(publisher->L, (void *)embedder);
    return call(publisher, "declare_fields", 1, 0, diag);
}

int moon_publisher_publish(struct moon_publisher *publisher, struct moon_str json, struct moon_diag *diag) {
    lua_State *L = publisher->L;
    push_str(L, json);
    int rc = call(publisher, "publish", 1, 4, diag);
    if (rc)
        return rc;
    if (!lua_toboolean(L, -4)) {
        const char *where = lua_tostring(L, -3), *text = lua_tostring(L, -2);
        moon_diag_set(diag, where ? where : "", "%s", text ? text : "no reason given");
        rc = lua_isnumber(L, -1) ? (int)lua_tointeger(L, -1) : MOON_EREFUSED;
    }
    lua_pop(L, 4);
    return rc;
}
