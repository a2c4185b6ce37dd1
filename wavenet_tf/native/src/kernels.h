/* Matrix products and functions of activations, compiled for several instruction sets. */
#ifndef WAVENET_KERNELS_H
#define WAVENET_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

#define INLINE static inline __attribute__((always_inline))

/* Compilers that know the instructions of AVX-VNNI. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define HAS_AVXVNNI
#endif

/* Rows of activations are padded to so many floats, the most lanes that a vector has. */
#define PADDING 16
#define PADDED(count) (((count) + (PADDING - 1)) / PADDING * PADDING)

/* A matrix [inputs, outputs] in the order in which the kernels read it.
 *
 * Outputs are padded to whole vectors, and up to four vectors form a panel. A panel holds, for each
 * group of inputs, the weights of all its outputs; those of one output lie side by side.
 */
typedef struct {
  int inputs, outputs;    /* 0 for no matrix */
  int is_int8;
  const float *values;    /* float32 weights */
  const int8_t *bytes;    /* int8 weights */
  const float *scales;    /* of int8 weights, per output */
  const int32_t *offsets; /* of int8 weights: what is added to the product with unsigned inputs */
} Matrix;

/* An activation row that int8 weights are multiplied with: a scale, and bytes as a target reads them. */
#define QUANTIZED_BYTES(count) (sizeof(float) + ((size_t)(count) + 3) / 4 * 4)

typedef struct {
  const char *name;
  int lanes;  /* floats of a vector */
  int group;  /* inputs whose int8 weights lie side by side */
  int offset; /* of unsigned inputs, if the product with int8 weights takes them so */
  int (*is_supported)(void);
  /* y += x W for each row; x has a pointer per row, y has `stride` floats per row. */
  void (*multiply)(const Matrix *matrix, int rows, const void *const *x, float *y, size_t stride);
  void (*multiply_int8)(const Matrix *matrix, int rows, const void *const *x, float *y,
                        size_t stride);
  /* Writes a quantized row of `count` activations; reads and writes whole vectors. */
  void (*quantize)(const float *x, int count, unsigned char *row);
  /* Writes 2 tanh(filter) sigmoid(gate) of filter [channels] and half the gate [channels]. */
  void (*gate)(const float *activation, int channels, float *gated);
  /* Writes exp((logits - largest) / temperature); reads and writes whole vectors. */
  void (*exponentials)(const float *logits, int count, float temperature, float *weights);
} Kernels;

extern const Kernels kernels_portable, kernels_avx2, kernels_avxvnni, kernels_avx512vnni,
    kernels_simd128;

/* Returns the kernels of a name, or the best ones for NULL; NULL if the processor lacks them. */
const Kernels *find_kernels(const char *name);

#pragma GCC visibility pop

#endif
