#!/bin/sh
# Fine-tunes the bundled model of simple stories on the bundled tales of pirates, and lets it write before and after.
#
#   sh scripts/demo.sh
#
# Installs what is missing (Debian 12), builds, trains for about half a minute on two cores. Everything it makes lies in
# build/. The device is the one that `tuff devices` puts first; TUFF_DEVICE=lavapipe, say, chooses another.
set -eu
cd "$(dirname "$0")/.."

model=assets/model
out=build/demo
prompt="Once upon a time"

heading() { printf '\n=== %s\n' "$*"; }

# Prints a command, so that it can be copied, and runs it.
run() {
    line='$'
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./=:,+-]* | "") line="$line \"$word\"" ;;
        *) line="$line $word" ;;
        esac
    done
    printf '\n%s\n' "$line"
    "$@"
}

# Runs `tuff eval` and keeps the loss in $loss.
measure() {
    run "$@" >"$out/eval.txt"
    cat "$out/eval.txt"
    loss=$(sed -n 's/^loss *//p' "$out/eval.txt")
    [ -n "$loss" ] || { echo "demo: no loss in the output above" >&2; exit 1; }
}

heading "Install what building needs"
sh scripts/install-deps.sh
echo "all there"

heading "Build"
launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache"
fi
run cmake --preset default $launcher
run cmake --build --preset default --target tuff_cli -j "$(nproc)"
PATH=$PWD/build/default:$PATH
export PATH

# A part of the text is kept from the training, so that what is measured on it was learned and not memorized.
rm -rf "$out"
mkdir -p "$out"
awk -v train="$out/train.txt" -v rest="$out/held-out.txt" '
    { print > (story % 10 == 9 ? rest : train) }
    /<\|endoftext\|>/ { story++ }' assets/stories/style.txt

heading "The devices of this machine; the first is used"
run tuff devices

heading "Before: the bundled model tells a story"
run tuff generate --model $model --prompt "$prompt" --temperature 0.5 --seed 2 --context-length 384

heading "Before: how well it predicts tales of pirates that it will not be trained on"
measure tuff eval --model $model --file $out/held-out.txt
before=$loss

heading "Fine-tune it on other tales of pirates"
run tuff train --model $model --train-file $out/train.txt --validation-file $out/held-out.txt --output-dir $out/pirate \
    --num-train-epochs 6 --per-device-train-batch-size 4 --block-size 256 --learning-rate 1e-3 --lr-scheduler-type cosine \
    --warmup-ratio 0.1 --logging-steps 50

heading "After: the same prompt, the same seed"
run tuff generate --model $out/pirate --prompt "$prompt" --temperature 0.5 --seed 2 --context-length 384

heading "After: the same tales, measured again"
measure tuff eval --model $out/pirate --file $out/held-out.txt
after=$loss

heading "What happened"
cat <<END

The loss on tales that were kept from the training fell from $before to $after.

The fine-tuned model is a Hugging Face directory, which transformers loads too:

    $out/pirate

The program is build/default/tuff. To go on:

    export PATH="\$PWD/build/default:\$PATH"
    tuff generate --model $out/pirate --prompt "One day, a little bear" --temperature 0.7
    tuff convert $out/pirate --to gguf --output $out/pirate.gguf
    tuff help train

With your own: give train and generate a model as --model, of GPT-2, Llama, Qwen, Gemma, Phi or their like, and a text
file as --train-file. README.md tells more.
END
