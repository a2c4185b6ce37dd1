#!/bin/sh
# Builds libwavenet.wasm with clang, lld and wasi-libc (Debian: clang lld wasi-libc).
set -e
cd "$(dirname "$0")"
source=${1:-../../wavenet_tf/native/src}
[ $# -eq 0 ] || shift
exports="malloc free wavenet_open_memory wavenet_get_info wavenet_new_workspace wavenet_start
wavenet_score wavenet_generate wavenet_status_text"
for name in $exports; do
    set -- "$@" "-Wl,--export=$name"
done
exec ${CC:-clang} --target=wasm32-wasi -mexec-model=reactor -msimd128 -O3 -std=gnu99 \
    -Wl,--strip-all "$@" -o libwavenet.wasm "$source"/*.c -lm
