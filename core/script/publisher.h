/* script/publisher.h — the control plane of a gateway that is part of another program: one Lua state without a store
 * and without an admin API, which turns a whole configuration into a snapshot and publishes it. The program's
 * counterpart is the plane of script/phases.h. Control thread only; every way in which Lua can fail ends here as a code
 * and a diagnostic. */
#ifndef MOON_SCRIPT_PUBLISHER_H
#define MOON_SCRIPT_PUBLISHER_H

#include <lua.h>

#include "base/error.h"
#include "base/str.h"
#include "script/control.h"
#include "script/embedder.h"

struct moon_publisher;

/* `control` is borrowed as long as the publisher lives. */
int moon_publisher_new(struct moon_publisher **out, struct moon_control *control, struct moon_diag *diag);
/* NULL inside is fine; clears. */
void moon_publisher_close(struct moon_publisher **publisher);

/* Checks the settings (JSON; empty: the defaults) and leaves them as a table on top of the stack of the state
 * *L, for the caller to read and pop. MOON_EREFUSED with diag->where "settings". */
int moon_publisher_settings(struct moon_publisher *publisher, struct moon_str json, lua_State **L,
                            struct moon_diag *diag);

/* Takes what policy files declare (moon_policy_declared) into the rules language. */
int moon_publisher_declare_policies(struct moon_publisher *publisher, struct moon_str declared, struct moon_diag *diag);

/* Whether a field of the embedder may have this name. */
int moon_publisher_check_field(struct moon_publisher *publisher, const char *name, struct moon_diag *diag);
/* Takes the fields that `embedder` has now into the rules language. */
int moon_publisher_declare_fields(struct moon_publisher *publisher, const struct moon_embedder *embedder,
                                  struct moon_diag *diag);

/* Replaces what control->gateway serves. MOON_EREFUSED with diag; or what moon_gateway_publish returns. */
int moon_publisher_publish(struct moon_publisher *publisher, struct moon_str json, struct moon_diag *diag);

#endif
