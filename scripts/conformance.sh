#!/bin/sh
# Runs the conformance suite on every device that can be had on this machine and writes docs/conformance.md.
# usage: conformance.sh TUFF [quick|full]
set -eu
tuff=$(realpath "$1")
level=${2:-full}
cd "$(dirname "$0")/.."
page=docs/conformance.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

cat >"$page" <<END
# Conformance

Made by \`scripts/conformance.sh\`, never by hand; level $level, tuff $("$tuff" --version | sed 's/tuff //'). Each case runs forward and backward against a truth in
double precision. Errors are in units of the case's bound: 1 is the limit. How it works: \`include/tuff/conform.h\`; the wrong
kernels that the suite rejects: \`tests/mutants/shaders.tsv\`.

| device | settings | cases | held | worst forward | worst backward | kernel rows | pipelines | seconds |
|---|---|---:|---:|---:|---:|---:|---:|---:|
END

# number NAME: the report's first value of that name
number() {
    sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$work/report.json" | head -1
}

# run SETTINGS [options]: a line of the table
run() {
    settings=$1
    shift
    "$tuff" conform --level "$level" --json "$work/report.json" "$@" >"$work/out" 2>&1 || failed=1
    device=$(sed -n 's/.*"device": "\([^"]*\)", "driver": "\([^"]*\)".*/\1; \2/p' "$work/report.json" | sed 's/; $//')
    cases=$(number cases_run)
    rows=$(sed -n 's/.* \([0-9]* of [0-9]*\) kernel rows reached.*/\1/p' "$work/out")
    LC_ALL=C printf '| %s | %s | %d | %d | %.2f | %.2f | %s | %d | %.0f |\n' "$device" "$settings" "$cases" \
        $((cases - $(number cases_failed))) "$(number worst)" "$(number worst_backward)" "$rows" "$(number pipelines)" \
        "$(number seconds)" | tee -a "$page"
    rm -f "$work/report.json"
}

run "" --device cpu
ONEDNN_MAX_CPU_ISA=AVX2 run "ONEDNN_MAX_CPU_ISA=AVX2" --device cpu
for width in 128 256 512; do
    LP_NATIVE_VECTOR_WIDTH=$width run "LP_NATIVE_VECTOR_WIDTH=$width" --device lavapipe
done
run "one millisecond per submit, dispatches permuted" --device lavapipe --budget 1 --permute 1
for mask in subgroup=none fp16=off,int8=off shared=16384 subgroup=none,fp16=off,int8=off,coopmat=off,shared=16384; do
    run "masked: $(echo "$mask" | sed 's/,/, /g')" --device lavapipe --mask "$mask"
done
if sh scripts/swiftshader.sh build/swiftshader; then
    VK_ICD_FILENAMES=$PWD/build/swiftshader/swiftshader.json run "" --device SwiftShader
else
    echo "SwiftShader could not be had: not run" >&2
    failed=1
fi
exit $failed
