#include "script/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "gate/request.h"
#include "gate/respond.h"
#include "gate/route.h"
#include "http/write.h"
#include "script/fetch.h"

#define TASKS_MAX 10000 /* of one worker; a parked coroutine takes a few KiB */
#define FETCH_HEAD_MAX (96 * 1024)
#define FETCH_BODY_MAX (1024 * 1024)
#define ANSWER_FIELDS_MAX 128

/* What Lua answers when it is asked about a request (lua/task.lua has the same numbers). */
enum outcome { OUTCOME_ON, OUTCOME_ANSWER, OUTCOME_BLOCK, OUTCOME_WAIT, OUTCOME_FAIL };

enum wait { WAIT_NOTHING, WAIT_SLEEP, WAIT_FETCH, WAIT_BODY };

struct moon_task {
    struct moon_policy *policy;
    struct moon_request *request; /* NULL once it has ended */
    double serial;
    uint64_t spent;          /* CPU ns in the stretches so far */
    struct moon_facts facts; /* the request's own, once it is kept */
    uv_timer_t timer;
    uint64_t deadline; /* loop ms: all waiting ends */
    enum wait waiting;
    bool late; /* the timer stands at the deadline */
    struct moon_fetch *fetch;
};

static const char failed_text[] = "a policy failed";

static struct moon_worker *worker_of(const struct moon_request *request) {
    return request->conn->worker;
}

/* ---- life ---- */

static void on_wake(uv_timer_t *timer);

static struct moon_task *task_of(struct moon_policy *policy, struct moon_request *request) {
    struct moon_task *task = request->script;
    if (task)
        return task;
    struct moon_worker *worker = worker_of(request);
    task = moon_new(struct moon_task);
    task->policy = policy;
    task->request = request;
    task->serial = policy->serial;
    moon_assert(uv_timer_init(worker->loop, &task->timer) == 0);
    task->timer.data = task;
    task->deadline = uv_now(worker->loop) + worker->options->timeouts.origin_head;
    policy->tasks++;
    request->script = task;
    return task;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void moon_task_gone(struct moon_policy *policy, struct moon_request *request) {
    struct moon_task *task = request->script;
    lua_State *L = policy->L;
    int top = lua_gettop(L);
    request->script = NULL;
    if (policy->request == request)
        policy->request = NULL;
    if (!task)
        return;
    task->request = NULL;
    moon_fetch_free(&task->fetch);
    policy->tasks--;
    lua_pushvalue(L, MOON_POLICY_GONE);
    lua_pushnumber(L, task->serial);
    policy->spent = 0;
    policy->call.facts.ray = moon_str_of(request->ray); /* whatever else is in there may be another request's */
    policy->call.facts.http_host = request->host;
    if (moon_policy_enter(policy, 1, 0) != 0)
        moon_policy_tell(policy, "a request could not be let go", lua_tostring(L, -1));
    lua_settop(L, top);
    uv_close((uv_handle_t *)&task->timer, on_closed);
}

/* ---- what Lua has answered ---- */

static void push_str(lua_State *L, struct moon_str text) {
    lua_pushlstring(L, text.len ? text.data : "", text.len);
}

static struct moon_str view_at(lua_State *L, int index) {
    struct moon_str view = MOON_STR("");
    const char *text = lua_tolstring(L, index, &view.len);
    if (text)
        view.data = text;
    return view;
}

/* The table { name, value, name, value, … } at `index` as views of its strings; how many. */
static size_t read_fields(lua_State *L, int index, struct moon_http_field *fields) {
    size_t count = lua_istable(L, index) ? lua_objlen(L, index) / 2 : 0;
    moon_assert(count <= ANSWER_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)(2 * i + 1));
        lua_rawgeti(L, index, (int)(2 * i + 2));
        fields[i].name = view_at(L, -2);
        fields[i].value = view_at(L, -1);
        lua_pop(L, 2);
    }
    return count;
}

