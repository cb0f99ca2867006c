#include "script/phases.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "script/policy.h"
#include "script/task.h"
#include "script/vm.h"

#define TRACE_SIZE 4096

/* Places on the worker's Lua stack, constant from open to close: looking nothing up by name keeps the request path at
 * one table access and one protected call. */
enum {
    AT_TRACEBACK = 1,
    AT_FUNCTIONS, /* host id → the function that decides for this host */
    AT_PREPARE,   /* decides for a host without a function, and makes one */
    AT_GUARDED,   /* decides rule by rule, after one of the others failed */
    AT_ADOPT,
    AT_TOP = AT_ADOPT
};

struct script {
    lua_State *L;
    const struct moon_facts *facts;
    struct moon_verdict *verdict;
    struct moon_log_channel *log;
    struct moon_policy *policy; /* NULL without policy files */
    time_t told;         /* second of the last line about a failure */
    unsigned suppressed; /* failures since then */
};

/* Before anything is known, and whenever the rules did not come to an end: closed. */
static void clear_verdict(struct moon_verdict *verdict) {
    verdict->action = MOON_ACTION_FAIL;
    verdict->status = 0;
    verdict->content = MOON_STR("");
    verdict->content_type = MOON_STR("");
    verdict->rule_id = MOON_STR("");
    verdict->match_count = 0;
}

/* A failing rule fails at every request: one line a second tells as much as a thousand. */
static void tell(struct script *script, const char *what, const char *trace) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == script->told) {
        script->suppressed++;
        return;
    }
    moon_log_begin(script->log, MOON_LOG_ERROR, "rules", what);
    moon_log_str(script->log, "ray", script->facts->ray);
    moon_log_str(script->log, "host", script->facts->http_host);
    moon_log_text(script->log, "detail", trace);
    if (script->suppressed)
        moon_log_int(script->log, "suppressed", script->suppressed);
    moon_log_end(script->log);
    script->told = now.tv_sec;
    script->suppressed = 0;
}

static int fail_open(struct script *script) {
    moon_vm_close(&script->L);
    moon_policy_close(&script->policy);
    free(script);
    return MOON_ESCRIPT;
}

static int open_worker(void *data, void **state, struct moon_facts *facts, struct moon_verdict *verdict,
                       struct moon_log_channel *log, struct moon_diag *diag) {
    const struct moon_script_options *options = data;
    struct script *script = moon_new(struct script);
    script->facts = facts;
    script->verdict = verdict;
    script->log = log;
    script->told = -1;
    script->L = moon_vm_open(options->source_dir, diag);
    *state = NULL;
    if (!script->L)
        return fail_open(script);
    if (options->policies && moon_policy_open(&script->policy, options->policies, facts, log, diag) != 0)
        return fail_open(script);
    lua_State *L = script->L;
    if (moon_vm_require(L, "moongate.phases", diag) != 0)
        return fail_open(script);
    lua_getfield(L, 1, "open");
    lua_pushlightuserdata(L, facts);
    lua_pushlightuserdata(L, verdict);
    lua_pushlightuserdata(L, log);
    if (script->policy) {
        struct moon_str declared = moon_policy_declared(script->policy);
        lua_pushlstring(L, declared.data, declared.len);
        moon_policy_push_value(script->policy, L);
    } else {
        lua_pushnil(L);
        lua_pushnil(L);
    }
    if (options->geo)
        lua_pushlightuserdata(L, (void *)options->geo);
    else
        lua_pushnil(L);
    if (options->embedder)
        lua_pushlightuserdata(L, (void *)options->embedder);
    else
        lua_pushnil(L);
    if (moon_vm_call(L, 7, 4, diag, NULL, 0) != 0)
        return fail_open(script);
    lua_pushcfunction(L, moon_vm_traceback);
    lua_replace(L, AT_TRACEBACK); /* the module stays alive in package.loaded */
    moon_assert(lua_gettop(L) == AT_TOP && lua_istable(L, AT_FUNCTIONS) && lua_isfunction(L, AT_ADOPT));
    *state = script;
    return 0;
}

static int adopt(void *state, struct moon_snapshot *snapshot, struct moon_diag *diag) {
    struct script *script = state;
    lua_State *L = script->L;
    char trace[TRACE_SIZE];
    lua_pushvalue(L, AT_ADOPT);
    lua_pushlightuserdata(L, snapshot);
    int rc = moon_vm_call(L, 1, 0, diag, trace, sizeof trace);
    if (rc)
        moon_log_line(script->log, MOON_LOG_ERROR, "rules", "a snapshot was not adopted", trace);
    return rc;
}

static void run_guarded(struct script *script) {
    lua_State *L = script->L;
    uint32_t reported = script->verdict->match_count;
    tell(script, "a rule failed", lua_tostring(L, -1));
    lua_settop(L, AT_TOP);
    clear_verdict(script->verdict);
    script->verdict->match_count = reported; /* what was reported before the failure is not reported again */
    lua_pushvalue(L, AT_GUARDED);
    if (lua_pcall(L, 0, 0, AT_TRACEBACK) == 0)
        return;
    moon_log_line(script->log, MOON_LOG_ERROR, "rules", "the rules of this host cannot be evaluated",
                  lua_tostring(L, -1));
    lua_settop(L, AT_TOP);
    clear_verdict(script->verdict);
}

static void rules(void *state) {
    struct script *script = state;
    lua_State *L = script->L;
    clear_verdict(script->verdict);
    if (script->policy)
        moon_policy_begin(script->policy);
    /* One function per host, called from here and not through a common one in Lua: each is the root of its own trace
     * then, where a common one would test for one host after the other. */
    lua_pushnumber(L, script->facts->host_id);
    lua_rawget(L, AT_FUNCTIONS);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushvalue(L, AT_PREPARE);
    }
    if (lua_pcall(L, 0, 0, AT_TRACEBACK) != 0)
        run_guarded(script);
}

static enum moon_hook_step policy_request(void *state, struct moon_request *request) {
    struct script *script = state;
    return script->policy->has_requests ? moon_task_request(script->policy, request) : MOON_STEP_ON;
}

static bool policy_response(void *state, struct moon_request *request, struct moon_http_head *head) {
    struct script *script = state;
    return moon_task_response(script->policy, request, head);
}

static void policy_body(void *state, struct moon_request *request) {
    struct script *script = state;
    moon_task_body(script->policy, request);
}

static void policy_gone(void *state, struct moon_request *request) {
    struct script *script = state;
    moon_task_gone(script->policy, request);
}

static void close_worker(void *state) {
    struct script *script = state;
    moon_vm_close(&script->L); /* first: it can ask the policies */
    moon_policy_close(&script->policy);
    free(script);
}

void moon_script_hooks(struct moon_hooks *hooks, struct moon_script_options *options) {
    *hooks = (struct moon_hooks){
        .data = options,
        .open = open_worker,
        .adopt = adopt,
        .rules = rules,
        .close = close_worker,
    };
    if (options->policies) {
        hooks->request = policy_request;
        hooks->response = policy_response;
        hooks->body = policy_body;
        hooks->gone = policy_gone;
    }
}
