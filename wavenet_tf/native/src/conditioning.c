/* Conditioning of streams: what it adds to the gates of each block. */
#include <math.h>
#include <string.h>

#include "workspace.h"

static int is_finite(const float *values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!isfinite(values[i])) return 0;
  }
  return 1;
}

static int64_t floor_division(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Writes the biases of all blocks with the global conditioning of a stream. */
static void add_global(wavenet_workspace *workspace, int stream,
                       const wavenet_conditions *conditions) {
  const wavenet_model *model = workspace->model;
  const Stack *trunk = &model->trunk;
  const size_t stride = workspace->scratch.gate_stride;
  const int speaker_channels = model->speaker_channels;
  float *vector = workspace->frames, *biases = workspace->streams[stream].constant;
  if (speaker_channels) {
    memcpy(vector,
           model->speaker_embedding +
               (size_t)conditions->speaker_id[stream] * (size_t)speaker_channels,
           (size_t)speaker_channels * sizeof *vector);
  }
  if (model->info.global_channels) {
    size_t channels = (size_t)model->info.global_channels;
    memcpy(vector + speaker_channels, conditions->global_conditioning + (size_t)stream * channels,
           channels * sizeof *vector);
  }
  const void *row = vector;
  for (int b = 0; b < trunk->num_blocks; ++b) {
    float *bias = biases + (size_t)b * stride;
    memcpy(bias, trunk->blocks[b].bias, 2 * (size_t)trunk->gate_channels * sizeof *bias);
    if (model->global_inputs) {
      model->kernels->multiply(&trunk->blocks[b].global, 1, &row, bias, stride);
    }
  }
}

/* Writes the biases with the rows of local conditioning that repeat. */
static void add_repeated(wavenet_workspace *workspace, int stream, unsigned char *state) {
  const wavenet_model *model = workspace->model;
  const size_t stride = workspace->scratch.gate_stride;
  StreamConditioning *conditioning = &workspace->streams[stream];
  memcpy(conditioning->biases, conditioning->constant,
         (size_t)model->trunk.num_blocks * stride * sizeof(float));
  int has_frames = model->num_repeated > model->num_contexts;
  for (int source = 0; source < model->num_repeated; ++source) {
    int context = source - has_frames;
    const void *row = context < 0 ? conditioning->upsampled
                                  : context_output(&model->contexts[context], state);
    for (int b = 0; b < model->trunk.num_blocks; ++b) {
      model->kernels->multiply(&model->trunk.blocks[b].repeated[source], 1, &row,
                               conditioning->biases + (size_t)b * stride, stride);
    }
  }
}

wavenet_status begin_conditioning(wavenet_workspace *workspace, int streams,
                                  const wavenet_conditions *conditions) {
  const wavenet_model *model = workspace->model;
  const wavenet_info *info = &model->info;
  static const wavenet_conditions nothing = {0};
  if (!conditions) conditions = &nothing;
  if (!conditions->speaker_id != !info->num_speakers ||
      !conditions->global_conditioning != !info->global_channels ||
      !conditions->local_conditioning != !info->local_channels) {
    return WAVENET_BAD_CONDITION;
  }
  const int64_t most = INT64_MAX / 4;
  if (info->local_channels &&
      (conditions->num_frames < 1 || conditions->num_frames > most / info->local_channels ||
       conditions->first_sample < -most || conditions->first_sample > most)) {
    return WAVENET_BAD_CONDITION;
  }
  for (int s = 0; s < streams; ++s) {
    if (info->num_speakers &&
        (conditions->speaker_id[s] < 0 || conditions->speaker_id[s] >= info->num_speakers)) {
      return WAVENET_BAD_CONDITION;
    }
    size_t channels = (size_t)info->global_channels;
    if (channels && !is_finite(conditions->global_conditioning + (size_t)s * channels, channels)) {
      return WAVENET_NOT_FINITE;
    }
    StreamConditioning *conditioning = &workspace->streams[s];
    conditioning->has_frame = 0;
    if (info->local_channels) {
      size_t size = (size_t)conditions->num_frames * (size_t)info->local_channels;
      conditioning->frames = conditions->local_conditioning + (size_t)s * size;
      if (!is_finite(conditioning->frames, size)) return WAVENET_NOT_FINITE;
    }
    add_global(workspace, s, conditions);
  }
  return WAVENET_OK;
}

const float *condition_sample(wavenet_workspace *workspace, int stream,
                              const wavenet_conditions *conditions, int64_t sample,
                              unsigned char *state, Value value) {
  const wavenet_model *model = workspace->model;
  StreamConditioning *conditioning = &workspace->streams[stream];
  int has_changed = advance_contexts(workspace, state, value) || !conditioning->has_frame;
  int64_t hop = model->info.hop_length, frame = hop ? floor_division(sample, hop) : 0;
  if (hop && (!conditioning->has_frame || frame != conditioning->frame)) {
    upsample_frame(workspace, conditioning->frames, conditions->num_frames, frame,
                   conditioning->upsampled);
    has_changed = 1;
  }
  conditioning->frame = frame;
  conditioning->has_frame = 1;
  if (has_changed && model->num_repeated) add_repeated(workspace, stream, state);
  if (model->upsampler.rows_per_frame <= 1) return NULL;
  return conditioning->upsampled + (sample - frame * hop) * model->upsampler.channels;
}

int64_t samples_alike(const wavenet_model *model, const unsigned char *state, int64_t sample) {
  int64_t alike = CHUNK;
  if (model->info.hop_length) {
    int64_t hop = model->info.hop_length;
    int64_t left = hop - (sample - floor_division(sample, hop) * hop) - 1;
    if (left < alike) alike = left;
  }
  for (int i = 0; i < model->num_contexts; ++i) {
    const Context *context = &model->contexts[i];
    const ContextHeader *header = (const ContextHeader *)(state + context->state);
    int64_t pooling = context->pooling;
    /* The frame of the next sample, whose index is the number of those processed. */
    int64_t since = (int64_t)(header->time % (uint64_t)pooling) + pooling - CONTEXT_DELAY % pooling;
    int64_t left = (pooling - since % pooling) % pooling;
    if (left < alike) alike = left;
  }
  return alike;
}