static void remove_fields(struct moon_http_head *head, lua_State *L, int index) {
    size_t names = lua_istable(L, index) ? lua_objlen(L, index) : 0;
    for (size_t i = 0; i < names; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        struct moon_str name = view_at(L, -1);
        size_t kept = 0;
        for (size_t k = 0; k < head->field_count; k++)
            if (!moon_str_equal_nocase(head->fields[k].name, name))
                head->fields[kept++] = head->fields[k];
        head->field_count = kept;
        lua_pop(L, 1);
    }
}

/* Copies the fields of the table at `index` into the request's arena; false when it is full. */
static bool keep_fields(struct moon_request *request, struct moon_added_fields *added, lua_State *L, int index) {
    struct moon_http_field fields[ANSWER_FIELDS_MAX];
    size_t count = read_fields(L, index, fields);
    *added = (struct moon_added_fields){NULL, 0};
    if (!count)
        return true;
    struct moon_http_field *own = moon_arena_take(&request->arena, count * sizeof *own);
    for (size_t i = 0; own && i < count; i++) {
        own[i].name = moon_arena_copy(&request->arena, fields[i].name);
        own[i].value = moon_arena_copy(&request->arena, fields[i].value);
        if (!own[i].name.data || !own[i].value.data)
            return false;
    }
    added->fields = own;
    added->count = count;
    return own != NULL;
}

static void answer(struct moon_request *request, lua_State *L, int at) {
    struct moon_http_field fields[ANSWER_FIELDS_MAX];
    size_t count = read_fields(L, at + 1, fields);
    moon_respond(request, (unsigned)lua_tointeger(L, at), MOON_STR_NONE, view_at(L, at + 2), fields, count, true);
}

static void fail(struct moon_policy *policy, struct moon_request *request, const char *detail) {
    moon_policy_tell(policy, failed_text, detail);
    moon_respond_page(request, 500, failed_text, true);
}

static bool keep(struct moon_policy *policy, struct moon_request *request) {
    struct moon_task *task = task_of(policy, request);
    if (request->head)
        return true;
    task->facts = policy->call.facts;
    if (moon_request_keep(request, &task->facts))
        return true;
    moon_respond_page(request, 431, "the head is too large", true);
    return false;
}

/* Toward the origin, with what the policies changed. */
static enum moon_hook_step go_on(struct moon_policy *policy, struct moon_request *request, int at) {
    if (policy->has_responses && !keep(policy, request))
        return MOON_STEP_ANSWERED;
    struct moon_http_head *head = moon_request_head(request);
    remove_fields(head, policy->L, at);
    if (keep_fields(request, &request->to_origin, policy->L, at + 1))
        return MOON_STEP_ON;
    moon_respond_page(request, 431, "the head toward the origin is too large", true);
    return MOON_STEP_ANSWERED;
}

/* After Lua was asked about a request; `top` is where its results begin. */
static enum moon_hook_step conclude(struct moon_policy *policy, struct moon_request *request, int rc, int top) {
    lua_State *L = policy->L;
    enum moon_hook_step step = MOON_STEP_ANSWERED;
    struct moon_task *task = request->script;
    enum outcome outcome = rc ? OUTCOME_FAIL : (enum outcome)lua_tointeger(L, top + 1);
    policy->request = NULL;
    if (task)
        task->spent = policy->spent;
    switch (outcome) {
    case OUTCOME_ON:
        step = go_on(policy, request, top + 2);
        break;
    case OUTCOME_ANSWER:
        answer(request, L, top + 2);
        break;
    case OUTCOME_BLOCK:
        request->blocked = true;
        moon_respond_page(request, 403, "blocked by a policy", true);
        break;
    case OUTCOME_WAIT:
        moon_assert(task && task->waiting != WAIT_NOTHING);
        if (keep(policy, request))
            step = MOON_STEP_WAITS;
        break;
    case OUTCOME_FAIL:
        fail(policy, request, lua_tostring(L, rc ? top + 1 : top + 2));
        break;
    }
    lua_settop(L, top);
    return step;
}

