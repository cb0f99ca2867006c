/* app/settings.h — the configuration file's table (checked by lua/config.lua) as plain C: the one place where its names
 * are read. Seconds become milliseconds here. */
#ifndef MOON_APP_SETTINGS_H
#define MOON_APP_SETTINGS_H

#include <limits.h>
#include <lua.h>

#include "base/error.h"
#include "base/log.h"
#include "gate/options.h"

struct moon_settings {
    struct moon_options gateway;
    char data_dir[PATH_MAX];
    char log_file[PATH_MAX]; /* empty: stderr */
    enum moon_log_level log_level;
};

/* Reads the table at `index` of the stack; what it does not say keeps its default. MOON_EREFUSED with diag->where the
 * name for a value that cannot be. */
int moon_settings_read(struct moon_settings *settings, lua_State *L, int index, struct moon_diag *diag);

/* Only limits and timeouts, into options that were initialised. */
int moon_settings_read_numbers(struct moon_options *options, lua_State *L, int index, struct moon_diag *diag);

#endif
