/* app/library.c — libmoongate's front door: implements moongate.h. Arguments are checked here, once; what is behind is
 * the same gateway, the same rules and the same builder of snapshots as in the program. Its counterpart for the program
 * is app/run.c. */
#include "include/moongate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "app/content.h"
#include "app/request_view.h"
#include "app/settings.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/gateway.h"
#include "script/embedder.h"
#include "script/phases.h"
#include "script/policy.h"
#include "script/publisher.h"
#include "tls/crypto.h"
#include "tls/local_ca.h"

#define CA_PEM_MAX (16 * 1024)

/* The functions that a field asks, by its place. */
struct field_source {
    moon_gate_value_fn value;
    void *data;
};

/* Everything of one gateway, in the order in which it is made; undone in reverse. */
struct moon_gate {
    struct moon_gate_options given;
    struct moon_options options;
    struct moon_log *log;
    struct moon_local_ca *local_ca;
    struct moon_buf local_ca_pem;
    struct moon_control control;
    struct moon_publisher *publisher;
    struct moon_policies *policies; /* NULL: the program has none */
    struct moon_policy *policy;     /* what they declare, for the control plane */
    struct moon_content content;
    struct moon_embedder embedder;
    struct field_source sources[MOON_EMBEDDER_FIELDS];
    struct moon_script_options script;
    unsigned listen_count[2];
    uv_loop_t own_loop; /* the control loop without a loop of the caller's; it turns when the gateway closes */
    uv_loop_t *loop;
    uv_prepare_t pump;            /* of the log, on a loop of the caller's: once per turn */
    struct moon_gateway *gateway; /* NULL until it is started */
    bool draining;
    bool closing;
    moon_gate_done_fn done;
    void *done_data;
};

static int refuse(struct moon_diag *diag, const char *where, const char *text) {
    moon_diag_set(diag, where, "%s", text);
    return MOON_EREFUSED;
}

/* From a function of the program that a worker has called, nothing can be changed: the worker waits for its return. */
static int refuse_within(const struct moon_gate *gate, struct moon_diag *diag) {
    if (!gate->gateway || !moon_gateway_is_within(gate->gateway))
        return 0;
    moon_diag_set(diag, "thread", "this cannot be called from within a handler or a field");
    return MOON_EBUSY;
}

/* ---- new ---- */

void moon_gate_options_init(struct moon_gate_options *options) {
    *options = (struct moon_gate_options){.log_fd = STDERR_FILENO, .log_level = MOON_GATE_INFO};
}

/* The levels are the same list; the compiler looks after it. */
_Static_assert((int)MOON_GATE_ERROR == (int)MOON_LOG_ERROR && (int)MOON_GATE_WARN == (int)MOON_LOG_WARN &&
                   (int)MOON_GATE_INFO == (int)MOON_LOG_INFO && (int)MOON_GATE_DEBUG == (int)MOON_LOG_DEBUG,
               "levels of the log");
_Static_assert((int)MOON_GATE_BOOLEAN == (int)MOON_EMBEDDER_BOOLEAN &&
                   (int)MOON_GATE_INTEGER == (int)MOON_EMBEDDER_INTEGER &&
                   (int)MOON_GATE_STRING == (int)MOON_EMBEDDER_STRING && (int)MOON_GATE_IP == (int)MOON_EMBEDDER_IP,
               "types of fields");

static void give_line(void *data, struct moon_str line) {
    struct moon_gate *gate = data;
    gate->given.log(gate->given.log_data, (struct moon_gate_text){line.data, line.len});
}

static void drop_line(void *data, struct moon_str line) {
    (void)data;
    (void)line;
}

static void open_log(struct moon_gate *gate) {
    moon_log_sink_fn sink = gate->given.log ? give_line : gate->given.log_fd < 0 ? drop_line : NULL;
    enum moon_log_level level = (enum moon_log_level)gate->given.log_level;
    if (gate->given.loop)
        gate->log = moon_log_open_pumped(gate->given.log_fd, sink, gate, level);
    else
        gate->log = moon_log_open(gate->given.log_fd, sink, gate, level);
    gate->control.log = moon_log_channel_open(gate->log);
}

