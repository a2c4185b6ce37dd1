/* libwavenet: samples audio from a WaveNet that export/native.py wrote. C99, no dependencies.
 *
 * A model is read-only: threads may share it. A workspace is the scratch memory of one call at a
 * time: each thread has one. The state of a stream is plain memory of the caller without pointers:
 * `memcpy` saves, restores and forks it. No function but those that open and make something
 * allocates memory, and none takes a lock.
 */
#ifndef WAVENET_H
#define WAVENET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  WAVENET_OK = 0,
  WAVENET_CANNOT_READ = 1,
  WAVENET_NO_MODEL = 2,
  WAVENET_NO_MEMORY = 3,
  WAVENET_BAD_ARGUMENT = 4,
  WAVENET_BAD_CONDITION = 5,
  WAVENET_BAD_STATE = 6,
  WAVENET_BAD_UNIFORMS = 7,
  WAVENET_NOT_FINITE = 8,
  WAVENET_NO_TARGET = 9
} wavenet_status;

typedef struct wavenet_model wavenet_model;
typedef struct wavenet_workspace wavenet_workspace;

/* What callers need to know about a model. */
typedef struct {
  int32_t sample_rate;         /* in Hz */
  int32_t uniforms_per_sample; /* 1 for mu-law codes, 2 for mixtures */
  int32_t num_speakers;        /* 0 for a model without speakers */
  int32_t global_channels;     /* length of the global conditioning vector; 0 for none */
  int32_t local_channels;      /* channels of a frame of local conditioning; 0 for none */
  int32_t hop_length;          /* samples per frame; 0 for a model without frames */
  int32_t frames_before;       /* frames before its own that a sample depends on */
  int32_t frames_after;        /* frames after its own that a sample depends on */
  int64_t receptive_field;     /* samples that an output depends on, the current one included */
  int64_t state_bytes;         /* size of the state of one stream */
  const char *target;          /* instruction set of the kernels, such as "avx512vnni" */
} wavenet_info;

/* Conditions of a call, a row for each stream; what the model has none of is NULL or 0. */
typedef struct {
  const int32_t *speaker_id;        /* [streams] */
  const float *global_conditioning; /* [streams, global_channels] */
  const float *local_conditioning;  /* [streams, num_frames, local_channels] */
  int64_t num_frames;
  int64_t first_sample; /* index of the first sample of the call, counted from frame 0; before the
                           first frame and after the last one, these are repeated */
} wavenet_conditions;

/* Returns a sentence about a status. */
const char *wavenet_status_text(wavenet_status status);

/* Opens a model file. The model is closed by `wavenet_close`. */
wavenet_status wavenet_open(const char *path, wavenet_model **model);

/* Opens the content of a model file, which may be freed afterwards.
 *
 * target: instruction set of the kernels: "avx512vnni", "avxvnni", "avx2", "simd128" (WebAssembly) or
 *   "portable"; NULL takes the best one that this processor has.
 */
wavenet_status wavenet_open_memory(const void *content, size_t size, const char *target,
                                   wavenet_model **model);

/* Closes a model; NULL is allowed. Its workspaces must not be used any more. */
void wavenet_close(wavenet_model *model);

/* Returns what callers need to know about a model. */
const wavenet_info *wavenet_get_info(const wavenet_model *model);

/* Allocates the scratch memory of calls with up to `max_streams` streams. */
wavenet_status wavenet_new_workspace(const wavenet_model *model, int32_t max_streams,
                                     wavenet_workspace **workspace);

/* Frees a workspace; NULL is allowed. */
void wavenet_free_workspace(wavenet_workspace *workspace);

/* Sets the states of streams to those after digital silence.
 *
 * states: [streams, state_bytes], 8-byte aligned; written. The samples of silence come right before
 *   `first_sample` of the conditions.
 */
wavenet_status wavenet_start(wavenet_workspace *workspace, int32_t streams,
                             const wavenet_conditions *conditions, void *states);

/* Continues streams with given audio, many samples at once.
 *
 * audio: [streams, samples] in [-1, 1].
 * log_likelihood: [streams, samples] in nats, written; NULL leaves it out, which is faster.
 *
 * Models with context stacks count the samples of their frames from the start: a prompt that Keras
 * is to continue likewise is padded with zeros before it, to whole frames of all context stacks.
 */
wavenet_status wavenet_score(wavenet_workspace *workspace, int32_t streams,
                             const wavenet_conditions *conditions, void *states,
                             const float *audio, int64_t samples, float *log_likelihood);

/* Samples the next audio of streams.
 *
 * uniforms: [streams, samples, uniforms_per_sample] in [0, 1).
 * temperature: [streams], 0 or above.
 * audio: [streams, samples] in [-1, 1], written.
 */
wavenet_status wavenet_generate(wavenet_workspace *workspace, int32_t streams,
                                const wavenet_conditions *conditions, void *states,
                                const float *uniforms, const float *temperature, int64_t samples,
                                float *audio);

#ifdef __cplusplus
}
#endif

#endif
