/* Samples audio with a TFLite file that export/tflite.py wrote, into a WAV file.
 *
 *     generate model.tflite out.wav [seconds] [seed]
 *         [--temperature T] [--speaker ID] [--uniforms FILE]
 *
 * Without further words 2 seconds with seed 0. The same seed gives the same audio on one machine.
 * A model of several streams fills a channel with each.
 *
 * The random numbers come from PCG32 (PCG-XSH-RR 64/32 by M. O'Neill, stream 54); the upper 24 bits
 * of each make a float in [0, 1). Blocks take them sample by sample, for all streams before the
 * next sample. --uniforms reads them from a file of float32 in the same order instead, so that
 * audio can be compared with that of wavenet_tf.lite, whose generator is another.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check_file.h"

#ifdef LITERT_HEADERS
#include "litert/c/litert_common.h"
#include "litert/c/litert_compiled_model.h"
#include "litert/c/litert_environment.h"
#include "litert/c/litert_model.h"
#include "litert/c/litert_options.h"
#include "litert/c/litert_tensor_buffer.h"
#else
#include "litert_functions.h"
#endif

static const char USAGE[] =
    "usage: generate model.tflite out.wav [seconds] [seed] [--temperature T] [--speaker ID] "
    "[--uniforms FILE]";

enum { WAV_HEADER_SIZE = 44, LOG_NOTHING = 4 };

typedef struct {
  const char *model_path, *output_path, *uniforms_path;
  double seconds, temperature;
  uint64_t seed;
  long speaker; /* -1 for none */
} Arguments;

typedef struct {
  LiteRtParamIndex index;
  LiteRtSignature handle;
  size_t num_inputs, num_outputs;
  LiteRtTensorBuffer *inputs, *outputs;
} Signature;

typedef struct {
  uint8_t *content; /* of the file, which LiteRT goes on reading */
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
  Signature initial_state, generate_block;
  /* Of each output of generate_block, the input that takes it; num_inputs for none. */
  size_t *input_of_output;
  size_t uniforms, temperature, audio; /* places among its inputs and outputs */
  long sample_rate, num_streams, block_size, uniforms_per_sample;
} WaveNet;

typedef struct {
  const char *path;
  FILE *file;
  long sample_rate, num_channels;
  uint64_t num_frames;
} WavFile;

typedef struct {
  uint64_t state;
  const char *path;
  FILE *file; /* the numbers are read from, NULL to draw them */
} Uniforms;

static volatile sig_atomic_t interrupted = 0;

static void interrupt(int number) {
  interrupted = 1;
  signal(number, SIG_DFL); /* the second time ends the program at once */
}

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static _Noreturn void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("generate: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) fail("out of memory");
  return memory;
}

/* ------------------------------------------------------------------------------------ WAV file */

static void put(unsigned char *place, uint32_t value, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) place[i] = (unsigned char)(value >> (8 * i));
}

/* Updates the header for the frames written so far: whatever ends the program, the file can be played. */
static void write_header(WavFile *wav) {
  unsigned char header[WAV_HEADER_SIZE];
  uint32_t frame_size = 2 * (uint32_t)wav->num_channels;
  uint32_t size = (uint32_t)(wav->num_frames * frame_size);
  memcpy(header, "RIFF....WAVEfmt ", 16);
  put(header + 4, WAV_HEADER_SIZE - 8 + size, 4);
  put(header + 16, 16, 4); /* size of the format */
  put(header + 20, 1, 2);  /* PCM */
  put(header + 22, (uint32_t)wav->num_channels, 2);
  put(header + 24, (uint32_t)wav->sample_rate, 4);
  put(header + 28, (uint32_t)wav->sample_rate * frame_size, 4);
  put(header + 32, frame_size, 2);
  put(header + 34, 16, 2); /* bits */
  memcpy(header + 36, "data", 4);
  put(header + 40, size, 4);
  if (fseek(wav->file, 0, SEEK_SET) ||
      fwrite(header, 1, sizeof header, wav->file) < sizeof header ||
      fseek(wav->file, 0, SEEK_END) || fflush(wav->file)) {
    fail("cannot write %s: %s", wav->path, strerror(errno));
  }
}

