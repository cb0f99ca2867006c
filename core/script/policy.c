#include "script/policy.h"

#include <lauxlib.h>
#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "http/write.h"
#include "script/vm.h"

#define MEMORY_CEILING (64u * 1024 * 1024) /* of one state, while a policy runs */
#define MEMORY_RESERVE (256u * 1024)
#define KV_BYTES (32u * 1024 * 1024)
#define LOAD_MS 2000
#define STRETCHES 10    /* a request may use this many budgets in all: the hard stop */
#define SHORT_NS 500000 /* a stretch that the thread's clock is not asked about */
#define HOOK_INSTRUCTIONS 100
#define PATTERN_STEPS 2000000 /* per stretch; some tens of nanoseconds each */
/* Garbage counts against the ceiling too: when there is much, the collector must not wait until it has doubled. */
#define GC_PAUSE 200
#define GC_PAUSE_SHORT 110
#define LINES_PER_SECOND 100
#define VALUE_DEPTH 4 /* of tables that pass between two states */
#define VALUE_ELEMENTS 10000

/* ---- what all threads share ---- */

struct moon_policies *moon_policies_new(const struct moon_str *paths, size_t count, unsigned budget_ms, bool jit,
                                        const char *source_dir) {
    struct moon_policies *policies = moon_new(struct moon_policies);
    struct moon_tls_client_terms terms = {.verify = true};
    policies->paths = moon_alloc((count + 1) * sizeof *policies->paths);
    for (size_t i = 0; i < count; i++)
        policies->paths[i] = moon_strdup(paths[i]);
    policies->count = count;
    policies->budget_ms = budget_ms;
    policies->jit = jit;
    policies->source_dir = source_dir;
    policies->kv = moon_kv_new(KV_BYTES);
    moon_tls_client_new(&policies->client, &terms, NULL);
    return policies;
}

void moon_policies_free(struct moon_policies **pointer) {
    struct moon_policies *policies = *pointer;
    *pointer = NULL;
    if (!policies)
        return;
    for (size_t i = 0; i < policies->count; i++)
        free(policies->paths[i]);
    free(policies->paths);
    moon_kv_free(&policies->kv);
    moon_tls_client_unref(&policies->client);
    free(policies);
}

/* ---- time and memory ---- */

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *allocate(void *data, void *block, size_t old, size_t size) {
    struct moon_policy *policy = data;
    size_t ceiling = policy->starved ? MEMORY_CEILING + MEMORY_RESERVE : MEMORY_CEILING;
    if (policy->inside && size > old && policy->memory + (size - old) > ceiling) {
        policy->starved = true; /* from here on there is a little more, to tell about it */
        return NULL;            /* "not enough memory": an error of the policy like any other */
    }
    void *room = policy->allocate(policy->allocate_data, block, old, size);
    if (room || !size)
        policy->memory += size - old;
    return room;
}

/* Where in a policy file the state is now, as "FILE:LINE: ". False when neither a function of a policy is under way nor
 * one of the library that it was given: its last call may have left no trace of it; then the place is empty. */
static bool find_place(lua_State *L, char *place, size_t size) {
    lua_Debug frame;
    bool in_library = false;
    place[0] = 0;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        in_library |= strcmp(frame.source, "@lua/sandbox.lua") == 0;
        if (frame.currentline > 0 && strncmp(frame.source, "@lua/", 5) != 0 &&
            strncmp(frame.source, "@rules/", 7) != 0) {
            snprintf(place, size, "%s:%d: ", frame.short_src, frame.currentline);
            return true;
        }
    }
    return in_library;
}

/* CPU time of the stretch so far, ns. The thread's clock is dear, and most stretches are over before it is worth
 * asking: it is asked first when a little of the other clock has passed, which counts as it is. */
static uint64_t used(struct moon_policy *policy) {
    uint64_t elapsed = clock_ns(CLOCK_MONOTONIC) - policy->begun;
    if (elapsed < SHORT_NS)
        return elapsed;
    uint64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (!policy->begun_cpu)
        policy->begun_cpu = now - SHORT_NS;
    return now - policy->begun_cpu;
}

/* Every so many instructions: an endless loop ends here. LuaJIT calls no hooks from compiled code, hence the state's
 * compiler is off. */
static void on_count(lua_State *L, lua_Debug *ar) {
    void *data;
    lua_getallocf(L, &data);
    struct moon_policy *policy = data;
    char place[128];
    if (!policy->inside)
        return;
    if (!policy->call.exhausted && used(policy) < policy->allowed)
        return;
    if (!find_place(L, place, sizeof place))
        return; /* our own functions, which come to their end */
    if (!policy->call.exhausted) {
        policy->call.exhausted = true;
        snprintf(policy->exhausted, sizeof policy->exhausted, "%sthe policy ran longer than %u ms", place,
                 (unsigned)(policy->allowed / 1000000));
    }
    lua_pushstring(L, policy->exhausted);
    lua_error(L);
}

