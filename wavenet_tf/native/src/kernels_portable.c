/* Kernels in 16-byte vectors, which compilers map to SSE2, NEON or WebAssembly's SIMD. */
#include "kernels.h"

#define TARGET portable
#define LANES 4
#define GROUP 1
#define OFFSET 0
#define MAX_ROWS 3
#define MAX_ROWS_INT8 2

typedef float Floats __attribute__((vector_size(16)));
typedef int8_t Int8x4 __attribute__((vector_size(4), aligned(1), may_alias));
/* Sums of products of int8 are exact in float32, up to a thousand of them. */
typedef Floats Sums;
typedef Floats Weights;
typedef float Input;

INLINE Sums sums_of(int zero) { return (float)zero - (Sums){0}; }
INLINE Input input_of(const unsigned char *row) { return (float)(*row - 128); }
INLINE Weights weights_of(const int8_t *at) {
  return __builtin_convertvector(*(const Int8x4 *)at, Floats);
}
INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  return sums + weights * input;
}
INLINE Sums add_sums(Sums a, Sums b) { return a + b; }

INLINE Floats vector_max(Floats a, Floats b) {
  for (int lane = 0; lane < LANES; ++lane) a[lane] = a[lane] > b[lane] ? a[lane] : b[lane];
  return a;
}

INLINE __attribute__((vector_size(16))) int32_t total_of(Sums sums) {
  typedef int32_t Totals __attribute__((vector_size(16)));
  return __builtin_convertvector(sums, Totals);
}

static int is_supported(void) { return 1; }

#include "kernels_body.h"