static WavFile open_wav(const char *path, long sample_rate, long num_channels) {
  WavFile wav = {path, fopen(path, "wb"), sample_rate, num_channels, 0};
  if (!wav.file) fail("cannot write %s: %s", path, strerror(errno));
  write_header(&wav);
  return wav;
}

/* Adds frames of audio [channels, stride] in [-1, 1], in steps of 2^-15; clips what is beyond. */
static void write_wav(WavFile *wav, const float *audio, long stride, long num_frames) {
  for (long frame = 0; frame < num_frames; ++frame) {
    for (long channel = 0; channel < wav->num_channels; ++channel) {
      float value = rintf(audio[channel * stride + frame] * 32768.0f);
      int32_t step = value >= 32767.0f ? 32767 : value > -32768.0f ? (int32_t)value : -32768;
      unsigned char bytes[2];
      put(bytes, (uint32_t)step, 2);
      if (fwrite(bytes, 1, 2, wav->file) < 2) {
        fail("cannot write %s: %s", wav->path, strerror(errno));
      }
    }
  }
  if (fflush(wav->file)) fail("cannot write %s: %s", wav->path, strerror(errno));
  wav->num_frames += (uint64_t)num_frames;
  write_header(wav);
}

/* ------------------------------------------------------------------------------ Random numbers */

static uint32_t pcg32(uint64_t *state) {
  uint64_t old = *state;
  *state = old * 6364136223846793005u + (54u << 1 | 1u);
  uint32_t mixed = (uint32_t)((old >> 18 ^ old) >> 27);
  uint32_t turn = (uint32_t)(old >> 59);
  return mixed >> turn | mixed << (-turn & 31);
}

static Uniforms open_uniforms(const char *path, uint64_t seed, uint64_t num_needed) {
  Uniforms uniforms = {0, path, NULL};
  pcg32(&uniforms.state);
  uniforms.state += seed;
  pcg32(&uniforms.state);
  if (!path) return uniforms;
  uniforms.file = fopen(path, "rb");
  long size = -1;
  if (!uniforms.file || fseek(uniforms.file, 0, SEEK_END) || (size = ftell(uniforms.file)) < 0 ||
      fseek(uniforms.file, 0, SEEK_SET)) {
    fail("cannot read %s: %s", path, strerror(errno));
  }
  if ((uint64_t)size / sizeof(float) < num_needed) {
    fail("%s must hold %llu numbers for whole blocks; it holds %lu", path,
         (unsigned long long)num_needed, (unsigned long)size / sizeof(float));
  }
  return uniforms;
}

static float next_uniform(Uniforms *uniforms) {
  if (!uniforms->file) return (float)(pcg32(&uniforms->state) >> 8) * 0x1p-24f;
  float value;
  if (fread(&value, sizeof value, 1, uniforms->file) < 1) {
    fail("cannot read %s: %s", uniforms->path, strerror(errno));
  }
  if (!(value >= 0.0f && value < 1.0f)) {
    fail("%s must hold float32 numbers in [0, 1); received %g", uniforms->path, (double)value);
  }
  return value;
}

/* --------------------------------------------------------------------------------------- Model */

static void check_litert(LiteRtStatus status, const char *task) {
  if (status != kLiteRtStatusOk) fail("LiteRT cannot %s: status %d", task, (int)status);
}

/* The content of a file; the caller frees it. */
static uint8_t *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  long end = -1;
  if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
    fail("cannot read %s: %s", path, strerror(errno));
  }
  if (end > INT32_MAX) fail("%s is no TFLite file, or is damaged", path);
  uint8_t *bytes = allocate((size_t)end, 1);
  *size = fread(bytes, 1, (size_t)end, file);
  if (ferror(file)) fail("cannot read %s: %s", path, strerror(errno));
  fclose(file);
  return bytes;
}

/* A whole number of the metadata; `missing` for null, or where there is none of the name.
 *
 * `"name": ` is found nowhere else, as quotation marks within a string follow a backslash. */
static long metadata_number(const char *json, const char *name, long missing) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\": ", name);
  const char *place = strstr(json, key);
  if (!place) return missing;
  char *end;
  errno = 0;
  long value = strtol(place + strlen(key), &end, 10);
  return errno || end == place + strlen(key) ? missing : value;
}

