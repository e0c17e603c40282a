#!/bin/sh
# What AMD's compiler makes of the pipelines that real plans run (tests/backend/real_plans_test.c), for six generations of cards
# that are not there: registers, spills, scratch, shared memory, waves. Fails on a spill, on scratch memory, on more than 32,768
# bytes of shared memory, on fewer waves than scripts/gpu/recorded.tsv has, and on a new pipeline with fewer than
# scripts/gpu/judge.awk asks for. What falls short today is in the recorded table as it is, and may not become worse.
#
#   gpu-compile.sh [--record] [BUILD]
#
# BUILD: where the tests were built (build/default). --record writes the recorded table and docs/gpu-kernels.md anew.
# The driver is RADV of Debian 13 (scripts/gpu/radv.sh). Exit status 77, with a sentence, where it cannot be had.
set -eu
cd "$(dirname "$0")/.."

record=""
[ "${1:-}" != --record ] || { record=1; shift; }
build=${1:-build/default}
out=build/gpu-compile
# RX 7900, RX 9070, Strix Halo, RX 6800, Vega, RX 580
cards="navi31 gfx1201 gfx1151 navi21 vega10 polaris10"

skip() {
    echo "skipped: gpu-compile: $1"
    exit 77
}

[ -x "$build/tests/real_plans_test" ] || skip "$build/tests/real_plans_test is not built"
sh scripts/gpu/radv.sh fetch || exit $?

rm -rf "$out"
mkdir -p "$out"
TUFF_TEST_PIPELINES="$PWD/$out" "$build/tests/real_plans_test" >"$out/capture.log" 2>&1 || {
    cat "$out/capture.log"
    exit 1
}
${CC:-cc} -std=c11 -O1 -o "$out/statistics" scripts/gpu/statistics.c -ldl || skip "scripts/gpu/statistics.c needs a C compiler and volk"

for card in $cards; do
    sh scripts/gpu/radv.sh $card "$out/statistics" "$out" >"$out/$card.txt" 2>"$out/$card.err" || {
        code=$?
        grep 'cannot be made' "$out/$card.txt" && exit 1
        # 77 says that there is no such device, all else that making a pipeline ended the process
        [ $code -eq 77 ] || { echo "gpu-compile: $card: the compiler ended with status $code"; tail -3 "$out/$card.err"; exit 1; }
        skip "the driver does not know $card ($(tail -1 "$out/$card.err"))"
    }
    # plans were made for a device like this one, or one that has less
    grep -q '^device subgroup=64 shared=65536 workgroup=1024 half=1,[01] byte=1 ' "$out/$card.txt" || {
        echo "gpu-compile: $card is not the device that real_plans_test makes plans for: $(head -1 "$out/$card.txt")"
        exit 1
    }
    sed "s/^/$card /" "$out/$card.txt" >>"$out/all.txt"
done

status=0
awk -v cards="$cards" -v recorded=scripts/gpu/recorded.tsv -v table="$out/recorded.tsv" -v page="$out/page.md" -v anew="$record" \
    -f scripts/gpu/judge.awk "$out/pipelines.txt" "$out/all.txt" || status=1
if [ -n "$record" ]; then
    cp "$out/recorded.tsv" scripts/gpu/recorded.tsv
    cp "$out/page.md" docs/gpu-kernels.md
    echo "gpu-compile: scripts/gpu/recorded.tsv and docs/gpu-kernels.md are written"
fi
exit $status
