#!/bin/sh
# libtuff.so exports exactly what the public headers declare with TUFF_API, each under the version of the binary interface,
# which until 1.0 is TUFF_0.<minor>.
set -eu
cd "$(dirname "$0")/../.."

[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "sanitizers export symbols of their own"; exit 77; }
library="$TUFF_TEST_BUILD/libtuff.so"
[ -e "$library" ] || { echo "$library is missing: build it first"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version=TUFF_$(sed -n 's/^#define TUFF_VERSION_M[AJINOR]* \([0-9]*\)$/\1/p' include/tuff/version.h | paste -sd .)
nm -D --defined-only "$library" | awk -v version="$version" '$3 == version { next } !sub("@@" version "$", "", $3) {
    $3 = $3 " (not of version " version ")" } { print $3 }' | sort -u >"$work/exported"

# After the preprocessor TUFF_API is an attribute, also where a macro expands to declarations.
for header in include/tuff/*.h; do
    echo "#include \"$header\""
done | ${CC:-cc} -std=c11 -Iinclude -I. -E -P -x c - | tr '\n' ' ' | tr ';{}' '\n\n\n' |
    sed 's/__attribute__((warn_unused_result))//g' | sed -n 's/.*visibility("default")))//p' | sed -n 's/^[^(]*[ *]\(tuff_[a-z0-9_]*\) *(.*/\1/p' |
    sort -u >"$work/declared"

if ! diff "$work/declared" "$work/exported" >"$work/difference"; then
    echo "declared with TUFF_API (<) against exported by libtuff.so (>):"
    cat "$work/difference"
    exit 1
fi
echo "$(wc -l <"$work/exported") functions exported"
