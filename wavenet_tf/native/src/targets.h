/* Compiles the functions of a file for an instruction set: TARGET_BEGIN(...) ... TARGET_END. */
#ifndef WAVENET_TARGETS_H
#define WAVENET_TARGETS_H

#define PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define TARGET_BEGIN(names) \
  PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define TARGET_END PRAGMA(clang attribute pop)
#else
#define TARGET_BEGIN(names) PRAGMA(GCC push_options) PRAGMA(GCC target(names))
#define TARGET_END PRAGMA(GCC pop_options)
#endif

#endif
