/* gate/conn_bytes.h — what a client sends, from the socket to requests: handshake and TLS records, heads, bodies, tunnelled bytes,
 * the end. For gate/conn.c. */
#ifndef MOON_GATE_CONN_BYTES_H
#define MOON_GATE_CONN_BYTES_H

#include "gate/conn.h"

/* Takes what it can off *input: heads, bodies, tunnelled bytes. Within a turn. */
void moon_conn_take(struct moon_conn *conn, struct moon_str *input);

/* Events of the connection's stream (net/stream.h); each is a turn. */
void moon_conn_on_bytes(struct moon_stream *stream, struct moon_str bytes);
void moon_conn_on_end(struct moon_stream *stream);
void moon_conn_on_failed(struct moon_stream *stream, int status);
void moon_conn_on_drained(struct moon_stream *stream);

#endif
