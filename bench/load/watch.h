/* load/watch.h — CPU time and memory of the processes under test, read from /proc. The generator reads them itself,
 * at the very moment its window begins and ends, so that set-up and warm-up do not count. */
#ifndef MOON_LOAD_WATCH_H
#define MOON_LOAD_WATCH_H

#include "options.h"

#define MOON_LOAD_PROCESSES_MAX 64

struct moon_load_watch {
    pid_t processes[MOON_LOAD_PROCESSES_MAX];
    unsigned count;
};

/* Takes the watched processes and the children they have now. Returns 0, or -1 after saying which one is not there. */
int moon_load_watch_open(struct moon_load_watch *watch, const struct moon_load_options *options);

/* User and system time of all of them, threads that have ended included, in seconds. */
double moon_load_watch_cpu(const struct moon_load_watch *watch);

/* Proportional set size of all of them in bytes: a page that several share counts once. */
uint64_t moon_load_watch_memory(const struct moon_load_watch *watch);

#endif
