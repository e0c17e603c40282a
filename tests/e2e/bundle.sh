#!/bin/sh
# ctest: slow
# The portable archive is whole: in a root that has nothing but the archive and glibc, the command lists, generates and
# trains, and a program that was linked with the archive's static library elsewhere runs. Packed again, it is the same.
set -eu

[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "not with sanitizers"; exit 77; }
[ "$(uname -sm)" = "Linux x86_64" ] && grep -q '^VERSION_CODENAME=bookworm' /etc/os-release || { echo "only on Debian 12, x86-64"; exit 77; }
command -v patchelf >/dev/null || { echo "patchelf is not installed"; exit 77; }
enter=""
if [ "$(id -u)" != 0 ]; then
    enter="unshare -r"
    $enter true 2>/dev/null || { echo "neither root nor user namespaces"; exit 77; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -n "${SOURCE_DATE_EPOCH:-}" ] || git -C "$TUFF_TEST_SOURCE" log -1 >"$work/log" 2>&1 || export SOURCE_DATE_EPOCH=1000000000
export BUNDLE_BUILD="$work/build"
sh "$TUFF_TEST_SOURCE/scripts/bundle.sh" "$work/one"
sh "$TUFF_TEST_SOURCE/scripts/bundle.sh" "$work/two"
cmp "$work/one"/*.tar.xz "$work/two"/*.tar.xz

root=$work/root
mkdir -p "$root/opt" "$root/lib64" "$root/lib/x86_64-linux-gnu" "$root/tmp"
tar -xJf "$work/one"/*.tar.xz -C "$root/opt"
mv "$root"/opt/tuff-* "$root/opt/moved"
here=$root/opt/moved
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1; do
    cp -L "/lib/x86_64-linux-gnu/$library" "$root/lib/x86_64-linux-gnu/"
done

# A linker finds what libraries need by their own search paths only.
objdump -p "$here/lib/libdnnl.so.2" | grep -q 'RPATH.*:\$ORIGIN/fallback' || { echo "libdnnl does not find the libraries of lib/fallback"; exit 1; }

for library in tuff cjson pcre2-8 utf8proc dnnl; do
    [ -e "$here/lib/lib$library.so" ] || { echo "a linker does not find lib$library.so"; exit 1; }
done
[ -z "$(find "$here" -xtype l)" ] && [ ! -e "$here/lib/libc.so" ] || { echo "links lead nowhere, or hide the system's"; exit 1; }

# A user's program, from what the archive has, as the archive's README says.
rm "$here"/lib/libtuff.so*
export PKG_CONFIG_PATH="$here/lib/pkgconfig"
${CC:-cc} $(pkg-config --cflags tuff) "$here/share/tuff/examples/generate.c" $(pkg-config --static --libs tuff) \
    -Wl,-rpath,/opt/moved/lib:/opt/moved/lib/fallback -o "$here/bin/generate"

# without /proc the loader is told where the program lies
inside() {
    env -i TUFF_CACHE_DIR=/tmp/cache LD_ORIGIN_PATH=/opt/moved/bin $enter "$(command -v chroot)" "$root" "$@"
}
tuff=/opt/moved/bin/tuff share=/opt/moved/share/tuff
inside $tuff devices
inside $tuff generate --model $share/model --prompt "Once upon a time" --max-new-tokens 20 --quiet >"$work/text"
[ "$(wc -w <"$work/text")" -gt 10 ]
inside $tuff train --model $share/model --train-file $share/stories/style.txt --output-dir /tmp/out --max-steps 2 --block-size 32 --quiet
[ -s "$root/tmp/out/model.safetensors" ]
inside /opt/moved/bin/generate $share/model "Once upon a time" >"$work/text"
[ "$(wc -w <"$work/text")" -gt 10 ]
for package in libdnnl2 libcjson1 libpcre2-8-0 libutf8proc2 libgomp1 "libstdc++6" tuff; do
    [ -s "$here/licences/$package" ] || { echo "no licence of $package"; exit 1; }
done
echo "$(du -k "$work/one"/*.tar.xz | cut -f1) KiB"
