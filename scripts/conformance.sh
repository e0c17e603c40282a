#!/bin/sh
# Runs the conformance suite on every device that can be had on this machine and writes a page of what it found.
# usage: conformance.sh TUFF [quick|full [PAGE]]        PAGE: docs/conformance.md
# ELSEWHERE: a command that runs tuff where there is another Vulkan driver, without the verb: "chroot DIRECTORY /tmp/tuff".
set -eu
tuff=$(realpath "$1")
level=${2:-full}
cd "$(dirname "$0")/.."
page=${3:-docs/conformance.md}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=0

cat >"$work/page" <<END
# Conformance

Made by \`scripts/conformance.sh\`, never by hand; level $level, tuff $("$tuff" --version | sed 's/tuff //'), commit $(git rev-parse --short HEAD). Cases and kernels that came later are not in it:
how many there are now is in \`tests/backend/conform_floor.h\`. Each case runs forward and backward against a truth in double precision. Errors are in units of the case's bound: 1 is the limit. How it works: \`include/tuff/conform.h\`; the wrong
kernels that the suite rejects: \`tests/mutants/shaders.tsv\`. Two rows were made at a time, so seconds are those of a busy machine.

| device | settings | cases | held | worst forward | worst backward | kernel rows | not for it | pipelines | seconds |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
END

# The masks, as the help lists them: a line with the name and what it is like, a line with its settings.
masks() {
    "$tuff" conform --help | sed -n '/^Masks:/,/^$/p' | sed '1d; $d'
}

# number NAME: the value of that name in the record's last line about the device, its totals
number() {
    sed -n "/^{\"record\": \"end\"/s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$here/report.json" | head -1
}

# row HERE SETTINGS [options]: makes a line of the table in directory HERE
row() {
    here=$1
    settings=$2
    shift 2
    ${command:-"$tuff"} conform --level "$level" --json - "$@" >"$here/report.json" 2>"$here/err" || : >"$here/failed"
    if ! grep -q '"cases_run"' "$here/report.json"; then
        echo "$settings $*: $(head -1 "$here/err")" >&2
        : >"$here/failed"
        return
    fi
    device=$(sed -n 's/.*"device": "\([^"]*\)", "driver": "\([^"]*\)".*/\1; \2/p' "$here/report.json" | sed 's/; $//')
    cases=$(number cases_run)
    kernels="$(number kernels_used) of $(number kernels_fit) | $(number kernels_other)"
    LC_ALL=C printf '| %s | %s | %d | %d | %.2f | %.2f | %s | %d | %.0f |\n' "$device" "$settings" "$cases" \
        $((cases - $(number cases_failed))) "$(number worst)" "$(number worst_backward)" "$kernels" "$(number pipelines)" \
        "$(number seconds)" | tee "$here/line"
    sed -n 's/.*"rerun": "\([^"]*\)".*/\1/p' "$here/report.json" >&2
}

# run SETTINGS [options]: the next row of the table. Two are made at a time, for a driver compiles shaders on one processor.
run() {
    rows=$((rows + 1))
    mkdir "$work/$rows"
    row "$work/$rows" "$@" &
    if [ $((rows % 2)) -eq 0 ]; then
        wait
    fi
}

run "" --device cpu
ONEDNN_MAX_CPU_ISA=AVX2 run "ONEDNN_MAX_CPU_ISA=AVX2" --device cpu
for width in 128 256 512; do
    LP_NATIVE_VECTOR_WIDTH=$width run "LP_NATIVE_VECTOR_WIDTH=$width" --device lavapipe
done
run "one millisecond per submit, dispatches permuted" --device lavapipe --budget 1 --permute 1
for mask in $(masks | awk 'NR % 2 == 1 { print $1 }'); do
    run "masked: $mask" --device lavapipe --mask "$mask"
done
if [ -n "${ELSEWHERE:-}" ]; then
    command=$ELSEWHERE
    run "" --device lavapipe
    command=
fi
if sh scripts/swiftshader.sh build/swiftshader; then
    export VK_ICD_FILENAMES="$PWD/build/swiftshader/swiftshader.json"
    run "" --device SwiftShader
else
    echo "SwiftShader could not be had: not run" >&2
    : >"$work/failed"
fi
wait
for line in $(seq "$rows"); do
    cat "$work/$line/line" 2>/dev/null >>"$work/page" || true
done

cat >>"$work/page" <<END

The masks:

| name | like | settings |
|---|---|---|
END
masks | awk 'NR % 2 == 1 { name = $1; sub(/^ *[^ ]+ +/, ""); like = $0; next }
    { print "| " name " | " like " | `" $1 "` |" }' >>"$work/page"
cp "$work/page" "$page"
[ -z "$(find "$work" -name failed)" ]
