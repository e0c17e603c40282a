#!/bin/sh
# Installs what building and testing Tuff needs on Debian 12. Only missing packages are installed; with nothing missing,
# neither root nor a network is needed. Arguments are further packages.
set -eu

packages="cmake ninja-build gcc g++ libc6-dev clang-format pkg-config
    libvulkan-dev libvulkan1 libvulkan-volk-dev glslc libshaderc-dev glslang-dev spirv-tools
    libcjson-dev libdnnl-dev libpcre2-dev libutf8proc-dev libcmocka-dev
    mesa-vulkan-drivers"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "install-deps: this is no Debian; install the equivalents of:" $packages "$@" >&2
    exit 0
fi

missing=""
for package in $packages "$@"; do
    installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    exit 0
fi

as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install-deps: missing packages, and neither root nor sudo to install them:$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "install-deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -q update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
