#!/bin/sh
# Builds one fuzzer and runs it: run.sh safetensors|gguf|hf_config|tokenizer SECONDS [SEED...]
set -eu
[ $# -ge 2 ] || { echo "usage: $0 safetensors|gguf|hf_config|tokenizer SECONDS [SEED...]" >&2; exit 2; }
name=$1
seconds=$2
shift 2
cd "$(dirname "$0")/../.."
out=build/fuzz
mkdir -p "$out/corpus-$name"
for seed in "$@"; do
    cp -r "$seed" "$out/corpus-$name/"
done
sources="src/base/*.c src/ir/dtype.c src/formats/*.c"
libraries="-lcjson -lm -lpthread"
if [ "$name" = tokenizer ]; then
    sources="$sources src/text/*.c"
    libraries="$libraries $(pkg-config --libs libpcre2-8 libutf8proc)"
fi
# shellcheck disable=SC2086 # lists of files and options
clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude -Isrc -I. \
    "tests/fuzz/${name}_fuzz.c" $sources $libraries -o "$out/${name}_fuzz"
exec "$out/${name}_fuzz" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 -max_len=65536 \
    -artifact_prefix="$out/" "$out/corpus-$name"
