/* app/main.c — the program: makes the process safe to be in, gives the command line to Lua (cli/), and runs the gateway
 * when that is what it asks for. Exit codes: 0 fine, 1 failed, 2 usage. */
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "app/run.h"
#include "base/error.h"
#include "script/vm.h"
#include "tls/crypto.h"
#include "tls/keyring.h"

/* A source tree to read Lua modules from, for development. */
#define SOURCE_DIR_VARIABLE "MOONGATE_LUA_DIR"

static bool has_flag(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

/* As many descriptors as the system lets us have: the soft limit is made for programs that use select(). */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void prepare_process(bool dev) {
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    raise_descriptor_limit();
    /* What OpenSSL reads and whom it trusts is said in our configuration only. */
    unsetenv("OPENSSL_CONF");
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    if (!dev) { /* private keys must not end in a core file, nor be read by a debugger of the same user */
        struct rlimit none = {0, 0};
        prctl(PR_SET_DUMPABLE, 0);
        setrlimit(RLIMIT_CORE, &none);
    }
    moon_keyring_take_environment();
    moon_crypto_init();
}

static void push_arguments(lua_State *L, int argc, char **argv) {
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
}

static int complain(const struct moon_diag *diag) {
    fprintf(stderr, "moongate: %s%s%s\n", diag->where, diag->where[0] ? ": " : "", diag->text);
    return 1;
}

/* Lua answers an exit code, or "run" and a table with the configuration. */
static int obey(lua_State *L, int argc, char **argv, const char *source_dir) {
    struct moon_diag diag = {"", ""};
    char trace[4096] = "";
    if (moon_vm_require(L, "moongate.cli", &diag) != 0)
        return complain(&diag);
    lua_getfield(L, -1, "main");
    push_arguments(L, argc, argv);
    if (moon_vm_call(L, 1, 2, &diag, trace, sizeof trace) != 0) {
        fprintf(stderr, "moongate: %s\n", trace);
        return 1;
    }
    if (lua_type(L, -2) == LUA_TNUMBER)
        return (int)lua_tointeger(L, -2);
    if (!lua_istable(L, -1)) {
        fputs("moongate: the command line gave no answer\n", stderr);
        return 1;
    }
    lua_getfield(L, -1, "config");
    return moon_run(L, lua_gettop(L), source_dir);
}

int main(int argc, char **argv) {
    struct moon_diag diag = {"", ""};
    prepare_process(has_flag(argc, argv, "--dev"));
    const char *source_dir = secure_getenv(SOURCE_DIR_VARIABLE);
    lua_State *L = moon_vm_open(source_dir, &diag);
    if (!L)
        return complain(&diag);
    int code = obey(L, argc, argv, source_dir);
    moon_vm_close(&L);
    if (fflush(stdout) != 0 && code == 0) {
        fputs("moongate: what was to be printed could not be written\n", stderr);
        code = 1;
    }
    return code;
}
