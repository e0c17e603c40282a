#!/bin/sh
# The greedy text of a real model, byte for byte, on the CPU and on lavapipe. The model is not part of the project: set
# TUFF_DATA to a folder that has stories260k/stories260Ktok512.gguf, or lay it at ../shared/data.
set -eu

data=${TUFF_DATA:-$TUFF_TEST_SOURCE/../shared/data}
model=$data/stories260k/stories260Ktok512.gguf
[ -f "$model" ] || { echo "skipped: $model is not there"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 200 tokens of a reference implementation, the prompt's 4 among them.
cat >"$work/expected" <<'TEXT'
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she
TEXT

devices=cpu
if "$TUFF_TEST_TUFF" devices --json | grep -q '"driver": "lavapipe.*"usable": true'; then
    devices="cpu lavapipe"
else
    echo "no usable lavapipe here: the CPU only"
fi
for device in $devices; do
    "$TUFF_TEST_TUFF" generate --model "$model" --prompt "Once upon a time" --temperature 0 --max-new-tokens 196 \
        --context-length 512 --device "$device" >"$work/text"
    cmp "$work/expected" "$work/text"
    echo "$device: the reference's text, byte for byte"
done
