/* gate/conn_deadline.h — what a connection waits for, for how long, and what happens when that was in vain. For gate/conn.c
 * and, between turns, gate/recheck.c. */
#ifndef MOON_GATE_CONN_DEADLINE_H
#define MOON_GATE_CONN_DEADLINE_H

#include "gate/conn.h"

/* Sets the deadline for what the connection waits for now; one that runs for the same thing stays. At the end of each turn. */
void moon_conn_watch(struct moon_conn *conn);
/* The same, when one that runs must not stay: the validity that it was measured by is another now. */
void moon_conn_watch_anew(struct moon_conn *conn);
/* For moon_deadline_init. */
void moon_conn_deadline_passed(struct moon_deadline *deadline);

#endif
