#!/bin/sh
# Builds one fuzzer and runs it from its corpus: run.sh NAME SECONDS [SEED...]. `run.sh list` prints the names.
set -eu
cd "$(dirname "$0")/../.."
names() {
    sed '/^#/d' tests/fuzz/targets | awk '{ print $1 }'
}
if [ "${1:-}" = list ]; then
    names
    exit 0
fi
if [ $# -lt 2 ] || ! names | grep -qx -e "$1"; then
    echo "usage: $0 $(names | paste -sd '|') SECONDS [SEED...]" >&2
    exit 2
fi
name=$1
seconds=$2
shift 2
out=build/fuzz
corpus=$out/corpus-$name
mkdir -p "$corpus"
for seed in "tests/fuzz/corpus/$name"/* "$@"; do
    [ ! -e "$seed" ] || cp -r "$seed" "$corpus/"
done
line=$(sed -n "s/^$name\( \|\$\) *//p" tests/fuzz/targets)
packages=${line#*:}
[ "$packages" != "$line" ] || packages=""
libraries="-lcjson -lm -lpthread ${packages:+$(pkg-config --libs $packages)}"
# shellcheck disable=SC2086 # lists of files and options
clang -std=c11 -g -O1 -DPCRE2_CODE_UNIT_WIDTH=8 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude -Isrc -I. \
    "tests/fuzz/${name}_fuzz.c" src/base/*.c src/ir/dtype.c src/formats/*.c ${line%%:*} $libraries -o "$out/${name}_fuzz"
# A small input that takes 512 MB or 5 seconds is a finding.
exec "$out/${name}_fuzz" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 -max_len=65536 -verbosity="${FUZZ_VERBOSITY:-1}" \
    -artifact_prefix="$out/" "$corpus"