static int open_local_ca(struct moon_gate *gate, const char *directory, struct moon_diag *diag) {
    int rc;
    if (directory) {
        char certificate[PATH_MAX], key[PATH_MAX];
        int a = snprintf(certificate, sizeof certificate, "%s/local-ca.pem", directory);
        int b = snprintf(key, sizeof key, "%s/local-ca.key", directory);
        if (a >= PATH_MAX || b >= PATH_MAX)
            return refuse(diag, "local_ca", "the path is too long");
        rc = moon_local_ca_open(&gate->local_ca, certificate, key, diag);
    } else {
        rc = moon_local_ca_make(&gate->local_ca, diag);
    }
    moon_buf_init(&gate->local_ca_pem, CA_PEM_MAX);
    if (rc == 0)
        rc = moon_local_ca_certificate(gate->local_ca, &gate->local_ca_pem);
    if (rc == 0)
        rc = moon_buf_append(&gate->local_ca_pem, "", 1);
    gate->control.local_ca = gate->local_ca;
    return rc;
}

/* What policy files may take of a worker's time, as the settings say. */
struct budget {
    unsigned ms;
    bool jit;
};

static int read_settings(struct moon_gate *gate, const char *settings, struct budget *budget, struct moon_diag *diag) {
    lua_State *L;
    int rc = moon_publisher_settings(gate->publisher, moon_str_of(settings), &L, diag);
    if (rc)
        return rc;
    rc = moon_settings_read_numbers(&gate->options, L, lua_gettop(L), diag);
    lua_getfield(L, -1, "policy_budget_ms");
    lua_getfield(L, -2, "policy_jit");
    *budget = (struct budget){.ms = (unsigned)lua_tointeger(L, -2), .jit = lua_toboolean(L, -1)};
    lua_pop(L, 3);
    return rc;
}

static int open_policies(struct moon_gate *gate, const struct moon_gate_options *options, const struct budget *budget,
                         struct moon_diag *diag) {
    if (!options->policy_count)
        return 0;
    struct moon_str *paths = moon_alloc(options->policy_count * sizeof *paths);
    for (size_t i = 0; i < options->policy_count; i++)
        paths[i] = moon_str_of(options->policies[i]);
    gate->policies = moon_policies_new(paths, options->policy_count, budget->ms, budget->jit, NULL);
    free(paths);
    gate->script.policies = gate->policies;
    int rc = moon_policy_open(&gate->policy, gate->policies, NULL, gate->control.log, diag);
    return rc ? rc : moon_publisher_declare_policies(gate->publisher, moon_policy_declared(gate->policy), diag);
}

static void free_gate(struct moon_gate *gate) {
    moon_publisher_close(&gate->publisher);
    moon_policy_close(&gate->policy);
    moon_policies_free(&gate->policies);
    moon_log_close(&gate->log); /* before what its lines are handed to */
    moon_local_ca_close(&gate->local_ca);
    moon_buf_free(&gate->local_ca_pem);
    moon_content_free(&gate->content);
    moon_embedder_free(&gate->embedder);
    if (!gate->given.loop)
        moon_assert(uv_loop_close(&gate->own_loop) == 0);
    free(gate);
}

int moon_gate_new(struct moon_gate **out, const struct moon_gate_options *options, struct moon_diag *diag) {
    if (!out || !options)
        return refuse(diag, "arguments", "gate and options must not be NULL");
    *out = NULL;
    if (options->workers > 128)
        return refuse(diag, "workers", "there are at most 128");
    if ((int)options->log_level < MOON_GATE_ERROR || options->log_level > MOON_GATE_DEBUG)
        return refuse(diag, "log_level", "is none of enum moon_gate_log_level");
    for (size_t i = 0; i < options->policy_count; i++)
        if (!options->policies || !options->policies[i])
            return refuse(diag, "policies", "there is a path missing");
    moon_crypto_init();
    struct budget budget = {0, false};
    struct moon_gate *gate = moon_new(struct moon_gate);
    gate->given = *options;
    gate->given.settings = gate->given.local_ca = NULL; /* used below, not kept */
    gate->given.policies = NULL;
    gate->loop = options->loop ? options->loop : &gate->own_loop;
    gate->control.next_host_id = 1;
    gate->script.embedder = &gate->embedder;
    moon_options_init(&gate->options);
    gate->options.workers = options->workers;
    gate->options.one_loop = options->loop != NULL;
    int rc = options->loop ? 0 : uv_loop_init(&gate->own_loop);
    if (rc) {
        moon_diag_set(diag, "loop", "cannot be made: %s", uv_strerror(rc));
        free(gate);
        return rc;
    }
    open_log(gate);
    rc = open_local_ca(gate, options->local_ca, diag);
    if (rc == 0)
        rc = moon_publisher_new(&gate->publisher, &gate->control, diag);
    if (rc == 0)
        rc = read_settings(gate, options->settings ? options->settings : "", &budget, diag);
    if (rc == 0)
        rc = open_policies(gate, options, &budget, diag);
    if (rc) {
        free_gate(gate);
        return rc;
    }
    *out = gate;
    return 0;
}

