#!/bin/sh
# Everything: both compilers, both sanitizers, the validation layer, all tests including the slow ones. Takes nearly three
# hours on two cores. Names of sections as arguments run only those. Logs are in build/proof/.
set -eu
cd "$(dirname "$0")/.."

sections="${*:-release clang asan tsan validation fuzz conform mutants gpu abi long}"
# libxml2-utils, python3, xz-utils, patchelf: what tests of reports, of the installed library and of the bundle skip without
sh scripts/install-deps.sh clang libclang-rt-14-dev vulkan-validationlayers libxml2-utils python3 xz-utils patchelf
mkdir -p build/proof

launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache"
fi

# configure_and_build PRESET [options]
configure_and_build() {
    preset=$1
    shift
    cmake --preset "$preset" -DTUFF_WERROR=ON $launcher "$@" && cmake --build --preset "$preset" -j 2
}

# gcc, warnings as errors, every test but those of section long; those that compute on the CPU also with the kernels of a lesser processor.
section_release() {
    configure_and_build default || return 1
    status=0
    ctest --preset default --exclude-regex 'e2e_(kill|lose|full)_long' || status=1
    ONEDNN_MAX_CPU_ISA=AVX2 ctest --preset default --label-regex 'unit|backend' --label-exclude slow \
        --exclude-regex 'lavapipe|vulkan|spirv|row_trust' || status=1
    return $status
}

# Trainings that are killed at many moments, whose disk is full from many on, and that lose their device at every submit: an hour.
section_long() {
    configure_and_build default && ctest --preset default --tests-regex 'e2e_(kill|lose|full)_long'
}

# clang, warnings as errors; the quick tests.
section_clang() {
    cmake -S . -B build/clang -G Ninja -DCMAKE_C_COMPILER=clang -DTUFF_WERROR=ON $launcher &&
        cmake --build build/clang -j 2 &&
        ctest --test-dir build/clang -j 2 --output-on-failure --label-exclude slow
}

# What lint looks at is the same in each build.
section_asan() {
    configure_and_build asan && ctest --preset asan --label-exclude lint
}

section_tsan() {
    configure_and_build tsan && ctest --preset tsan --label-exclude 'lint|slow'
}

# A few small cases of each kind, for GPU-assisted validation is a hundred times slower.
gpu_assisted() {
    while read -r name; do
        VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT build/default/tuff conform --device lavapipe --case "$name" \
            --quiet || return 1
    done <<END
activation.silu.n1
copy.f32.257x3.special
cross_entropy.loss.r7c13
dropout.1.rate0_5
elementwise.add.1023
embedding.lookup.f32.v7d5.b1n9
fill.fill.255
attention.full.s2n5.h2kv2d3
cache.write.f32.s1c1n1.h1d1.at0
matmul.nt.f32.m3n5k7
norm.layer.5x7
optimizer.norm.n1
pad.5.axis0.to300.at7
rope.14x3x8.turn8.at3
softmax.3x7
sum.2050x3.over0
END
}

# It is awake: a read far outside of all buffers is reported (and not made, for that would end the process).
gpu_assisted_notices() {
    rm -rf build/proof/shaders
    cp -R shaders build/proof/shaders
    sed -i 's/float x = a.a.v\[i\];/float x = a.a.v[i + 0x10000000u];/' build/proof/shaders/elementwise.comp
    ! cmp -s shaders/elementwise.comp build/proof/shaders/elementwise.comp || return 1
    TUFF_SHADER_DIR=build/proof/shaders VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT build/default/tuff conform \
        --device lavapipe --case elementwise.add.1 --forward-only --quiet || true
    sleep 1
    grep -q 'access out of bounds' "$1"
}

