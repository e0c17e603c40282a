#!/bin/sh
# ctest: slow. Whole trainings on lavapipe: the same seed gives the same bytes, files and log; another seed gives others.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

need_lavapipe

write_text "$work/text"

# train NAME MODEL SEED OPTIONS...
train() {
    name=$1 model=$2 seed=$3
    shift 3
    "$TUFF_TEST_TUFF" train --model "$golden/$model" --train-file "$work/text" --output-dir "$work/$name" \
        --validation-file "$work/text" --eval-steps 2 --max-steps 4 --block-size 32 --per-device-train-batch-size 2 \
        --learning-rate 1e-3 --seed "$seed" --device lavapipe --quiet "$@"
}

# twice NAME MODEL OPTIONS...
twice() {
    run=$1 base=$2
    shift 2
    train "$run-a" "$base" 7 "$@"
    train "$run-b" "$base" 7 "$@"
    train "$run-c" "$base" 8 "$@"
    diff -r -x report.html -x run.json -x runs "$work/$run-a" "$work/$run-b" # these tell times and names
    for file in "$work/$run-a"/*model.safetensors "$work/$run-a/train_log.jsonl"; do
        if cmp -s "$file" "$work/$run-c/${file##*/}"; then
            echo "$run: another seed gives the same ${file##*/}"
            exit 1
        fi
    done
    echo "$run: the same bytes"
}

for model in gpt2 llama; do
    twice "$model" "$model"
    twice "$model-sums" "$model" --gradient-accumulation-steps 2
    twice "$model-lora" "$model" --lora-rank 4 --lora-dropout 0.1
done
