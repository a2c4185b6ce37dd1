/* Starts, scores and samples streams. */
#include <math.h>
#include <string.h>

#include "distribution.h"
#include "workspace.h"

static unsigned char *state_of(const wavenet_model *model, void *states, int64_t stream) {
  return (unsigned char *)states + stream * model->info.state_bytes;
}

static StateHeader *header_of(unsigned char *state) { return (StateHeader *)state; }

/* --------------------------------------------------------------------------------------- Steps */

/* Writes the output of the input convolution of a row. */
static void convolve_input(const wavenet_model *model, const Value *values, float *signal) {
  const int channels = model->trunk.residual_channels, taps = model->input_taps;
  const Distribution *distribution = &model->distribution;
  memcpy(signal, model->input_bias, PADDED((size_t)channels) * sizeof *signal);
  for (int tap = 0; tap < taps; ++tap) {
    if (distribution->kind == CATEGORICAL) {
      size_t row = (size_t)tap * (size_t)distribution->size + (size_t)values[tap].code;
      const float *kernel = model->input_kernel + row * (size_t)channels;
      for (int c = 0; c < channels; ++c) signal[c] += kernel[c];
    } else {
      const float *kernel = model->input_kernel + (size_t)tap * (size_t)channels;
      const float audio = model->is_input_companded ? companded(distribution, values[tap])
                                                    : values[tap].audio;
      for (int c = 0; c < channels; ++c) signal[c] += audio * kernel[c];
    }
  }
}

static void rectify(float *values, size_t count) {
  for (size_t i = 0; i < count; ++i) values[i] = values[i] > 0.0f ? values[i] : 0.0f;
}

static void repeat_row(const float *row, int count, float *rows, size_t stride) {
  for (int r = 0; r < count; ++r) memcpy(rows + (size_t)r * stride, row, stride * sizeof *rows);
}

/* Writes the outputs of the network from the sums of the skip connections. */
static void run_head(wavenet_workspace *workspace, int count) {
  const wavenet_model *model = workspace->model;
  const Kernels *kernels = model->kernels;
  Scratch *scratch = &workspace->scratch;
  const struct {
    const Matrix *matrix;
    const float *bias;
    float *x, *y;
    size_t x_stride, y_stride;
  } layers[] = {
      {&model->head, model->head_bias, scratch->skips, workspace->hidden, scratch->skip_stride,
       workspace->hidden_stride},
      {&model->output, model->output_bias, workspace->hidden, workspace->outputs,
       workspace->hidden_stride, workspace->output_stride},
  };
  for (int i = 0; i < 2; ++i) {
    rectify(layers[i].x, (size_t)count * layers[i].x_stride);
    repeat_row(layers[i].bias, count, layers[i].y, layers[i].y_stride);
    encode_rows(kernels, layers[i].matrix->is_int8, count, layers[i].matrix->inputs, layers[i].x,
                layers[i].x_stride, workspace->encoded_head, workspace->encoded_head_stride,
                scratch->signal_rows);
    multiply_rows(kernels, layers[i].matrix, count, scratch->signal_rows, layers[i].y,
                  layers[i].y_stride);
  }
}

/* Runs the network on rows; with outputs or, if only the states are of interest, without. */
static void run_rows(wavenet_workspace *workspace, int count, int with_outputs) {
  const wavenet_model *model = workspace->model;
  Scratch *scratch = &workspace->scratch;
  for (int r = 0; r < count; ++r) {
    convolve_input(model, workspace->values[r],
                   scratch->signal + (size_t)r * scratch->signal_stride);
  }
  if (with_outputs) {
    for (int r = 0; r < count; ++r) {
      memcpy(scratch->skips + (size_t)r * scratch->skip_stride, model->trunk.skip_bias,
             PADDED((size_t)model->trunk.skip_channels) * sizeof(float));
    }
  }
  run_stack(model->kernels, &model->trunk, scratch, count, workspace->rows, with_outputs);
  if (with_outputs) run_head(workspace, count);
}

static Row row_of(wavenet_workspace *workspace, int stream, unsigned char *state,
                  const float *upsampled, int rows_before) {
  Row row = {state + workspace->model->rings, header_of(state)->time++, rows_before,
             workspace->streams[stream].biases, upsampled, NULL, 0};
  return row;
}

/* -------------------------------------------------------------------------------------- Checks */

