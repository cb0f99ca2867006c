#include "tls/trusts.h"

#include <stdatomic.h>

#include "base/thread.h"
#include "tls/crypto.h"

struct work {
    struct moon_trust **out;
    const struct moon_trust_options *options;
    size_t count;
    _Atomic size_t next; /* the only thing that more than one thread writes */
};

static void *build_some(void *data) {
    struct work *work = data;
    struct moon_diag diag = {"", ""};
    size_t i;
    while ((i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed)) < work->count)
        if (moon_trust_build(&work->out[i], &work->options[i], &diag) != 0)
            moon_crypto_forget_errors(); /* of this thread */
    return NULL;
}

void moon_trusts_build(struct moon_trust **out, const struct moon_trust_options *options, size_t count,
                       unsigned threads) {
    struct work work = {.out = out, .options = options, .count = count};
    pthread_t others[MOON_TRUSTS_THREADS - 1];
    unsigned started = 0;
    while (started + 1 < threads && started < MOON_TRUSTS_THREADS - 1 && started + 1 < count &&
           moon_thread_start(&others[started], build_some, &work) == 0)
        started++;
    build_some(&work);
    for (unsigned i = 0; i < started; i++)
        pthread_join(others[i], NULL);
}
