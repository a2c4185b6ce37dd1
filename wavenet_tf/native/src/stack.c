#include "stack.h"

#include <string.h>

void encode_rows(const Kernels *kernels, int is_int8, int count, int channels, const float *values,
                 size_t stride, unsigned char *encoded, size_t encoded_stride, const void **rows) {
  for (int r = 0; r < count; ++r) {
    rows[r] = values + (size_t)r * stride;
    if (!is_int8) continue;
    unsigned char *row = encoded + (size_t)r * encoded_stride;
    kernels->quantize(rows[r], channels, row);
    rows[r] = row;
  }
}

/* Returns where a block finds its input of some samples before a time. */
static const void *past_row(const Stack *stack, const Block *block, const unsigned char *rings,
                            uint64_t time, uint64_t back) {
  const uint64_t length = (uint64_t)(stack->kernel_size - 1) * (uint64_t)block->dilation;
  return rings + block->ring + (time + length - back) % length * stack->row_bytes;
}

/* The rows of past samples fit the memory for rows. */
typedef char samples_ahead_fit[MOST_SAMPLES_AHEAD <= CHUNK ? 1 : -1];

/* Returns the products of a block with the past rows of a sample.
 *
 * They are computed for several samples at once, whose past rows are known before. Weights are then
 * read once for these, while a single stream would read them for each.
 */
static const float *multiply_ahead(const Kernels *kernels, const Stack *stack, const Block *block,
                                   Scratch *scratch, const Row *row) {
  const int samples = block->samples_ahead, since = (int)(row->time % (uint64_t)samples);
  const size_t stride = scratch->gate_stride;
  float *sums = row->ahead + block->first_ahead * stride;
  if (row->is_first || !since) {
    memset(sums, 0, (size_t)samples * stride * sizeof *sums);
    for (int tap = 0; tap + 1 < stack->kernel_size; ++tap) {
      uint64_t back = (uint64_t)(stack->kernel_size - 1 - tap) * (uint64_t)block->dilation;
      for (int i = 0; i < samples; ++i) {
        scratch->past_rows[i] =
            past_row(stack, block, row->rings, row->time - (uint64_t)since + (uint64_t)i, back);
      }
      multiply_rows(kernels, &block->taps[tap], samples, scratch->past_rows, sums, stride);
    }
  }
  return sums + (size_t)since * stride;
}

/* Adds the products of a block with past rows to the activations. */
static void add_past(const Kernels *kernels, const Stack *stack, const Block *block,
                     Scratch *scratch, int count, const Row *rows) {
  const size_t stride = scratch->gate_stride;
  if (rows[0].ahead && block->samples_ahead > 1) {
    for (int r = 0; r < count; ++r) {
      const float *sums = multiply_ahead(kernels, stack, block, scratch, &rows[r]);
      float *activation = scratch->activation + (size_t)r * stride;
      for (int c = 0; c < 2 * stack->gate_channels; ++c) activation[c] += sums[c];
    }
    return;
  }
  for (int tap = 0; tap + 1 < stack->kernel_size; ++tap) {
    int back = (stack->kernel_size - 1 - tap) * block->dilation;
    for (int r = 0; r < count; ++r) {
      scratch->past_rows[r] =
          back <= rows[r].rows_before
              ? scratch->signal_rows[r - back]
              : past_row(stack, block, rows[r].rings, rows[r].time, (uint64_t)back);
    }
    multiply_rows(kernels, &block->taps[tap], count, scratch->past_rows, scratch->activation,
                  stride);
  }
}

/* Adds the dilated convolution and local conditioning to the activations. */
static void convolve(const Kernels *kernels, const Stack *stack, const Block *block,
                     Scratch *scratch, int count, const Row *rows) {
  const size_t stride = scratch->gate_stride;
  add_past(kernels, stack, block, scratch, count, rows);
  multiply_rows(kernels, &block->taps[stack->kernel_size - 1], count, scratch->signal_rows,
                scratch->activation, stride);
  if (has_weights(&block->upsampled)) {
    for (int r = 0; r < count; ++r) scratch->past_rows[r] = rows[r].upsampled;
    multiply_rows(kernels, &block->upsampled, count, scratch->past_rows, scratch->activation,
                  stride);
  }
}

/* Writes the inputs of a block to its rings, where they are the past of later samples. */
static void remember(const Stack *stack, const Block *block, const Scratch *scratch, int count,
                     const Row *rows) {
  const uint64_t length = (uint64_t)(stack->kernel_size - 1) * (uint64_t)block->dilation;
  for (int r = 0; r < count && length; ++r) {
    unsigned char *slot = rows[r].rings + block->ring + rows[r].time % length * stack->row_bytes;
    memcpy(slot, scratch->signal_rows[r], stack->row_bytes);
  }
}

/* Computes the residual output from the gated activations. */
static void add_residual(const Kernels *kernels, const Stack *stack, const Block *block,
                         Scratch *scratch, int count) {
  const size_t stride = scratch->signal_stride;
  for (int r = 0; r < count; ++r) {
    float *signal = scratch->signal + (size_t)r * stride;
    for (int c = 0; c < stack->residual_channels; ++c) signal[c] += block->residual_bias[c];
  }
  multiply_rows(kernels, &block->residual, count, scratch->gated_rows, scratch->signal, stride);
  if (stack->residual_scale == 1.0f) return;
  for (size_t i = 0; i < (size_t)count * stride; ++i) scratch->signal[i] *= stack->residual_scale;
}

void run_stack(const Kernels *kernels, const Stack *stack, Scratch *scratch, int count,
               const Row *rows, int with_skips) {
  for (int b = 0; b < stack->num_blocks; ++b) {
    const Block *block = &stack->blocks[b];
    encode_rows(kernels, stack->is_int8, count, stack->residual_channels, scratch->signal,
                scratch->signal_stride, scratch->encoded, scratch->encoded_stride,
                scratch->signal_rows);
    for (int r = 0; r < count; ++r) {
      memcpy(scratch->activation + (size_t)r * scratch->gate_stride,
             rows[r].biases + (size_t)b * scratch->gate_stride,
             2 * (size_t)stack->gate_channels * sizeof(float));
    }
    convolve(kernels, stack, block, scratch, count, rows);
    remember(stack, block, scratch, count, rows);
    for (int r = 0; r < count; ++r) {
      kernels->gate(scratch->activation + (size_t)r * scratch->gate_stride, stack->gate_channels,
                    scratch->gated + (size_t)r * scratch->gated_stride);
    }
    encode_rows(kernels, block->skip.is_int8, count, stack->gate_channels, scratch->gated,
                scratch->gated_stride, scratch->encoded_gated, scratch->encoded_stride,
                scratch->gated_rows);
    if (block->residual_bias) add_residual(kernels, stack, block, scratch, count);
    if (with_skips) {
      multiply_rows(kernels, &block->skip, count, scratch->gated_rows, scratch->skips,
                    scratch->skip_stride);
    }
  }
}
