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

/* Adds the dilated convolution and local conditioning to the activations. */
static void convolve(const Kernels *kernels, const Stack *stack, const Block *block,
                     Scratch *scratch, int count, const Row *rows) {
  const int taps = stack->kernel_size;
  const uint64_t length = (uint64_t)(taps - 1) * (uint64_t)block->dilation;
  const size_t stride = scratch->gate_stride;
  for (int tap = 0; tap + 1 < taps; ++tap) {
    int back = (taps - 1 - tap) * block->dilation;
    for (int r = 0; r < count; ++r) {
      uint64_t slot = (rows[r].time + length - (uint64_t)back) % length;
      scratch->past_rows[r] = back <= rows[r].rows_before
                                  ? scratch->signal_rows[r - back]
                                  : rows[r].rings + block->ring + slot * stack->row_bytes;
    }
    multiply_rows(kernels, &block->taps[tap], count, scratch->past_rows, scratch->activation,
                  stride);
  }
  multiply_rows(kernels, &block->taps[taps - 1], count, scratch->signal_rows, scratch->activation,
                stride);
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
