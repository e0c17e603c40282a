#!/bin/sh
# Compares the binary interface of libtuff.so with its baseline, tests/abi/libtuff.abi: what programs that were built
# before may rely on. Fails when a function is gone, or a function or a public type has changed in a way that such a
# program would notice. New functions, new values of enums and new members at the end of a struct are no such change
# (tests/abi/libtuff.suppr; a struct that grows says its size in struct_size).
#
#   sh scripts/abi.sh          compares
#   sh scripts/abi.sh renew    makes the baseline anew. Do so when the minor version has changed, which until 1.0 is
#                              the version of the binary interface, or to take in what was added; commit the file.
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
"" | renew) ;;
*)
    echo "usage: sh scripts/abi.sh [renew]" >&2
    exit 2
    ;;
esac
sh scripts/install-deps.sh abigail-tools

baseline=tests/abi/libtuff.abi
build=build/abi
mkdir -p build
launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache"
fi
# The interface is the same with fewer backends and without optimization, and the build is shorter.
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DTUFF_TESTS=OFF -DTUFF_VULKAN=OFF -DTUFF_ONEDNN=OFF $launcher \
    >$build.log 2>&1 && cmake --build $build --target libtuff.so -j 2 >>$build.log 2>&1 || { cat $build.log; exit 1; }

# Only what the public headers show; no place of this machine, and no line numbers, which change with every comment.
abidw --suppressions tests/abi/private.suppr --no-architecture --no-corpus-path --no-comp-dir-path --no-show-locs \
    --short-locs --type-id-style hash --exported-interfaces-only --drop-undefined-syms --no-elf-needed \
    --out-file $build/libtuff.abi $build/libtuff.so
[ -s $build/libtuff.abi ] || { echo "abi: abidw wrote nothing"; exit 1; }
if [ "${1:-}" = renew ]; then
    mkdir -p tests/abi
    cp $build/libtuff.abi $baseline
    echo "abi: $baseline was made anew; commit it"
    exit 0
fi

# Its status is a set of bits: 1 an error, 2 misuse, 4 a change, 8 one that breaks programs for certain.
status=0
abidiff --suppressions tests/abi/libtuff.suppr --no-added-syms $baseline $build/libtuff.abi || status=$?
# It takes new numbers of an enum's values for harmless, and with libtuff.suppr members of another type or at another place.
# How many values an enum has in a version, its _COUNT, grows with them.
values() {
    sed -n "s/.*<enumerator name='\([^']*\)' value='\([^']*\)'.*/\1 = \2/p" "$1" | grep -v '_COUNT = '
}
# What is reserved may come into use.
members() {
    awk -F "'" '/<class-decl / { of = $2 } /<\/class-decl>/ { of = "" } /<data-member / { at = $4 }
        /<var-decl / && of && $2 !~ /^reserved/ { print of "." $2 " at bit " at ", type " $4 }' "$1"
}
for what in values members; do
    $what $baseline | sort -u >$build/$what-before
    $what $build/libtuff.abi | sort -u >$build/$what-now
    [ -s $build/$what-before ] || { echo "abi: the baseline has no $what"; exit 1; }
    if comm -23 $build/$what-before $build/$what-now | grep .; then
        echo "abi: these $what are gone or are no longer what they were"
        status=1
    fi
done
if [ $status != 0 ]; then
    echo "abi: programs built with the baseline may not run with this library: undo the change, or raise the minor version" \
        "in include/tuff/version.h and run sh scripts/abi.sh renew"
    exit 1
fi
echo "abi: compatible with $baseline"
