#!/bin/sh
# Takes SwiftShader, a software Vulkan driver with subgroups of 4, out of Debian's chromium-common package (nothing is
# installed). usage: swiftshader.sh DIRECTORY; afterwards VK_ICD_FILENAMES=DIRECTORY/swiftshader.json selects it.
set -eu
mkdir -p "$1"
directory=$(realpath "$1")
[ ! -e "$directory/swiftshader.json" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get -q download chromium-common && dpkg-deb -x chromium-common_*.deb .)
cp "$work/usr/lib/chromium/libvk_swiftshader.so" "$directory/"
cat >"$directory/swiftshader.json" <<END
{"file_format_version": "1.0.0", "ICD": {"library_path": "$directory/libvk_swiftshader.so", "api_version": "1.0.5"}}
END