static const char *name_of(LiteRtSignature signature, bool is_output, size_t place) {
  const char *name = NULL;
  LiteRtStatus status = is_output ? LiteRtGetSignatureOutputName(signature, place, &name)
                                  : LiteRtGetSignatureInputName(signature, place, &name);
  check_litert(status, "get a tensor's name");
  return name;
}

/* The place among the inputs or outputs of a signature; their number where the name is none. */
static size_t find(const Signature *signature, bool is_output, const char *name) {
  size_t count = is_output ? signature->num_outputs : signature->num_inputs;
  size_t place = 0;
  while (place < count && strcmp(name_of(signature->handle, is_output, place), name)) ++place;
  return place;
}

static bool is_state(const char *name) { return strncmp(name, "state_", 6) == 0; }

static LiteRtRankedTensorType type_of(LiteRtSignature signature, bool is_output, size_t place) {
  LiteRtTensor tensor;
  LiteRtRankedTensorType type;
  check_litert(is_output ? LiteRtGetSignatureOutputTensorByIndex(signature, place, &tensor)
                         : LiteRtGetSignatureInputTensorByIndex(signature, place, &tensor),
               "find a tensor");
  check_litert(LiteRtGetRankedTensorType(tensor, &type), "get a tensor's shape");
  return type;
}

static bool is_shaped(const LiteRtRankedTensorType *type, LiteRtElementType element,
                      unsigned rank) {
  if (type->element_type != element || type->layout.rank != rank) return false;
  for (unsigned i = 0; i < rank; ++i) {
    if (type->layout.dimensions[i] < 1) return false;
  }
  return true;
}

static bool is_same_type(const LiteRtRankedTensorType *a, const LiteRtRankedTensorType *b) {
  return a->element_type == b->element_type && a->layout.rank == b->layout.rank &&
         !memcmp(a->layout.dimensions, b->layout.dimensions,
                 a->layout.rank * sizeof a->layout.dimensions[0]);
}

static LiteRtTensorBuffer new_buffer(const WaveNet *net, const Signature *signature, bool is_output,
                                     size_t place) {
  LiteRtTensorBufferRequirements wanted;
  LiteRtTensorBuffer buffer;
  LiteRtRankedTensorType type = type_of(signature->handle, is_output, place);
  check_litert(is_output ? LiteRtGetCompiledModelOutputBufferRequirements(
                               net->compiled, signature->index, place, &wanted)
                         : LiteRtGetCompiledModelInputBufferRequirements(
                               net->compiled, signature->index, place, &wanted),
               "get a tensor's size");
  check_litert(
      LiteRtCreateManagedTensorBufferFromRequirements(net->environment, &type, wanted, &buffer),
      "allocate a tensor");
  return buffer;
}

static void *lock(LiteRtTensorBuffer buffer, LiteRtTensorBufferLockMode mode) {
  void *address;
  check_litert(LiteRtLockTensorBuffer(buffer, &address, mode), "open a tensor");
  return address;
}

static void run_signature(const WaveNet *net, Signature *signature) {
  check_litert(
      LiteRtRunCompiledModel(net->compiled, signature->index, signature->num_inputs,
                             signature->inputs, signature->num_outputs, signature->outputs),
      "run the model");
}

static bool find_signature(LiteRtModel model, const char *key, Signature *signature) {
  LiteRtParamIndex count = 0;
  check_litert(LiteRtGetNumModelSignatures(model, &count), "count signatures");
  for (signature->index = 0; signature->index < count; ++signature->index) {
    const char *found = NULL;
    check_litert(LiteRtGetModelSignature(model, signature->index, &signature->handle),
                 "find a signature");
    check_litert(LiteRtGetSignatureKey(signature->handle, &found), "get a signature's name");
    if (strcmp(found, key)) continue;
    check_litert(LiteRtGetNumSignatureInputs(signature->handle, &signature->num_inputs),
                 "count tensors");
    check_litert(LiteRtGetNumSignatureOutputs(signature->handle, &signature->num_outputs),
                 "count tensors");
    signature->inputs = allocate(signature->num_inputs, sizeof *signature->inputs);
    signature->outputs = allocate(signature->num_outputs, sizeof *signature->outputs);
    return true;
  }
  return false;
}