static int enter(struct moon_policy *policy, int arguments, int results, uint64_t allowed, int handler) {
    moon_assert(!policy->inside);
    policy->begun = clock_ns(CLOCK_MONOTONIC);
    policy->begun_cpu = 0;
    policy->allowed = allowed;
    policy->call.exhausted = false;
    policy->starved = false;
    policy->call.steps = PATTERN_STEPS;
    policy->inside = true;
    int rc = lua_pcall(policy->L, arguments, results, handler);
    policy->inside = false;
    policy->spent += used(policy);
    lua_gc(policy->L, LUA_GCSETPAUSE, policy->memory > MEMORY_CEILING / 2 ? GC_PAUSE_SHORT : GC_PAUSE);
    if (rc == LUA_ERRMEM || policy->starved)
        lua_gc(policy->L, LUA_GCCOLLECT, 0);
    return rc;
}

/* One budget, or what is left of all of them. */
static uint64_t allowance(const struct moon_policy *policy) {
    uint64_t budget = (uint64_t)policy->shared->budget_ms * 1000000;
    uint64_t whole = budget * STRETCHES;
    uint64_t left = policy->spent < whole ? whole - policy->spent : 0;
    return left < budget ? left : budget;
}

int moon_policy_enter(struct moon_policy *policy, int arguments, int results) {
    return enter(policy, arguments, results, allowance(policy), MOON_POLICY_TRACEBACK);
}

void moon_policy_tell(struct moon_policy *policy, const char *what, const char *detail) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != policy->told) {
        policy->told = now.tv_sec;
        policy->told_lines = 0;
    }
    if (policy->told_lines == LINES_PER_SECOND) {
        policy->suppressed++;
        return;
    }
    policy->told_lines++;
    moon_log_begin(policy->log, MOON_LOG_ERROR, "policy", what);
    moon_log_str(policy->log, "ray", policy->call.facts.ray);
    moon_log_str(policy->log, "host", policy->call.facts.http_host);
    moon_log_text(policy->log, "detail", detail ? detail : "out of memory");
    if (policy->suppressed)
        moon_log_int(policy->log, "suppressed", policy->suppressed);
    moon_log_end(policy->log);
    policy->suppressed = 0;
}

/* ---- values for the rules ---- */

/* Both states have room on their stacks. Errors are raised in `raise`, the one that is protected now. */
static void copy_value(lua_State *raise, lua_State *to, lua_State *from, int index, int depth);

static void copy_table(lua_State *raise, lua_State *to, lua_State *from, int index, int depth) {
    int elements = 0;
    if (depth == 0 || !lua_checkstack(from, 4) || !lua_checkstack(to, 4))
        luaL_error(raise, "a table is nested too deeply");
    lua_newtable(to);
    for (lua_pushnil(from); lua_next(from, index); lua_pop(from, 1)) {
        if (++elements > VALUE_ELEMENTS)
            luaL_error(raise, "a table has too many elements");
        copy_value(raise, to, from, lua_gettop(from) - 1, 0);
        copy_value(raise, to, from, lua_gettop(from), depth - 1);
        lua_rawset(to, -3);
    }
}

static void copy_value(lua_State *raise, lua_State *to, lua_State *from, int index, int depth) {
    size_t len;
    const char *text;
    switch (lua_type(from, index)) {
    case LUA_TNIL:
        lua_pushnil(to);
        break;
    case LUA_TBOOLEAN:
        lua_pushboolean(to, lua_toboolean(from, index));
        break;
    case LUA_TNUMBER:
        lua_pushnumber(to, lua_tonumber(from, index));
        break;
    case LUA_TSTRING:
        text = lua_tolstring(from, index, &len);
        lua_pushlstring(to, text, len);
        break;
    case LUA_TTABLE:
        copy_table(raise, to, from, index, depth);
        break;
    default:
        luaL_error(raise, "a %s cannot be a value of a rule", luaL_typename(from, index));
    }
}

/* Runs in the state of the rules, protected there: (index, arguments…) → value. */
static int value(lua_State *L) {
    struct moon_policy *policy = lua_touserdata(L, lua_upvalueindex(1));
    lua_State *P = policy->L;
    int count = lua_gettop(L);
    lua_settop(P, MOON_POLICY_TOP); /* what an error on L's side may have left */
    if (!policy->has_facts) {
        policy->call.facts = *policy->facts;
        policy->has_facts = true;
    }
    if (!lua_checkstack(P, count + 8))
        return luaL_error(L, "too many arguments");
    lua_pushvalue(P, MOON_POLICY_VALUE);
    lua_pushnumber(P, policy->serial);
    for (int i = 1; i <= count; i++) /* P's memory is not limited here: this cannot fail for want of it */
        copy_value(L, P, L, i, VALUE_DEPTH);
    int rc = enter(policy, count + 1, 1, allowance(policy), 0);
    if (rc == 0)
        copy_value(L, L, P, lua_gettop(P), VALUE_DEPTH);
    else if (lua_type(P, -1) == LUA_TSTRING)
        copy_value(L, L, P, lua_gettop(P), VALUE_DEPTH);
    else
        lua_pushliteral(L, "the policy raised an error that is no text");
    lua_settop(P, MOON_POLICY_TOP);
    return rc == 0 ? 1 : lua_error(L);
}

