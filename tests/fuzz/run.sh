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
compiler=clang
if command -v ccache >/dev/null 2>&1; then
    compiler="ccache clang" # the fuzzers share most sources
fi
objects=$out/objects-$name
rm -rf "$objects"
mkdir -p "$objects"
# shellcheck disable=SC2086 # lists of files and options
ls "tests/fuzz/${name}_fuzz.c" src/base/*.c src/ir/dtype.c src/formats/*.c ${line%%:*} |
    xargs -P "$(nproc)" -I @ sh -c "$compiler -std=c11 -g -O1 -DPCRE2_CODE_UNIT_WIDTH=8 -fsanitize=fuzzer-no-link,address,undefined \
        -fno-sanitize-recover=all -Iinclude -Isrc -I. -c @ -o $objects/\$(echo @ | tr / -).o"
# shellcheck disable=SC2086
clang -fsanitize=fuzzer,address,undefined "$objects"/*.o $libraries -o "$out/${name}_fuzz"
# A small input that takes 512 MB or 5 seconds is a finding.
exec "$out/${name}_fuzz" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 -max_len=65536 -verbosity="${FUZZ_VERBOSITY:-1}" \
    -artifact_prefix="$out/" "$corpus"
