/* gate/hooks.h — the table through which an upper floor takes part, without an include that climbs. Filled before the gateway
 * starts and constant afterwards. The gateway works without it too (NULL hooks): then no rule exists and nothing is blocked
 * but what the core itself refuses. */
#ifndef MOON_GATE_HOOKS_H
#define MOON_GATE_HOOKS_H

#include "base/error.h"
#include "base/log.h"
#include "gate/facts.h"

struct moon_snapshot;
struct moon_request;

struct moon_hooks {
    void *data; /* handed to `open` */

    /* On a worker's thread, before it serves. *state is the upper floor's (a Lua state); facts and verdict stay at their
     * addresses until close. Returns 0, or a code with diag. */
    int (*open)(void *data, void **state, struct moon_facts *facts, struct moon_verdict *verdict,
                struct moon_log_channel *log, struct moon_diag *diag);

    /* On a worker's thread: `snapshot` is about to be served; prepare for it. After it returned 0 the verdict's views into the
     * former one are invalid. On failure the worker keeps what it serves and the publication fails. `snapshot` is
     * borrowed until the next adopt has returned, or close. */
    int (*adopt)(void *state, struct moon_snapshot *snapshot, struct moon_diag *diag);

    /* Per request: reads the facts, fills the verdict. Never fails: what goes wrong inside is a verdict too (fail closed). */
    void (*rules)(void *state);

    /* On the worker's thread, at its end. */
    void (*close)(void *state);
};

#endif