/* The request of the task is the present one. Its host is that of the snapshot of now. */
static void become_present(struct moon_task *task) {
    struct moon_policy *policy = task->policy;
    policy->spent = task->spent;
    policy->call.facts = task->facts;
    policy->call.facts.host = moon_snapshot_find(worker_of(task->request)->snapshot, task->request->host);
    policy->has_facts = true;
}

/* ---- hooks ---- */

enum moon_hook_step moon_task_request(struct moon_policy *policy, struct moon_request *request) {
    lua_State *L = policy->L;
    int top = lua_gettop(L);
    if (!policy->has_facts) {
        policy->call.facts = *policy->facts;
        policy->has_facts = true;
    }
    policy->request = request;
    lua_pushvalue(L, MOON_POLICY_REQUEST);
    lua_pushnumber(L, policy->serial);
    push_str(L, request->method);
    push_str(L, request->host);
    push_str(L, request->path);
    return conclude(policy, request, moon_policy_enter(policy, 4, 4), top);
}

bool moon_task_response(struct moon_policy *policy, struct moon_request *request, struct moon_http_head *head) {
    struct moon_task *task = request->script;
    lua_State *L = policy->L;
    int top = lua_gettop(L);
    if (!task || !policy->has_responses)
        return true;
    become_present(task);
    policy->call.status = head->status;
    policy->call.fields = head->fields;
    policy->call.field_count = head->field_count;
    lua_pushvalue(L, MOON_POLICY_RESPONSE);
    lua_pushnumber(L, task->serial);
    int rc = moon_policy_enter(policy, 1, 3);
    bool fine = rc == 0;
    if (fine) {
        head->status = (unsigned)lua_tointeger(L, top + 1);
        remove_fields(head, L, top + 2);
        fine = keep_fields(request, &request->to_client, L, top + 3);
    }
    if (!fine)
        moon_policy_tell(policy, failed_text, rc ? lua_tostring(L, -1) : "the fields of the answer are too large");
    lua_settop(L, top);
    return fine;
}

static void wake_now(struct moon_task *task) {
    uv_timer_start(&task->timer, on_wake, 0, 0);
}

void moon_task_body(struct moon_policy *policy, struct moon_request *request) {
    struct moon_task *task = request->script;
    moon_assert(task && task->waiting == WAIT_BODY);
    task->late = false;
    wake_now(task);
}

/* ---- waking up ---- */

/* Why the waiting came to nothing; NULL when it did not. Fills the call with what was waited for. */
static const char *outcome_of(struct moon_task *task, char *room, size_t size) {
    struct moon_policy_call *call = &task->policy->call;
    struct moon_worker *worker = worker_of(task->request);
    if (task->late) {
        snprintf(room, size, "it took longer than %llu s in all",
                 (unsigned long long)(worker->options->timeouts.origin_head / 1000));
        return room;
    }
    if (task->waiting == WAIT_BODY)
        call->body = moon_buf_view(&task->request->collected);
    if (task->waiting != WAIT_FETCH)
        return NULL;
    if (!moon_fetch_is_done(task->fetch))
        return "there was no answer in time";
    if (moon_fetch_failure(task->fetch))
        return moon_fetch_failure(task->fetch);
    moon_fetch_head(task->fetch, &worker->answer);
    call->status = worker->answer.status;
    call->fields = worker->answer.fields;
    call->field_count = worker->answer.field_count;
    call->body = moon_fetch_body(task->fetch);
    return NULL;
}

