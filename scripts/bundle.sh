#!/bin/sh
# Makes a portable archive: the command, the shared and the static library, headers, the libraries that they need, all
# licences, a small model. It runs on any x86-64 Linux with glibc 2.36 or later and nothing installed.
#
#   sh scripts/bundle.sh [DIRECTORY]        writes DIRECTORY/tuff-<version>-x86_64-linux.tar.xz (default: build)
#
# To be run on Debian 12: a program needs the glibc of the machine that it was built on, or a later one. The same commit on
# the same packages gives the same bytes. BUNDLE_BUILD names the build folder (default: build/bundle).
set -eu
out=$(realpath -m "${1:-build}")
cd "$(dirname "$0")/.."
source=$PWD
build=${BUNDLE_BUILD:-$source/build/bundle}

fail() {
    echo "bundle: $*" >&2
    exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "this is $(uname -sm), not Linux x86_64"
command -v dpkg-query >/dev/null 2>&1 || fail "the licences are taken from Debian's packages, and this is no Debian"
command -v patchelf >/dev/null 2>&1 || fail "patchelf is not installed (apt-get install patchelf)"
[ -n "${SOURCE_DATE_EPOCH:-}" ] || SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
    fail "no git history: set SOURCE_DATE_EPOCH to the time of the release"
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^#define TUFF_VERSION_[A-Z]* \([0-9]*\)$/\1/p' include/tuff/version.h | paste -sd .)
name=tuff-$version-x86_64-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name

# The compiler's own libraries and OpenCL's loader are the system's where it has them: a graphics driver that is newer than
# this bundle brings newer ones, and a process has one of each. The others are the bundle's.
search='$ORIGIN/../lib:/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu:/usr/lib64:/lib64:/usr/lib:$ORIGIN/../lib/fallback'
fallback=' libstdc++.so.6 libgcc_s.so.1 libgomp.so.1 libOpenCL.so.1 '
glibc=' linux-vdso.so.1 ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 '

launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache"
fi
# Without shaderc, which only compiles shaders at run time for who develops them. The old kind of rpath, for it serves also
# the libraries that a library needs.
cmake -S . -B "$build" -G Ninja $launcher -DCMAKE_BUILD_TYPE=Release -DTUFF_TESTS=OFF -DTUFF_VULKAN=ON -DTUFF_ONEDNN=ON \
    -DTUFF_SHADERC=OFF -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_RPATH="$search" \
    -DCMAKE_C_FLAGS="-ffile-prefix-map=$source=. -ffile-prefix-map=$build=build" \
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags -DCMAKE_SHARED_LINKER_FLAGS=-Wl,--disable-new-dtags >"$work/log" &&
    cmake --build "$build" -j "$(nproc)" >>"$work/log" &&
    cmake --install "$build" --prefix "$tree" --strip >>"$work/log" || { tail -30 "$work/log" >&2; fail "the build failed"; }

# package FILE: Debian's package of a library
package() {
    dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "/usr$1" 2>/dev/null || dpkg-query -S "${1#/usr}" 2>/dev/null
}

# take FILE FOLDER: a library under its soname, and its package's licence
take() {
    soname=$(objdump -p "$1" | awk '$1 == "SONAME" { print $2 }')
    mkdir -p "$2" "$tree/licences"
    cp -L "$1" "$2/$soname"
    chmod 644 "$2/$soname"
    owner=$(package "$1") || owner=$(package "$(realpath "$1")") || fail "$1 is of no Debian package: its licence is not known"
    owner=${owner%%:*}
    cp -L "/usr/share/doc/$owner/copyright" "$tree/licences/$owner"
    dpkg-query -W -f '${Package} ${Version} (source ${source:Package} ${source:Version})\n' "$owner" | head -1 >>"$work/packages"
}

# guide FILE: a library that needs those of lib/fallback finds them by itself. Its user's search path does not serve it, neither
# when a program is linked nor, in most programs, when one starts.
guide() {
    for need in $(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }'); do
        case $fallback in *" $need "*) ;; *) continue ;; esac
        patchelf --force-rpath --set-rpath "$(echo "$search" | sed 's|/\.\./lib||g')" "$1"
        echo "$(basename "$1"): of this copy the search path was changed (RPATH), nothing else" >>"$work/changed"
        return
    done
}

