#!/bin/sh
# ctest: slow
# A training on a text of 250 MB in a process that may have 128 MiB of data: the same weights as with all of it in memory, which
# such a process does not have.
set -eu

. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"
need_no_sanitizer "a sanitizer takes memory of its own"
export TUFF_CACHE_DIR="$work/cache"
text=$work/text.txt
cp "$TUFF_TEST_SOURCE/assets/stories/style.txt" "$text"
while [ "$(wc -c <"$text")" -lt 200000000 ]; do
    cat "$text" "$text" >"$work/twice.txt"
    mv "$work/twice.txt" "$text"
done

train() {
    out=$1
    shift
    "$TUFF_TEST_TUFF" train --quiet --device cpu --threads 2 --model "$TUFF_TEST_SOURCE/assets/model" --train-file "$text" \
        --block-size 64 --max-steps 20 --report-to none --output-dir "$work/$out" "$@"
}

if (ulimit -d 131072 && train none --no-data-cache) 2>"$work/err"; then
    echo "the text fits into the memory that it is not to fit into"
    exit 1
fi
grep "out of memory while allocating the token ids of a text" "$work/err"
(ulimit -d 131072 && train made)
(ulimit -d 131072 && train found)
train memory --no-data-cache
for out in made found; do
    cmp "$work/memory/model.safetensors" "$work/$out/model.safetensors"
done
echo "the same weights from $(wc -c <"$text") bytes"
