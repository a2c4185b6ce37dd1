/* Scratch memory of a call, and the conditioning of its streams. */
#ifndef WAVENET_WORKSPACE_H
#define WAVENET_WORKSPACE_H

#include "stack.h"

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

/* A value of the output distribution: a mu-law code, or audio. */
typedef union {
  int32_t code;
  float audio;
} Value;

/* What conditions a stream in a call. */
typedef struct {
  const float *frames; /* local conditioning of the call, or NULL */
  int64_t frame;       /* the frame whose rows are in `upsampled`, clipped to the frames there are */
  int has_frame;
  float *upsampled; /* [rows_per_frame, channels] */
  float *constant;  /* biases with the global conditioning */
  float *ahead;     /* of rows of the stream, see `Row`; NULL if there are many streams */
  float *biases;    /* these with the rows that repeat; the same memory if there are none */
} StreamConditioning;

struct wavenet_workspace {
  const wavenet_model *model;
  int max_streams;
  Scratch scratch;
  Row *rows;
  const Value **values; /* of each row: the taps of the input convolution, the oldest first */
  StreamConditioning *streams;
  Value *window;           /* values of a chunk, with those before */
  float *hidden, *outputs; /* of the head */
  size_t hidden_stride, output_stride;
  unsigned char *encoded_head;
  size_t encoded_head_stride;
  float *probabilities;
  float *frames, *upsampling[2]; /* of the upsampler */
  float *context_samples, *context_biases;
  void *memory;
};

/* Where the previous values of a stream are in its state: the last one is not processed yet. */
static inline Value *history_of(const wavenet_model *model, unsigned char *state) {
  return (Value *)(state + model->history);
}

/* Prepares the conditioning of all streams of a call; returns whether the conditions are right. */
wavenet_status begin_conditioning(wavenet_workspace *workspace, int streams,
                                  const wavenet_conditions *conditions);

/* Updates the conditioning of a stream for a sample, and advances its context stacks by a value.
 *
 * sample: its index, counted from the first frame.
 * state: of the stream; its last value is the one that the context stacks take.
 * Returns the local conditioning of the sample, or NULL.
 */
const float *condition_sample(wavenet_workspace *workspace, int stream,
                              const wavenet_conditions *conditions, int64_t sample,
                              unsigned char *state, Value value);

/* Returns how many samples after this one have the same rows of repeated conditioning. */
int64_t samples_alike(const wavenet_model *model, const unsigned char *state, int64_t sample);

/* Advances the context stacks of a stream by a value; returns whether an output has changed. */
int advance_contexts(wavenet_workspace *workspace, unsigned char *state, Value value);

/* Returns the output of a context stack, in the state of a stream. */
float *context_output(const Context *context, unsigned char *state);

/* Computes the rows of a frame of local conditioning into `upsampled`. */
void upsample_frame(wavenet_workspace *workspace, const float *frames, int64_t num_frames,
                    int64_t frame, float *upsampled);

#pragma GCC visibility pop

#endif