static void on_wake(uv_timer_t *timer) {
    struct moon_task *task = timer->data;
    struct moon_policy *policy = task->policy;
    struct moon_request *request = task->request;
    lua_State *L = policy->L;
    char room[128];
    if (!request)
        return;
    struct moon_conn *conn = request->conn;
    struct moon_fetch *fetch = task->fetch;
    int top = lua_gettop(L);
    moon_conn_turn_begin(conn);
    const char *failure = outcome_of(task, room, sizeof room);
    become_present(task);
    policy->request = request;
    lua_pushvalue(L, MOON_POLICY_RESUME);
    lua_pushnumber(L, task->serial);
    lua_pushboolean(L, task->late);
    if (failure)
        lua_pushstring(L, failure);
    else
        lua_pushnil(L);
    task->waiting = WAIT_NOTHING;
    task->late = false;
    task->fetch = NULL; /* the next one may begin before this one's answer is let go */
    int rc = moon_policy_enter(policy, 3, 4);
    moon_fetch_free(&fetch);
    if (conclude(policy, request, rc, top) == MOON_STEP_ON)
        moon_request_go_on(request);
    moon_conn_turn_end(conn);
}

/* ---- what Lua asks for ---- */

/* The task of the present request, which is about to wait until `ms` from now at the latest. */
static struct moon_task *park(struct moon_policy *policy, enum wait what, uint64_t ms, struct moon_diag *diag) {
    struct moon_request *request = policy->request;
    if (!request) {
        moon_diag_set(diag, "", "there is no request that could wait");
        return NULL;
    }
    if (!request->script && policy->tasks >= TASKS_MAX) {
        moon_diag_set(diag, "", "too many requests wait already");
        return NULL;
    }
    struct moon_task *task = task_of(policy, request);
    uv_loop_t *loop = worker_of(request)->loop;
    uv_update_time(loop); /* the stretch may have taken its time */
    uint64_t now = uv_now(loop);
    uint64_t left = task->deadline > now ? task->deadline - now : 0;
    moon_assert(task->waiting == WAIT_NOTHING);
    task->waiting = what;
    task->late = ms > left;
    uv_timer_start(&task->timer, on_wake, task->late ? left : ms, 0);
    return task;
}

