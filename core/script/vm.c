#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "script/embedded.h"

/* Modules are read whole; nothing of ours comes near this. */
#define SOURCE_CEILING (4 * 1024 * 1024)
#define MESSAGE_CEILING 8192

int moon_vm_traceback(lua_State *L) {
    if (!lua_isstring(L, 1)) {
        /* An error value that is a table may know how to show itself; one that does not still gets a line. */
        if (luaL_callmeta(L, 1, "__tostring") && lua_isstring(L, -1)) {
            lua_replace(L, 1);
        } else {
            lua_pushfstring(L, "(error value is a %s)", luaL_typename(L, 1));
            lua_replace(L, 1);
        }
    }
    lua_settop(L, 1);
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

static void copy_cut(char *room, size_t size, const char *text, size_t len) {
    if (!room || !size)
        return;
    if (len >= size)
        len = size - 1;
    memcpy(room, text, len);
    room[len] = 0;
}

int moon_vm_call(lua_State *L, int arguments, int results, struct moon_diag *diag, char *trace, size_t trace_size) {
    int base = lua_gettop(L) - arguments;
    lua_pushcfunction(L, moon_vm_traceback);
    lua_insert(L, base);
    int rc = lua_pcall(L, arguments, results, base);
    lua_remove(L, base);
    if (rc == 0)
        return 0;
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    if (!text) {
        text = "out of memory in Lua";
        len = strlen(text);
    }
    copy_cut(trace, trace_size, text, len);
    const char *end = memchr(text, '\n', len);
    moon_diag_set(diag, "", "%.*s", (int)(end ? end - text : (long)(len > MESSAGE_CEILING ? MESSAGE_CEILING : len)),
                  text);
    lua_pop(L, 1);
    return MOON_ESCRIPT;
}

/* ---- modules ---- */

static const struct moon_embedded_lua *find_embedded(const char *name) {
    for (const struct moon_embedded_lua *module = moon_embedded_lua; module->name; module++) {
        if (strcmp(module->name, name) == 0)
            return module;
    }
    return NULL;
}

/* Pushes the file's text; false when it cannot be read. */
static bool push_file(lua_State *L, const char *path) {
    FILE *file = fopen(path, "rbe");
    if (!file)
        return false;
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    size_t total = 0, got;
    do {
        got = fread(luaL_prepbuffer(&buffer), 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&buffer, got);
        total += got;
    } while (got && total <= SOURCE_CEILING);
    bool fine = !ferror(file) && total <= SOURCE_CEILING;
    fclose(file);
    luaL_pushresult(&buffer);
    if (!fine)
        lua_pop(L, 1);
    return fine;
}

/* package.loaders entry: upvalue 1 is the source tree or nil. Text only: LuaJIT's bytecode loader trusts its input. */
static int search_module(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const struct moon_embedded_lua *module = find_embedded(name);
    if (!module) {
        lua_pushfstring(L, "\n\tno module '%s' in the binary", name);
        return 1;
    }
    const char *source = module->source;
    size_t size = module->size;
    const char *tree = lua_tostring(L, lua_upvalueindex(1));
    if (tree && strchr(module->path, '.')) { /* "cdef" has no file: it is made from the headers */
        const char *path = lua_pushfstring(L, "%s/%s", tree, module->path);
        if (!push_file(L, path))
            return luaL_error(L, "cannot read %s", path);
        source = lua_tolstring(L, -1, &size);
    }
    const char *chunk = lua_pushfstring(L, "@%s", module->path);
    if (luaL_loadbufferx(L, source, size, chunk, "t") != 0)
        return lua_error(L);
    return 1;
}

/* Takes the entries that are relative to the current directory out of package.path and package.cpath: what lies there
 * is not the operator's word. */
static void keep_absolute(lua_State *L, const char *field) {
    lua_getfield(L, -1, field);
    const char *rest = lua_tostring(L, -1);
    luaL_Buffer kept;
    luaL_buffinit(L, &kept);
    bool first = true;
    while (rest && *rest) {
        size_t len = strcspn(rest, ";");
        if (*rest == '/') {
            if (!first)
                luaL_addchar(&kept, ';');
            luaL_addlstring(&kept, rest, len);
            first = false;
        }
        rest += len;
        if (*rest)
            rest++;
    }
    luaL_pushresult(&kept);
    lua_setfield(L, -3, field);
    lua_pop(L, 1);
}

/* Runs protected: lightuserdata source_dir at 1. */
static int set_up(lua_State *L) {
    const char *source_dir = lua_touserdata(L, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* LUA_PATH and LUA_CPATH do not speak here */
    luaL_openlibs(L);

    lua_getglobal(L, "package");
    keep_absolute(L, "path");
    keep_absolute(L, "cpath");
    /* Behind package.preload and before files: a file elsewhere never takes the place of a module of ours. */
    lua_getfield(L, -1, "loaders");
    for (int i = (int)lua_objlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    if (source_dir) {
        lua_pushstring(L, source_dir);
    } else {
        lua_pushnil(L);
    }
    lua_pushcclosure(L, search_module, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 1);

    lua_getfield(L, -1, "loaded");
    lua_pushlightuserdata(L, (void *)&moon_bridge); /* for lua/ffi.lua: the functions of this very copy of the core */
    lua_setfield(L, -2, "moongate.bridge");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moongate.uncompiled_next"); /* before anything takes `pairs` for its own */
    lua_call(L, 1, 0);
    return 0;
}

/* Without memory Lua has no place to put an error outside of a protected call; with it, every call of ours is
 * protected. */
static int on_panic(lua_State *L) {
    const char *text = lua_tostring(L, -1);
    moon_check_failed(text ? text : "unprotected error in a call to the Lua API", __FILE__, __LINE__, __func__);
}

lua_State *moon_vm_open(const char *source_dir, struct moon_diag *diag) {
    lua_State *L = luaL_newstate();
    if (!L) {
        moon_diag_set(diag, "", "no memory for a Lua state");
        return NULL;
    }
    lua_atpanic(L, on_panic);
    if (lua_cpcall(L, set_up, (void *)(uintptr_t)source_dir) != 0) {
        const char *text = lua_tostring(L, -1);
        moon_diag_set(diag, "", "the Lua state cannot be set up: %s", text ? text : "no memory");
        lua_close(L);
        return NULL;
    }
    return L;
}

void moon_vm_close(lua_State **state) {
    if (*state)
        lua_close(*state);
    *state = NULL;
}

int moon_vm_require(lua_State *L, const char *name, struct moon_diag *diag) {
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    return moon_vm_call(L, 1, 1, diag, NULL, 0);
}
