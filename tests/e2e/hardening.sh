#!/bin/sh
# The command and the library are hardened as Debian's packages are. Read off the files, as they will be shipped.
set -eu

[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "not with sanitizers"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "$@"
    bad=1
}

cmake --install "$TUFF_TEST_BUILD" --prefix "$work/prefix" --strip >"$work/log" || { cat "$work/log"; exit 1; }
library=$(find "$work/prefix" -name 'libtuff.so.*.*.*')
# Tuff's own code: the archive has no code of other libraries in it.
archive=$(find "$work/prefix" -name 'libtuff.a')
optimized=$(grep -c '^CMAKE_BUILD_TYPE:STRING=\(Release\|RelWithDebInfo\|MinSizeRel\)$' "$TUFF_TEST_BUILD/CMakeCache.txt" || true)

for file in "$work/prefix/bin/tuff" "$library"; do
    name=$(basename "$file")
    readelf -W -h -l -d "$file" >"$work/elf"
    grep -q 'Type: *DYN' "$work/elf" || complain "$name: loaded at a fixed address"
    grep -q 'GNU_RELRO' "$work/elf" || complain "$name: no read-only relocations"
    grep -q 'BIND_NOW\|FLAGS_1.*NOW' "$work/elf" || complain "$name: symbols are bound when first called (no -z now)"
    grep -q 'GNU_STACK.* RW ' "$work/elf" || complain "$name: the stack is executable"
    ! grep -q 'LOAD.* RWE ' "$work/elf" || complain "$name: memory that can be written and executed"
    ! grep -q 'TEXTREL' "$work/elf" || complain "$name: relocations in code"
    ! grep -q 'RPATH\|RUNPATH' "$work/elf" || complain "$name: looks for libraries in a folder of the machine that built it"
done
readelf -W -d "$work/prefix/bin/tuff" | grep -q 'FLAGS_1.*PIE' || complain "tuff: no position-independent executable"

nm "$archive" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort | uniq -c >"$work/undefined"
grep -q ' __stack_chk_fail$' "$work/undefined" || complain "no canaries on the stack"
if [ "$optimized" = 1 ]; then
    grep -qE ' __(memcpy|memset|snprintf|vsnprintf|read|fread)_chk$' "$work/undefined" || complain "no checked copies (_FORTIFY_SOURCE)"
fi
# What a processor may jump to begins with endbr64, where the compiler knows -fcf-protection.
if [ "$(uname -m)" = x86_64 ]; then
    objdump -d --no-show-raw-insn "$library" | awk '/^[0-9a-f]+ <tuff_[a-z0-9_]+(@@[A-Z0-9_.]*)?>:$/ { name = $2; getline; n++
        if ($0 !~ /endbr64/) print name } END { print n > "/dev/stderr" }' >"$work/open" 2>"$work/count"
    [ "$(cat "$work/count")" -gt 50 ] || complain "too few functions looked at: $(cat "$work/count")"
    [ ! -s "$work/open" ] || complain "functions that do not begin with endbr64: $(head -3 "$work/open")"
fi
exit $bad
