#!/bin/sh
# Installs into a fresh prefix, moves that elsewhere, and builds and runs the examples against it, outside the tree: by
# find_package, shared and static, by pkg-config, and by pkg-config --static. Then programs in C++ and in Python, which know
# nothing but what is installed.
set -eu

[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "not with sanitizers"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$TUFF_TEST_BUILD" --prefix "$work/first" --strip >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/moved"
prefix=$work/moved
cp -r "$TUFF_TEST_SOURCE/examples" "$work/examples"

cmake -S "$work/examples" -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
    cmake --build "$work/build" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
echo "find_package:"
"$work/build/devices"

version=$(sed -n 's/^#define TUFF_VERSION_[A-Z]* \([0-9]*\)$/\1/p' "$TUFF_TEST_SOURCE/include/tuff/version.h" | paste -sd .)
"$work/build/devices" | grep -q "^Tuff $version sees"

echo "examples:"
"$work/build/generate" "$TUFF_TEST_SOURCE/assets/model" "Once upon a time" >"$work/story"
cat "$work/story"
[ "$(wc -w <"$work/story")" -gt 20 ]
"$work/build/finetune" "$TUFF_TEST_SOURCE/assets/model" "$TUFF_TEST_SOURCE/assets/stories/style.txt" "$work/adapter" >"$work/log"
tail -n 1 "$work/log"
[ "$(grep -c '^step ' "$work/log")" = 20 ]
cp "$work/adapter/adapter_model.safetensors" "$work/whole"
rm -r "$work/adapter/checkpoint-20"
"$work/build/finetune" "$TUFF_TEST_SOURCE/assets/model" "$TUFF_TEST_SOURCE/assets/stories/style.txt" "$work/adapter" >"$work/log"
[ "$(grep -c '^step ' "$work/log")" = 10 ]
cmp "$work/whole" "$work/adapter/adapter_model.safetensors"
# paused after step 10, ended there, begun again
rm -r "$work/adapter/checkpoint-20"
touch "$work/adapter.pause"
"$work/build/finetune" "$TUFF_TEST_SOURCE/assets/model" "$TUFF_TEST_SOURCE/assets/stories/style.txt" "$work/adapter" >"$work/log" 2>"$work/err" &
paused=$!
waited=0
until grep -q '^paused' "$work/log"; do
    waited=$((waited + 1))
    [ $waited -lt 1200 ] || { cat "$work/log" "$work/err"; exit 1; }
    sleep 0.1
done
kill -INT $paused
if wait $paused; then exit 1; fi
grep -q '^stopped after step 10' "$work/log"
if grep -q '^step ' "$work/log"; then exit 1; fi
rm "$work/adapter.pause"
"$work/build/finetune" "$TUFF_TEST_SOURCE/assets/model" "$TUFF_TEST_SOURCE/assets/stories/style.txt" "$work/adapter" >"$work/log"
[ "$(grep -c '^step ' "$work/log")" = 10 ]
cmp "$work/whole" "$work/adapter/adapter_model.safetensors"
"$work/build/own-task" "$TUFF_TEST_SOURCE/assets/model" "$work/sums" >"$work/log"
cat "$work/log"
awk '/^before/ { before = $NF } /^after/ { after = $NF } END { exit !(before > 0 && after > 0 && after < before) }' "$work/log"
[ -f "$work/sums/adapter_model.safetensors" ]
if "$work/build/generate" "$work/nowhere" "x" 2>"$work/log" >&2; then exit 1; fi
grep -q "^not found: .*nowhere" "$work/log"

library=$(dirname "$(find "$prefix" -name 'libtuff.so' | head -1)")
export PKG_CONFIG_PATH="$library/pkgconfig"
[ "$(pkg-config --modversion tuff)" = "$version" ]
echo "pkg-config:"
for source in "$work"/examples/*.c; do
    name=$(basename "$source" .c)
    $CC -std=c11 -Wall -Wextra -Werror $(pkg-config --cflags tuff) "$source" $(pkg-config --libs tuff) -o "$work/$name"
done
LD_LIBRARY_PATH=$library "$work/devices"

# in other languages; a machine that lacks one says so
for cxx in "${CXX:-}" g++ clang++ c++ ""; do
    [ -n "$cxx" ] && command -v "$cxx" >"$work/log" && break
done
if [ -n "$cxx" ]; then
    echo "C++:"
    $cxx -std=c++17 -Wall -Wextra -Werror $(pkg-config --cflags tuff) "$TUFF_TEST_SOURCE/tests/e2e/install/generate.cpp" \
        $(pkg-config --libs tuff) -o "$work/generate-cpp"
    LD_LIBRARY_PATH=$library "$work/generate-cpp" "$TUFF_TEST_SOURCE/assets/model"
else
    echo "C++: skipped, no compiler found"
fi
if python3 -c "import ctypes" 2>"$work/log"; then
    echo "Python:"
    python3 -B "$TUFF_TEST_SOURCE/tests/e2e/install/generate.py" "$library/libtuff.so" "$TUFF_TEST_SOURCE/assets/model"
else
    echo "Python: skipped, no python3 with ctypes found"
fi

# both targets, by the names of today and of 0.1.0
mkdir "$work/both"
cp "$work/examples/devices.c" "$work/both/"
cat >"$work/both/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(both LANGUAGES C)
find_package(Tuff 0.2 REQUIRED CONFIG COMPONENTS shared static)
foreach(name Tuff::tuff tuff::tuff Tuff::tuff_static)
    string(MAKE_C_IDENTIFIER \${name} program)
    add_executable(\${program} devices.c)
    target_link_libraries(\${program} PRIVATE \${name})
endforeach()
END
configure_both() {
    cmake -S "$work/both" -B "$work/both-$1" -G Ninja -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1
}
echo "find_package, shared and static:"
configure_both a && cmake --build "$work/both-a" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
# no folder of the machine that built it; a static program has no libtuff.so
! grep -rn "$TUFF_TEST_BUILD\|/usr/lib" "$library/cmake" "$library/pkgconfig" || exit 1
for program in Tuff__tuff tuff__tuff Tuff__tuff_static; do
    "$work/both-a/$program" >"$work/log"
    grep -q "^Tuff $version sees" "$work/log"
done
! readelf -d "$work/both-a/Tuff__tuff_static" | grep -q 'NEEDED.*libtuff' || exit 1
# a needed library that is not there is named
sed -i 's/foreach(tuff_name /&no_such_library /' "$library/cmake/tuff/tuff-config.cmake"
if configure_both b; then exit 1; fi
grep -q "no_such_library\. " "$work/log" || { cat "$work/log"; exit 1; }

echo "pkg-config --static:"
rm "$library"/libtuff.so*
$CC $(pkg-config --cflags tuff) "$work/examples/devices.c" $(pkg-config --static --libs tuff) -o "$work/devices-static"
"$work/devices-static"

echo "command:"
"$prefix/bin/tuff" --version
