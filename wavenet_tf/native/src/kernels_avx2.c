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
#define MAX_ROWS 3
#define MAX_ROWS_INT8 2

/* Of each output, the sums of the products of two inputs each, side by side. */
typedef struct { __m256i low, high; } Sums;
typedef struct { __m256i low, high; } Weights;
typedef __m256i Input;

INLINE Sums sums_of(int zero) {
  Sums sums = {_mm256_set1_epi32(zero), _mm256_set1_epi32(zero)};
  return sums;
}

INLINE Input input_of(const unsigned char *row) {
  int32_t bytes;
  __builtin_memcpy(&bytes, row, sizeof bytes);
  __m256i words = _mm256_cvtepu8_epi16(_mm_set1_epi32(bytes));
  return _mm256_sub_epi16(words, _mm256_set1_epi16(128));
}

INLINE Weights weights_of(const int8_t *at) {
  Weights weights = {_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)at)),
                     _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(at + 16)))};
  return weights;
}

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(weights.low, input));
  sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(weights.high, input));
  return sums;
}

INLINE Sums add_sums(Sums a, Sums b) {
  a.low = _mm256_add_epi32(a.low, b.low);
  a.high = _mm256_add_epi32(a.high, b.high);
  return a;
}

INLINE __attribute__((vector_size(32))) int32_t total_of(Sums sums) {
  typedef int32_t Totals __attribute__((vector_size(32)));
  __m256i pairs = _mm256_hadd_epi32(sums.low, sums.high);
  return (Totals)_mm256_permute4x64_epi64(pairs, 0xD8);
}

INLINE __m256 vector_max(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }

#include "kernels_body.h"

TARGET_END

#endif
