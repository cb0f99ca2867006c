/* tls/trusts.h — many trust sets at once, on several threads: a gateway with ten thousand CAs spends seconds of its
 * start on reading them. Calls moon_trust_build and nothing else. */
#ifndef MOON_TLS_TRUSTS_H
#define MOON_TLS_TRUSTS_H

#include "tls/trust.h"

#define MOON_TRUSTS_THREADS 16

/* Builds out[i] from options[i], on the calling thread and as many more as make `threads` (at most MOON_TRUSTS_THREADS;
 * fewer when the system gives no more). Returns when all are built. NULL for a set that cannot be: moon_trust_build
 * says why. */
void moon_trusts_build(struct moon_trust **out, const struct moon_trust_options *options, size_t count,
                       unsigned threads);

#endif
