#!/bin/sh
# A training whose device is lost goes on by itself, and ends with the bytes of one that kept it: at TUFF_LOSSES (2) of its submits,
# spread over all of them; where that is "all", at every submit of those of the trainings that are to survive which TUFF_LOSE_ONLY
# names, while a checkpoint is written too. A device that is lost again and again is given up. How work is cut into submits depends
# on how fast it is. lose_long*.sh: all.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

losses=${TUFF_LOSSES:-2}
need_no_sanitizer "a sanitizer does not go with a library that is put before another"
need_lavapipe
TUFF_LOSE_LOADER=$(for ldconfig in ldconfig /sbin/ldconfig; do $ldconfig -p 2>/dev/null; done |
    sed -n 's/.*libvulkan\.so\.1 (libc6,.*64.*) => //p' | head -1)
[ -n "$TUFF_LOSE_LOADER" ] || { echo "no loader of Vulkan is found"; exit 77; }
export TUFF_LOSE_LOADER TUFF_DEVICE=lavapipe
mkdir "$work/lib"
${CC:-cc} -shared -fPIC -O1 -o "$work/lib/libvulkan.so.1" "$TUFF_TEST_SOURCE/tests/e2e/lose_at.c" -ldl

write_text "$work/text"

# run OUT OPTIONS...
run() {
    out=$1
    shift
    LD_LIBRARY_PATH="$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$TUFF_TEST_TUFF" train --train-file "$work/text" \
        --validation-file "$work/text" --output-dir "$out" --block-size 32 --per-device-train-batch-size 2 \
        --learning-rate 1e-3 --quiet "$@"
}

# expect_same NAME: what is in $work/again is what is in $work/NAME
expect_same() {
    for file in "$work/$1"/*.safetensors "$work/$1/train_log.jsonl"; do
        cmp "$file" "$work/again${file#"$work/$1"}"
    done
    [ -z "$(ls -A "$work/again" | grep '^\.')" ] || { echo "$1: $(ls -A "$work/again" | grep '^\.') is left"; exit 1; }
    [ ! -e "$work/again.train_log.jsonl" ] && [ ! -e "$work/again.report.html" ] || { echo "$1: a log is left"; exit 1; }
}

# lost NAME OPTIONS...: the training beside the one that keeps its device
lost() {
    name=$1
    shift
    run "$work/$name" "$@" # after which its kernels are known: their tests are submits too
    rm -rf "$work/again" "$work/calls"
    TUFF_LOSE_COUNT="$work/calls" run "$work/again" "$@"
    calls=$(wc -c <"$work/calls")
    [ "$calls" -ge 6 ] || { echo "$name: only $calls submits"; exit 1; }
    [ "$losses" = all ] && count=$calls || count=$losses
    n=0 reached=0
    while [ $n -lt "$count" ]; do
        [ "$losses" = all ] && at=$((n + 1)) || at=$((1 + (n + 1) * (calls - 1) / (count + 1)))
        rm -rf "$work/again"
        TUFF_LOSE_AT=$at run "$work/again" "$@" 2>"$work/said" || { cat "$work/said"; echo "$name: lost at $at"; exit 1; }
        # which may have had fewer: then it was not lost, and says nothing
        if [ -s "$work/said" ]; then
            grep -q "was lost" "$work/said" && grep -q "the device is opened again" "$work/said" ||
                { cat "$work/said"; echo "$name: it does not say that it was lost at $at"; exit 1; }
            reached=$((reached + 1))
            cat "$work/said" >>"$work/$name.said"
        fi
        expect_same "$name"
        n=$((n + 1))
    done
    [ "$reached" -ge $(((count + 1) / 2)) ] || { echo "$name: lost only $reached times of $count"; exit 1; }
    echo "$name: lost at $reached of $calls submits, the same bytes"
}

if [ "$losses" = all ]; then
    saved() {
        for only in $TUFF_LOSE_ONLY; do
            [ "$1" = "lavapipe-$only" ] || continue
            lost "$@" --max-steps 4 --save-steps 2 --eval-steps 2
        done
    }
    each_training saved lavapipe
    exit
fi
lost saved --max-steps 4 --model "$golden/llama" --lora-rank 4 --lora-dropout 0.1 --save-steps 2 --eval-steps 2 \
    --gradient-accumulation-steps 2
rm -rf "$work/again"
TUFF_LOSE_SINCE="$work/again/checkpoint-2" TUFF_LOSE_AT=2 run "$work/again" --max-steps 4 --model "$golden/llama" --lora-rank 4 \
    --lora-dropout 0.1 --save-steps 2 --eval-steps 2 --gradient-accumulation-steps 2 2>"$work/said"
grep -q "goes on from its checkpoint of step 2" "$work/said" || { cat "$work/said"; exit 1; }
expect_same saved
losses=1
lost unsaved --max-steps 2 --model "$golden/llama"
grep -q "begins anew" "$work/unsaved.said"

# lost again and again
rm -rf "$work/again"
status=0
TUFF_LOSE_AT=5 TUFF_LOSE_EVERY=1 run "$work/again" --max-steps 4 --model "$golden/llama" --save-steps 2 2>"$work/said" || status=$?
[ $status -eq 1 ] && grep -q "was lost 3 times without a new checkpoint between" "$work/said" ||
    { cat "$work/said"; echo "it is not given up ($status)"; exit 1; }
