/* Reads the parts of a model from a file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "builder.h"

static const int64_t MOST_STATE_BYTES = (int64_t)1 << 31;
static const char FORMAT[] = "2";

/* -------------------------------------------------------------------------------------- Stacks */

static const char *named(char *buffer, size_t size, const char *prefix, int index,
                         const char *part) {
  snprintf(buffer, size, "%sblock_%d.%s", prefix, index, part);
  return buffer;
}

/* Reads the taps of a block from `first` to before `last`. */
static void read_taps(Builder *builder, Stack *stack, const char *prefix, int index, int first,
                      int last) {
  char name[64];
  int residual = stack->residual_channels;
  Block *block = &stack->blocks[index];
  if (!ALLOCATE(builder, block->taps, stack->kernel_size)) return;
  for (int tap = first; tap < last; ++tap) {
    read_rows(builder, &block->taps[tap], named(name, sizeof name, prefix, index, "dilated_kernel"),
              (size_t)stack->kernel_size * (size_t)residual, (size_t)tap * (size_t)residual,
              residual, 2 * stack->gate_channels);
  }
}

static void read_block(Builder *builder, Stack *stack, const char *prefix, int index) {
  Block *block = &stack->blocks[index];
  char name[64];
#define NAME(part) named(name, sizeof name, prefix, index, part)
  block->bias = read_floats(builder, NAME("dilated_bias"), 2 * (size_t)stack->gate_channels);
  read_taps(builder, stack, prefix, index, stack->kernel_size - 1, stack->kernel_size);
  if (index + 1 < stack->num_blocks) {
    block->residual_bias =
        read_floats(builder, NAME("residual_bias"), (size_t)stack->residual_channels);
    read_matrix(builder, &block->residual, NAME("residual_kernel"), stack->gate_channels,
                stack->residual_channels);
  }
  read_matrix(builder, &block->skip, NAME("skip_kernel"), stack->gate_channels,
              stack->skip_channels);
#undef NAME
}

/* Reads a stack whose names begin with a prefix. */
static void read_stack(Builder *builder, Stack *stack, const char *prefix) {
  char name[64];
  int *dilations = NULL;
#define NAME(part) (snprintf(name, sizeof name, "%s%s", prefix, part), name)
  stack->kernel_size = get_integer(builder, NAME("kernel_size"), 1, 1024);
  stack->num_blocks = read_integers(builder, NAME("dilations"), &dilations, MOST_DILATION);
  int gates = columns_of(builder, NAME("block_0.dilated_kernel"));
  stack->residual_channels =
      rows_of(builder, NAME("block_0.dilated_kernel")) / stack->kernel_size;
  stack->gate_channels = gates / 2;
  stack->skip_channels = columns_of(builder, NAME("block_0.skip_kernel"));
  if (!stack->gate_channels || !stack->residual_channels) fail(builder, WAVENET_NO_MODEL);
  stack->residual_scale = get_float(builder, NAME("residual_scale"));
#undef NAME
  if (builder->status != WAVENET_OK || !ALLOCATE(builder, stack->blocks, stack->num_blocks)) {
    free(dilations);
    return;
  }
  /* The taps of past samples are multiplied ahead, all blocks after one another. */
  for (int i = 0; i < stack->num_blocks; ++i) {
    stack->blocks[i].dilation = dilations[i];
    read_taps(builder, stack, prefix, i, 0, stack->kernel_size - 1);
  }
  for (int i = 0; i < stack->num_blocks; ++i) read_block(builder, stack, prefix, i);
  free(dilations);
  if (builder->status != WAVENET_OK) return;
  stack->is_int8 = stack->blocks[0].taps[0].is_int8;
  stack->row_bytes = stack->is_int8 ? QUANTIZED_BYTES(stack->residual_channels)
                                    : (size_t)stack->residual_channels * sizeof(float);
  stack->ring_bytes = stack->rows_ahead = 0;
  for (int i = 0; i < stack->num_blocks; ++i) {
    Block *block = &stack->blocks[i];
    /* The rows of one activation have one form for all matrices. */
    if (block->taps[0].is_int8 != stack->is_int8 ||
        (has_weights(&block->residual) && block->residual.is_int8 != block->skip.is_int8)) {
      fail(builder, WAVENET_NO_MODEL);
    }
    block->samples_ahead = 1;
    while (2 * block->samples_ahead <= block->dilation &&
           block->samples_ahead < MOST_SAMPLES_AHEAD) {
      block->samples_ahead *= 2;
    }
    block->first_ahead = stack->rows_ahead;
    stack->rows_ahead += (size_t)block->samples_ahead;
    block->ring = stack->ring_bytes;
    stack->ring_bytes +=
        (size_t)(stack->kernel_size - 1) * (size_t)block->dilation * stack->row_bytes;
    if (stack->ring_bytes > (size_t)MOST_STATE_BYTES) {
      fail(builder, WAVENET_NO_MODEL);
      return;
    }
  }
  stack->ring_bytes = (stack->ring_bytes + 7) / 8 * 8;
}

