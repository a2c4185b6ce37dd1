/* The kernels, in vectors of LANES floats. A kernels_*.c file defines TARGET, LANES, GROUP, OFFSET,
 * ZERO (the byte of an activation of 0), TWO_CHAINS (whether sums of int8 products have a latency to
 * hide), MAX_ROWS, is_supported, vector_max and the sums of int8 products, and includes this file.
 */
#include <math.h>
#include <string.h>

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Unsigned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STRING_(a) #a
#define STRING(a) STRING_(a)
#define PANEL_VECTORS 4
/* Bytes of weights that are fetched ahead: a step reads all matrices one after the other. */
#define AHEAD 4096
/* Bytes of a cache line. */
#define LINE 64

INLINE Vector load(const float *from) { return *(const Vector *)from; }
INLINE void store(float *to, Vector value) { *(Vector *)to = value; }
INLINE Vector broadcast(float value) { return value - (Vector){0}; }

/* ------------------------------------------------------------------------------------- Products */

INLINE void multiply_panel(const int vectors, const int rows, int inputs, const float *weights,
                           const void *const *x, float *y, size_t stride) {
  Vector sums[MAX_ROWS][PANEL_VECTORS], odd[PANEL_VECTORS];
  const float *row[MAX_ROWS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    row[r] = x[r];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sums[r][v] = load(y + r * stride + v * LANES);
  }
  int i = 0;
  if (rows == 1) { /* two chains of sums hide the latency of an addition */
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) odd[v] = (Vector){0};
    for (; i + 1 < inputs; i += 2, weights += 2 * vectors * LANES) {
      Vector even_input = broadcast(row[0][i]), odd_input = broadcast(row[0][i + 1]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        __builtin_prefetch((const char *)(weights + v * LANES) + AHEAD);
        __builtin_prefetch((const char *)(weights + (vectors + v) * LANES) + AHEAD);
        sums[0][v] += load(weights + v * LANES) * even_input;
        odd[v] += load(weights + (vectors + v) * LANES) * odd_input;
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sums[0][v] += odd[v];
  }
  for (; i < inputs; ++i, weights += vectors * LANES) {
    Vector input[MAX_ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) input[r] = broadcast(row[r][i]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      Vector weight = load(weights + v * LANES);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) sums[r][v] += weight * input[r];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) store(y + r * stride + v * LANES, sums[r][v]);
  }
}

INLINE void multiply_panel_int8(const int vectors, const int rows, int inputs,
                                const int8_t *weights, const float *scales,
                                const int32_t *offsets, const void *const *x, float *y,
                                size_t stride) {
  Sums sums[MAX_ROWS_INT8][PANEL_VECTORS], odd[PANEL_VECTORS];
  const unsigned char *row[MAX_ROWS_INT8];
  float row_scale[MAX_ROWS_INT8];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    memcpy(&row_scale[r], x[r], sizeof(float));
    row[r] = (const unsigned char *)x[r] + sizeof(float);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sums[r][v] = sums_of(0);
  }
  const int groups = (inputs + GROUP - 1) / GROUP, bytes = vectors * LANES * GROUP;
  int g = 0;
  if (rows == 1 && TWO_CHAINS) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) odd[v] = sums_of(0);
    for (; g + 1 < groups; g += 2, weights += 2 * bytes) {
      Input even_input = input_of(row[0] + g * GROUP);
      Input odd_input = input_of(row[0] + (g + 1) * GROUP);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const int8_t *at = weights + v * LANES * GROUP;
        __builtin_prefetch((const char *)at + AHEAD);
        __builtin_prefetch((const char *)at + bytes + AHEAD);
        sums[0][v] = add_products(sums[0][v], weights_of(at), even_input);
        odd[v] = add_products(odd[v], weights_of(at + bytes), odd_input);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sums[0][v] = add_sums(sums[0][v], odd[v]);
  }
  for (; g < groups; ++g, weights += bytes) {
    Input input[MAX_ROWS_INT8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) input[r] = input_of(row[r] + g * GROUP);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      if (rows == 1 && v * LANES * GROUP % LINE == 0) {
        __builtin_prefetch((const char *)weights + v * LANES * GROUP + AHEAD);
      }
      Weights weight = weights_of(weights + v * LANES * GROUP);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) sums[r][v] = add_products(sums[r][v], weight, input[r]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      Integers total = total_of(sums[r][v]) + *(const Integers *)(offsets + v * LANES);
      float *at = y + r * stride + v * LANES;
      Vector scale = load(scales + v * LANES) * row_scale[r];
      store(at, load(at) + __builtin_convertvector(total, Vector) * scale);
    }
  }
}

/* Calls PANEL(vectors, rows) with both as constants. */
#define ROWS_OF_PANEL(vectors, rows, PANEL)  \
  switch (rows) {                            \
    case 1: PANEL(vectors, 1); break;        \
    case 2: PANEL(vectors, 2); break;        \
    default: PANEL(vectors, MAX_ROWS_OF_PANEL); \
  }
#define CALL_PANEL(vectors, rows, PANEL)                \
  switch (vectors) {                                    \
    case 1: ROWS_OF_PANEL(1, rows, PANEL) break;        \
    case 2: ROWS_OF_PANEL(2, rows, PANEL) break;        \
    case 3: ROWS_OF_PANEL(3, rows, PANEL) break;        \
    default: ROWS_OF_PANEL(4, rows, PANEL)              \
  }

/* The rows of the next call of a panel. */
INLINE int rows_of_call(int rows, int most) { return rows >= most ? most : rows >= 2 ? 2 : 1; }

