#include "gate/options.h"

#include <string.h>

#include "http/head.h"

void moon_options_init(struct moon_options *options) {
    memset(options, 0, sizeof *options);
    options->limits = (struct moon_limits){
        .start_line = 8 * 1024,
        .field = 16 * 1024,
        .head = 64 * 1024,
        .fields = MOON_HTTP_FIELDS_MAX,
        .body = 100 * 1024 * 1024,
        .connections = 50000,
        .connections_per_address = 10000,
        .handshakes = 4096,
        .idle_origin_connections = 64,
        .tls_sessions = 10000,
    };
    options->timeouts = (struct moon_timeouts){
        .handshake = 10000,
        .head = 30000,
        .body_idle = 30000,
        .keep_alive = 75000,
        .write_idle = 60000,
        .origin_connect = 10000,
        .origin_head = 60000,
        .origin_idle = 60000,
        .origin_keep_alive = 60000,
        .tunnel_idle = 3600000,
        .drain = 30000,
    };
}
