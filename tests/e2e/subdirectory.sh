#!/bin/sh
# Tuff inside another project, by add_subdirectory: no test is built or registered, cmocka is not needed, the project's
# build type stays its own, and its programs are planned against either library.
set -eu

[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "not with sanitizers"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp "$TUFF_TEST_SOURCE/examples/devices.c" "$work/"
cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(outer VERSION 7.8.9 LANGUAGES C)
enable_testing()
add_subdirectory("$TUFF_TEST_SOURCE" tuff)
add_executable(with_shared devices.c)
target_link_libraries(with_shared PRIVATE Tuff::tuff)
add_executable(with_static devices.c)
target_link_libraries(with_static PRIVATE Tuff::tuff_static)
END
cmake -S "$work" -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$CC" -DTUFF_SHADERC=OFF >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

ninja -C "$work/build" -t targets all >"$work/targets"
for program in with_shared with_static; do
    grep -q "^$program: " "$work/targets" || { echo "$program is no target"; exit 1; }
    ninja -C "$work/build" -n "$program" >"$work/log" || { cat "$work/log"; exit 1; }
done
if grep -E '\.dir/tests/|tuff_test_kit' "$work/targets" || grep -i cmocka "$work/build/CMakeCache.txt"; then
    echo "the tests are a part of the other project"
    exit 1
fi
# it named none: Tuff is optimized, the rest is as CMake would have it
grep -q 'tuff_base.*: C_COMPILER__tuff_base_Release$' "$work/targets" || { echo "Tuff is not optimized"; exit 1; }
grep -E '^with_[a-z]*|C_COMPILER__with' "$work/targets" >"$work/log"
if grep Release "$work/log" || ! grep -q 'C_COMPILER__with_static_$' "$work/log"; then
    echo "the build type of the other project was changed"
    exit 1
fi
(cd "$work/build" && ctest -N) >"$work/log"
grep -q '^Total Tests: 0$' "$work/log" || { cat "$work/log"; exit 1; }