/* -------------------------------------------------------------------------------- Conditioning */

/* Reads the filters that follow the first convolution of an upsampler. */
static void read_filters(Builder *builder) {
  Upsampler *upsampler = &builder->model->upsampler;
  char name[64];
  upsampler->bands = get_integer(builder, "upsampling_bands", 1, MOST_CHANNELS);
  upsampler->reach = get_integer(builder, "upsampling_reach", 1, MOST_FRAMES_AROUND);
  if (upsampler->reach > upsampler->frames_before ||
      upsampler->frames_before != upsampler->frames_after || upsampler->bands % 2 == 0) {
    fail(builder, WAVENET_NO_MODEL);
  }
  int64_t rows = (int64_t)(2 * upsampler->reach + 1) * upsampler->rows_per_frame;
  if (rows * upsampler->channels > MOST_UPSAMPLED) fail(builder, WAVENET_NO_MODEL);
  if (!ALLOCATE(builder, upsampler->filters, upsampler->num_factors)) return;
  for (int i = 0; i < upsampler->num_factors; ++i) {
    size_t taps = 2 * (size_t)upsampler->factors[i] + 1;
    snprintf(name, sizeof name, "upsampler.filter_%d", i);
    upsampler->filters[i] = read_floats(builder, name, taps * (size_t)upsampler->bands);
  }
}

static void read_upsampler(Builder *builder) {
  wavenet_model *model = builder->model;
  Upsampler *upsampler = &model->upsampler;
  char name[64];
  int repeat = has_text(builder->file, "upsampling", "repeat");
  int stretch = has_text(builder->file, "upsampling", "stretch");
  model->info.local_channels = upsampler->features =
      get_integer(builder, "local_channels", 0, MOST_CHANNELS);
  if (!upsampler->features) return;
  if (!repeat && !stretch && !has_text(builder->file, "upsampling", "learned")) {
    fail(builder, WAVENET_NO_MODEL);
  }
  upsampler->channels = get_integer(builder, "upsampled_channels", 1, MOST_CHANNELS);
  upsampler->frames_before = get_integer(builder, "frames_before", 0, MOST_FRAMES_AROUND);
  upsampler->frames_after = get_integer(builder, "frames_after", 0, MOST_FRAMES_AROUND);
  model->info.frames_before = upsampler->frames_before;
  model->info.frames_after = upsampler->frames_after;
  upsampler->num_factors =
      read_integers(builder, "upsampler.factors", &upsampler->factors, MOST_CHANNELS);
  int64_t hop = 1;
  for (int i = 0; i < upsampler->num_factors && hop <= MOST_CHANNELS; ++i) {
    hop *= upsampler->factors[i];
  }
  if (hop > MOST_CHANNELS) fail(builder, WAVENET_NO_MODEL);
  model->info.hop_length = (int32_t)hop;
  upsampler->rows_per_frame = repeat ? 1 : (int)hop;
  if (stretch) read_filters(builder);
  int convolutions = repeat || stretch ? 1 : upsampler->num_factors;
  int taps = upsampler->frames_before + 1 + upsampler->frames_after - 2 * upsampler->reach;
  if (builder->status != WAVENET_OK || !ALLOCATE(builder, upsampler->taps, taps) ||
      !ALLOCATE(builder, upsampler->others, convolutions) ||
      !ALLOCATE(builder, upsampler->biases, convolutions)) {
    return;
  }
  upsampler->is_rectified = get_integer(builder, "upsampling_rectified", 0, 1);
  upsampler->mean = read_floats(builder, "upsampler.mean", (size_t)upsampler->features);
  upsampler->scale = read_floats(builder, "upsampler.scale", (size_t)upsampler->features);
  upsampler->num_convolutions = convolutions;
  for (int i = 0; i < convolutions; ++i) {
    int64_t outputs = upsampler->channels;
    if (!repeat && !stretch) outputs *= upsampler->factors[i];
    if (outputs > MOST_CHANNELS) {
      fail(builder, WAVENET_NO_MODEL);
      return;
    }
    snprintf(name, sizeof name, "upsampler.kernel_%d", i);
    for (int tap = 0; tap < taps && i == 0; ++tap) {
      read_rows(builder, &upsampler->taps[tap], name, (size_t)taps * (size_t)upsampler->features,
                (size_t)tap * (size_t)upsampler->features, upsampler->features, (int)outputs);
      if (upsampler->taps[tap].is_int8) fail(builder, WAVENET_NO_MODEL);
    }
    if (i > 0) {
      read_matrix(builder, &upsampler->others[i], name, upsampler->channels, (int)outputs);
      if (upsampler->others[i].is_int8) fail(builder, WAVENET_NO_MODEL);
    }
    snprintf(name, sizeof name, "upsampler.bias_%d", i);
    upsampler->biases[i] = read_floats(builder, name, (size_t)outputs);
  }
}

