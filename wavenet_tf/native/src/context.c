/* Context stacks, which process frames of past samples. */
#include <math.h>
#include <string.h>

#include "distribution.h"
#include "workspace.h"

static ContextHeader *header_of(const Context *context, unsigned char *state) {
  return (ContextHeader *)(state + context->state);
}

static float *recent_of(const Context *context, unsigned char *state) {
  return (float *)(state + context->state + sizeof(ContextHeader));
}

static size_t recent_length(const Context *context) {
  return (size_t)(context->pooling + CONTEXT_DELAY);
}

float *context_output(const Context *context, unsigned char *state) {
  return recent_of(context, state) + (recent_length(context) + 1) / 2 * 2;
}

static unsigned char *rings_of(const Context *context, unsigned char *state) {
  float *output = context_output(context, state);
  return (unsigned char *)(output + PADDED(context->stack.skip_channels));
}

/* Computes the output of the frame whose samples are the oldest of the recent ones. */
static void run_frame(wavenet_workspace *workspace, const Context *context, unsigned char *state) {
  const Kernels *kernels = workspace->model->kernels;
  const Stack *stack = &context->stack;
  Scratch *scratch = &workspace->scratch;
  const float *recent = recent_of(context, state);
  const size_t length = recent_length(context);
  const uint64_t time = header_of(context, state)->time;
  for (int i = 0; i < context->pooling; ++i) {
    workspace->context_samples[i] = recent[(time + (uint64_t)i) % length];
  }
  const void *samples = workspace->context_samples;
  memcpy(scratch->signal, context->frame_bias,
         PADDED((size_t)stack->residual_channels) * sizeof(float));
  kernels->multiply(&context->frame, 1, &samples, scratch->signal, scratch->signal_stride);
  for (int c = 0; c < stack->residual_channels; ++c) {
    scratch->signal[c] = fmaxf(scratch->signal[c], 0.0f);
  }
  for (int b = 0; b < stack->num_blocks; ++b) {
    memcpy(workspace->context_biases + (size_t)b * scratch->gate_stride, stack->blocks[b].bias,
           2 * (size_t)stack->gate_channels * sizeof(float));
  }
  uint64_t frame = (time - CONTEXT_DELAY) / (uint64_t)context->pooling - 1;
  Row row = {rings_of(context, state), frame, 0, workspace->context_biases, NULL, NULL, 0};
  memcpy(scratch->skips, stack->skip_bias, PADDED((size_t)stack->skip_channels) * sizeof(float));
  run_stack(kernels, stack, scratch, 1, &row, 1);
  float *output = context_output(context, state);
  for (int c = 0; c < stack->skip_channels; ++c) output[c] = fmaxf(scratch->skips[c], 0.0f);
}

int advance_contexts(wavenet_workspace *workspace, unsigned char *state, Value value) {
  const wavenet_model *model = workspace->model;
  int has_changed = 0;
  for (int i = 0; i < model->num_contexts; ++i) {
    const Context *context = &model->contexts[i];
    ContextHeader *header = header_of(context, state);
    const uint64_t pooling = (uint64_t)context->pooling;
    if (header->time >= CONTEXT_DELAY + pooling && (header->time - CONTEXT_DELAY) % pooling == 0) {
      run_frame(workspace, context, state);
      has_changed = 1;
    }
    float *recent = recent_of(context, state);
    recent[header->time % recent_length(context)] = companded(&model->distribution, value);
    ++header->time;
  }
  return has_changed;
}
