/* Kernels in 16-byte vectors, which compilers map to SSE2, NEON or WebAssembly's SIMD. */
#include "kernels.h"

#define TARGET portable
#define LANES 4
#define GROUP 4
#define OFFSET 0
#define ZERO 128
#define TWO_CHAINS 1
#define MAX_ROWS 3
#define MAX_ROWS_INT8 2

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Words __attribute__((vector_size(16)));
typedef uint32_t UnsignedWords __attribute__((vector_size(16)));
typedef int32_t UnalignedWords __attribute__((vector_size(16), aligned(1), may_alias));

/* Sums of products of int8 are exact in float32, up to a thousand of them. */
typedef Floats Sums;
/* Four weights in each word. */
typedef Words Weights;
typedef struct {
  float values[GROUP];
} Input;

INLINE Sums sums_of(int zero) { return (float)zero - (Sums){0}; }

INLINE Input input_of(const unsigned char *row) {
  Input input;
  for (int i = 0; i < GROUP; ++i) input.values[i] = (float)(row[i] - 128);
  return input;
}

INLINE Weights weights_of(const int8_t *at) { return *(const UnalignedWords *)at; }

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  for (int i = 0; i < GROUP; ++i) {
    /* The lowest byte is the first one on little-endian machines, as all of these are. */
    Words weight = (Words)((UnsignedWords)weights << (24 - 8 * i)) >> 24;
    sums += __builtin_convertvector(weight, Floats) * input.values[i];
  }
  return sums;
}

INLINE Sums add_sums(Sums a, Sums b) { return a + b; }

INLINE Floats vector_max(Floats a, Floats b) {
  for (int lane = 0; lane < LANES; ++lane) a[lane] = a[lane] > b[lane] ? a[lane] : b[lane];
  return a;
}

INLINE Words total_of(Sums sums) { return __builtin_convertvector(sums, Words); }

static int is_supported(void) { return 1; }

#include "kernels_body.h"
