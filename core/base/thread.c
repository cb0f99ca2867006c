#include "base/thread.h"

#include <signal.h>

int moon_thread_start(pthread_t *thread, void *(*main)(void *), void *data) {
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former); /* a thread begins with the mask of the one that makes it */
    int rc = pthread_create(thread, NULL, main, data);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return rc;
}
