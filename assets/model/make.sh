#!/bin/sh
# Makes the bundled model again, from nothing: text, initial weights, training, bf16. About 5 minutes on two cores.
#
#   sh assets/model/make.sh [OUT]        OUT: an empty or new folder, by default build/bundled-model
#
# By environment: TUFF, the program (build/default/tuff); PYTHON, with torch and transformers for the initial weights
# (python3); INITIAL, a folder with initial weights that make_initial.py has made elsewhere.
set -eu
cd "$(dirname "$0")/../.."
: "${TUFF:=build/default/tuff}" "${PYTHON:=python3}" "${INITIAL:=}"
out=${1:-build/bundled-model}
stories=assets/stories
export PYTHONDONTWRITEBYTECODE=1

mkdir -p "$out"
"$PYTHON" $stories/make_stories.py --characters 30000000 --output "$out/stories.txt"
"$PYTHON" $stories/make_stories.py --seed 2 --characters 100000 --output "$out/held-out.txt"
if [ -z "$INITIAL" ]; then
    INITIAL=$out/initial
    "$PYTHON" $stories/make_initial.py "$INITIAL"
fi

"$TUFF" train --model "$INITIAL" --train-file "$out/stories.txt" --validation-file "$out/held-out.txt" \
    --output-dir "$out/f32" --device cpu --num-train-epochs 1 --per-device-train-batch-size 8 --block-size 256 \
    --learning-rate 6e-3 --lr-scheduler-type cosine --warmup-steps 300 --weight-decay 0.1 --seed 42 \
    --eval-steps 500 --logging-steps 100
"$TUFF" convert "$out/f32" --to hf --dtype bf16 --output "$out/model"

# The log, thinned: every evaluation, and the first and every 20th step.
awk -F '[:,]' '/eval_loss/ || $2 == 1 || $2 % 20 == 0' "$out/f32/train_log.jsonl" >"$out/model/train_log.jsonl"
"$TUFF" eval --model "$out/model" --file "$out/held-out.txt" --device cpu
echo "the model is in $out/model"
