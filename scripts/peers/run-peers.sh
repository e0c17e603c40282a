#!/bin/sh
# Tuff beside PyTorch and llama.cpp on this machine's CPU, alternating in one run: absolute figures drift, ratios less.
#
#   sh scripts/peers/run-peers.sh            both comparisons: a fine-tune step, and generation, GPT-2 124M, f32
#   sh scripts/peers/run-peers.sh train      the fine-tune step only (4 x 256 tokens, AdamW)
#   sh scripts/peers/run-peers.sh generate   generation only (one sequence)
#
# Needs Python with torch and transformers, and llama-bench of llama.cpp. By environment:
#   TUFF        the program measured              (build/default/tuff)
#   WORK        a folder for models and output    (/tmp/tuff-peers)
#   ROUNDS      rounds, the median is printed     (3)
#   TOKENIZER   a GPT-2 tokenizer.json            (none: a small trained one, padded)
#   PYTHON, LLAMA_BENCH   the peers               (python3, llama-bench)
#   PEER        a prefix that runs a peer elsewhere, as in a chroot; there the repository must be seen as PEER_REPO
#               and WORK as PEER_WORK             (nothing: here)
#   THREADS     threads of llama.cpp              (all cores)
set -eu
repo=$(cd "$(dirname "$0")/../.." && pwd)
: "${TUFF:=$repo/build/default/tuff}" "${WORK:=/tmp/tuff-peers}" "${ROUNDS:=3}" "${TOKENIZER:=}" "${PEER:=}"
: "${PYTHON:=python3}" "${LLAMA_BENCH:=llama-bench}" "${THREADS:=$(nproc)}"
: "${PEER_REPO:=$repo}" "${PEER_WORK:=$WORK}"
what=${1:-all}
steps=6
tokens=128
tab=$(printf '\t')

case $what in all | train | generate) ;; *) echo "usage: $0 [all|train|generate]" >&2; exit 2 ;; esac
[ -x "$TUFF" ] || { echo "$TUFF is not there: build Tuff first, or set TUFF" >&2; exit 1; }
mkdir -p "$WORK"
results=$WORK/results.tsv
: > "$results"

say() { printf '%s\n' "$*" >&2; }

# Seconds that a command takes; its output goes to the log.
seconds() {
    say "+ $*"
    from=$(date +%s.%N)
    "$@" >> "$WORK/tuff.log" 2>&1 || { say "failed: see $WORK/tuff.log"; exit 1; }
    to=$(date +%s.%N)
    echo "$from $to" | awk '{printf "%.3f", $2 - $1}'
}

record() { say "  $1 $2: $3 tokens/s"; printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$results"; }

median() {
    awk -F "$tab" -v work="$1" -v who="$2" '$1 == work && $2 == who {print $3}' "$results" | sort -n |
        awk '{v[NR] = $1} END {if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2)}'
}

if [ ! -e "$WORK/model/model.gguf" ]; then
    say "making the model in $WORK/model"
    [ -z "$TOKENIZER" ] || cp "$TOKENIZER" "$WORK/tokenizer.json"
    # shellcheck disable=SC2086
    $PEER $PYTHON "$PEER_REPO/tests/reference/make_gpt2_124m.py" "$PEER_WORK/model" \
        ${TOKENIZER:+--tokenizer "$PEER_WORK/tokenizer.json"} --gguf "$PEER_WORK/model/model.gguf" >&2
fi
text=$WORK/text.txt
[ -e "$text" ] || python3 "$repo/assets/stories/make_stories.py" --characters 400000 --output "$text"

# A rate is taken from the difference of a long and a short run of the same command, so that loading, planning and
# saving, which both do once, cancel out.
train_tuff() {
    rm -rf "$WORK/out"
    set -- "$TUFF" train --model "$WORK/model" --train-file "$text" --output-dir "$WORK/out" --device cpu \
        --per-device-train-batch-size 4 --block-size 256 --learning-rate 1e-4 --lr-scheduler-type constant --max-steps
    short=$(seconds "$@" 2)
    rm -rf "$WORK/out"
    long=$(seconds "$@" $((steps + 2)))
    rm -rf "$WORK/out"
    record train tuff "$(echo "$short $long" | awk -v n="$steps" '{printf "%.1f", n * 4 * 256 / ($2 - $1)}')"
}

train_pytorch() {
    set -- "$PEER_REPO/scripts/peers/pytorch_finetune.py" --model "$PEER_WORK/model" --batch 4 --length 256 --steps "$steps"
    say "+ $PEER $PYTHON $*"
    # shellcheck disable=SC2086
    line=$($PEER $PYTHON "$@" 2>> "$WORK/peers.log" | tail -n 1)
    say "  $line"
    record train pytorch "$(echo "$line" | sed 's/.*"tokens_per_second": \([0-9.]*\).*/\1/')"
}

generate_tuff() {
    set -- "$TUFF" generate --model "$WORK/model" --prompt "The" --temperature 0 --device cpu --max-new-tokens
    short=$(seconds "$@" 8)
    long=$(seconds "$@" $((tokens + 8)))
    record generate tuff "$(echo "$short $long" | awk -v n="$tokens" '{printf "%.1f", n / ($2 - $1)}')"
}

generate_llama() {
    set -- "$LLAMA_BENCH" -m "$PEER_WORK/model/model.gguf" -p 0 -n "$tokens" -r 1 -t "$THREADS" -dev none -o jsonl
    say "+ $PEER $*"
    # shellcheck disable=SC2086
    line=$($PEER "$@" 2>> "$WORK/peers.log" | grep avg_ts | tail -n 1)
    record generate llama.cpp "$(echo "$line" | sed 's/.*"avg_ts": \([0-9.]*\).*/\1/')"
}

round=1
while [ "$round" -le "$ROUNDS" ]; do
    say "round $round of $ROUNDS"
    [ "$what" = generate ] || { train_tuff; train_pytorch; }
    [ "$what" = train ] || { generate_tuff; generate_llama; }
    round=$((round + 1))
done

compare() {
    mine=$(median "$1" tuff)
    other=$(median "$1" "$2")
    echo "$mine $other" | awk -v work="$3" -v who="$2" '{printf "%-36s tuff %8.1f tok/s   %-9s %8.1f tok/s   ratio %.2f\n", work, $1, who, $2, $1 / $2}'
}
[ "$what" = generate ] || compare train pytorch "fine-tune step, 4 x 256, f32"
[ "$what" = train ] || compare generate llama.cpp "generate, one sequence, f32"
