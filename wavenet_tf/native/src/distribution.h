/* Output distributions: from outputs of the network to values, and between values and audio. */
#ifndef WAVENET_DISTRIBUTION_H
#define WAVENET_DISTRIBUTION_H

#include "workspace.h"

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

/* Returns the value of digital silence. */
Value silence(const Distribution *distribution);

/* Returns the value that is nearest to audio in [-1, 1]. */
Value encode(const Distribution *distribution, float audio);

/* Returns a value as audio in [-1, 1]. */
float decode(const Distribution *distribution, Value value);

/* Returns a value as mu-law companded audio in [-1, 1]; 0 is silence. */
float companded(const Distribution *distribution, Value value);

/* Returns whether a value is one of the distribution. */
int is_value(const Distribution *distribution, Value value);

/* Samples a value by the inverse of the cumulative distribution.
 *
 * outputs: of the network, padded to whole vectors; changed.
 * previous: the value before.
 * uniforms: one, or two for a mixture.
 * scratch: as long as `outputs`.
 */
Value draw(const Kernels *kernels, const Distribution *distribution, float *outputs,
           Value previous, const float *uniforms, float temperature, float *scratch);

/* Returns the log-likelihood of a value, in nats. */
float log_likelihood(const Kernels *kernels, const Distribution *distribution, float *outputs,
                     Value previous, Value value, float *scratch);

#pragma GCC visibility pop

#endif
