#!/bin/sh
# A training that is killed again and again, and goes on each time, ends with the bytes of one that was not.
# Each of the trainings below (TUFF_KILL_ONLY: those whose names have it) is killed at TUFF_KILLS moments (25), of which ten (or
# half of fewer) lie within the writes, fsyncs, renames and removals of a checkpoint; from the first checkpoint on there is a whole
# one at any moment. TUFF_KILL_DEVICES: "cpu lavapipe". TUFF_KILL_HOW full: the disk is full from such a call on, of any file
# below the directory of the result. ctest runs a few, *_lavapipe.sh some there, full*.sh with full disks, *_long*.sh all.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

kills=${TUFF_KILLS:-3}
devices=${TUFF_KILL_DEVICES:-cpu} how=${TUFF_KILL_HOW:-kill}
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

# broken OPTIONS...: the training that is to be ended at a call that changes the disk, or whose disk is full from then on
broken() {
    under=checkpoint- filled=
    [ "$how" = full ] && under=again filled=1
    TUFF_KILL_UNDER=$under TUFF_KILL_FULL=$filled LD_PRELOAD="$work/kill_at.so" run "$work/again" "$@"
}

# killed NAME OPTIONS...: the training beside the one that is not killed
killed() {
    name=$1
    shift
    case $name in *"${TUFF_KILL_ONLY:-}"*) ;; *) return 0 ;; esac
    run "$work/$name" "$@"
    rm -f "$work/calls"
    rm -rf "$work/again"
    TUFF_KILL_COUNT="$work/calls" broken "$@"
    calls=$(wc -c <"$work/calls")
    [ "$calls" -gt 60 ] || { echo "$name: only $calls calls change the disk"; exit 1; }
    inside=$((kills < 20 ? (kills + 1) / 2 : 10))
    [ "$how" = full ] && inside=$kills
    n=0 full=0
    while [ $n -lt "$kills" ]; do
        again=$work/again
        rm -rf "$again"
        status=0
        if [ $n -lt $inside ]; then
            # spread over all calls of the whole run
            at=$((1 + n * (calls - 1) / inside))
            TUFF_KILL_AT=$at broken "$@" 2>"$work/said" || status=$?
            if [ "$how" = kill ]; then
                [ $status -eq 137 ] || { echo "$name: call $at did not end it ($status)"; exit 1; }
            elif [ $status -ne 0 ] || [ -s "$work/said" ]; then # else nothing was left to be written
                [ $status -eq 1 ] && grep -q "No space left on device" "$work/said" ||
                    { cat "$work/said"; echo "$name: exit code $status where the disk is full from call $at on"; exit 1; }
                full=$((full + 1))
            fi
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
    if [ "$how" = full ]; then
        [ $full -ge $((kills / 2)) ] || { echo "$name: only $full times of $kills the disk was full"; exit 1; }
        echo "$name: the disk full $full times, the same bytes"
    else
        echo "$name: killed $kills times, the same bytes"
    fi
}

for device in $devices; do
    each_training killed "$device"
done
