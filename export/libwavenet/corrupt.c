/* Corrupts a model file in random ways, opens it, and samples if it opens.
 *
 *     corrupt model.wn [seconds] [seed]
 *
 * It tries 20 files at least. Nothing must crash: run it with sanitizers (-DSANITIZE=ON). Half of the copies get a right
 * checksum again, so that what comes after this check is reached. States are corrupted too.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wavenet.h"

enum { SAMPLES = 40, MOST_STREAMS = 3, MOST_FRAMES = 10, MOST_CHANNELS = 1000, HEADER_START = 8,
       FEWEST_FILES = 20 };

static uint64_t random_state;

static uint32_t random_below(uint32_t limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 33) % limit);
}

static float random_float(void) { return (float)random_below(1 << 20) / (1 << 20); }

/* Writes the CRC-32 of a file into the digits that follow "crc32":" in its header. */
static void repair_checksum(unsigned char *content, size_t size) {
  static const char name[] = "\"crc32\":\"";
  for (size_t i = 0; i + sizeof name + 8 < size; ++i) {
    if (memcmp(content + i, name, sizeof name - 1)) continue;
    unsigned char *digits = content + i + sizeof name - 1;
    memset(digits, '0', 8);
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t j = 0; j < size; ++j) {
      crc ^= content[j];
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    for (int d = 0; d < 8; ++d) digits[d] = (unsigned char)"0123456789abcdef"[~crc >> (28 - 4 * d) & 15];
    return;
  }
}

static size_t corrupt(unsigned char *content, size_t size) {
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i) header = header << 8 | content[i];
  uint32_t end = (uint32_t)(header + HEADER_START);
  for (uint32_t changes = 1 + random_below(4); changes; --changes) {
    uint32_t place = random_below(3) ? random_below(end) : random_below((uint32_t)size);
    switch (random_below(5)) {
      case 0: content[place] ^= (unsigned char)(1u << random_below(8)); break;
      case 1: content[place] = (unsigned char)"0123456789[]{},:\""[random_below(17)]; break;
      case 2: content[place] = (unsigned char)random_below(256); break;
      case 3: { /* a part moves over another one */
        uint32_t from = random_below(end), length = random_below(40);
        if (from + length < size && place + length < size) {
          memmove(content + place, content + from, length);
        }
        break;
      }
      default:
        if (!random_below(8)) return place;
    }
  }
  return size;
}

/* Starts, scores and samples streams; the second time with a corrupted state. */
static void use(const wavenet_model *model) {
  const wavenet_info *info = wavenet_get_info(model);
  if (info->state_bytes > 1 << 18 || info->receptive_field > 2000) return;
  if (info->local_channels > MOST_CHANNELS || info->global_channels > MOST_CHANNELS) return;
  int streams = 1 + (int)random_below(MOST_STREAMS);
  int32_t speakers[MOST_STREAMS] = {0};
  static float numbers[MOST_STREAMS * MOST_FRAMES * MOST_CHANNELS];
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) numbers[i] = random_float();
  wavenet_conditions conditions = {
      info->num_speakers ? speakers : NULL,
      info->global_channels ? numbers : NULL,
      info->local_channels ? numbers : NULL,
      info->local_channels ? 1 + random_below(MOST_FRAMES) : 0,
      (int64_t)random_below(200) - 100,
  };
  float temperature[MOST_STREAMS] = {1.0f, 0.5f, 0.0f}, audio[SAMPLES * MOST_STREAMS];
  unsigned char *states = calloc((size_t)streams, (size_t)info->state_bytes);
  wavenet_workspace *workspace = NULL;
  if (wavenet_new_workspace(model, streams, &workspace) == WAVENET_OK && states) {
    wavenet_start(workspace, streams, &conditions, states);
    for (int round = 0; round < 2; ++round) {
      wavenet_score(workspace, streams, &conditions, states, numbers, SAMPLES, audio);
      wavenet_generate(workspace, streams, &conditions, states, numbers, temperature, SAMPLES,
                       audio);
      uint32_t bytes = (uint32_t)(streams * info->state_bytes);
      for (int i = 0; i < 20; ++i) states[random_below(bytes)] = (unsigned char)random_below(256);
    }
  }
  wavenet_free_workspace(workspace);
  free(states);
}

int main(int count, char **words) {
  if (count < 2) {
    fputs("usage: corrupt model.wn [seconds] [seed]\n", stderr);
    return EXIT_FAILURE;
  }
  double seconds = count > 2 ? atof(words[2]) : 10.0;
  random_state = count > 3 ? strtoull(words[3], NULL, 10) : 0;
  FILE *file = fopen(words[1], "rb");
  if (!file || fseek(file, 0, SEEK_END)) {
    fprintf(stderr, "corrupt: cannot read %s\n", words[1]);
    return EXIT_FAILURE;
  }
  size_t size = (size_t)ftell(file);
  unsigned char *original = malloc(size);
  rewind(file);
  if (fread(original, 1, size, file) != size) return EXIT_FAILURE;
  fclose(file);
  long tried = 0, opened = 0;
  for (time_t end = time(NULL) + (time_t)seconds; time(NULL) < end || tried < FEWEST_FILES; ++tried) {
    unsigned char *copy = malloc(size); /* of its own, so that reading beyond it is found */
    memcpy(copy, original, size);
    size_t left = tried ? corrupt(copy, size) : size;
    unsigned char *exact = malloc(left ? left : 1);
    memcpy(exact, copy, left);
    free(copy);
    if (random_below(2)) repair_checksum(exact, left);
    static const char *const targets[] = {NULL, "avx2", "avxvnni", "portable"};
    wavenet_model *model;
    if (wavenet_open_memory(exact, left, targets[random_below(4)], &model) == WAVENET_OK) {
      ++opened;
      use(model);
      wavenet_close(model);
    }
    free(exact);
  }
  free(original);
  printf("%ld files, of which %ld opened\n", tried, opened);
  return EXIT_SUCCESS;
}
