# For scripts that train, read by them with `.`: what a training needs to be there, and a text to train on. It sets $golden and
# $work, a directory that goes when the script ends.
golden=$TUFF_TEST_ASSETS/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# skip WHY
skip() {
    echo "$1"
    exit 77
}

need_lavapipe() {
    "$TUFF_TEST_TUFF" devices --json | grep -q '"driver": "lavapipe.*"usable": true' || skip "no usable lavapipe"
}

# need_no_sanitizer WHY
need_no_sanitizer() {
    [ -z "${TUFF_TEST_SANITIZE:-}" ] || [ "$TUFF_TEST_SANITIZE" = OFF ] || skip "$1"
}

# each_training FUNCTION DEVICE: calls it with a name and options of `tuff train` for each kind of training that is to survive
each_training() {
    "$1" "$2-full" --model "$golden/gpt2" --device "$2"
    "$1" "$2-full-accumulated" --model "$golden/llama" --gradient-accumulation-steps 2 --device "$2"
    "$1" "$2-lora" --model "$golden/llama" --lora-rank 4 --lora-dropout 0.1 --device "$2"
    "$1" "$2-lora-accumulated" --model "$golden/gpt2" --lora-rank 4 --gradient-accumulation-steps 2 --device "$2"
    "$1" "$2-8bit" --model "$golden/gpt2" --optim adamw_8bit --gradient-accumulation-steps 2 --device "$2"
    "$1" "$2-unfrozen" --model "$golden/llama" --unfreeze-schedule 3,7 --device "$2"
    "$1" "$2-averaged" --model "$golden/llama" --ema-decay 0.9 --unfreeze-schedule 5 --gradient-accumulation-steps 2 \
        --neftune-noise-alpha 5 --label-smoothing-factor 0.1 --optim adamw_8bit --device "$2"
}

# write_text FILE
write_text() {
    i=0
    while [ $i -lt 40 ]; do
        echo "In the morning they said the river isn't a road, but $i stones because the bridge is one."
        i=$((i + 1))
    done >"$1"
}
