/* Gated residual blocks one after the other, on rows: streams, or samples of a stream. */
#ifndef WAVENET_STACK_H
#define WAVENET_STACK_H

#include "model.h"

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

/* A sample of a stream. Rows of one stream are consecutive samples, one after the other. */
typedef struct {
  unsigned char *rings;   /* of the stack, in the state of the stream */
  uint64_t time;          /* number of samples that the stack has processed before this one */
  int rows_before;        /* rows of the same stream before this one */
  const float *biases;    /* of all blocks, `gate_stride` floats each */
  const float *upsampled; /* local conditioning of this sample, or NULL */
  float *ahead;           /* products with past rows, `rows_ahead` rows of the stack, or NULL */
  int is_first;           /* whether `ahead` holds nothing yet */
} Row;

/* Scratch memory for rows of stacks; sizes are the largest of all stacks of a model. */
typedef struct {
  size_t signal_stride, gate_stride, gated_stride, skip_stride; /* in floats */
  size_t encoded_stride;                                        /* in bytes */
  float *signal, *activation, *gated, *skips;
  unsigned char *encoded, *encoded_gated;
  const void **signal_rows, **gated_rows, **past_rows;
} Scratch;

/* Points `rows` at activations in the form that a matrix takes, which may be quantized. */
void encode_rows(const Kernels *kernels, int is_int8, int count, int channels, const float *values,
                 size_t stride, unsigned char *encoded, size_t encoded_stride, const void **rows);

/* y += x W for each row. */
static inline void multiply_rows(const Kernels *kernels, const Matrix *matrix, int count,
                                 const void *const *x, float *y, size_t stride) {
  if (matrix->is_int8) {
    kernels->multiply_int8(matrix, count, x, y, stride);
  } else {
    kernels->multiply(matrix, count, x, y, stride);
  }
}

/* Runs all blocks on the rows of `scratch->signal`, and writes the rows to the rings.
 *
 * with_skips: whether the skip connections are added to `scratch->skips`.
 */
void run_stack(const Kernels *kernels, const Stack *stack, Scratch *scratch, int count,
               const Row *rows, int with_skips);

#pragma GCC visibility pop

#endif
