/* The choice of kernels for a processor. */
#include "kernels.h"

#include <string.h>

const Kernels *find_kernels(const char *name) {
  /* The best ones come first. */
  static const Kernels *const all[] = {
#if defined(__x86_64__)
      &kernels_avx512vnni,
#ifdef HAS_AVXVNNI
      &kernels_avxvnni,
#endif
      &kernels_avx2,
#elif defined(__wasm_simd128__)
      &kernels_simd128,
#endif
      &kernels_portable,
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
    if ((!name || !strcmp(name, all[i]->name)) && all[i]->is_supported()) return all[i];
  }
  return NULL;
}
