#!/bin/sh
# `tuff bench --kernels` with a driver that tells: RADV, which stands for a card that is not there (scripts/gpu/radv.sh). What it
# shows of a pipeline is what scripts/gpu-compile.sh has recorded of it. The driver is not fetched here: scripts/proof.sh does.
set -eu
. "$TUFF_TEST_SOURCE/tests/kit/trainings.sh"

need_no_sanitizer "a sanitizer's runtime is not in the root that the driver comes from"
root=${TUFF_RADV_ROOT:-$TUFF_TEST_SOURCE/build/radv}
[ -e "$root/usr/share/vulkan/icd.d/radeon_icd.json" ] || skip "no RADV: scripts/gpu/radv.sh fetch"

for card in navi31 vega10; do
    sh "$TUFF_TEST_SOURCE/scripts/gpu/radv.sh" $card "$TUFF_TEST_TUFF" bench --kernels --device $card --shape gpt2-124m \
        >"$work/table" 2>"$work/said" || { cat "$work/said"; exit 1; }
    # columns: pipeline workgroup subgroup shared SPIR-V registers scalar spills scratch occupancy code kernel
    grep -q '^pipeline .* registers  *scalar  *spills  *scratch  *occupancy  *code  kernel$' "$work/table" || { cat "$work/table"; exit 1; }
    grep -q ' pipelines, 0 with spilled registers, 0 with scratch memory\.$' "$work/table" || { tail -2 "$work/table"; exit 1; }
    awk -v card=$card '
        FNR == NR { if ($1 == card) recorded[$2] = $3 " " $4 " " $5 " " $6 " " $7; next }
        NF >= 13 && $1 in recorded {
            n++
            if ($10 " " $6 " " $4 " " $9 " " $8 != recorded[$1]) {
                print card " " $1 ": waves, registers, shared, scratch, spills " $10, $6, $4, $9, $8 "; recorded are " recorded[$1]
                bad = 1
            }
        }
        END { print card ": " n " pipelines as recorded"; exit bad || n < 15 }' \
        "$TUFF_TEST_SOURCE/scripts/gpu/recorded.tsv" "$work/table"
done

# All that the driver told is in the JSON object, and figures are what it told.
sh "$TUFF_TEST_SOURCE/scripts/gpu/radv.sh" navi31 "$TUFF_TEST_TUFF" bench --kernels --device navi31 --shape gpt2-30m --only adamw --json \
    2>/dev/null >"$work/json"
grep -q '"silence": null' "$work/json"
grep -q '"name": "Subgroups per SIMD", "value": [0-9]*, "description": "[^"]*subgroups in flight' "$work/json"
registers=$(sed -n 's/.*"statistics": {"registers": \([0-9]*\),.*/\1/p' "$work/json")
grep -q "\"name\": \"VGPRs\", \"value\": $registers," "$work/json" || { cat "$work/json"; exit 1; }

# Hardware that is not there is for compiling only: nothing else takes it.
! sh "$TUFF_TEST_SOURCE/scripts/gpu/radv.sh" navi31 "$TUFF_TEST_TUFF" bench --device navi31 --shape none >"$work/out" 2>&1 || exit 1
grep -q 'cannot be used: it has 0 bytes of memory' "$work/out" || { cat "$work/out"; exit 1; }
