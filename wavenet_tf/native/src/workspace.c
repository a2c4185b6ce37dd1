/* Allocates the scratch memory of calls. */
#include "workspace.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Takes zeroed memory; in a first pass without memory, it counts the bytes. */
typedef struct {
  unsigned char *memory;
  size_t used;
} Arena;

static void *take(Arena *arena, size_t count, size_t size) {
  size_t start = arena->used;
  arena->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return arena->memory ? arena->memory + start : NULL;
}

/* The sizes are so that the largest stack fits. */
static void take_scratch(const wavenet_model *model, Arena *arena, Scratch *scratch, size_t rows) {
  for (int i = -1; i < model->num_contexts; ++i) {
    const Stack *stack = i < 0 ? &model->trunk : &model->contexts[i].stack;
    size_t residual = PADDED((size_t)stack->residual_channels);
    size_t gate = PADDED((size_t)stack->gate_channels);
    scratch->signal_stride = larger(scratch->signal_stride, residual);
    /* A vector of the gate may begin at any channel. */
    scratch->gate_stride = larger(scratch->gate_stride, 2 * gate + PADDING);
    scratch->gated_stride = larger(scratch->gated_stride, gate);
    scratch->skip_stride =
        larger(scratch->skip_stride, PADDED((size_t)stack->skip_channels));
    scratch->encoded_stride = larger(scratch->encoded_stride, larger(residual, gate) + ALIGNMENT);
  }
  scratch->signal = take(arena, rows * scratch->signal_stride, sizeof(float));
  scratch->activation = take(arena, rows * scratch->gate_stride, sizeof(float));
  scratch->gated = take(arena, rows * scratch->gated_stride, sizeof(float));
  scratch->skips = take(arena, rows * scratch->skip_stride, sizeof(float));
  scratch->encoded = take(arena, rows, scratch->encoded_stride);
  scratch->encoded_gated = take(arena, rows, scratch->encoded_stride);
  scratch->signal_rows = take(arena, rows, sizeof(void *));
  scratch->gated_rows = take(arena, rows, sizeof(void *));
  scratch->past_rows = take(arena, rows, sizeof(void *));
}

static void take_streams(wavenet_workspace *workspace, Arena *arena, size_t streams) {
  const wavenet_model *model = workspace->model;
  size_t biases = (size_t)model->trunk.num_blocks * workspace->scratch.gate_stride;
  size_t upsampled =
      (size_t)model->upsampler.rows_per_frame * (size_t)model->upsampler.channels;
  workspace->streams = take(arena, streams, sizeof *workspace->streams);
  for (size_t s = 0; s < streams; ++s) {
    float *constant = take(arena, biases, sizeof(float));
    float *changing = model->num_repeated ? take(arena, biases, sizeof(float)) : constant;
    float *rows = take(arena, upsampled, sizeof(float));
    float *ahead = NULL;
    if (s < MOST_STREAMS_AHEAD) {
      ahead = take(arena, model->trunk.rows_ahead * workspace->scratch.gate_stride, sizeof(float));
    }
    if (!arena->memory) continue;
    workspace->streams[s].constant = constant;
    workspace->streams[s].biases = changing;
    workspace->streams[s].upsampled = rows;
    workspace->streams[s].ahead = ahead;
  }
}

/* Takes the buffers of the upsampler and the context stacks. */
static void take_conditioning(wavenet_workspace *workspace, Arena *arena) {
  const wavenet_model *model = workspace->model;
  const Upsampler *upsampler = &model->upsampler;
  size_t rows = 1, padded = PADDED((size_t)(upsampler->features ? upsampler->taps[0].outputs : 0));
  if (upsampler->bands) {
    padded *= (2 * (size_t)upsampler->reach + 1) * (size_t)upsampler->rows_per_frame;
  }
  if (upsampler->num_convolutions > 1) rows = (size_t)upsampler->factors[0];
  for (int i = 1; i < upsampler->num_convolutions; ++i) {
    padded = larger(padded, rows * PADDED((size_t)upsampler->others[i].outputs));
    rows *= (size_t)upsampler->factors[i];
  }
  for (int i = 0; i < 2; ++i) workspace->upsampling[i] = take(arena, padded, sizeof(float));
  size_t vector = larger((size_t)upsampler->features, (size_t)model->global_inputs);
  workspace->frames = take(arena, PADDED(vector), sizeof(float));
  size_t pooling = 0, blocks = 0;
  for (int i = 0; i < model->num_contexts; ++i) {
    pooling = larger(pooling, (size_t)model->contexts[i].pooling);
    blocks = larger(blocks, (size_t)model->contexts[i].stack.num_blocks);
  }
  workspace->context_samples = take(arena, pooling, sizeof(float));
  workspace->context_biases =
      take(arena, blocks * workspace->scratch.gate_stride, sizeof(float));
}

static void take_all(wavenet_workspace *workspace, Arena *arena) {
  const wavenet_model *model = workspace->model;
  size_t streams = (size_t)workspace->max_streams, rows = larger(streams, CHUNK);
  take_scratch(model, arena, &workspace->scratch, rows);
  workspace->rows = take(arena, rows, sizeof *workspace->rows);
  workspace->values = take(arena, rows, sizeof *workspace->values);
  workspace->window = take(arena, (size_t)model->input_taps + CHUNK, sizeof(Value));
  workspace->hidden_stride = PADDED((size_t)model->head.outputs);
  workspace->output_stride = PADDED((size_t)model->distribution.parameters);
  workspace->hidden = take(arena, rows * workspace->hidden_stride, sizeof(float));
  workspace->outputs = take(arena, rows * workspace->output_stride, sizeof(float));
  workspace->encoded_head_stride =
      larger(workspace->hidden_stride, workspace->scratch.skip_stride) + ALIGNMENT;
  workspace->encoded_head = take(arena, rows, workspace->encoded_head_stride);
  workspace->probabilities = take(arena, 4 * workspace->output_stride, sizeof(float));
  take_conditioning(workspace, arena);
  take_streams(workspace, arena, streams);
}

wavenet_status wavenet_new_workspace(const wavenet_model *model, int32_t max_streams,
                                     wavenet_workspace **made) {
  if (!made) return WAVENET_BAD_ARGUMENT;
  *made = NULL;
  if (!model || max_streams < 1 || max_streams > 1 << 16) return WAVENET_BAD_ARGUMENT;
  wavenet_workspace *workspace = calloc(1, sizeof *workspace);
  if (!workspace) return WAVENET_NO_MEMORY;
  workspace->model = model;
  workspace->max_streams = max_streams;
  Arena arena = {NULL, 0};
  take_all(workspace, &arena);
  workspace->memory = calloc(arena.used + 2 * ALIGNMENT, 1);
  if (!workspace->memory) {
    free(workspace);
    return WAVENET_NO_MEMORY;
  }
  arena.memory = (unsigned char *)workspace->memory + ALIGNMENT -
                 (uintptr_t)workspace->memory % ALIGNMENT;
  arena.used = 0;
  take_all(workspace, &arena);
  *made = workspace;
  return WAVENET_OK;
}

void wavenet_free_workspace(wavenet_workspace *workspace) {
  if (!workspace) return;
  free(workspace->memory);
  free(workspace);
}