void moon_policy_push_value(struct moon_policy *policy, lua_State *L) {
    lua_pushlightuserdata(L, policy);
    lua_pushcclosure(L, value, 1);
}

void moon_policy_begin(struct moon_policy *policy) {
    policy->serial = ++policy->last_serial;
    policy->has_facts = false;
    policy->spent = 0;
}

/* ---- opening and closing ---- */

static void push_paths(lua_State *L, const struct moon_policies *shared) {
    lua_createtable(L, (int)shared->count, 0);
    for (size_t i = 0; i < shared->count; i++) {
        lua_pushstring(L, shared->paths[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* The state is fresh: module, functions and files. */
static int load(struct moon_policy *policy, struct moon_diag *diag) {
    lua_State *L = policy->L;
    int rc = moon_vm_require(L, "moongate.policy_state", diag);
    if (rc)
        return rc;
    lua_getfield(L, 1, "open");
    lua_pushlightuserdata(L, policy);
    lua_pushlightuserdata(L, &policy->call);
    lua_pushlightuserdata(L, policy->log);
    push_paths(L, policy->shared);
    rc = enter(policy, 4, 8, (uint64_t)LOAD_MS * 1000000, 0);
    if (rc) {
        const char *text = lua_tostring(L, -1);
        moon_diag_set(diag, "", "%s", text ? text : "a policy file raised an error that is no text");
        return MOON_ESCRIPT;
    }
    size_t len;
    const char *declared = lua_tolstring(L, -3, &len);
    policy->declared = moon_strdup(moon_str(declared, len));
    policy->has_requests = lua_toboolean(L, -2);
    policy->has_responses = lua_toboolean(L, -1);
    lua_pop(L, 3);
    lua_pushcfunction(L, moon_vm_traceback);
    lua_replace(L, MOON_POLICY_TRACEBACK); /* the module stays alive in package.loaded */
    moon_assert(lua_gettop(L) == MOON_POLICY_TOP && lua_isfunction(L, MOON_POLICY_VALUE));
    return 0;
}

int moon_policy_open(struct moon_policy **out, struct moon_policies *shared, const struct moon_facts *facts,
                     struct moon_log_channel *log, struct moon_diag *diag) {
    struct moon_policy *policy = moon_new(struct moon_policy);
    *out = NULL;
    policy->shared = shared;
    policy->facts = facts;
    policy->log = log;
    policy->told = -1;
    policy->L = moon_vm_open(shared->source_dir, diag);
    if (!policy->L) {
        free(policy);
        return MOON_ESCRIPT;
    }
    policy->memory = (size_t)lua_gc(policy->L, LUA_GCCOUNT, 0) * 1024;
    policy->allocate = lua_getallocf(policy->L, &policy->allocate_data);
    lua_setallocf(policy->L, allocate, policy);
    if (!shared->jit) {
        luaJIT_setmode(policy->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
        lua_sethook(policy->L, on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    }
    int rc = load(policy, diag);
    if (rc)
        moon_policy_close(&policy);
    *out = policy;
    return rc;
}

void moon_policy_close(struct moon_policy **pointer) {
    struct moon_policy *policy = *pointer;
    *pointer = NULL;
    if (!policy)
        return;
    moon_assert(!policy->tasks);
    lua_setallocf(policy->L, policy->allocate, policy->allocate_data);
    moon_vm_close(&policy->L);
    for (int i = 0; i < MOON_POLICY_ORIGINS; i++) {
        moon_origin_terms_unref(&policy->origins[i]);
        free(policy->origin_keys[i]);
    }
    free(policy->declared);
    free(policy);
}

struct moon_str moon_policy_declared(const struct moon_policy *policy) {
    return moon_str_of(policy->declared);
}

/* ---- for Lua ---- */

int moon_ffi_field_fault(const char *name, size_t name_len, const char *value_text, size_t value_len) {
    if (!moon_http_is_token(moon_str(name, name_len)))
        return 1;
    return moon_http_is_field_value(moon_str(value_text, value_len)) ? 0 : 2;
}

struct moon_kv *moon_ffi_policy_kv(struct moon_policy *policy) {
    return policy->shared->kv;
}

int moon_ffi_policy_check(const struct moon_str *paths, size_t count, unsigned budget_ms, bool jit,
                          struct moon_diag *diag) {
    struct moon_policy *policy = NULL;
    struct moon_policies *shared = moon_policies_new(paths, count, budget_ms, jit, NULL);
    int rc = moon_policy_open(&policy, shared, NULL, NULL, diag);
    moon_policy_close(&policy);
    moon_policies_free(&shared);
    return rc;
}
