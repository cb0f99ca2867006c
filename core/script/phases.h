/* script/phases.h — the only place from which C calls Lua. Two callers: a worker's hooks (one protected call per
 * request, nothing passed, nothing returned: facts and verdict lie at fixed addresses) and the control plane (the admin
 * handler, start, tick, stop). Every way in which Lua can fail ends here as a verdict, a status or a diagnostic;
 * nothing unwinds through our frames. */
#ifndef MOON_SCRIPT_PHASES_H
#define MOON_SCRIPT_PHASES_H

#include <lua.h>

#include "base/log.h"
#include "gate/handler.h"
#include "gate/hooks.h"
#include "script/control.h"

/* What the hooks need; borrowed as long as the gateway lives. */
struct moon_script_options {
    const char *source_dir; /* script/vm.h; NULL: the embedded modules */
    struct moon_policies *policies; /* script/policy.h; NULL: the operator has none */
    const struct moon_geo *geo;     /* script/geo.h; NULL: no database */
    const struct moon_embedder *embedder; /* script/embedder.h; NULL: the gateway is no part of another program */
};

/* Fills a table of hooks for moon_gateway_new. */
void moon_script_hooks(struct moon_hooks *hooks, struct moon_script_options *options);

/* The control plane: one Lua state with the admin API inside. Control thread only. */
struct moon_plane;

/* Hands `control` (borrowed until moon_plane_stop) to the modules of the state `L` (borrowed likewise) and gives a
 * plane that does not serve yet: its handler answers 503. */
int moon_plane_new(struct moon_plane **out, lua_State *L, struct moon_control *control, struct moon_diag *diag);
/* The handler for moon_gateway_new. */
void moon_plane_handler(struct moon_plane *plane, struct moon_handler *handler);
/* Starts the admin API with the configuration table at stack index `config` of the state, and with it the first
 * publication. 0, or a code with diag (where: a path or a part of the configuration). */
int moon_plane_start(struct moon_plane *plane, int config, struct moon_diag *diag);
/* Once a second. */
void moon_plane_tick(struct moon_plane *plane);
/* Lets the admin API finish its work (last good snapshot, store) and frees the plane; NULL inside is fine. The handler
 * must not be called any more. */
void moon_plane_stop(struct moon_plane **plane);

#endif
