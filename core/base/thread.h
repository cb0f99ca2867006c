/* base/thread.h — how threads of ours begin: they take no signals. Those are for the program, which may be somebody else's and
 * whose handlers do not expect to run on a thread that they know nothing of. */
#ifndef MOON_BASE_THREAD_H
#define MOON_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create with default attributes; an errno, or 0. */
int moon_thread_start(pthread_t *thread, void *(*main)(void *), void *data);

#endif
