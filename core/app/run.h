/* app/run.h — `moongate run`: from a configuration table to a gateway that serves, until it is told to stop. */
#ifndef MOON_APP_RUN_H
#define MOON_APP_RUN_H

#include <lua.h>

/* `config` is the stack index of the checked configuration table in `L`; the state becomes the control plane's.
 * `source_dir` (may be NULL) as in script/vm.h. Blocks; returns the exit code of the process. */
int moon_run(lua_State *L, int config, const char *source_dir);

#endif