/* Refuses what the signatures ask for and this program does not know. */
static void check_inputs(const Signature *signature, const Arguments *arguments) {
  bool knows_speakers = false;
  for (size_t place = 0; place < signature->num_inputs; ++place) {
    const char *name = name_of(signature->handle, false, place);
    if (!strcmp(name, "speaker_id")) {
      knows_speakers = true;
    } else if (!is_state(name) && strcmp(name, "uniforms") && strcmp(name, "temperature")) {
      fail(
          "%s is conditioned on %s: this example is for models without conditioning, or with "
          "speakers; wavenet_tf.lite runs all",
          arguments->model_path, name);
    }
  }
  if (!knows_speakers && arguments->speaker >= 0) {
    fail("--speaker is given, but %s knows no speakers", arguments->model_path);
  }
  if (knows_speakers && arguments->speaker < 0) {
    fail("%s knows speakers: choose one with --speaker", arguments->model_path);
  }
}

static void read_metadata(WaveNet *net, const Arguments *arguments) {
  const void *content;
  size_t size;
  if (LiteRtGetModelMetadata(net->model, "wavenet", &content, &size) != kLiteRtStatusOk ||
      !content) {
    fail("%s is no TFLite file that export/tflite.py wrote: it has no metadata",
         arguments->model_path);
  }
  char *json = allocate(size + 1, 1);
  memcpy(json, content, size);
  net->sample_rate = metadata_number(json, "sample_rate", 0);
  long num_speakers = metadata_number(json, "num_speakers", 0);
  free(json);
  if (net->sample_rate < 1 || net->sample_rate > 1000000) {
    fail("%s is damaged: its metadata hold no sample rate", arguments->model_path);
  }
  if (arguments->speaker >= 0 && num_speakers > 0 && arguments->speaker >= num_speakers) {
    fail("--speaker must be 0 to %ld; received %ld", num_speakers - 1, arguments->speaker);
  }
}

/* Takes the sizes from the shapes of uniforms [streams, block size] or [streams, block size, 2]. */
static void read_shapes(WaveNet *net, const char *path) {
  Signature *block = &net->generate_block;
  net->uniforms = find(block, false, "uniforms");
  net->temperature = find(block, false, "temperature");
  net->audio = find(block, true, "audio");
  if (net->uniforms == block->num_inputs || net->temperature == block->num_inputs ||
      net->audio == block->num_outputs) {
    fail("%s is no TFLite file of a WaveNet: generate_block lacks a tensor", path);
  }
  LiteRtRankedTensorType uniforms = type_of(block->handle, false, net->uniforms);
  LiteRtRankedTensorType temperature = type_of(block->handle, false, net->temperature);
  LiteRtRankedTensorType audio = type_of(block->handle, true, net->audio);
  const int32_t *shape = uniforms.layout.dimensions;
  bool several = is_shaped(&uniforms, kLiteRtElementTypeFloat32, 3);
  if ((!several && !is_shaped(&uniforms, kLiteRtElementTypeFloat32, 2)) ||
      !is_shaped(&temperature, kLiteRtElementTypeFloat32, 1) ||
      !is_shaped(&audio, kLiteRtElementTypeFloat32, 2) || shape[0] > 1024 ||
      temperature.layout.dimensions[0] != shape[0] || audio.layout.dimensions[0] != shape[0] ||
      audio.layout.dimensions[1] != shape[1]) {
    fail("%s is no TFLite file of a WaveNet: generate_block has other shapes", path);
  }
  net->num_streams = shape[0];
  net->block_size = shape[1];
  net->uniforms_per_sample = several ? shape[2] : 1;
}

/* Fills with what no state or audio holds: NaN, or -1 for a class. */
static void mark(LiteRtTensorBuffer buffer) {
  size_t size = 0;
  check_litert(LiteRtGetTensorBufferPackedSize(buffer, &size), "get a tensor's size");
  memset(lock(buffer, kLiteRtTensorBufferLockModeWrite), 0xff, size);
  LiteRtUnlockTensorBuffer(buffer);
}

