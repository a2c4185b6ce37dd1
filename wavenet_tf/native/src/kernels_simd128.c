/* Kernels for WebAssembly with SIMD: int8 products as sums of pairs of products of int16. */
#include "kernels.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>

#define TARGET simd128
#define LANES 4
#define GROUP 2
#define OFFSET 0
#define ZERO 0
#define TWO_CHAINS 1
#define MAX_ROWS 3
#define MAX_ROWS_INT8 2

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Words __attribute__((vector_size(16)));
typedef v128_t Sums;
/* Two weights of int16 in each of four words. */
typedef v128_t Weights;
/* The same two activations in each word. */
typedef v128_t Input;

INLINE Sums sums_of(int zero) { return wasm_i32x4_splat(zero); }

INLINE Input input_of(const unsigned char *row) {
  return wasm_i16x8_extend_low_i8x16(wasm_v128_load16_splat(row));
}

INLINE Weights weights_of(const int8_t *at) { return wasm_i16x8_load8x8(at); }

INLINE Sums add_products(Sums sums, Weights weights, Input input) {
  return wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(weights, input));
}

INLINE Sums add_sums(Sums a, Sums b) { return wasm_i32x4_add(a, b); }

INLINE Floats vector_max(Floats a, Floats b) {
  return (Floats)wasm_f32x4_pmax((v128_t)a, (v128_t)b);
}

INLINE Words total_of(Sums sums) { return (Words)sums; }

static int is_supported(void) { return 1; }

#include "kernels_body.h"
#endif
