/* Samples as an audio device asks for it: a callback fills blocks of 256 samples.
 *
 *     audio_callback model.wn out.wav [seconds] [seed]
 *         [--temperature T] [--speaker ID] [--uniforms FILE]
 *
 * The callback allocates no memory, takes no lock and makes no system call, so that it may run on
 * the thread of an audio device. This program calls it itself, writes the audio to a WAV file, and
 * prints the longest time that a block took, as a part of the time that it lasts.
 *
 * The random numbers come from PCG32 (PCG-XSH-RR 64/32 by M. O'Neill, stream 54); --uniforms reads
 * them from a file of float32 instead, so that audio can be compared with that of
 * wavenet_tf.native, whose generator is another.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wavenet.h"

enum { BLOCK_SIZE = 256, MOST_PER_SAMPLE = 2 };

/* What the callback needs; it is allocated before audio starts. */
typedef struct {
  wavenet_workspace *workspace;
  wavenet_conditions conditions;
  void *state;
  int per_sample;
  float temperature;
  uint64_t random;
  FILE *uniforms_file; /* for tests: reading a file in a callback is no example */
  float uniforms[BLOCK_SIZE * MOST_PER_SAMPLE];
} Voice;

static void fail(const char *message, ...) {
  va_list arguments;
  va_start(arguments, message);
  fputs("audio_callback: ", stderr);
  vfprintf(stderr, message, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static void check(wavenet_status status) {
  if (status) fail("%s", wavenet_status_text(status));
}

static float next_uniform(Voice *voice) {
  uint64_t state = voice->random;
  voice->random = state * 6364136223846793005u + (54u << 1 | 1u);
  uint32_t shifted = (uint32_t)((state >> 18 ^ state) >> 27), rotation = (uint32_t)(state >> 59);
  uint32_t number = shifted >> rotation | shifted << (-rotation & 31u);
  return (float)(number >> 8) * 0x1p-24f;
}

/* Fills a block of audio; returns 0, or a status if the model fails. */
static int callback(Voice *voice, float *audio, int samples) {
  int count = samples * voice->per_sample;
  if (!voice->uniforms_file) {
    for (int i = 0; i < count; ++i) voice->uniforms[i] = next_uniform(voice);
  } else if (fread(voice->uniforms, sizeof(float), (size_t)count, voice->uniforms_file) !=
             (size_t)count) {
    fail("the file of uniforms is too short");
  }
  return wavenet_generate(voice->workspace, 1, &voice->conditions, voice->state, voice->uniforms,
                          &voice->temperature, samples, audio);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void write_number(FILE *file, uint32_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) fputc((int)(number >> 8 * i & 255u), file);
}

static void write_header(FILE *file, uint32_t sample_rate, uint32_t samples) {
  fputs("RIFF", file);
  write_number(file, 36 + 2 * samples, 4);
  fputs("WAVEfmt ", file);
  write_number(file, 16, 4);
  write_number(file, 1, 2); /* PCM */
  write_number(file, 1, 2); /* mono */
  write_number(file, sample_rate, 4);
  write_number(file, 2 * sample_rate, 4);
  write_number(file, 2, 2);
  write_number(file, 16, 2);
  fputs("data", file);
  write_number(file, 2 * samples, 4);
}

static void write_samples(FILE *file, const float *audio, int samples) {
  for (int i = 0; i < samples; ++i) {
    float steps = audio[i] * 32768.0f;
    int step = (int)(steps < 0.0f ? steps - 0.5f : steps + 0.5f);
    write_number(file, (uint32_t)(step > 32767 ? 32767 : step), 2);
  }
}

static double parse(const char *name, const char *word, double lowest, double highest) {
  char *end;
  double number = strtod(word, &end);
  if (!*word || *end || !(number >= lowest && number <= highest)) {
    fail("%s must be a number from %g to %g; received %s", name, lowest, highest, word);
  }
  return number;
}

int main(int count, char **words) {
  const char *paths[4] = {NULL, NULL, "2", "0"}, *uniforms = NULL;
  Voice voice = {.temperature = 1.0f};
  int32_t speaker = -1;
  int num_paths = 0;
  for (int i = 1; i < count; ++i) {
    const char *value = i + 1 < count ? words[i + 1] : "";
    if (!strcmp(words[i], "--temperature")) {
      voice.temperature = (float)parse(words[i++], value, 0.0, 1e3);
    } else if (!strcmp(words[i], "--speaker")) {
      speaker = (int32_t)parse(words[i++], value, 0.0, 1e6);
    } else if (!strcmp(words[i], "--uniforms")) {
      uniforms = value;
      ++i;
    } else if (words[i][0] == '-' || num_paths == 4) {
      fail("unexpected argument %s", words[i]);
    } else {
      paths[num_paths++] = words[i];
    }
  }
  if (num_paths < 2) {
    fail("usage: audio_callback model.wn out.wav [seconds] [seed] [--temperature T] "
         "[--speaker ID] [--uniforms FILE]");
  }
  wavenet_model *model;
  wavenet_status status = wavenet_open(paths[0], &model);
  if (status) fail("%s: %s", paths[0], wavenet_status_text(status));
  const wavenet_info *info = wavenet_get_info(model);
  if (info->global_channels || info->local_channels) {
    fail("the model is conditioned on vectors or frames, which this example does not make");
  }
  if ((speaker >= 0) != (info->num_speakers > 0)) {
    fail(speaker < 0 ? "the model has speakers: choose one with --speaker"
                     : "the model has no speakers");
  }
  if (speaker >= 0) voice.conditions.speaker_id = &speaker;
  double seconds = parse("seconds", paths[2], 1.0 / info->sample_rate, 1e4);
  voice.random = 0x853c49e6748fea9bu + (uint64_t)parse("seed", paths[3], 0.0, 1e15);
  if (uniforms && !(voice.uniforms_file = fopen(uniforms, "rb"))) fail("cannot read %s", uniforms);
  voice.per_sample = info->uniforms_per_sample;
  check(wavenet_new_workspace(model, 1, &voice.workspace));
  voice.state = malloc((size_t)info->state_bytes);
  if (!voice.state) fail("there is not enough memory");
  check(wavenet_start(voice.workspace, 1, &voice.conditions, voice.state));

  FILE *file = fopen(paths[1], "wb");
  if (!file) fail("cannot write %s", paths[1]);
  uint32_t samples = (uint32_t)(seconds * info->sample_rate + 0.5), done = 0;
  write_header(file, (uint32_t)info->sample_rate, samples);
  double longest = 0.0, total = 0.0;
  while (done < samples) {
    float audio[BLOCK_SIZE];
    double started = now();
    check(callback(&voice, audio, BLOCK_SIZE));
    double elapsed = now() - started;
    total += elapsed;
    longest = elapsed > longest ? elapsed : longest;
    uint32_t left = samples - done;
    write_samples(file, audio, left < BLOCK_SIZE ? (int)left : BLOCK_SIZE);
    done += left < BLOCK_SIZE ? left : BLOCK_SIZE;
  }
  if (fclose(file)) fail("cannot write %s", paths[1]);
  double block = (double)BLOCK_SIZE / info->sample_rate;
  printf("%s: %.2f s at %d Hz, real-time factor %.2f, longest block %.0f%% of its time, %s\n",
         paths[1], (double)samples / info->sample_rate, (int)info->sample_rate,
         (double)samples / info->sample_rate / total, 100.0 * longest / block, info->target);
  if (voice.uniforms_file) fclose(voice.uniforms_file);
  free(voice.state);
  wavenet_free_workspace(voice.workspace);
  wavenet_close(model);
  return EXIT_SUCCESS;
}
