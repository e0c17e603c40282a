#!/bin/sh
# scripts/gpu/judge.awk, which says whether a driver's compiler makes of the pipelines what it should: it refuses each thing that
# it is there to refuse, takes what is recorded, and records it.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf 'matmul 1,64 gpt2-64-full,llama-64-lora\nfill - gpt2-64-full\n' >"$work/pipelines"

# statistics CARD WAVES SHARED SCRATCH SPILLS: of the product; the other pipeline is as it should be
statistics() {
    echo "$1 device subgroup=64 driver=test 1.0"
    echo "$1 matmul 1,64 VGPRs=96 Spilled_VGPRs=$5 Spilled_SGPRs=0 LDS_size=$3 Scratch_size=$4 Subgroups_per_SIMD=$2"
    echo "$1 fill - VGPRs=8 Spilled_VGPRs=0 Spilled_SGPRs=0 LDS_size=0 Scratch_size=0 Subgroups_per_SIMD=8"
}

# judge CARD WAVES SHARED SCRATCH SPILLS [awk's options]
judge() {
    card=$1
    statistics "$1" "$2" "$3" "$4" "$5" >"$work/statistics"
    shift 5
    awk -v cards="$card" -v recorded="$work/recorded" -v table="$work/table" -v page="$work/page" "$@" -f scripts/gpu/judge.awk \
        "$work/pipelines" "$work/statistics" >"$work/said" 2>&1
}

takes() {
    judge "$@" || { echo "$*: refused:"; cat "$work/said"; exit 1; }
}

# refuses WORDS CARD ...
refuses() {
    words=$1
    shift
    ! judge "$@" || { echo "$*: taken"; exit 1; }
    grep -qF "$words" "$work/said" || { echo "$*: no '$words' in:"; cat "$work/said"; exit 1; }
}

# new pipelines
: >"$work/recorded"
refuses "matmul:1,64 is new: see --record" navi31 4 32768 0 0
refuses "has 3 of at least 4 waves" navi31 3 0 0 0
refuses "matmul:1,64 is new: see --record" vega10 2 0 0 0
refuses "has 1 of at least 2 waves" vega10 1 0 0 0
refuses "is new, and has 1 spilled registers" navi31 8 0 0 1
refuses "is new, and has 64 bytes of scratch memory" navi31 8 0 64 0
refuses "is new, and has 32772 bytes of shared memory" navi31 8 32772 0 0

# recorded ones
takes navi31 8 1024 0 0 -v anew=1
cp "$work/table" "$work/recorded"
takes navi31 8 1024 0 0
takes navi31 10 4096 0 0
refuses "has 7 waves per SIMD, recorded are 8" navi31 7 1024 0 0
refuses "spills 2 registers, recorded are 0" navi31 8 1024 0 2
refuses "takes 16 bytes of scratch memory, recorded are 0" navi31 8 1024 16 0
echo "navi31 matmul:1,32 8 96 0 0 0" >>"$work/recorded"
refuses "navi31 matmul:1,32 is recorded, and no plan runs it" navi31 8 1024 0 0

# what falls short and is known may not become worse
takes navi31 3 40000 64 2 -v anew=1
cp "$work/table" "$work/recorded"
takes navi31 3 40000 64 2
grep -q '`matmul:1,64` on navi31: 2 spilled registers, 64 bytes of scratch memory, 40000 bytes of shared memory' "$work/page" || {
    echo "the page does not say what falls short"
    cat "$work/page"
    exit 1
}
takes navi31 8 1024 0 0
refuses "spills 3 registers, recorded are 2" navi31 3 40000 64 3
refuses "takes 65 bytes of scratch memory, recorded are 64" navi31 3 40000 65 2
refuses "takes 40001 bytes of shared memory, recorded are 40000" navi31 3 40001 64 2
refuses "has 2 waves per SIMD, recorded are 3" navi31 2 40000 64 2

# a driver that says nothing of a pipeline
statistics navi31 8 0 0 0 | grep -v fill >"$work/statistics"
! awk -v cards=navi31 -v recorded="$work/recorded" -v table="$work/table" -v page="$work/page" -f scripts/gpu/judge.awk \
    "$work/pipelines" "$work/statistics" >"$work/said" || { echo "a missing pipeline was taken"; exit 1; }
grep -q 'navi31 fill: the driver made nothing of it' "$work/said"

# the recorded table is of the pipelines that there are, by the names that the shaders have
awk '!/^#/ { sub(/:.*/, "", $2); print $2 }' scripts/gpu/recorded.tsv | sort -u | while read -r module; do
    grep -q "^TUFF_SHADER($module," shaders/shaders.def || { echo "scripts/gpu/recorded.tsv: there is no shader $module"; exit 1; }
done
