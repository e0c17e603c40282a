#!/bin/sh
# The command on lavapipe gives what it gives on the CPU: the same greedy text, the same losses within 1e-5.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

need_lavapipe

write_text "$work/text"

# train NAME MODEL OPTIONS...: three steps on both devices, their losses compared
train() {
    name=$1 model=$2
    shift 2
    for device in cpu lavapipe; do
        "$TUFF_TEST_TUFF" train --model "$golden/$model" --train-file "$work/text" --output-dir "$work/$name-$device" \
            --validation-file "$work/text" --max-steps 3 --block-size 32 --per-device-train-batch-size 2 \
            --gradient-accumulation-steps 2 --learning-rate 1e-3 --device $device --quiet "$@"
        sed 's/.*loss": \([^,}]*\).*/\1/' "$work/$name-$device/train_log.jsonl" >"$work/$name-$device.losses"
    done
    paste "$work/$name-cpu.losses" "$work/$name-lavapipe.losses" | awk -v name="$name" '
        { d = ($1 - $2) / $1; if (d < 0) d = -d; if (d > worst) worst = d }
        END { printf "%s: %d losses, largest difference %.2g\n", name, NR, worst; exit !(NR == 4 && worst <= 1e-5) }'
}

for model in gpt2 llama; do
    for device in cpu lavapipe; do
        "$TUFF_TEST_TUFF" generate --model "$golden/$model" --prompt "In the morning" --max-new-tokens 12 --ignore-eos \
            --device $device --quiet >"$work/$device"
    done
    cmp "$work/cpu" "$work/lavapipe"
    echo "$model: the same text"
    train "$model" "$model"
    train "$model-lora" "$model" --lora-rank 4 --lora-dropout 0.1
done
