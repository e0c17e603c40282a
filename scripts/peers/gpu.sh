#!/bin/sh
# Tuff on this machine's GPU, and PyTorch beside it where that is there: which driver was found, the conformance suite, what
# memory and arithmetic do, what the driver makes of the kernels, training and texts of models that are drawn at random. It needs
# no network and nothing installed, and takes less than 8 minutes.
#
#   sh gpu.sh [DIRECTORY]      writes gpu.json, for programs, and gpu.md, for people, into DIRECTORY (default: here)
#
# By environment:
#   TUFF      the program      (of the portable archive that this lies in, or of build/default)
#   DEVICE    its device       (vulkan: the best one that Vulkan has)
#   PYTHON    with torch and transformers  (python3)
#   SECONDS_LEFT  how long it may take in all  (440)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-.}
: "${DEVICE:=vulkan}" "${PYTHON:=python3}" "${SECONDS_LEFT:=440}"
if [ -z "${TUFF:-}" ]; then
    TUFF=$here/../../bin/tuff
    [ -x "$TUFF" ] || TUFF=$here/../../build/default/tuff
fi
[ -x "$TUFF" ] || { echo "gpu.sh: $TUFF is not there: build Tuff, unpack its archive, or set TUFF" >&2; exit 1; }
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TUFF_CACHE_DIR="$work/cache"
begin=$(date +%s)

say() { printf '%s\n' "$*" >&2; }
left() { echo $((SECONDS_LEFT - ($(date +%s) - begin))); }

# step NAME MOST COMMAND...: runs it for MOST seconds at most, or as many as are left; its output is NAME.out. What became of it
# is in NAME.end: "ok", "failed with 1", "no time".
step() {
    name=$1 most=$2
    shift 2
    [ "$(left)" -ge "$most" ] || most=$(left)
    if [ "$most" -lt 5 ]; then
        echo "no time" >"$work/$name.end"
        : >"$work/$name.out"
        return
    fi
    say "$name: $*"
    from=$(date +%s)
    status=0
    timeout "$most" "$@" >"$work/$name.out" 2>"$work/$name.err" || status=$?
    case $status in
    0) echo ok ;;
    124 | 137) echo "not done in $most s" ;;
    *) echo "failed with $status: $(tail -1 "$work/$name.err" | tr -d '"\\' | cut -c1-200)" ;;
    esac >"$work/$name.end"
    say "  $(cat "$work/$name.end"), $(($(date +%s) - from)) s"
}

# A driver without a loader: the archive has one.
if ! "$TUFF" devices --json 2>/dev/null | grep -q '"backend": "vulkan"' && [ -d "$here/../../lib/vulkan" ]; then
    export LD_LIBRARY_PATH="$here/../../lib/vulkan${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

step devices 60 "$TUFF" devices --json
step quick 120 "$TUFF" conform --device "$DEVICE" --level quick --json - --quiet
step kernels 60 "$TUFF" bench --kernels --device "$DEVICE" --json
step bench 120 "$TUFF" bench --device "$DEVICE" --shape gpt2-124m --json
step large 60 "$TUFF" bench --device "$DEVICE" --only fma_f32 --shape llama-1.1b --lora-rank 8 --train 1x512 --prompt 512 --generate 32 --json

# The same text on the device as on the CPU, from the model of the archive.
model=$here/model
[ -d "$model" ] || model=$here/../../assets/model
if [ -d "$model" ]; then
    step text 60 "$TUFF" generate --model "$model" --prompt "Once upon a time" --max-new-tokens 60 --temperature 0 --device "$DEVICE" --quiet
    step text_cpu 60 "$TUFF" generate --model "$model" --prompt "Once upon a time" --max-new-tokens 60 --temperature 0 --device cpu --quiet
fi
# Where two tokens are about equally likely rounding decides, so that another text is no proof of an error.
same=null
if [ -s "$work/text.out" ] && [ -s "$work/text_cpu.out" ]; then
    same=false
    ! cmp -s "$work/text.out" "$work/text_cpu.out" || same=true
fi

if "$PYTHON" -c 'import torch, transformers' 2>/dev/null; then
    step pytorch 90 "$PYTHON" "$here/gpu_pytorch.py"
else
    echo "no torch and transformers for $PYTHON" >"$work/pytorch.end"
    : >"$work/pytorch.out"
fi
# at last, with all the time that is left
step full 240 "$TUFF" conform --device "$DEVICE" --level full --json - --quiet

# json NAME: its output, where that is one JSON value; else null
json() {
    if [ "$(cat "$work/$1.end")" = ok ] && [ -s "$work/$1.out" ]; then cat "$work/$1.out"; else echo null; fi
}

