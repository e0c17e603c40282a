#!/bin/sh
# Runs a program with RADV, the driver of AMD's cards, which stands for a card that is not there: it makes pipelines and runs
# nothing.
#
#   radv.sh CARD COMMAND [ARGUMENT...]     CARD: as RADV_FORCE_FAMILY takes it, navi31 or vega10, say
#   radv.sh fetch                          only has the driver ready
#
# The driver is that of Debian 13, whose packages are unpacked once into build/radv (nothing is installed, no root is needed);
# TUFF_RADV_ROOT names another root that has it. Exit status 77, with a sentence, where it cannot be had, else the program's.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
root=${TUFF_RADV_ROOT:-$here/build/radv}

skip() {
    echo "skipped: radv: $1"
    exit 77
}

# Debian 13's driver and all it needs, with apt's own means and a state of its own.
fetch_driver() {
    for tool in apt-get dpkg-deb; do
        command -v $tool >/dev/null || skip "no $tool to fetch Debian's Vulkan drivers with"
    done
    state=$root.apt
    rm -rf "$state" "$root.new"
    mkdir -p "$state/lists/partial" "$state/archives/partial" "$root.new"
    : >"$state/status"
    site=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -1)
    echo "deb ${site:-http://deb.debian.org/debian/} trixie main" >"$state/sources.list"
    apt() {
        apt-get -q -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
            -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" -o Dir::Etc::sourcelist="$state/sources.list" \
            -o Dir::Etc::sourceparts=- -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
    }
    apt update >"$state/log" 2>&1 &&
        apt install -y --download-only --no-install-recommends mesa-vulkan-drivers libvulkan1 >>"$state/log" 2>&1 ||
        skip "Debian 13's Vulkan drivers could not be fetched ($state/log)"
    # A root's /lib64 and /bin are links into /usr there, which no package brings along.
    ln -s usr/lib64 "$root.new/lib64"
    for package in "$state"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root.new" --keep-directory-symlink ./usr ||
            skip "$package could not be unpacked"
    done
    rm -rf "$state" "$root"
    mv "$root.new" "$root"
}

[ $# -gt 0 ] || { echo "usage: radv.sh CARD COMMAND [ARGUMENT...]" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || skip "it runs Debian 13's driver for x86_64"
[ -e "$root/usr/share/vulkan/icd.d/radeon_icd.json" ] || fetch_driver
card=$1
shift
[ "$card" != fetch ] || exit 0

# The root's own loader and libraries, so that neither a change of root nor its C library here is needed; what it lacks is found
# where programs of this machine find it.
root=$(realpath "$root")
libraries=$root/usr/lib/x86_64-linux-gnu
command=$(command -v "$1") || { echo "radv.sh: there is no program $1" >&2; exit 2; }
shift
icd=$(mktemp --suffix .json)
trap 'rm -f "$icd"' EXIT
sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$libraries/libvulkan_radeon.so\"#" \
    "$root/usr/share/vulkan/icd.d/radeon_icd.json" >"$icd"
RADV_FORCE_FAMILY=$card VK_DRIVER_FILES=$icd VK_LOADER_LAYERS_DISABLE='*' MESA_SHADER_CACHE_DISABLE=1 \
    "$root/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" "$command" "$@"
