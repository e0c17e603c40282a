#!/bin/sh
# In processes that may have less and less memory the command does its work, or says in a sentence that there is none, and never
# crashes: neither do the libraries that it uses, some of which do not look.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

need_no_sanitizer "a sanitizer takes memory of its own"
export VK_DRIVER_FILES="$work/none" VK_ICD_FILENAMES="$work/none" # drivers are not what is tried
write_text "$work/text"

# tried NAME COMMAND...: with limits in kilobytes from where the command's libraries are loaded to where it has enough
tried() {
    name=$1 kilobytes=6000 failed=0 done=0
    shift
    while [ $kilobytes -lt 48000 ]; do
        rm -rf "$work/out"
        status=0
        (ulimit -c 0 && ulimit -d $kilobytes && exec "$TUFF_TEST_TUFF" "$@" --device cpu --threads 2) >"$work/said" 2>&1 || status=$?
        case $status in
        0) done=$((done + 1)) ;;
        1) failed=$((failed + 1))
            grep -q '^tuff: .*memory' "$work/said" || { cat "$work/said"; echo "$name: with $kilobytes kB it does not say why"; exit 1; } ;;
        127) ;; # its libraries are not loaded
        *) cat "$work/said"; echo "$name: exit code $status with $kilobytes kB"; exit 1 ;;
        esac
        kilobytes=$((kilobytes + 1700))
    done
    echo "$name: done with $done limits, out of memory with $failed"
    [ $done -gt 0 ] && [ $failed -gt 0 ]
}

tried train train --model "$golden/gpt2" --train-file "$work/text" --output-dir "$work/out" --block-size 24 --max-steps 2 --save-steps 1 --quiet
tried lora train --model "$golden/llama" --train-file "$work/text" --output-dir "$work/out" --block-size 24 --max-steps 2 --lora-rank 2 --quiet
tried generate generate --model "$golden/llama" --prompt hello --max-new-tokens 8 --quiet
tried embed embed --model "$golden/embedding/bert" --text hello --quiet