# Every test with a device under the validation layer, then the whole suite; any report fails. Each process would truncate a
# log file, and tests capture their children's output, so the layer writes to a pipe with one reader.
section_validation() {
    configure_and_build default || return 1
    layer=VK_LAYER_KHRONOS_validation
    if ! VK_INSTANCE_LAYERS=$layer VK_LOADER_DEBUG=layer build/default/tuff devices 2>&1 |
        grep -q "Insert instance layer \"$layer\""; then
        echo "the Vulkan loader did not load $layer"
        return 1
    fi
    dir=$PWD/build/proof
    rm -f "$dir/pipe" "$dir/report.txt"
    mkfifo "$dir/pipe" || return 1
    cat >"$dir/vk_layer_settings.txt" <<END
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,perf
khronos_validation.enable_message_limit = FALSE
khronos_validation.log_filename = $dir/pipe
END
    (exec 3<>"$dir/pipe" && exec cat <&3 >"$dir/report.txt") &
    reader=$!
    export VK_LAYER_SETTINGS_PATH="$dir/vk_layer_settings.txt" VK_INSTANCE_LAYERS=$layer
    status=0
    # the long kills and losses are the short ones again and again
    ctest --preset default --label-exclude lint --exclude-regex 'e2e_bundle|signals|e2e_(kill|lose|full)_long' || status=1
    build/default/tuff conform --device lavapipe --level full || status=1
    gpu_assisted || status=1
    sleep 1
    if [ -s "$dir/report.txt" ]; then
        echo "the validation layer reported:"
        cut -c1-400 "$dir/report.txt" | head -50
        status=1
    elif ! gpu_assisted_notices "$dir/report.txt"; then
        echo "GPU-assisted validation did not notice a read outside of all buffers"
        status=1
    fi
    kill $reader
    return $status
}

# A minute for each parser of files from outside, from its corpus; two at a time, for a fuzzer has one thread. All are run, whichever
# fails.
section_fuzz() {
    sh tests/fuzz/run.sh list | xargs -P 2 -I @ sh -c \
        'sh tests/fuzz/run.sh @ 60 >build/proof/fuzz-@.log 2>&1 || { tail -40 build/proof/fuzz-@.log; echo "fuzz: @ failed"; exit 1; }'
}

# Every operation on every device that can be had here; the table is build/proof/conformance.md.
section_conform() {
    configure_and_build default && sh scripts/conformance.sh build/default/tuff full build/proof/conformance.md
}

# The suite rejects each of these wrong shaders; what killed each is in build/proof/mutants.txt.
section_mutants() {
    configure_and_build default || return 1
    status=0
    sh tests/mutants/run.sh build/default/tuff lavapipe >build/proof/mutants.txt || status=1
    cat build/proof/mutants.txt
    return $status
}

# What AMD's compiler makes of the kernels that real plans run; where its driver cannot be had, that is said and nothing fails.
section_gpu() {
    configure_and_build default || return 1
    status=0
    sh scripts/gpu-compile.sh || status=$?
    [ $status -ne 77 ] || return 0
    [ $status -eq 0 ] || return $status
    ctest --preset default -R '^e2e_bench_kernels$'
}

# Programs that were built before still run with this library.
section_abi() {
    sh scripts/abi.sh
}

failed=""
for section in $sections; do
    echo "== $section"
    start=$(date +%s)
    # A file of its own per section; the status comes from a subshell, so that one section that fails does not end the others.
    if ("section_$section") >"build/proof/$section.log" 2>&1; then
        verdict=passed
    else
        verdict=FAILED
        failed="$failed $section"
        tail -40 "build/proof/$section.log"
    fi
    grep -E 'tests passed|tests failed' "build/proof/$section.log" || true
    # what was not looked at
    sed -n 's/^[[:space:]]*[0-9]* - \(.*\) (Skipped)$/skipped: \1/p' "build/proof/$section.log" | sort -u
    grep -E '^skipped: |^gpu-compile: [0-9]' "build/proof/$section.log" || true
    grep -E 'mutants killed$' "build/proof/$section.log" | sed 's|$|: build/proof/mutants.txt says by what|' || true
    echo "== $section: $verdict in $(($(date +%s) - start)) s (build/proof/$section.log)"
done

if [ -n "$failed" ]; then
    echo "proof: FAILED:$failed"
    exit 1
fi
echo "proof: everything passed"
