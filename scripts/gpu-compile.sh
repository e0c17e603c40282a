#!/bin/sh
# What AMD's compiler makes of the pipelines that real plans run (tests/backend/real_plans_test.c), for six generations of cards
# that are not there: registers, spills, scratch, shared memory, waves. Fails on a spill, on scratch memory, on more than 32,768
# bytes of shared memory, on fewer waves than scripts/gpu/recorded.tsv has, and on a new pipeline with fewer than
# scripts/gpu/judge.awk asks for. What falls short today is in the recorded table as it is, and may not become worse.
#
#   gpu-compile.sh [--record] [BUILD]
#
# BUILD: where the tests were built (build/default). --record writes the recorded table and docs/gpu-kernels.md anew.
# The driver is RADV of Debian 13, whose packages are unpacked once into build/radv (nothing is installed, no root is needed);
# TUFF_RADV_ROOT names another root that has it. Exit status 77, with a sentence, where it cannot be had.
set -eu
cd "$(dirname "$0")/.."

record=""
[ "${1:-}" != --record ] || { record=1; shift; }
build=${1:-build/default}
out=build/gpu-compile
root=${TUFF_RADV_ROOT:-$PWD/build/radv}
# RX 7900, RX 9070, Strix Halo, RX 6800, Vega, RX 580
cards="navi31 gfx1201 gfx1151 navi21 vega10 polaris10"

skip() {
    echo "skipped: gpu-compile: $1"
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

[ "$(uname -m)" = x86_64 ] || skip "it runs Debian 13's driver for x86_64"
[ -x "$build/tests/real_plans_test" ] || skip "$build/tests/real_plans_test is not built"
[ -e "$root/usr/share/vulkan/icd.d/radeon_icd.json" ] || fetch_driver

rm -rf "$out"
mkdir -p "$out"
TUFF_TEST_PIPELINES="$PWD/$out" "$build/tests/real_plans_test" >"$out/capture.log" 2>&1 || {
    cat "$out/capture.log"
    exit 1
}
${CC:-cc} -std=c11 -O1 -o "$out/statistics" scripts/gpu/statistics.c -ldl || skip "scripts/gpu/statistics.c needs a C compiler and volk"

# The root's own loader and libraries, so that neither a change of root nor its C library here is needed.
libraries=$root/usr/lib/x86_64-linux-gnu
sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$libraries/libvulkan_radeon.so\"#" \
    "$root/usr/share/vulkan/icd.d/radeon_icd.json" >"$out/icd.json"
for card in $cards; do
    RADV_FORCE_FAMILY=$card VK_DRIVER_FILES="$PWD/$out/icd.json" VK_LOADER_LAYERS_DISABLE='*' MESA_SHADER_CACHE_DISABLE=1 \
        "$root/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" "$out/statistics" "$out" >"$out/$card.txt" 2>"$out/$card.err" || {
        code=$?
        grep 'cannot be made' "$out/$card.txt" && exit 1
        # 77 says that there is no such device, all else that making a pipeline ended the process
        [ $code -eq 77 ] || { echo "gpu-compile: $card: the compiler ended with status $code"; tail -3 "$out/$card.err"; exit 1; }
        skip "the driver does not know $card ($(tail -1 "$out/$card.err"))"
    }
    # plans were made for a device like this one, or one that has less
    grep -q '^device subgroup=64 shared=65536 workgroup=1024 half=1,[01] byte=1 ' "$out/$card.txt" || {
        echo "gpu-compile: $card is not the device that real_plans_test makes plans for: $(head -1 "$out/$card.txt")"
        exit 1
    }
    sed "s/^/$card /" "$out/$card.txt" >>"$out/all.txt"
done

status=0
awk -v cards="$cards" -v recorded=scripts/gpu/recorded.tsv -v table="$out/recorded.tsv" -v page="$out/page.md" -v anew="$record" \
    -f scripts/gpu/judge.awk "$out/pipelines.txt" "$out/all.txt" || status=1
if [ -n "$record" ]; then
    cp "$out/recorded.tsv" scripts/gpu/recorded.tsv
    cp "$out/page.md" docs/gpu-kernels.md
    echo "gpu-compile: scripts/gpu/recorded.tsv and docs/gpu-kernels.md are written"
fi
exit $status
