/* gate/conn_deadline.h — what a connection waits for, for how long, and what happens when that was in vain. For gate/conn.c. */
#ifndef MOON_GATE_CONN_DEADLINE_H
#define MOON_GATE_CONN_DEADLINE_H

#include "gate/conn.h"

/* Sets the deadline for what the connection waits for now; one that runs for the same thing stays. At the end of each turn. */
void moon_conn_watch(struct moon_conn *conn);
/* For moon_deadline_init. */
void moon_conn_deadline_passed(struct moon_deadline *deadline);

#endif