static void read_contexts(Builder *builder) {
  wavenet_model *model = builder->model;
  char name[64], prefix[32];
  model->num_contexts = get_integer(builder, "num_contexts", 0, 64);
  if (!ALLOCATE(builder, model->contexts, model->num_contexts)) return;
  for (int i = 0; i < model->num_contexts && builder->status == WAVENET_OK; ++i) {
    Context *context = &model->contexts[i];
    snprintf(prefix, sizeof prefix, "context_%d.", i);
    snprintf(name, sizeof name, "%spooling", prefix);
    context->pooling = get_integer(builder, name, 1, MOST_DILATION);
    snprintf(name, sizeof name, "%sframe_kernel", prefix);
    int channels = columns_of(builder, name);
    read_matrix(builder, &context->frame, name, context->pooling, channels);
    snprintf(name, sizeof name, "%sframe_bias", prefix);
    context->frame_bias = read_floats(builder, name, (size_t)channels);
    read_stack(builder, &context->stack, prefix);
    snprintf(name, sizeof name, "%sskip_bias", prefix);
    context->stack.skip_bias = read_floats(builder, name, (size_t)context->stack.skip_channels);
    if (context->stack.is_int8 || context->frame.is_int8 ||
        context->stack.residual_channels != channels) {
      fail(builder, WAVENET_NO_MODEL);
    }
  }
}

/* Reads what conditioning adds to the gates of each block. */
static void read_projections(Builder *builder) {
  wavenet_model *model = builder->model;
  Stack *trunk = &model->trunk;
  char part[32], name[64];
  int gates = 2 * trunk->gate_channels, is_learned = model->upsampler.rows_per_frame > 1;
  int has_frames = model->upsampler.features > 0;
  /* A learned upsampler of hop length 1 repeats nothing either, and its rows are the same. */
  model->num_repeated = model->num_contexts + (has_frames && !is_learned);
  for (int i = 0; i < trunk->num_blocks && builder->status == WAVENET_OK; ++i) {
    Block *block = &trunk->blocks[i];
    if (model->global_inputs) {
      read_matrix(builder, &block->global, named(name, sizeof name, "", i, "global_kernel"),
                  model->global_inputs, gates);
      if (block->global.is_int8) fail(builder, WAVENET_NO_MODEL);
    }
    if (!ALLOCATE(builder, block->repeated, model->num_repeated)) return;
    for (int source = 0; source < model->num_contexts + has_frames; ++source) {
      int context = source - has_frames;
      int channels = context < 0 ? model->upsampler.channels
                                 : model->contexts[context].stack.skip_channels;
      int is_upsampled = context < 0 && is_learned;
      Matrix *matrix = is_upsampled ? &block->upsampled : &block->repeated[source - is_learned];
      snprintf(part, sizeof part, "local_kernel_%d", source);
      read_matrix(builder, matrix, named(name, sizeof name, "", i, part), channels, gates);
      if (matrix->is_int8) fail(builder, WAVENET_NO_MODEL);
    }
  }
}

static void read_global_conditioning(Builder *builder) {
  wavenet_model *model = builder->model;
  wavenet_info *info = &model->info;
  info->num_speakers = get_integer(builder, "num_speakers", 0, 1 << 24);
  info->global_channels = get_integer(builder, "global_channels", 0, MOST_CHANNELS);
  if (info->num_speakers) {
    model->speaker_channels = columns_of(builder, "speaker_embedding");
    model->speaker_embedding =
        read_floats(builder, "speaker_embedding",
                    (size_t)info->num_speakers * (size_t)model->speaker_channels);
  }
  model->global_inputs = model->speaker_channels + info->global_channels;
}

/* ---------------------------------------------------------------------------------- Everything */

