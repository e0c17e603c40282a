#!/bin/sh
# The command on lavapipe gives what it gives on the CPU: the same greedy text, the same losses within 1e-5.
set -eu

"$TUFF_TEST_TUFF" devices --json | grep -q '"driver": "lavapipe.*"usable": true' || { echo "no usable lavapipe"; exit 77; }
golden=$TUFF_TEST_ASSETS/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

i=0
while [ $i -lt 40 ]; do
    echo "In the morning they said the river isn't a road, but $i stones because the bridge is one."
    i=$((i + 1))
done >"$work/text"

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
