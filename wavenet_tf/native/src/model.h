/* A model in memory: its weights in the order in which they are read, and its sizes. */
#ifndef WAVENET_MODEL_H
#define WAVENET_MODEL_H

#include "kernels.h"
#include "wavenet.h"

/* Samples between the end of a frame of a context stack and the first sample that depends on it. */
#define CONTEXT_DELAY 16
/* Rows that are computed at once while given audio is processed. */
#define CHUNK 16
/* The most samples for which a block multiplies its past rows at once. */
#define MOST_SAMPLES_AHEAD 16
/* With more streams than these, the rows of all streams share a read of the weights anyway. */
#define MOST_STREAMS_AHEAD 3

/* A gated residual block. */
typedef struct {
  int dilation;
  int samples_ahead;  /* for so many samples, the past rows are known and multiplied at once */
  size_t first_ahead; /* rows ahead of the blocks before */
  size_t ring; /* where its ring of past rows begins, in the rings of its stack */
  Matrix *taps; /* the oldest first */
  Matrix residual, skip;
  const float *bias, *residual_bias; /* the last block has no residual output */
  Matrix global;                     /* of the global conditioning */
  Matrix upsampled;                  /* of local conditioning that differs from sample to sample */
  Matrix *repeated;                  /* of each source of local conditioning that repeats rows */
} Block;

/* Blocks one after the other: of the trunk, or of a context stack. */
typedef struct {
  int kernel_size, num_blocks;
  int residual_channels, gate_channels, skip_channels;
  int is_int8; /* whether rows in the rings are quantized */
  float residual_scale;
  size_t row_bytes, ring_bytes;
  size_t rows_ahead; /* of all blocks */
  Block *blocks;
  const float *skip_bias;
} Stack;

/* A stack whose frames of samples condition the trunk. */
typedef struct {
  int pooling;
  Matrix frame;
  const float *frame_bias;
  Stack stack;
  size_t state; /* where its state begins in the state of a stream */
} Context;

/* From frames of local conditioning to rows of samples, or to one row per frame. */
typedef struct {
  int features, channels;
  int frames_before, frames_after;
  int num_factors, *factors;
  int num_convolutions; /* as many as factors, or 1 if the frame's row is repeated or filtered */
  int rows_per_frame; /* the hop length, or 1 if the frame's row is repeated */
  int is_rectified; /* a ReLU after each convolution; otherwise a leaky one between them */
  int reach;        /* frames on each side that filters reach, in place of further convolutions */
  int bands;        /* channels that a filter spans; 0 for an upsampler without filters */
  const float *mean, *scale;
  Matrix *taps;   /* of the first convolution, the oldest frame first */
  Matrix *others; /* of the further ones */
  const float **biases;
  const float **filters; /* of each factor, [2 * factor + 1, bands] */
} Upsampler;

typedef enum { CATEGORICAL, LOGISTIC_MIXTURE, GAUSSIAN_MIXTURE } DistributionKind;

/* How outputs parameterize the next sample. */
typedef struct {
  DistributionKind kind;
  int size; /* codes, or components of the mixture */
  int parameters;
  int silence; /* the code of digital silence */
  int has_absolute_means, is_rounded; /* of a mixture */
  float log_scale_floor;
  float *audio_of_code;
  const float *thresholds; /* smallest audio of each code but the first; NULL for the mu-law */
} Distribution;

/* The start of the state of a stream: its previous values follow, then rings, then contexts. */
typedef struct {
  uint32_t checksum;
  float last_audio; /* before pre-emphasis */
  uint64_t time;
} StateHeader;

/* The start of the state of a context stack: recent samples follow, then its output, then rings. */
typedef struct {
  uint64_t time;
} ContextHeader;

struct wavenet_model {
  wavenet_info info;
  const Kernels *kernels;
  uint32_t checksum;
  Distribution distribution;
  Stack trunk;
  Upsampler upsampler;
  int input_taps, is_input_companded;
  float pre_emphasis, gain; /* the waveform is gain * (audio[t] - pre_emphasis * audio[t - 1]) */
  int num_contexts, num_repeated, global_inputs, speaker_channels;
  int64_t trunk_receptive_field;
  Context *contexts;
  const float *input_kernel, *input_bias; /* [input_taps, codes or 1, residual] */
  const float *speaker_embedding;
  Matrix head, output;
  const float *head_bias, *output_bias;
  size_t history, rings; /* where these begin in the state of a stream */
  void *memory;          /* of all weights */
};

/* Returns whether a matrix has weights. */
static inline int has_weights(const Matrix *matrix) { return matrix->outputs > 0; }

#endif
