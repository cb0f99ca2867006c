/* script/policy.h — the operator's Lua of one thread: a Lua state of its own beside the one that runs the rules, in
 * which the policy files are loaded, and the only way into it. Apart, so that a budget of time and of memory, patterns
 * within bounds and an interpreter whose hooks fire hold for policies alone, and cost the rules nothing.
 *
 * Words: a *policy file* is the operator's Lua; a *stretch* is one entry into the state, from C's call to its return;
 * the *call* is the struct at a fixed address through which both sides see the request whose turn it is.
 *
 * The state is entered from here and from script/task.c, always protected, never from within itself. What waits
 * (coroutines) is script/task.c's. Everything on the state's own thread, but for what struct moon_policies holds. */
#ifndef MOON_SCRIPT_POLICY_H
#define MOON_SCRIPT_POLICY_H

#include <lua.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "gate/facts.h"
#include "gate/origin_terms.h"
#include "script/ffi.h"
#include "script/kv.h"

#define MOON_POLICY_ORIGINS 32 /* places that fetches of one thread remember */

/* ffi: begin */
struct moon_policy;
struct moon_kv;

/* Filled by C before it enters; read by Lua at a fixed address. Views are valid during the stretch. */
struct moon_policy_call {
    bool exhausted; /* the stretch has used up its time: every error is that one */
    uint32_t steps; /* left for patterns in this stretch */
    struct moon_facts facts;
    unsigned status; /* of the answer at hand: the origin's, or a fetched one */
    const struct moon_http_field *fields;
    size_t field_count;
    struct moon_str body; /* of the request, or of the fetched answer */
};

/* Whether a field may be written (http/write.h): 0; 1 the name is no token; 2 the value has a byte that must not be. */
MOON_FFI int moon_ffi_field_fault(const char *name, size_t name_len, const char *value, size_t value_len);
/* The table that all threads share; borrowed. */
MOON_FFI struct moon_kv *moon_ffi_policy_kv(struct moon_policy *policy);

/* Loads policy files as a worker would, and forgets them: 0, or a code with diag. */
MOON_FFI int moon_ffi_policy_check(const struct moon_str *paths, size_t count, unsigned budget_ms, bool jit,
                                   struct moon_diag *diag);
/* ffi: end */

/* What the policies of all threads have in common. Made before the workers, constant afterwards but for `kv`, which
 * locks for itself. */
struct moon_policies {
    char **paths;
    size_t count;
    unsigned budget_ms;
    bool jit;
    const char *source_dir; /* borrowed; as script/vm.h */
    struct moon_kv *kv;
    struct moon_tls_client *client; /* the system's CAs, for fetches; NULL when they cannot be read */
};

/* Copies the paths. Never fails: what is wrong with a file is told by moon_policy_open. */
struct moon_policies *moon_policies_new(const struct moon_str *paths, size_t count, unsigned budget_ms, bool jit,
                                        const char *source_dir);
/* After every state that was opened with it; clears; NULL inside is fine. */
void moon_policies_free(struct moon_policies **policies);

/* Places on the state's Lua stack, constant from open to close. */
enum moon_policy_place {
    MOON_POLICY_TRACEBACK = 1,
    MOON_POLICY_REQUEST,
    MOON_POLICY_RESUME,
    MOON_POLICY_RESPONSE,
    MOON_POLICY_GONE,
    MOON_POLICY_VALUE,
    MOON_POLICY_TOP = MOON_POLICY_VALUE
};

struct moon_policy {
    struct moon_policies *shared;
    lua_State *L;
    lua_Alloc allocate; /* LuaJIT's own, with its data: ours counts and passes on */
    void *allocate_data;
    size_t memory;
    struct moon_log_channel *log;
    struct moon_policy_call call;
    char *declared;     /* JSON: the fields and functions for rules */
    bool has_requests;  /* something is to be asked about each request */
    bool has_responses; /* and about each answer */

    bool inside;
    bool starved;        /* an allocation was refused in this stretch */
    uint64_t begun;      /* ns of the monotonic clock */
    uint64_t begun_cpu;  /* ns of the thread's clock at that time, as far as it is known; 0: not asked yet */
    uint64_t allowed;    /* of this stretch, ns */
    char exhausted[256]; /* the message, once call.exhausted */
    uint64_t spent;      /* in earlier stretches of this request, ns */

    const struct moon_facts *facts; /* the worker's; NULL in the control plane */
    bool has_facts;                 /* call.facts is of the present request */
    double serial;                  /* of the present request */
    double last_serial;
    struct moon_request *request; /* the present one, while Lua may ask for it */
    unsigned tasks;

    struct moon_origin_terms *origins[MOON_POLICY_ORIGINS];
    char *origin_keys[MOON_POLICY_ORIGINS];
    unsigned next_origin;

    time_t told;         /* the second of the last line about a failure */
    unsigned told_lines; /* in that second */
    unsigned suppressed;
};

/* Makes the state and loads the files. `facts` are the worker's (borrowed), NULL where no request ever comes by.
 * MOON_ESCRIPT with diag->text "FILE:LINE: …". */
int moon_policy_open(struct moon_policy **out, struct moon_policies *shared, const struct moon_facts *facts,
                     struct moon_log_channel *log, struct moon_diag *diag);
/* Nothing waits any more. NULL inside is fine; clears. */
void moon_policy_close(struct moon_policy **policy);

/* The fields and functions for rules that the files declare, as JSON; lives as long as the state. */
struct moon_str moon_policy_declared(const struct moon_policy *policy);
/* Pushes the function through which another Lua state of this thread asks for their values: (index, …). It raises what
 * the policy raises. The state `L` must not outlive the policy. */
void moon_policy_push_value(struct moon_policy *policy, lua_State *L);

/* A new request is about to be judged: its facts are the worker's. Cheap. */
void moon_policy_begin(struct moon_policy *policy);
/* Calls what lies below `arguments` on the stack, for the request that `serial` tells: 0 and the results; else the
 * error, with traceback, as one text on the stack. */
int moon_policy_enter(struct moon_policy *policy, int arguments, int results);
/* Some lines a second at most: a policy that fails may do so at every request. */
void moon_policy_tell(struct moon_policy *policy, const char *what, const char *detail);

#endif