mkdir -p "$tree/licences"
ldd "$tree/bin/tuff" "$tree/lib/libtuff.so" | awk '$2 == "=>" { print $1, $3 }' | sort -u >"$work/needed"
while read -r library path; do
    case $glibc in *" $library "*) continue ;; esac
    [ "$path" != not ] || fail "$library is not found"
    case $fallback in
    *" $library "*) take "$path" "$tree/lib/fallback" ;;
    *)
        take "$path" "$tree/lib"
        guide "$tree/lib/$library"
        # what a linker looks for
        ln -sf "$library" "$tree/lib/${library%%.so*}.so"
        ;;
    esac
done <"$work/needed"
# Who has a driver has its loader; for those who have not, one lies aside.
loader=/usr/lib/x86_64-linux-gnu/libvulkan.so.1
[ ! -e "$loader" ] || take "$loader" "$tree/lib/vulkan"

cp LICENSE "$tree/licences/tuff"
sort -u "$work/packages" "$work/changed" >"$tree/licences/PACKAGES"
mkdir -p "$tree/share/tuff"
cp -R assets/model assets/stories examples scripts/peers/gpu.sh scripts/peers/gpu_pytorch.py "$tree/share/tuff/"
cat >"$tree/README" <<END
Tuff $version for x86-64 Linux with glibc 2.36 or later (Debian 12, Ubuntu 23.04, Fedora 37 and what came after them).

    bin/tuff devices
    bin/tuff generate --model share/tuff/model --prompt "Once upon a time"
    bin/tuff help
    sh share/tuff/gpu.sh       is the GPU right, and how fast? gpu.md and gpu.json, in less than 8 minutes

The folder can lie anywhere and be moved. Nothing has to be installed. To use a GPU its Vulkan driver has to be, as for any
other program; where a driver is installed without a loader (libvulkan.so.1): LD_LIBRARY_PATH=<here>/lib/vulkan.

What Tuff keeps between runs (the driver's compiled pipelines, which kernels passed their tests) is in \$TUFF_CACHE_DIR, or
else \$XDG_CACHE_HOME/tuff, or ~/.cache/tuff. It may be deleted, and is made again.

A program of your own, with Debian's or any C compiler; share/tuff/examples has some:

    export PKG_CONFIG_PATH=<here>/lib/pkgconfig
    cc app.c \$(pkg-config --cflags --libs tuff) -Wl,-rpath,<here>/lib
    cc app.c \$(pkg-config --static --cflags --libs tuff) -Wl,-rpath,<here>/lib:<here>/lib/fallback

The second line takes what -L has first, the shared library, unless libtuff.so is not there or libtuff.a is named. By CMake:
find_package(tuff) with CMAKE_PREFIX_PATH=<here>, then Tuff::tuff or Tuff::tuff_static.

lib            Tuff, and the libraries it needs
lib/fallback   libraries of the compiler and OpenCL's loader, used where the system has none
lib/vulkan     a Vulkan loader, used only when asked for as above
licences       of each library by Debian's package; PACKAGES has their versions. Their sources: https://snapshot.debian.org
END

# Nothing but glibc is needed from outside, and of that no later version.
find "$tree" -type f \( -path '*/bin/*' -o -name '*.so*' \) | sort >"$work/programs"
while read -r file; do
    for library in $(objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }'); do
        case $glibc in *" $library "*) continue ;; esac
        [ -e "$tree/lib/$library" ] || [ -e "$tree/lib/fallback/$library" ] || fail "$(basename "$file") needs $library, which is not in the bundle"
    done
    latest=$(objdump -T "$file" | sed -n 's/.*(\{0,1\}GLIBC_\(2\.[0-9.]*\)).*/\1/p; s/.* GLIBC_\(2\.[0-9.]*\) .*/\1/p' | sort -uV | tail -1)
    [ "$(printf '%s\n2.36\n' "${latest:-2.0}" | sort -V | tail -1)" = 2.36 ] || fail "$(basename "$file") needs glibc $latest: build on Debian 12"
done <"$work/programs"

mkdir -p "$out"
chmod -R u=rwX,go=rX "$tree"
tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -cf "$work/bundle.tar" "$name"
xz -T1 -6 -c "$work/bundle.tar" >"$out/$name.tar.xz"
size=$(stat -c %s "$out/$name.tar.xz")
[ "$size" -lt 48000000 ] || fail "$out/$name.tar.xz has $size bytes, more than 48 MB"
echo "$out/$name.tar.xz: $((size / 1000)) kB, $(sha256sum <"$out/$name.tar.xz" | cut -c1-64)"
