#!/bin/sh
# Builds libwavenet.wasm with clang, lld and wasi-libc (Debian: clang lld wasi-libc).
#
# sh build.sh [folder of the C sources]
set -e
cd "$(dirname "$0")"
sources=${1:-../../wavenet_tf/native/src}
exports=
for name in malloc free wavenet_open_memory wavenet_get_info wavenet_new_workspace wavenet_start \
    wavenet_generate wavenet_status_text; do
    exports="$exports -Wl,--export=$name"
done
exec ${CC:-clang} --target=wasm32-wasi -mexec-model=reactor -msimd128 -O3 -std=gnu99 \
    -Wl,--strip-all $exports -o libwavenet.wasm "$sources"/*.c -lm
