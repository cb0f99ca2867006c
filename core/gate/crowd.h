/* gate/crowd.h — what gives way when there are too many connections. A worker keeps those that wait for their client in two lists,
 * whoever waits longest in front: in a handshake, and for a request. At the ceiling of connections the one that has been idle
 * longest goes for a newcomer. At the ceiling of handshakes clients that say nothing go; while all of them do speak, the listeners
 * rest, and newcomers wait with the kernel, in the order in which they came. The worker's thread. */
#ifndef MOON_GATE_CROWD_H
#define MOON_GATE_CROWD_H

#include "gate/conn.h"

void moon_crowd_init(struct moon_worker *worker);

/* The connection begins to wait for its client (conn->waiting says for what), or has heard from it and waits on. */
void moon_crowd_wait(struct moon_conn *conn);
/* It does not wait any more, or is about to be closed. */
void moon_crowd_leave(struct moon_conn *conn);

/* Closes the worker's connection that has been idle longest, and gives its place among the admitted back. False when none is idle.
 * Outside of any turn. */
bool moon_crowd_take_place(struct moon_worker *worker);
/* A connection has begun its handshake: sees to the ceiling. Outside of any turn. */
void moon_crowd_limit_handshakes(struct moon_worker *worker);

#endif