static void multiply(const Matrix *matrix, int rows, const void *const *x, float *y,
                     size_t stride) {
  const float *weights = matrix->values;
  int vectors = (matrix->outputs + LANES - 1) / LANES;
  for (int first = 0; first < vectors; first += PANEL_VECTORS) {
    int width = vectors - first < PANEL_VECTORS ? vectors - first : PANEL_VECTORS;
    for (int r = 0, count; r < rows; r += count) {
      count = rows_of_call(rows - r, MAX_ROWS);
      float *at = y + r * stride + (size_t)first * LANES;
#define MAX_ROWS_OF_PANEL MAX_ROWS
#define PANEL(v, n) multiply_panel(v, n, matrix->inputs, weights, x + r, at, stride)
      CALL_PANEL(width, count, PANEL)
#undef PANEL
#undef MAX_ROWS_OF_PANEL
    }
    weights += (size_t)matrix->inputs * width * LANES;
  }
}

static void multiply_int8(const Matrix *matrix, int rows, const void *const *x, float *y,
                          size_t stride) {
  const int8_t *weights = matrix->bytes;
  int vectors = (matrix->outputs + LANES - 1) / LANES;
  int groups = (matrix->inputs + GROUP - 1) / GROUP;
  for (int first = 0; first < vectors; first += PANEL_VECTORS) {
    int width = vectors - first < PANEL_VECTORS ? vectors - first : PANEL_VECTORS;
    const float *scales = matrix->scales + first * LANES;
    const int32_t *offsets = matrix->offsets + first * LANES;
    for (int r = 0, count; r < rows; r += count) {
      count = rows_of_call(rows - r, MAX_ROWS_INT8);
      float *at = y + r * stride + (size_t)first * LANES;
#define MAX_ROWS_OF_PANEL MAX_ROWS_INT8
#define PANEL(v, n) \
  multiply_panel_int8(v, n, matrix->inputs, weights, scales, offsets, x + r, at, stride)
      CALL_PANEL(width, count, PANEL)
#undef PANEL
#undef MAX_ROWS_OF_PANEL
    }
    weights += (size_t)groups * GROUP * width * LANES;
  }
}

/* ---------------------------------------------------------------------------------- Activations */

/* Adding it rounds a float to a whole number, which the lowest bits of the sum then hold. */
#define ROUND_TO_INTEGER 12582912.0f

/* exp(x) of x from -87 to 88, right to 2 units in the last place. */
INLINE Vector exponential(Vector x) {
  Vector rounded = x * 1.44269504f + ROUND_TO_INTEGER;
  Vector power = rounded - ROUND_TO_INTEGER;
  /* ln(2) in two parts: the first product is exact. */
  Vector rest = (x - power * 0.693359375f) + power * 2.12194440e-4f;
  /* The Taylor series is right to 2e-8 for |rest| < ln(2) / 2. */
  Vector sum = broadcast(1.0f / 5040.0f);
  sum = sum * rest + 1.0f / 720.0f;
  sum = sum * rest + 1.0f / 120.0f;
  sum = sum * rest + 1.0f / 24.0f;
  sum = sum * rest + 1.0f / 6.0f;
  sum = sum * rest + 0.5f;
  sum = sum * rest + 1.0f;
  sum = sum * rest + 1.0f;
  /* 2**power is added to the exponent. */
  return (Vector)((Unsigned)sum + ((Unsigned)rounded << 23));
}

INLINE Vector limited(Vector x, float limit) {
  return -vector_max(broadcast(-limit), -vector_max(broadcast(-limit), x));
}

static void gate(const float *activation, int channels, float *gated) {
  for (int c = 0; c < channels; c += LANES) {
    /* tanh(f) (1 + tanh(g)) with a single division; tanh(15) is 1 in float32. */
    Vector filter = exponential(2.0f * limited(load(activation + c), 15.0f));
    Vector opening = exponential(2.0f * limited(load(activation + channels + c), 15.0f));
    Vector product = 2.0f * opening * (filter - 1.0f);
    store(gated + c, product / ((filter + 1.0f) * (opening + 1.0f)));
  }
  for (int c = channels; c < PADDED(channels); ++c) gated[c] = 0.0f;
}

static void quantize(const float *x, int count, unsigned char *row) {
  Vector largest = {0};
  for (int i = 0; i < count; i += LANES) {
    Vector value = load(x + i);
    largest = vector_max(largest, vector_max(value, -value));
  }
  float most = 0.0f;
  for (int lane = 0; lane < LANES; ++lane) most = largest[lane] > most ? largest[lane] : most;
  float scale = most / 127.0f;
  float inverse = most > 1e-30f ? 127.0f / most : 0.0f;
  memcpy(row, &scale, sizeof scale);
  for (int i = 0; i < count; i += LANES) {
    Vector rounded = load(x + i) * inverse + (ROUND_TO_INTEGER + ZERO);
    *(Bytes *)(row + sizeof scale + i) = __builtin_convertvector((Unsigned)rounded & 255, Bytes);
  }
}

static void exponentials(const float *logits, int count, float temperature, float *weights) {
  Vector largest = load(logits);
  for (int i = LANES; i < count; i += LANES) largest = vector_max(largest, load(logits + i));
  float most = largest[0];
  for (int lane = 1; lane < LANES; ++lane) most = largest[lane] > most ? largest[lane] : most;
  for (int i = 0; i < count; i += LANES) {
    Vector x = (load(logits + i) - most) / temperature;
    store(weights + i, exponential(vector_max(broadcast(-87.0f), x)));
  }
}

const Kernels JOIN(kernels_, TARGET) = {
    STRING(TARGET), LANES,    GROUP,    OFFSET, is_supported,
    multiply,       multiply_int8, quantize, gate,   exponentials,
};
