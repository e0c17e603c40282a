#!/bin/sh
# Each public header compiles alone, as C11 and as C++17, without a warning.
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
    echo "#include <$name>" | ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -Iinclude \
        -fsyntax-only -x c - || { echo "$header: not clean as C11"; bad=1; }
    echo "#include <$name>" | $cxx -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ - ||
        { echo "$header: not clean as C++17"; bad=1; }
done
exit $bad
