/* Kernels for x86 processors with AVX-512 and its products of int8. */
#include "kernels.h"
#include "targets.h"

#if defined(__x86_64__)

#include <immintrin.h>

static int is_supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")

#define TARGET avx512vnni
#define LANES 16
#define GROUP 4
#define OFFSET 128
#define ZERO 128
#define TWO_CHAINS 1
#define MAX_ROWS 6
#define MAX_ROWS_INT8 6

typedef __m512i Sums;
typedef __m512i Weights;
typedef __m512i Input;

INLINE Sums sums_of(int zero) { return _mm512_set1_epi32(zero); }

INLINE Input input_of(const unsigned char *row) {
  int32_t bytes;
  __builtin_memcpy(&bytes, row, sizeof bytes);
  return _mm512_set1_epi32(bytes);
}

INLINE Weights weights_of(const int8_t *at) { return _mm512_loadu_si512(at); }

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  /* No intrinsic: GCC 12 copies the sums of that one to and fro, which takes 1.6 times as long. */
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(input), "v"(weights));
  return sums;
}

INLINE Sums add_sums(Sums a, Sums b) { return _mm512_add_epi32(a, b); }

INLINE __attribute__((vector_size(64))) int32_t total_of(Sums sums) {
  typedef int32_t Totals __attribute__((vector_size(64)));
  return (Totals)sums;
}

INLINE __m512 vector_max(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }

#include "kernels_body.h"

TARGET_END

#endif
