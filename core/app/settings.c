#include "app/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum kind { SIZE, WIDE, COUNT };

struct number {
    const char *name;
    size_t offset;
    enum kind kind;
};

#define LIMIT(member, kind)                                                                                            \
    { #member, offsetof(struct moon_limits, member), kind }
static const struct number limits[] = {
    LIMIT(start_line, SIZE),
    LIMIT(field, SIZE),
    LIMIT(head, SIZE),
    LIMIT(fields, SIZE),
    LIMIT(body, WIDE),
    LIMIT(connections, COUNT),
    LIMIT(connections_per_address, COUNT),
    LIMIT(handshakes, COUNT),
    LIMIT(tls_sessions, COUNT),
    LIMIT(idle_origin_connections, COUNT),
};
#undef LIMIT

#define TIMEOUT(member)                                                                                                \
    { #member, offsetof(struct moon_timeouts, member), WIDE }
static const struct number timeouts[] = {
    TIMEOUT(handshake),         TIMEOUT(head),           TIMEOUT(body_idle),   TIMEOUT(keep_alive),
    TIMEOUT(write_idle),        TIMEOUT(origin_connect), TIMEOUT(origin_head), TIMEOUT(origin_idle),
    TIMEOUT(origin_keep_alive), TIMEOUT(tunnel_idle),    TIMEOUT(drain),
};
#undef TIMEOUT

static int refuse(struct moon_diag *diag, const char *group, const char *name, const char *why) {
    char where[128];
    snprintf(where, sizeof where, "%s%s%s", group, *group && *name ? "." : "", name);
    moon_diag_set(diag, where, "%s", why);
    return MOON_EREFUSED;
}

static void store(void *group, const struct number *number, double value) {
    char *at = (char *)group + number->offset;
    if (number->kind == SIZE)
        *(size_t *)(void *)at = (size_t)value;
    else if (number->kind == WIDE)
        *(uint64_t *)(void *)at = (uint64_t)value;
    else
        *(unsigned *)(void *)at = (unsigned)value;
}

/* The numbers of the sub-table `name` of the table at `index`, each times `factor`. */
static int read_numbers(lua_State *L, int index, const char *name, const struct number *numbers, size_t count,
                        void *group, double factor, struct moon_diag *diag) {
    int rc = 0;
    lua_getfield(L, index, name);
    for (size_t i = 0; lua_istable(L, -1) && i < count && rc == 0; i++) {
        lua_getfield(L, -1, numbers[i].name);
        double value = lua_tonumber(L, -1) * factor;
        if (!lua_isnil(L, -1)) {
            if (!lua_isnumber(L, -1) || !(value >= 0) || value > 4e9)
                rc = refuse(diag, name, numbers[i].name, "must be a number between 0 and 4,000,000,000");
            else
                store(group, &numbers[i], value);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return rc;
}

/* The text `name` of the table at `index`; absent: room stays as it is. */
static int read_text(lua_State *L, int index, const char *group, const char *name, char *room, size_t size,
                     struct moon_diag *diag) {
    int rc = 0;
    lua_getfield(L, index, name);
    if (!lua_isnil(L, -1)) {
        size_t len = 0;
        const char *text = lua_tolstring(L, -1, &len);
        if (!text || strlen(text) != len || len >= size)
            rc = refuse(diag, group, name, "must be a text that is not too long");
        else
            memcpy(room, text, len + 1);
    }
    lua_pop(L, 1);
    return rc;
}

static int read_listeners(lua_State *L, int index, const char *name, char list[MOON_LISTEN_MAX][64],
                          struct moon_diag *diag) {
    int rc = 0;
    lua_getfield(L, index, name);
    size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    if (count >= MOON_LISTEN_MAX) /* an empty text ends the list */
        rc = refuse(diag, "", name, "has too many addresses");
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t len = 0;
        lua_rawgeti(L, -1, (int)i + 1);
        const char *text = lua_tolstring(L, -1, &len);
        if (!text || !len || strlen(text) != len || len >= sizeof list[i])
            rc = refuse(diag, "", name, "has an address that is none");
        else
            memcpy(list[i], text, len + 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return rc;
}

static int read_admin(struct moon_options *options, lua_State *L, int index, struct moon_diag *diag) {
    int rc = 0;
    lua_getfield(L, index, "admin");
    if (lua_istable(L, -1)) {
        int admin = lua_gettop(L);
        rc = read_text(L, admin, "admin", "listen", options->admin_listen, sizeof options->admin_listen, diag);
        if (rc == 0)
            rc = read_text(L, admin, "admin", "certificate", options->admin_certificate,
                           sizeof options->admin_certificate, diag);
        if (rc == 0)
            rc = read_text(L, admin, "admin", "key", options->admin_key, sizeof options->admin_key, diag);
    }
    lua_pop(L, 1);
    return rc;
}

static int read_log(struct moon_settings *settings, lua_State *L, int index, struct moon_diag *diag) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    int rc = 0;
    lua_getfield(L, index, "log");
    if (lua_istable(L, -1)) {
        int log = lua_gettop(L);
        char level[16] = "info";
        rc = read_text(L, log, "log", "file", settings->log_file, sizeof settings->log_file, diag);
        if (rc == 0)
            rc = read_text(L, log, "log", "level", level, sizeof level, diag);
        size_t found = MOON_COUNT(levels);
        for (size_t i = 0; i < MOON_COUNT(levels); i++)
            if (strcmp(levels[i], level) == 0)
                found = i;
        if (rc == 0 && found == MOON_COUNT(levels))
            rc = refuse(diag, "log", "level", "must be error, warn, info or debug");
        else if (rc == 0)
            settings->log_level = (enum moon_log_level)found;
        if (strcmp(settings->log_file, "-") == 0)
            settings->log_file[0] = 0;
    }
    lua_pop(L, 1);
    return rc;
}

static int read_workers(struct moon_options *options, lua_State *L, int index, struct moon_diag *diag) {
    int rc = 0;
    lua_getfield(L, index, "workers");
    if (lua_type(L, -1) == LUA_TNUMBER) {
        double count = lua_tonumber(L, -1);
        if (!(count >= 1 && count <= 1024))
            rc = refuse(diag, "", "workers", "must be \"auto\" or a number between 1 and 1024");
        else
            options->workers = (unsigned)count;
    }
    lua_pop(L, 1);
    return rc;
}

int moon_settings_read_numbers(struct moon_options *options, lua_State *L, int index, struct moon_diag *diag) {
    int rc = read_numbers(L, index, "limits", limits, MOON_COUNT(limits), &options->limits, 1, diag);
    if (rc == 0)
        rc = read_numbers(L, index, "timeouts", timeouts, MOON_COUNT(timeouts), &options->timeouts, 1000, diag);
    return rc;
}

int moon_settings_read(struct moon_settings *settings, lua_State *L, int index, struct moon_diag *diag) {
    memset(settings, 0, sizeof *settings);
    moon_options_init(&settings->gateway);
    settings->log_level = MOON_LOG_INFO;
    struct moon_options *options = &settings->gateway;
    int rc = read_listeners(L, index, "listen", options->listen, diag);
    if (rc == 0)
        rc = read_listeners(L, index, "listen_http", options->listen_http, diag);
    if (rc == 0)
        rc = read_admin(options, L, index, diag);
    if (rc == 0)
        rc = read_workers(options, L, index, diag);
    if (rc == 0)
        rc = read_log(settings, L, index, diag);
    if (rc == 0)
        rc = read_text(L, index, "", "data_dir", settings->data_dir, sizeof settings->data_dir, diag);
    if (rc == 0 && !settings->data_dir[0])
        rc = refuse(diag, "", "data_dir", "is missing");
    if (rc == 0)
        rc = moon_settings_read_numbers(options, L, index, diag);
    return rc;
}