/* Runs a signature for the first time, and makes sure that it fills its outputs.
 *
 * LiteRT keeps those to itself whose sizes it learns only while it runs, as those of a loop with a
 * TensorArray in it. */
static void run_first(const WaveNet *net, Signature *signature, const char *path) {
  for (size_t i = 0; i < signature->num_outputs; ++i) mark(signature->outputs[i]);
  run_signature(net, signature);
  for (size_t i = 0; i < signature->num_outputs; ++i) {
    const uint32_t *first = lock(signature->outputs[i], kLiteRtTensorBufferLockModeRead);
    if (*first == UINT32_MAX) {
      fail("LiteRT's compiled models cannot run %s: shapes in its loops are not fixed (%s)", path,
           name_of(signature->handle, true, i));
    }
    LiteRtUnlockTensorBuffer(signature->outputs[i]);
  }
}

/* Allocates what generate_block takes and gives; the state twice, to be swapped between blocks. */
static void create_buffers(WaveNet *net, const Arguments *arguments) {
  Signature *block = &net->generate_block, *start = &net->initial_state;
  net->input_of_output = allocate(block->num_outputs, sizeof *net->input_of_output);
  for (size_t i = 0; i < block->num_inputs; ++i) {
    const char *name = name_of(block->handle, false, i);
    block->inputs[i] = new_buffer(net, block, false, i);
    LiteRtRankedTensorType type = type_of(block->handle, false, i);
    for (size_t other = 0; is_state(name) && other < 2; ++other) {
      const Signature *source = other ? start : block;
      size_t place = find(source, true, name);
      LiteRtRankedTensorType given;
      if (place < source->num_outputs) given = type_of(source->handle, true, place);
      if (place == source->num_outputs || !is_same_type(&type, &given)) {
        fail("%s is no TFLite file of a WaveNet: nothing gives %s", arguments->model_path, name);
      }
    }
    if (!strcmp(name, "speaker_id")) {
      size_t size = 0;
      LiteRtGetTensorBufferPackedSize(block->inputs[i], &size);
      if (!is_shaped(&type, kLiteRtElementTypeInt32, 1) ||
          size != (size_t)net->num_streams * sizeof(int32_t)) {
        fail("%s is no TFLite file of a WaveNet: speaker_id has another shape",
             arguments->model_path);
      }
      int32_t *speakers = lock(block->inputs[i], kLiteRtTensorBufferLockModeWrite);
      for (long s = 0; s < net->num_streams; ++s) speakers[s] = (int32_t)arguments->speaker;
      LiteRtUnlockTensorBuffer(block->inputs[i]);
    }
  }
  for (size_t i = 0; i < block->num_outputs; ++i) {
    block->outputs[i] = new_buffer(net, block, true, i);
    const char *name = name_of(block->handle, true, i);
    net->input_of_output[i] = is_state(name) ? find(block, false, name) : block->num_inputs;
  }
  float *temperatures = lock(block->inputs[net->temperature], kLiteRtTensorBufferLockModeWrite);
  for (long s = 0; s < net->num_streams; ++s) temperatures[s] = (float)arguments->temperature;
  LiteRtUnlockTensorBuffer(block->inputs[net->temperature]);
  /* initial_state writes where generate_block reads. */
  for (size_t i = 0; i < start->num_inputs; ++i) {
    size_t place = find(block, false, name_of(start->handle, false, i));
    LiteRtRankedTensorType wanted = type_of(start->handle, false, i), given;
    if (place < block->num_inputs) given = type_of(block->handle, false, place);
    if (place == block->num_inputs || !is_same_type(&wanted, &given)) {
      fail("%s is no TFLite file of a WaveNet: initial_state has other inputs",
           arguments->model_path);
    }
    start->inputs[i] = block->inputs[place];
  }
  for (size_t i = 0; i < start->num_outputs; ++i) {
    size_t place = find(block, false, name_of(start->handle, true, i));
    if (place == block->num_inputs) {
      fail("%s is no TFLite file of a WaveNet: nothing takes %s", arguments->model_path,
           name_of(start->handle, true, i));
    }
    start->outputs[i] = block->inputs[place];
  }
}