# totals NAME: the last line of a conformance record, its totals; null where there is none
totals() {
    grep '^{"record": "end"' "$work/$1.out" 2>/dev/null | head -1 | grep . || echo null
}

# failing: the cases that failed, of both levels
failing() { cat "$work/quick.out" "$work/full.out" | sed -n '/^{"record": "case".*"failed": true/s/.*"case": "\([^"]*\)", "family".*/\1/p' | sort -u; }

{
    printf '{\n"seconds": %s,\n"ends": {' "$(($(date +%s) - begin))"
    comma=""
    for end in "$work"/*.end; do
        name=$(basename "$end" .end)
        printf '%s"%s": "%s"' "$comma" "$name" "$(cat "$end")"
        comma=", "
    done
    printf '},\n"devices": '; json devices
    printf ',\n"conform_quick": '; totals quick
    printf ',\n"conform_full": '; totals full
    printf ',\n"failed_cases": ['
    failing | sed 's/.*/"&"/' | paste -s -d , -
    printf '],\n"bench": '; json bench
    printf ',\n"bench_large": '; json large
    printf ',\n"kernels": '; json kernels
    printf ',\n"text_as_on_cpu": %s,\n"pytorch": ' "$same"; json pytorch
    printf '}\n'
} >"$out/gpu.json"

# rows NAME: the results of a bench as rows of a table
rows() {
    sed -n 's/.*"name": "\([^"]*\)", "rate": \([^,]*\), "unit": "\([^"]*\)", "share": \([^,]*\), "of": "\{0,1\}\([a-z0-9]*\).*/\1 \2 \3 \4 \5/p' "$work/$1.out" |
        awk '{ printf "| %s | %.1f %s | %s |\n", $1, $2, $3, $5 == "null" ? "" : sprintf("%.0f %% of %s", 100 * $4, $5) }'
}
number() {
    sed -n "/^{\"record\": \"end\"/s/.*\"$2\": \([0-9.e+-]*\).*/\1/p" "$work/$1.out" | head -1
}
{
    for out_of in bench large; do
        sed -n '/"device": /s/.*"device": "\(.*\)",$/# \1/p; /^  "driver": /s/.*: "\(.*\)",$/Driver: \1/p' "$work/$out_of.out" | tr -d '\\' | grep . && break
    done || echo "# Tuff could not be run on $DEVICE: $(cat "$work/bench.end")"
    printf '\n| conformance | cases | failed | worst forward | worst backward | |\n|---|---:|---:|---:|---:|---|\n'
    for level in quick full; do
        printf '| %s | %s | %s | %s | %s | %s |\n' $level "$(number $level cases_run)" "$(number $level cases_failed)" \
            "$(number $level worst)" "$(number $level worst_backward)" "$(cat "$work/$level.end")"
    done
    failing | sed 's/.*/\n    &/'
    printf '\n| GPT-2 124M | rate | share |\n|---|---:|---|\n'
    rows bench
    printf '\n| Llama 1.1B, LoRA of rank 8 | rate | share |\n|---|---:|---|\n'
    rows large
    # each pipeline is on a line of its own
    printf '\n%s pipelines compiled (%s)' "$(grep -c '^    {"kernel"' "$work/kernels.out" || true)" "$(cat "$work/kernels.end")"
    if grep -q '"silence": null' "$work/kernels.out"; then
        printf '; with spilled registers or scratch memory:\n\n'
        sed -n '/"spills": [1-9]\|"scratch_bytes": [1-9]/s/^ *{"kernel": "\([^"]*\)", "shader": "\([^"]*\)", "constants": \[\([^]]*\)\].*"statistics": {\([^}]*\)}.*/- \1 (\2: \3): \4/p' \
            "$work/kernels.out" | tr -d '"' | grep . || echo "- none"
    else
        sed -n 's/^  "silence": "\(.*\)",$/; \1/p' "$work/kernels.out"
    fi
    echo
    case $same in
    true) printf '\nThe text from the small model is that of the CPU.\n' ;;
    false) printf '\nThe text from the small model is another than on the CPU.\n' ;;
    esac
    printf '\nPyTorch: %s\n\n' "$(cat "$work/pytorch.end")"
    sed -n 's/^ *"\([a-z0-9_]*\)": \([0-9.]*\),\{0,1\}$/| \1 | \2 |/p' "$work/pytorch.out" | sed '1i | PyTorch | |\n|---|---:|'
} >"$out/gpu.md"
say "$out/gpu.json and $out/gpu.md: $(($(date +%s) - begin)) s"
[ "$(cat "$work/quick.end")" = ok ]
