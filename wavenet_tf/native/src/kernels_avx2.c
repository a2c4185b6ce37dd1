/* Kernels for x86 processors with AVX2 and FMA. */
#include "kernels.h"
#include "targets.h"

#if defined(__x86_64__)

#include <immintrin.h>

static int is_supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

TARGET_BEGIN("avx2,fma")

#define TARGET avx2
#define LANES 8
#define GROUP 4
#define OFFSET 0
#define ZERO 0
#define TWO_CHAINS 0
#define MAX_ROWS 3
#define MAX_ROWS_INT8 2

typedef __m256i Sums;
typedef __m256i Weights;
typedef struct { __m256i magnitudes, signs; } Input;

INLINE Sums sums_of(int zero) { return _mm256_set1_epi32(zero); }

INLINE Input input_of(const unsigned char *row) {
  int32_t bytes;
  __builtin_memcpy(&bytes, row, sizeof bytes);
  __m256i signs = _mm256_set1_epi32(bytes);
  Input input = {_mm256_abs_epi8(signs), signs};
  return input;
}

INLINE Weights weights_of(const int8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  /* The instruction multiplies unsigned with signed bytes: the weights take the signs of the inputs.
   * Sums of two products of numbers up to 127 fit 16 bits. */
  __m256i pairs =
      _mm256_maddubs_epi16(input.magnitudes, _mm256_sign_epi8(weights, input.signs));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE Sums add_sums(Sums a, Sums b) { return _mm256_add_epi32(a, b); }

INLINE __attribute__((vector_size(32))) int32_t total_of(Sums sums) {
  typedef int32_t Totals __attribute__((vector_size(32)));
  return (Totals)sums;
}

INLINE __m256 vector_max(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }

#include "kernels_body.h"

TARGET_END

#endif