/* ---- before start ---- */

static int refuse_started(const struct moon_gate *gate, const char *what, struct moon_diag *diag) {
    if (!gate)
        return refuse(diag, "gate", "must not be NULL");
    if (gate->gateway)
        return refuse(diag, what, "comes too late: the gateway is started");
    return 0;
}

int moon_gate_listen(struct moon_gate *gate, enum moon_gate_protocol protocol, const char *address,
                     struct moon_diag *diag) {
    int rc = refuse_started(gate, "listen", diag);
    if (rc)
        return rc;
    if (protocol != MOON_GATE_HTTPS && protocol != MOON_GATE_HTTP)
        return refuse(diag, "listen", "the protocol is MOON_GATE_HTTPS or MOON_GATE_HTTP");
    char(*list)[64] = protocol == MOON_GATE_HTTPS ? gate->options.listen : gate->options.listen_http;
    unsigned *count = &gate->listen_count[protocol];
    struct moon_address read;
    if (!address || !moon_address_read(&read, moon_str_of(address)) || strlen(address) >= sizeof list[0])
        return refuse(diag, address ? address : "listen",
                      "is no address: \"192.0.2.1:443\" or \"[2001:db8::1]:443\" is expected");
    if (*count == MOON_LISTEN_MAX)
        return refuse(diag, "listen", "there are 32 addresses of this protocol already");
    strcpy(list[(*count)++], address);
    return 0;
}

int moon_gate_handle(struct moon_gate *gate, const struct moon_gate_handler *handler, struct moon_diag *diag) {
    int rc = refuse_started(gate, "handler", diag);
    if (rc)
        return rc;
    if (!handler)
        return refuse(diag, "handler", "must not be NULL");
    return moon_content_add(&gate->content, handler, diag);
}

static bool field_value(void *data, const struct moon_facts *facts, struct moon_embedder_value *value) {
    const struct field_source *source = data;
    struct moon_gate_request view = {.facts = facts};
    struct moon_gate_value given = {.text = {"", 0}};
    if (!source->value(source->data, &view, &given))
        return false;
    *value = (struct moon_embedder_value){
        .boolean = given.boolean, .integer = given.integer, .text = moon_str(given.text.data, given.text.len)};
    return true;
}

int moon_gate_field(struct moon_gate *gate, const struct moon_gate_field *field, struct moon_diag *diag) {
    int rc = refuse_started(gate, "field", diag);
    if (rc)
        return rc;
    if (!field || !field->name || !field->value)
        return refuse(diag, "field", "needs a name and a function that gives its value");
    if ((int)field->type < MOON_GATE_BOOLEAN || field->type > MOON_GATE_IP)
        return refuse(diag, field->name, "its type is none of enum moon_gate_type");
    if (gate->embedder.count == MOON_EMBEDDER_FIELDS)
        return refuse(diag, field->name, "there are 256 fields already");
    rc = moon_publisher_check_field(gate->publisher, field->name, diag);
    if (rc)
        return rc;
    size_t place = gate->embedder.count++;
    gate->sources[place] = (struct field_source){field->value, field->data};
    gate->embedder.fields[place] = (struct moon_embedder_field){
        .name = moon_strdup(moon_str_of(field->name)),
        .type = (enum moon_embedder_type)field->type,
        .value = field_value,
        .data = &gate->sources[place],
    };
    return moon_publisher_declare_fields(gate->publisher, &gate->embedder, diag);
}

/* ---- serving ---- */

static void on_turn(uv_prepare_t *prepare) {
    struct moon_gate *gate = prepare->data;
    moon_log_pump(gate->log);
}

int moon_gate_start(struct moon_gate *gate, struct moon_diag *diag) {
    struct moon_hooks hooks;
    int rc = refuse_started(gate, "start", diag);
    if (rc)
        return rc;
    if (!gate->listen_count[MOON_GATE_HTTPS] && !gate->listen_count[MOON_GATE_HTTP])
        return refuse(diag, "listen", "there is no address to listen on");
    moon_script_hooks(&hooks, &gate->script);
    hooks.content = moon_content_find;
    hooks.content_data = &gate->content;
    rc = moon_gateway_new(&gate->gateway, gate->loop, &gate->options, &hooks, NULL, gate->log, diag);
    gate->control.gateway = gate->gateway;
    if (rc) {
        if (!gate->given.loop)
            uv_run(gate->loop, UV_RUN_DEFAULT); /* until what was begun has ended */
        return rc;
    }
    if (gate->given.loop) {
        moon_assert(uv_prepare_init(gate->loop, &gate->pump) == 0);
        gate->pump.data = gate;
        moon_assert(uv_prepare_start(&gate->pump, on_turn) == 0);
        uv_unref((uv_handle_t *)&gate->pump);
    }
    return 0;
}

