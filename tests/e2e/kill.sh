#!/bin/sh
# A training that is killed again and again, and goes on each time, ends with the bytes of one that was not.
# Each of the trainings below (TUFF_KILL_ONLY: those whose names have it) is killed at TUFF_KILLS moments (25), of which ten (or
# half of fewer) lie within the writes, fsyncs, renames and removals of a checkpoint; from the first checkpoint on there is a whole
# one at any moment. TUFF_KILL_DEVICES: "cpu lavapipe". ctest runs a few, kill_lavapipe.sh some there, kill_long*.sh all.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

kills=${TUFF_KILLS:-3}
devices=${TUFF_KILL_DEVICES:-cpu}
case $devices in *lavapipe*) need_lavapipe ;; esac
need_no_sanitizer "a sanitizer does not go with a preloaded library"
${CC:-cc} -shared -fPIC -O1 -o "$work/kill_at.so" "$TUFF_TEST_SOURCE/tests/e2e/kill_at.c" -ldl

write_text "$work/text"

# become OUT OPTIONS...: in a shell of its own, which becomes the command
become() {
    out=$1
    shift
    exec "$TUFF_TEST_TUFF" train --train-file "$work/text" --validation-file "$work/text" --output-dir "$out" --max-steps 12 \
        --save-steps 2 --eval-steps 2 --save-total-limit 2 --block-size 32 --per-device-train-batch-size 2 --learning-rate 1e-3 \
        --quiet "$@"
}
run() {
    (become "$@")
}

# newest OUT: the steps of the newest checkpoint
newest() {
    ls "$1" 2>/dev/null | sed -n 's/^checkpoint-\([0-9]*\)$/\1/p' | sort -n | tail -1
}

# killed NAME OPTIONS...: the training beside the one that is not killed
killed() {
    name=$1
    shift
    case $name in *"${TUFF_KILL_ONLY:-}"*) ;; *) return 0 ;; esac
    run "$work/$name" "$@"
    rm -f "$work/calls"
    TUFF_KILL_UNDER=checkpoint- TUFF_KILL_COUNT="$work/calls" LD_PRELOAD="$work/kill_at.so" run "$work/counted" "$@"
    calls=$(wc -c <"$work/calls")
    rm -rf "$work/counted"
    [ "$calls" -gt 60 ] || { echo "$name: only $calls calls change the disk"; exit 1; }
    inside=$((kills < 20 ? (kills + 1) / 2 : 10))
    n=0
    while [ $n -lt "$kills" ]; do
        again=$work/again
        rm -rf "$again"
        status=0
        if [ $n -lt $inside ]; then
            # spread over all calls of the whole run
            at=$((1 + n * (calls - 1) / inside))
            TUFF_KILL_UNDER=checkpoint- TUFF_KILL_AT=$at LD_PRELOAD="$work/kill_at.so" run "$again" "$@" || status=$?
            [ $status -eq 137 ] || { echo "$name: call $at did not end it ($status)"; exit 1; }
        else
            # after so many lines of the log
            become "$again" --log-file "$work/log" "$@" &
            child=$!
            lines=$((1 + (n - inside) * 18 / (kills - inside)))
            while kill -0 $child 2>/dev/null && [ "$(cat "$work/log" 2>/dev/null | wc -l)" -lt $lines ]; do
                :
            done
            kill -KILL $child 2>/dev/null || true
            wait $child || status=$?
            rm -f "$work/log"
        fi
        step=$(newest "$again")
        if [ -n "$step" ]; then
            # what is there loads, and is whole
            run "$again" --resume-from-checkpoint "$again/checkpoint-$step" "$@"
            [ -z "$(ls -A "$again" | grep '^\.')" ] || { echo "$name: $(ls -A "$again" | grep '^\.') is left"; exit 1; }
        else
            rm -rf "$again" "$work/.again.tuff-stage"
            run "$again" "$@"
        fi
        for file in "$work/$name"/*.safetensors "$work/$name/train_log.jsonl" \
            "$work/$name"/checkpoint-12/*.safetensors; do
            cmp "$file" "$again${file#"$work/$name"}"
        done
        n=$((n + 1))
    done
    echo "$name: killed $kills times, the same bytes"
}

for device in $devices; do
    killed "$device-full" --model "$golden/gpt2" --device "$device"
    killed "$device-full-accumulated" --model "$golden/llama" --gradient-accumulation-steps 2 --device "$device"
    killed "$device-lora" --model "$golden/llama" --lora-rank 4 --lora-dropout 0.1 --device "$device"
    killed "$device-lora-accumulated" --model "$golden/gpt2" --lora-rank 4 --gradient-accumulation-steps 2 --device "$device"
    killed "$device-8bit" --model "$golden/gpt2" --optim adamw_8bit --gradient-accumulation-steps 2 --device "$device"
    killed "$device-unfrozen" --model "$golden/llama" --unfreeze-schedule 3,7 --device "$device"
    killed "$device-averaged" --model "$golden/llama" --ema-decay 0.9 --unfreeze-schedule 5 --gradient-accumulation-steps 2 \
        --neftune-noise-alpha 5 --label-smoothing-factor 0.1 --optim adamw_8bit --device "$device"
done