static void load(WaveNet *net, const Arguments *arguments) {
  const char *path = arguments->model_path;
  LiteRtEnvOption quiet = {.tag = kLiteRtEnvOptionTagMinLoggerSeverity,
                           .value = {.type = kLiteRtAnyTypeInt, .int_value = LOG_NOTHING}};
  LiteRtOptions options;
  size_t size;
  net->content = read_file(path, &size);
  if (!is_sound(net->content, size)) fail("%s is no TFLite file, or is damaged", path);
  check_litert(LiteRtCreateEnvironment(1, &quiet, &net->environment), "start");
  if (LiteRtCreateModelFromBuffer(net->environment, net->content, size, &net->model) !=
      kLiteRtStatusOk) {
    fail("%s is no TFLite file, or is damaged", path);
  }
  read_metadata(net, arguments);
  if (!find_signature(net->model, "initial_state", &net->initial_state) ||
      !find_signature(net->model, "generate_block", &net->generate_block)) {
    fail("%s is no TFLite file of a WaveNet: it lacks a signature", path);
  }
  check_inputs(&net->generate_block, arguments);
  read_shapes(net, path);
  check_litert(LiteRtCreateOptions(&options), "start");
  check_litert(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu), "start");
  if (LiteRtCreateCompiledModel(net->environment, net->model, options, &net->compiled) !=
      kLiteRtStatusOk) {
    fail("%s is damaged, or this LiteRT cannot run it", path);
  }
  LiteRtDestroyOptions(options);
  create_buffers(net, arguments);
}

/* Samples the next block and returns its audio [streams, block size], open until `unlock_audio`. */
static const float *next_block(WaveNet *net, Uniforms *uniforms, const char *path,
                               double *seconds) {
  Signature *block = &net->generate_block;
  long per_sample = net->uniforms_per_sample;
  float *numbers = lock(block->inputs[net->uniforms], kLiteRtTensorBufferLockModeWrite);
  for (long sample = 0; sample < net->block_size; ++sample) {
    for (long stream = 0; stream < net->num_streams; ++stream) {
      float *place = numbers + (stream * net->block_size + sample) * per_sample;
      for (long i = 0; i < per_sample; ++i) place[i] = next_uniform(uniforms);
    }
  }
  LiteRtUnlockTensorBuffer(block->inputs[net->uniforms]);
  double started = now();
  if (*seconds == 0.0) {
    run_first(net, block, path);
  } else {
    run_signature(net, block);
  }
  *seconds += now() - started;
  /* The new state is what the next block reads; what it read, is written over. */
  for (size_t i = 0; i < block->num_outputs; ++i) {
    size_t input = net->input_of_output[i];
    if (input == block->num_inputs) continue;
    LiteRtTensorBuffer read = block->inputs[input];
    block->inputs[input] = block->outputs[i];
    block->outputs[i] = read;
  }
  return lock(block->outputs[net->audio], kLiteRtTensorBufferLockModeRead);
}

static void unlock_audio(const WaveNet *net) {
  LiteRtUnlockTensorBuffer(net->generate_block.outputs[net->audio]);
}

static void unload(WaveNet *net) {
  Signature *block = &net->generate_block, *start = &net->initial_state;
  for (size_t i = 0; i < block->num_inputs; ++i) LiteRtDestroyTensorBuffer(block->inputs[i]);
  for (size_t i = 0; i < block->num_outputs; ++i) LiteRtDestroyTensorBuffer(block->outputs[i]);
  free(block->inputs);
  free(block->outputs);
  free(start->inputs);
  free(start->outputs);
  free(net->input_of_output);
  LiteRtDestroyCompiledModel(net->compiled);
  LiteRtDestroyModel(net->model);
  LiteRtDestroyEnvironment(net->environment);
  free(net->content);
}

static void check_finite(const float *audio, long count) {
  for (long i = 0; i < count; ++i) {
    if (!isfinite(audio[i])) fail("the model gives audio that holds NaN or infinity");
  }
}

/* ------------------------------------------------------------------------------------- Program */

static double parse_number(const char *name, const char *word, double low) {
  char *end;
  double value = strtod(word, &end);
  if (!*word || *end || !isfinite(value) || value < low) {
    fail("%s must be a number from %g; received %s", name, low, word);
  }
  return value;
}

