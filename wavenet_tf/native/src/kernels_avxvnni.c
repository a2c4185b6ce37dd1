/* Kernels for x86 processors with AVX2, FMA and AVX-VNNI: products of int8 in 32-byte vectors. */
#include "kernels.h"
#include "targets.h"

#ifdef HAS_AVXVNNI

#include <immintrin.h>

static int is_supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("avxvnni");
}

TARGET_BEGIN("avx2,fma,avxvnni")

#define TARGET avxvnni
#define LANES 8
#define GROUP 4
#define OFFSET 128
#define ZERO 128
#define TWO_CHAINS 1
#define MAX_ROWS 3
#define MAX_ROWS_INT8 3

typedef __m256i Sums;
typedef __m256i Weights;
typedef __m256i Input;

INLINE Sums sums_of(int zero) { return _mm256_set1_epi32(zero); }

INLINE Input input_of(const unsigned char *row) {
  int32_t bytes;
  __builtin_memcpy(&bytes, row, sizeof bytes);
  return _mm256_set1_epi32(bytes);
}

INLINE Weights weights_of(const int8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  /* No intrinsic: GCC 12 copies the sums of that one to and fro, which takes 1.6 times as long. */
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(input), "x"(weights));
  return sums;
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