/* Longer than any deadline, and far from where milliseconds overflow. */
static uint64_t milliseconds(double seconds) {
    return seconds > 86400 ? 86400000 : seconds > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

int moon_ffi_task_sleep(struct moon_policy *policy, double seconds, struct moon_diag *diag) {
    return park(policy, WAIT_SLEEP, milliseconds(seconds), diag) ? 0 : MOON_EREFUSED;
}

int moon_ffi_task_body(struct moon_policy *policy, size_t limit, struct moon_diag *diag) {
    struct moon_request *request = policy->request;
    if (request && request->body.done) {
        policy->call.body = moon_buf_view(&request->collected);
        return 1;
    }
    if (!park(policy, WAIT_BODY, UINT64_MAX, diag))
        return MOON_EREFUSED;
    if (!request->wants_body) {
        request->wants_body = true;
        if (request->inspected) /* the rules have had its first part: the rest comes behind it */
            request->collected.ceiling = limit > request->collected.len ? limit : request->collected.len;
        else
            moon_buf_init(&request->collected, limit);
        if (request->expect_continue)
            moon_buf_append_str(moon_conn_out(request->conn), MOON_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    return 0;
}

/* Where it goes, from the cache or made anew. Counted for the cache, borrowed by the caller. */
static struct moon_origin_terms *terms_of(struct moon_policy *policy, const struct moon_ffi_route *route,
                                          struct moon_diag *diag) {
    const struct moon_str parts[] = {route->url, route->host_header, route->sni, route->ca};
    struct moon_buf key;
    struct moon_origin_terms *found = NULL;
    int rc = 0;
    moon_buf_init(&key, 1024 * 1024);
    for (size_t i = 0; i < MOON_COUNT(parts) && rc == 0; i++) {
        rc = moon_buf_append_str(&key, parts[i]);
        if (rc == 0)
            rc = moon_buf_append(&key, "\n", i + 1 < MOON_COUNT(parts) ? 1 : 0);
    }
    if (rc == 0)
        rc = moon_buf_append(&key, "", 1);
    if (rc) {
        moon_diag_set(diag, "", "the CA is too large");
        moon_buf_free(&key);
        return NULL;
    }
    const char *text = moon_buf_view(&key).data;
    for (int i = 0; i < MOON_POLICY_ORIGINS && !found; i++)
        if (policy->origin_keys[i] && strcmp(policy->origin_keys[i], text) == 0)
            found = policy->origins[i];
    if (!found) {
        struct moon_origin_options options = {.url = route->url,
                                              .host_header = route->host_header,
                                              .sni = route->sni,
                                              .ca = route->ca,
                                              .verify = true,
                                              .client = policy->shared->client};
        unsigned place = policy->next_origin;
        if (moon_origin_terms_new(&found, &options, diag) == 0) {
            moon_origin_terms_unref(&policy->origins[place]);
            free(policy->origin_keys[place]);
            policy->origins[place] = found;
            policy->origin_keys[place] = moon_strdup(moon_str_of(text));
            policy->next_origin = (place + 1) % MOON_POLICY_ORIGINS;
        }
    }
    moon_buf_free(&key);
    return found;
}

int moon_ffi_task_route(struct moon_policy *policy, const struct moon_ffi_route *route, struct moon_diag *diag) {
    struct moon_origin_terms *terms = policy->request ? terms_of(policy, route, diag) : NULL;
    if (!terms)
        return MOON_EREFUSED;
    moon_origin_terms_unref(&policy->request->route);
    policy->request->route = moon_origin_terms_ref(terms);
    return 0;
}

static int write_request(struct moon_buf *out, const struct moon_ffi_fetch *fetch) {
    struct moon_str authority = fetch->base;
    const char *slashes = memmem(authority.data, authority.len, "//", 2);
    moon_assert(slashes != NULL);
    authority = moon_str(slashes + 2, (size_t)(authority.data + authority.len - slashes) - 2);
    int rc = moon_http_write_request_line(out, fetch->method, fetch->target);
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("Host"), authority);
    for (size_t i = 0; i < fetch->field_count && rc == 0; i++)
        rc = moon_http_write_field(out, fetch->fields[i].name, fetch->fields[i].value);
    if (rc == 0 && fetch->has_body)
        rc = moon_http_write_field_number(out, MOON_STR("Content-Length"), fetch->body.len);
    if (rc == 0)
        rc = moon_http_write_end(out);
    if (rc == 0)
        rc = moon_buf_append_str(out, fetch->body);
    return rc;
}

static void on_fetched(void *data) {
    struct moon_task *task = data;
    task->late = false;
    wake_now(task);
}

static bool is_idempotent(struct moon_str method) {
    return moon_str_equal(method, MOON_STR("GET")) || moon_str_equal(method, MOON_STR("HEAD"));
}

int moon_ffi_task_fetch(struct moon_policy *policy, const struct moon_ffi_fetch *fetch, struct moon_diag *diag) {
    struct moon_buf bytes;
    const struct moon_ffi_route route = {.url = fetch->base, .ca = fetch->ca};
    struct moon_origin_terms *terms = terms_of(policy, &route, diag);
    if (!terms)
        return MOON_EREFUSED;
    moon_buf_init(&bytes, FETCH_HEAD_MAX + FETCH_BODY_MAX);
    int rc = write_request(&bytes, fetch);
    if (rc) {
        moon_diag_set(diag, "",
                      rc == MOON_ETOOBIG ? "the request is too large"
                                         : "method, URL or a field has a character that must not be there");
    } else {
        struct moon_task *task = park(policy, WAIT_FETCH, milliseconds(fetch->seconds), diag);
        if (task)
            task->fetch = moon_fetch_open(worker_of(task->request), terms, &bytes,
                                          moon_str_equal(fetch->method, MOON_STR("HEAD")), is_idempotent(fetch->method),
                                          FETCH_BODY_MAX, on_fetched, task);
        else
            rc = MOON_EREFUSED;
    }
    moon_buf_free(&bytes);
    return rc;
}
