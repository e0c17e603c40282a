#!/bin/sh
# Each public header compiles alone, as C99, C11, C++98, C++11 and C++17, without a warning; includes what declares the
# types it uses; and is in <tuff/tuff.h>.
set -eu
cd "$(dirname "$0")/../.."

cxx=""
for candidate in g++ clang++ c++; do
    if command -v "$candidate" >/dev/null 2>&1; then
        cxx=$candidate
        break
    fi
done
[ -n "$cxx" ] || { echo "no C++ compiler"; exit 77; }

bad=0
for header in include/tuff/*.h; do
    name=${header#include/}
    for standard in c99 c11; do
        echo "#include <$name>" | ${CC:-cc} -std=$standard -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -Iinclude \
            -fsyntax-only -x c - || { echo "$header: not clean as $standard"; bad=1; }
    done
    # <stdint.h> of the C library itself needs long long, which C++98 does not have.
    for standard in c++98 c++11 c++17; do
        echo "#include <$name>" | $cxx -std=$standard -Wall -Wextra -Wpedantic -Wno-long-long -Werror -Iinclude -fsyntax-only \
            -x c++ - || { echo "$header: not clean as $standard"; bad=1; }
    done
    [ "$name" = tuff/tuff.h ] || grep -q "^#include <$name>" include/tuff/tuff.h ||
        { echo "$header: is not in include/tuff/tuff.h"; bad=1; }
done

# The macros that begin a struct list all its fields: no compiler has anything to say about one.
macros=$(sed -n 's/^#define \(TUFF_[A-Z0-9_]*\)_INIT.*/\1/p' include/tuff/*.h)
[ -n "$macros" ]
macros_file=$(mktemp)
trap 'rm -f "$macros_file"' EXIT
{
    echo "#include <tuff/tuff.h>"
    for macro in $macros; do
        type=$(echo "$macro" | tr '[:upper:]' '[:lower:]')
        echo "extern $type made_$type; $type made_$type = ${macro}_INIT;"
    done
} >"$macros_file"
for standard in c99 c11; do
    ${CC:-cc} -std=$standard -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c "$macros_file" || bad=1
done
for standard in c++98 c++17; do
    $cxx -std=$standard -Wall -Wextra -Wpedantic -Wno-long-long -Werror -Iinclude -fsyntax-only -x c++ \
        "$macros_file" || bad=1
done

# What a header uses it declares itself, or a header does that it includes.
awk '
function uses(word) { return match(text, "(^|[^A-Za-z0-9_])" word "([^A-Za-z0-9_]|$)") }
FNR == 1 { file = FILENAME; files[file] = 1; comment = 0 }
{
    line = $0
    if (comment) { if (!sub(/^.*\*\//, "", line)) next; comment = 0 }
    while (sub(/\/\*[^*]*(\*[^\/*][^*]*)*\*\//, "", line)) { }
    if (sub(/\/\*.*/, "", line)) comment = 1
    if (line ~ /^#include </) { split(line, part, /[<>]/); included[file, part[2]] = 1; next }
    if (line ~ /^#/) next
    body[file] = body[file] " " line
    if (match(line, /^typedef (struct|enum) tuff_[a-z0-9_]+/)) { split(substr(line, RSTART, RLENGTH), part, " "); home[part[3]] = file }
    if (match(line, /^typedef .*\(\*tuff_[a-z0-9_]+\)/)) { name = line; sub(/^.*\(\*/, "", name); sub(/\).*/, "", name); home[name] = file }
}
END {
    standard["size_t"] = "stddef.h"; standard["bool"] = "stdbool.h"
    split("int8_t uint8_t int32_t uint32_t int64_t uint64_t", part, " ")
    for (i in part) standard[part[i]] = "stdint.h"
    for (file in files) {
        text = body[file]
        for (type in home) {
            from = home[type]; sub(/^include\//, "", from)
            if (home[type] != file && uses(type) && !((file, from) in included)) { print file ": uses " type " without <" from ">"; bad = 1 }
        }
        for (type in standard)
            if (uses(type) && !((file, standard[type]) in included)) { print file ": uses " type " without <" standard[type] ">"; bad = 1 }
        if (uses("TUFF_API") && file != "include/tuff/status.h" && !((file, "tuff/status.h") in included)) {
            print file ": uses TUFF_API without <tuff/status.h>"; bad = 1
        }
    }
    exit bad
}' include/tuff/*.h || bad=1
exit $bad