int moon_gate_publish(struct moon_gate *gate, const char *json, size_t len, struct moon_diag *diag) {
    if (!gate || !json)
        return refuse(diag, "arguments", "gate and json must not be NULL");
    if (!gate->gateway)
        return refuse(diag, "publish", "the gateway is not started");
    if (gate->draining) {
        moon_diag_set(diag, "publish", "the gateway is stopping");
        return MOON_ECLOSED;
    }
    int rc = refuse_within(gate, diag);
    return rc ? rc : moon_publisher_publish(gate->publisher, moon_str(json, len), diag);
}

void moon_gate_status(const struct moon_gate *gate, struct moon_gate_status *status) {
    struct moon_counters sum;
    *status = (struct moon_gate_status){0};
    if (!gate || !gate->gateway)
        return;
    moon_gateway_counters(gate->gateway, &sum);
    status->workers = moon_gateway_workers(gate->gateway);
    status->generation = UINT64_MAX;
    for (unsigned i = 0; i < status->workers; i++) {
        uint64_t served = moon_gateway_generation(gate->gateway, i);
        status->generation = served < status->generation ? served : status->generation;
    }
#define TAKE(name) status->name = sum.name
    TAKE(connections);
    TAKE(open);
    TAKE(handshakes);
    TAKE(handshakes_failed);
    TAKE(requests);
    TAKE(blocked);
    TAKE(misdirected);
    TAKE(refused);
    TAKE(origin_failed);
#undef TAKE
}

bool moon_gate_address(const struct moon_gate *gate, enum moon_gate_protocol protocol, unsigned index, char *text,
                       size_t size) {
    if (!gate || !gate->gateway || !text || !size || (protocol != MOON_GATE_HTTPS && protocol != MOON_GATE_HTTP))
        return false;
    return moon_gateway_address(gate->gateway, (int)protocol, index, text, size);
}

const char *moon_gate_local_ca(const struct moon_gate *gate) {
    return moon_buf_view(&gate->local_ca_pem).data;
}

/* ---- the end ---- */

int moon_gate_drain(struct moon_gate *gate) {
    int rc = gate ? refuse_within(gate, NULL) : MOON_EREFUSED;
    if (rc || gate->draining)
        return rc;
    gate->draining = true;
    if (gate->gateway)
        moon_gateway_drain(gate->gateway);
    return 0;
}

static void end(struct moon_gate *gate) {
    moon_gate_done_fn done = gate->done;
    void *data = gate->done_data;
    free_gate(gate);
    if (done)
        done(data);
}

static void on_pump_closed(uv_handle_t *handle) {
    end(handle->data);
}

static void on_gateway_closed(void *data) {
    struct moon_gate *gate = data;
    gate->gateway = NULL;
    gate->control.gateway = NULL;
    if (gate->given.loop)
        uv_close((uv_handle_t *)&gate->pump, on_pump_closed);
}

int moon_gate_close(struct moon_gate *gate, moon_gate_done_fn done, void *data) {
    if (!gate)
        return 0;
    int rc = refuse_within(gate, NULL);
    if (rc)
        return rc;
    if (gate->closing) { /* with a loop only: without one the first call has not returned yet */
        if (gate->gateway)
            moon_gateway_close(gate->gateway, NULL, NULL);
        return 0;
    }
    gate->draining = gate->closing = true;
    gate->done = done;
    gate->done_data = data;
    if (!gate->gateway) {
        end(gate);
        return 0;
    }
    moon_gateway_close(gate->gateway, on_gateway_closed, gate);
    if (!gate->given.loop) {
        uv_run(gate->loop, UV_RUN_DEFAULT);
        end(gate);
    }
    return 0;
}

/* ---- words ---- */

const char *moon_gate_version(void) {
    return MOONGATE_VERSION;
}

const char *moon_gate_strerror(int code) {
    return code < 0 && code > -20000 ? uv_strerror(code) : moon_strerror(code);
}