static wavenet_status check_call(const wavenet_workspace *workspace, int32_t streams,
                                 const void *states, int64_t samples) {
  if (!workspace || !states || streams < 1 || streams > workspace->max_streams || samples < 0 ||
      samples > INT64_MAX / 4 / workspace->max_streams || (uintptr_t)states % 8) {
    return WAVENET_BAD_ARGUMENT;
  }
  return WAVENET_OK;
}

static wavenet_status check_states(const wavenet_model *model, int32_t streams, void *states) {
  for (int32_t s = 0; s < streams; ++s) {
    unsigned char *state = state_of(model, states, s);
    if (header_of(state)->checksum != model->checksum) return WAVENET_BAD_STATE;
    if (!isfinite(header_of(state)->last_audio)) return WAVENET_BAD_STATE;
    for (int tap = 0; tap < model->input_taps; ++tap) {
      if (!is_value(&model->distribution, history_of(model, state)[tap])) {
        return WAVENET_BAD_STATE;
      }
    }
  }
  return WAVENET_OK;
}

#define RETURN_IF_WRONG(call)                         \
  do {                                                \
    wavenet_status status_of_call = (call);           \
    if (status_of_call) return status_of_call;        \
  } while (0)

/* -------------------------------------------------------------------------------------- Calls */

static void push_value(const wavenet_model *model, unsigned char *state, Value value) {
  Value *history = history_of(model, state);
  const int taps = model->input_taps;
  memmove(history, history + 1, (size_t)(taps - 1) * sizeof *history);
  history[taps - 1] = value;
}

/* Processes rows of one stream whose values are known: `count` of them, alike in conditioning. */
typedef struct {
  wavenet_workspace *workspace;
  const wavenet_conditions *conditions;
  int stream;
  unsigned char *state;
} Call;

/* Returns a sample of the network's waveform, which has pre-emphasis and gain, from audio. */
static float emphasize(const wavenet_model *model, unsigned char *state, float audio) {
  StateHeader *header = header_of(state);
  float waveform = model->gain * (audio - model->pre_emphasis * header->last_audio);
  header->last_audio = audio;
  return waveform;
}

/* Returns a sample of audio from the network's waveform, without its pre-emphasis and gain. */
static float deemphasize(const wavenet_model *model, unsigned char *state, float waveform) {
  StateHeader *header = header_of(state);
  header->last_audio = waveform / model->gain + model->pre_emphasis * header->last_audio;
  return fminf(fmaxf(header->last_audio, -1.0f), 1.0f);
}

/* Advances a stream by a chunk of given values; returns how many, at most `most`.
 *
 * values: of `most` samples that follow; silence if NULL.
 * sample: index of the first one, counted from the first frame.
 */
static int run_chunk(const Call *call, const float *audio, int64_t most, int64_t sample,
                     int with_outputs) {
  wavenet_workspace *workspace = call->workspace;
  const wavenet_model *model = workspace->model;
  const int taps = model->input_taps;
  Value *window = workspace->window;
  memcpy(window, history_of(model, call->state), (size_t)taps * sizeof *window);
  const float *upsampled = condition_sample(workspace, call->stream, call->conditions, sample,
                                            call->state, window[taps - 1]);
  int64_t alike = 1 + samples_alike(model, call->state, sample);
  int count = (int)(alike < most ? alike : most);
  if (count > CHUNK) count = CHUNK;
  for (int i = 0; i < count; ++i) {
    window[taps + i] =
        audio ? encode(&model->distribution, emphasize(model, call->state, audio[i]))
              : silence(&model->distribution);
    if (i) advance_contexts(workspace, call->state, window[taps - 1 + i]);
    workspace->values[i] = window + i;
    const float *row = upsampled ? upsampled + i * model->upsampler.channels : NULL;
    workspace->rows[i] = row_of(workspace, call->stream, call->state, row, i);
  }
  run_rows(workspace, count, with_outputs);
  memcpy(history_of(model, call->state), window + count, (size_t)taps * sizeof *window);
  return count;
}

wavenet_status wavenet_start(wavenet_workspace *workspace, int32_t streams,
                             const wavenet_conditions *conditions, void *states) {
  RETURN_IF_WRONG(check_call(workspace, streams, states, 0));
  const wavenet_model *model = workspace->model;
  RETURN_IF_WRONG(begin_conditioning(workspace, streams, conditions));
  const int64_t first = conditions && conditions->local_conditioning ? conditions->first_sample : 0;
  for (int32_t s = 0; s < streams; ++s) {
    unsigned char *state = state_of(model, states, s);
    memset(state, 0, (size_t)model->info.state_bytes);
    header_of(state)->checksum = model->checksum;
    const Value silent = silence(&model->distribution);
    for (int tap = 0; tap < model->input_taps; ++tap) push_value(model, state, silent);
    /* Samples before the receptive field of the trunk are for its context stacks only. */
    for (int64_t i = model->trunk_receptive_field; i < model->info.receptive_field; ++i) {
      advance_contexts(workspace, state, silent);
    }
    Call call = {workspace, conditions, s, state};
    for (int64_t left = model->trunk_receptive_field - 1; left > 0;) {
      left -= run_chunk(&call, NULL, left, first - left, 0);
    }
  }
  return WAVENET_OK;
}

