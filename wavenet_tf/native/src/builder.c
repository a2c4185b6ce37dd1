#include "builder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(Builder *builder, wavenet_status status) {
  if (builder->status == WAVENET_OK) builder->status = status;
}

/* Returns zeroed memory for weights; NULL in the first pass. */
static void *take(Builder *builder, size_t count, size_t size) {
  size_t start = builder->used;
  builder->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return builder->memory ? builder->memory + start : NULL;
}

int allocate(Builder *builder, void **pointer, size_t count, size_t size) {
  if (!*pointer) *pointer = calloc(count ? count : 1, size);
  if (!*pointer) fail(builder, WAVENET_NO_MEMORY);
  return *pointer != NULL;
}

static float float_at(const Tensor *tensor, size_t index) {
  float value;
  memcpy(&value, tensor->data + 4 * index, sizeof value);
  return value;
}

static int32_t integer_at(const Tensor *tensor, size_t index) {
  int32_t value;
  memcpy(&value, tensor->data + 4 * index, sizeof value);
  return value;
}

int get_integer(Builder *builder, const char *name, int lowest, int most) {
  int64_t value = find_integer(builder->file, name, most);
  if (value < lowest) fail(builder, WAVENET_NO_MODEL);
  return value < lowest ? lowest : (int)value;
}

/* Returns a tensor of float32 numbers that are all finite, or NULL. */
static const Tensor *get_floats(Builder *builder, const char *name) {
  const Tensor *tensor = find_tensor(builder->file, name);
  int valid = tensor && tensor->type == TYPE_FLOAT32;
  if (valid && builder->memory) {
    for (size_t i = 0; i < tensor->count; ++i) valid &= isfinite(float_at(tensor, i)) != 0;
  }
  if (!valid) fail(builder, WAVENET_NO_MODEL);
  return valid ? tensor : NULL;
}

float get_float(Builder *builder, const char *name) {
  const Tensor *tensor = get_floats(builder, name);
  return tensor ? float_at(tensor, 0) : 0.0f;
}

const float *read_floats(Builder *builder, const char *name, size_t count) {
  float *values = take(builder, PADDED(count), sizeof *values);
  const Tensor *tensor = get_floats(builder, name);
  if (tensor && tensor->count != count) fail(builder, WAVENET_NO_MODEL);
  if (values && builder->status == WAVENET_OK) memcpy(values, tensor->data, count * sizeof *values);
  return values;
}

int columns_of(Builder *builder, const char *name) {
  const Tensor *tensor = find_tensor(builder->file, name);
  if (tensor && tensor->rank == 2 && tensor->shape[1] <= MOST_CHANNELS) {
    return (int)tensor->shape[1];
  }
  fail(builder, WAVENET_NO_MODEL);
  return 1;
}

int rows_of(Builder *builder, const char *name) {
  const Tensor *tensor = find_tensor(builder->file, name);
  if (tensor && tensor->rank == 2 && tensor->shape[0] <= MOST_CHANNELS) {
    return (int)tensor->shape[0];
  }
  fail(builder, WAVENET_NO_MODEL);
  return 1;
}

int read_integers(Builder *builder, const char *name, int **numbers, int most) {
  const Tensor *tensor = find_tensor(builder->file, name);
  if (!tensor || tensor->type != TYPE_INT32 || tensor->count < 1 || tensor->count > MOST_BLOCKS) {
    fail(builder, WAVENET_NO_MODEL);
    return 0;
  }
  if (!ALLOCATE(builder, *numbers, tensor->count)) return 0;
  for (size_t i = 0; i < tensor->count; ++i) {
    (*numbers)[i] = integer_at(tensor, i);
    if ((*numbers)[i] < 1 || (*numbers)[i] > most) fail(builder, WAVENET_NO_MODEL);
  }
  return (int)tensor->count;
}

/* ------------------------------------------------------------------------------------ Matrices */

/* Calls PACK(position, input, output) for each weight in the order of `Matrix`. */
#define PACK_ALL(lanes, group)                                                           \
  size_t position = 0;                                                                   \
  int vectors = (matrix->outputs + (lanes)-1) / (lanes);                                 \
  for (int first = 0; first < vectors; first += 4) {                                     \
    int width = (vectors - first < 4 ? vectors - first : 4) * (lanes);                   \
    for (int start = 0; start < matrix->inputs; start += (group)) {                      \
      for (int column = 0; column < width; ++column) {                                   \
        for (int member = 0; member < (group); ++member, ++position) {                   \
          int input = start + member, output = first * (lanes) + column;                 \
          if (input < matrix->inputs && output < matrix->outputs) PACK(position, input, output); \
        }                                                                                \
      }                                                                                  \
    }                                                                                    \
  }

static void pack_floats(const Matrix *matrix, const Tensor *tensor, size_t first_input, int lanes,
                        float *packed) {
  const size_t columns = (size_t)matrix->outputs;
#define PACK(position, input, output) \
  packed[position] = float_at(tensor, (first_input + (size_t)(input)) * columns + (size_t)(output))
  PACK_ALL(lanes, 1)
#undef PACK
}

static void pack_bytes(const Matrix *matrix, const Tensor *tensor, size_t first_input,
                       const Kernels *kernels, int8_t *packed, int32_t *offsets) {
  const size_t columns = (size_t)matrix->outputs;
  const int8_t *bytes = (const int8_t *)tensor->data;
#define PACK(position, input, output)                                                   \
  do {                                                                                  \
    packed[position] = bytes[(first_input + (size_t)(input)) * columns + (size_t)(output)]; \
    offsets[output] -= kernels->offset * packed[position];                              \
  } while (0)
  PACK_ALL(kernels->lanes, kernels->group)
#undef PACK
}

void read_rows(Builder *builder, Matrix *matrix, const char *name, size_t rows,
                      size_t first_input, int inputs, int outputs) {
  const Kernels *kernels = builder->model->kernels;
  const Tensor *tensor = find_tensor(builder->file, name);
  if (!tensor || tensor->rank != 2 || tensor->shape[0] != rows ||
      tensor->shape[1] != (size_t)outputs || tensor->type == TYPE_INT32) {
    fail(builder, WAVENET_NO_MODEL);
    return;
  }
  matrix->inputs = inputs;
  matrix->outputs = outputs;
  matrix->is_int8 = tensor->type == TYPE_INT8;
  size_t columns = (size_t)(outputs + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
  if (!matrix->is_int8) {
    float *packed = take(builder, columns * (size_t)inputs, sizeof *packed);
    if (get_floats(builder, name) && packed) {
      pack_floats(matrix, tensor, first_input, kernels->lanes, packed);
    }
    matrix->values = packed;
    return;
  }
  size_t padded = (size_t)(inputs + kernels->group - 1) / kernels->group * kernels->group;
  int8_t *packed = take(builder, columns * padded, sizeof *packed);
  int32_t *offsets = take(builder, PADDED(columns), sizeof *offsets);
  if (packed) pack_bytes(matrix, tensor, first_input, kernels, packed, offsets);
  char scales[80];
  snprintf(scales, sizeof scales, "%s.scales", name);
  matrix->bytes = packed;
  matrix->offsets = offsets;
  matrix->scales = read_floats(builder, scales, (size_t)outputs);
}

void read_matrix(Builder *builder, Matrix *matrix, const char *name, int inputs,
                        int outputs) {
  read_rows(builder, matrix, name, (size_t)inputs, 0, inputs, outputs);
}