static unsigned long long parse_whole(const char *name, const char *word, unsigned long long high) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(word, &end, 10);
  if (word[0] < '0' || word[0] > '9' || *end || errno || value > high) {
    fail("%s must be a whole number from 0 to %llu; received %s", name, high, word);
  }
  return value;
}

static Arguments parse(int count, char **words) {
  Arguments arguments = {NULL, NULL, NULL, 2.0, 1.0, 0, -1};
  int num_places = 0;
  for (int i = 1; i < count; ++i) {
    const char *word = words[i];
    if (!strcmp(word, "--help")) {
      puts(USAGE);
      exit(EXIT_SUCCESS);
    }
    if (!strncmp(word, "--", 2)) {
      const char *value = i + 1 < count ? words[++i] : "";
      if (!strcmp(word, "--temperature")) {
        arguments.temperature = parse_number(word, value, 0.0);
      } else if (!strcmp(word, "--speaker")) {
        arguments.speaker = (long)parse_whole(word, value, INT32_MAX);
      } else if (!strcmp(word, "--uniforms")) {
        arguments.uniforms_path = value;
      } else {
        fail("unknown option %s", word);
      }
      continue;
    }
    switch (num_places++) {
      case 0: arguments.model_path = word; break;
      case 1: arguments.output_path = word; break;
      case 2: arguments.seconds = parse_number("seconds", word, 0.0); break;
      case 3: arguments.seed = parse_whole("seed", word, UINT64_MAX); break;
      default: fail("too many arguments: %s", word);
    }
  }
  if (num_places < 2) fail("%s", USAGE);
  return arguments;
}

int main(int count, char **words) {
  double started = now();
  Arguments arguments = parse(count, words);
  WaveNet net = {0};
  load(&net, &arguments);

  double wanted = round(arguments.seconds * (double)net.sample_rate);
  double most = (double)(UINT32_MAX - WAV_HEADER_SIZE) / (2.0 * (double)net.num_streams);
  if (!(wanted >= 1.0 && wanted <= most)) {
    fail("seconds must give at least one sample, and no more than a WAV file holds; received %g",
         arguments.seconds);
  }
  uint64_t num_samples = (uint64_t)wanted, block_size = (uint64_t)net.block_size;
  uint64_t num_blocks = (num_samples + block_size - 1) / block_size;
  Uniforms uniforms = open_uniforms(
      arguments.uniforms_path, arguments.seed,
      num_blocks * block_size * (uint64_t)(net.num_streams * net.uniforms_per_sample));
  WavFile wav = {0};

  signal(SIGINT, interrupt);
  signal(SIGTERM, interrupt);
  run_first(&net, &net.initial_state, arguments.model_path);
  double seconds = 0.0, until_first = 0.0, made = 0.0;
  while (!wav.file || (wav.num_frames < num_samples && !interrupted)) {
    const float *audio = next_block(&net, &uniforms, arguments.model_path, &seconds);
    check_finite(audio, net.num_streams * net.block_size);
    /* Not opened before there is audio: it may replace a file that holds some. */
    if (!wav.file) wav = open_wav(arguments.output_path, net.sample_rate, net.num_streams);
    uint64_t missing = num_samples - wav.num_frames;
    write_wav(&wav, audio, net.block_size, (long)(missing < block_size ? missing : block_size));
    unlock_audio(&net);
    if (made == 0.0) until_first = now() - started;
    made += (double)net.block_size;
  }
  if (fclose(wav.file)) fail("cannot write %s: %s", wav.path, strerror(errno));
  double speed = seconds > 0.0 ? made / seconds : 0.0;
  printf(
      "%s: %.2f s at %ld Hz, %.0f samples/s, real-time factor %.2f, first block %.2f s after the "
      "start%s\n",
      wav.path, (double)wav.num_frames / (double)net.sample_rate, net.sample_rate, speed,
      speed / (double)net.sample_rate, until_first, interrupted ? ", interrupted" : "");
  if (uniforms.file) fclose(uniforms.file);
  unload(&net);
  return interrupted ? 130 : EXIT_SUCCESS;
}