wavenet_status wavenet_score(wavenet_workspace *workspace, int32_t streams,
                             const wavenet_conditions *conditions, void *states,
                             const float *audio, int64_t samples, float *log_likelihoods) {
  RETURN_IF_WRONG(check_call(workspace, streams, states, samples));
  if (!audio) return WAVENET_BAD_ARGUMENT;
  const wavenet_model *model = workspace->model;
  for (int64_t i = 0; i < streams * samples; ++i) {
    if (!isfinite(audio[i])) return WAVENET_NOT_FINITE;
  }
  RETURN_IF_WRONG(check_states(model, streams, states));
  RETURN_IF_WRONG(begin_conditioning(workspace, streams, conditions));
  const int64_t first = conditions && conditions->local_conditioning ? conditions->first_sample : 0;
  const int taps = model->input_taps;
  for (int32_t s = 0; s < streams; ++s) {
    Call call = {workspace, conditions, s, state_of(model, states, s)};
    for (int64_t done = 0; done < samples;) {
      const float *from = audio + s * samples + done;
      int count = run_chunk(&call, from, samples - done, first + done, log_likelihoods != NULL);
      for (int i = 0; i < count && log_likelihoods; ++i) {
        const Value *value = workspace->window + taps + i;
        log_likelihoods[s * samples + done + i] = log_likelihood(
            model->kernels, &model->distribution,
            workspace->outputs + (size_t)i * workspace->output_stride, value[-1], value[0],
            workspace->probabilities);
      }
      done += count;
    }
  }
  return WAVENET_OK;
}

wavenet_status wavenet_generate(wavenet_workspace *workspace, int32_t streams,
                                const wavenet_conditions *conditions, void *states,
                                const float *uniforms, const float *temperature, int64_t samples,
                                float *audio) {
  RETURN_IF_WRONG(check_call(workspace, streams, states, samples));
  if (!uniforms || !temperature || !audio) return WAVENET_BAD_ARGUMENT;
  const wavenet_model *model = workspace->model;
  const int per_sample = model->info.uniforms_per_sample;
  for (int64_t i = 0; i < streams * samples * per_sample; ++i) {
    if (!(uniforms[i] >= 0.0f && uniforms[i] < 1.0f)) return WAVENET_BAD_UNIFORMS;
  }
  for (int32_t s = 0; s < streams; ++s) {
    if (!(temperature[s] >= 0.0f && isfinite(temperature[s]))) return WAVENET_BAD_ARGUMENT;
  }
  RETURN_IF_WRONG(check_states(model, streams, states));
  RETURN_IF_WRONG(begin_conditioning(workspace, streams, conditions));
  const int64_t first = conditions && conditions->local_conditioning ? conditions->first_sample : 0;
  const int last = model->input_taps - 1;
  for (int64_t i = 0; i < samples; ++i) {
    for (int32_t s = 0; s < streams; ++s) {
      unsigned char *state = state_of(model, states, s);
      workspace->values[s] = history_of(model, state);
      const float *upsampled = condition_sample(workspace, s, conditions, first + i, state,
                                                workspace->values[s][last]);
      workspace->rows[s] = row_of(workspace, s, state, upsampled, 0);
      workspace->rows[s].is_first = i == 0;
      if (streams <= MOST_STREAMS_AHEAD) workspace->rows[s].ahead = workspace->streams[s].ahead;
    }
    run_rows(workspace, streams, 1);
    for (int32_t s = 0; s < streams; ++s) {
      int64_t index = s * samples + i;
      Value value = draw(model->kernels, &model->distribution,
                         workspace->outputs + (size_t)s * workspace->output_stride,
                         workspace->values[s][last], uniforms + index * per_sample,
                         temperature[s], workspace->probabilities);
      unsigned char *state = state_of(model, states, s);
      push_value(model, state, value);
      audio[index] = deemphasize(model, state, decode(&model->distribution, value));
    }
  }
  return WAVENET_OK;
}