static void read_distribution(Builder *builder) {
  Distribution *distribution = &builder->model->distribution;
  const File *file = builder->file;
  builder->model->info.uniforms_per_sample =
      has_text(file, "output_distribution", "categorical") ? 1 : 2;
  int is_logistic = has_text(file, "output_distribution", "logistic_mixture");
  int is_gaussian = has_text(file, "output_distribution", "gaussian_mixture");
  if (has_text(file, "output_distribution", "categorical")) {
    distribution->kind = CATEGORICAL;
    distribution->size = get_integer(builder, "quantization_channels", 2, MOST_CHANNELS);
    distribution->parameters = distribution->size;
    distribution->silence = get_integer(builder, "silence", 0, distribution->size - 1);
    if (!ALLOCATE(builder, distribution->audio_of_code, distribution->size)) return;
    if (get_integer(builder, "has_code_table", 0, 1)) {
      size_t codes = (size_t)distribution->size;
      distribution->thresholds = read_floats(builder, "code_thresholds", codes - 1);
      const float *values = read_floats(builder, "code_values", codes);
      for (size_t code = 0; values && code < codes; ++code) {
        distribution->audio_of_code[code] = values[code];
      }
      return;
    }
    double mu = distribution->size - 1.0;
    for (int code = 0; code < distribution->size; ++code) {
      double companded = 2.0 * code / mu - 1.0;
      double size = expm1(fabs(companded) * log1p(mu)) / mu;
      distribution->audio_of_code[code] = (float)(companded < 0.0 ? -size : size);
    }
  } else if (is_logistic || is_gaussian) {
    distribution->kind = is_logistic ? LOGISTIC_MIXTURE : GAUSSIAN_MIXTURE;
    distribution->size = get_integer(builder, "num_mixtures", 1, MOST_CHANNELS / 3);
    distribution->parameters = 3 * distribution->size;
    distribution->has_absolute_means = has_text(file, "mixture_means", "absolute");
    distribution->is_rounded = get_integer(builder, "round_samples", 0, 1);
    distribution->log_scale_floor = get_float(builder, "log_scale_floor");
  } else {
    fail(builder, WAVENET_NO_MODEL);
  }
}

void read_model(Builder *builder) {
  wavenet_model *model = builder->model;
  Stack *trunk = &model->trunk;
  if (!has_text(builder->file, "format", FORMAT)) fail(builder, WAVENET_NO_MODEL);
  model->input_taps = get_integer(builder, "input_taps", 1, 1024);
  model->is_input_companded = get_integer(builder, "compand_input", 0, 1);
  model->info.sample_rate = get_integer(builder, "sample_rate", 1, 1 << 30);
  model->pre_emphasis = get_float(builder, "pre_emphasis");
  model->gain = get_float(builder, "gain");
  if (!(model->pre_emphasis >= 0.0f && model->pre_emphasis < 1.0f && model->gain > 0.0f)) {
    fail(builder, WAVENET_NO_MODEL);
  }
  read_distribution(builder);
  read_global_conditioning(builder);
  read_upsampler(builder);
  read_contexts(builder);
  read_stack(builder, trunk, "");
  if (builder->status != WAVENET_OK) return;
  read_projections(builder);
  int codes = model->distribution.kind == CATEGORICAL ? model->distribution.size : 1;
  int head = columns_of(builder, "head_kernel");
  size_t inputs = (size_t)model->input_taps * (size_t)codes;
  model->input_kernel =
      read_floats(builder, "input_kernel", inputs * (size_t)trunk->residual_channels);
  model->input_bias = read_floats(builder, "input_bias", (size_t)trunk->residual_channels);
  trunk->skip_bias = read_floats(builder, "skip_bias", (size_t)trunk->skip_channels);
  read_matrix(builder, &model->head, "head_kernel", trunk->skip_channels, head);
  model->head_bias = read_floats(builder, "head_bias", (size_t)head);
  read_matrix(builder, &model->output, "output_kernel", head, model->distribution.parameters);
  model->output_bias = read_floats(builder, "output_bias", (size_t)model->distribution.parameters);
}

static int64_t stack_context(const Stack *stack) {
  int64_t context = 0;
  for (int i = 0; i < stack->num_blocks; ++i) {
    context += (int64_t)(stack->kernel_size - 1) * stack->blocks[i].dilation;
  }
  return context;
}

void lay_out_state(Builder *builder) {
  wavenet_model *model = builder->model;
  const Stack *trunk = &model->trunk;
  model->history = sizeof(StateHeader);
  model->rings = model->history + ((size_t)model->input_taps * sizeof(float) + 7) / 8 * 8;
  size_t bytes = model->rings + trunk->ring_bytes;
  model->trunk_receptive_field = model->input_taps + stack_context(trunk);
  int64_t longest = 0;
  for (int i = 0; i < model->num_contexts; ++i) {
    Context *context = &model->contexts[i];
    size_t recent = (size_t)(context->pooling + CONTEXT_DELAY);
    context->state = bytes;
    bytes += sizeof(ContextHeader) + context->stack.ring_bytes;
    bytes += (recent * sizeof(float) + 7) / 8 * 8;
    bytes += PADDED((size_t)context->stack.skip_channels) * sizeof(float);
    int64_t samples =
        (stack_context(&context->stack) + 2) * context->pooling + CONTEXT_DELAY - 1;
    if (samples > longest) longest = samples;
  }
  bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (bytes > (size_t)MOST_STATE_BYTES) fail(builder, WAVENET_NO_MODEL);
  model->info.state_bytes = (int64_t)bytes;
  model->info.receptive_field = model->trunk_receptive_field + longest;
}
