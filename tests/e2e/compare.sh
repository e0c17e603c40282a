#!/bin/sh
# scripts/peers/compare.py without its peers: its rows, its page, Tuff alone on tiny models; with programs in place of peers, turns,
# medians and ratios.
set -eu
command -v python3 >/dev/null || { echo "there is no python3"; exit 77; }
[ -z "${TUFF_TEST_SANITIZE:-}" ] || { echo "not with sanitizers"; exit 77; }
cd "$TUFF_TEST_SOURCE"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1

fail() {
    echo "$*"
    [ ! -s "$work/said" ] || cat "$work/said"
    [ ! -s "$work/results.md" ] || cat "$work/results.md"
    exit 1
}
compare() {
    python3 scripts/peers/compare.py --results "$work/results.json" --tuff "$TUFF_TEST_TUFF" "$@" >"$work/said" 2>&1
}
page_has() {
    grep -qF -e "$1" "$work/results.md" || fail "the page has no: $1"
}

compare --list || fail "--list fails"
[ "$(wc -l <"$work/said")" -ge 15 ] || fail "hardly any rows"
grep -q '^train-gpt2  *full fine-tune.*; asked: 1.6 x PyTorch, .*0.95 x products$' "$work/said" || fail "no row train-gpt2"
! compare --row nothing || fail "--row nothing is taken"
grep -q 'there is no row nothing; they are train-gpt2, ' "$work/said" || fail "which rows there are is not said"
! compare --tuff "$work/none" --row train-gpt2 || fail "no Tuff, and no error"
grep -q 'none is not there: build Tuff' "$work/said" || fail "that there is no Tuff is not said"
[ ! -e "$work/results.json" ] || fail "results of nothing"

# The page of given results.
machine='{"processor": "P", "threads": 2, "flags": "avx2", "memory": "8 GB", "system": "S"}'
tuff='{"key": "tuff", "who": "Tuff", "version": "Tuff 1", "note": "", "command": "tuff train", "values": [300, 310, 290]}'
peer='{"key": "pytorch", "who": "PyTorch", "version": "PyTorch 2", "note": "", "command": "python3 x", "values": [200, 100, 250]}'
row='"when": "now", "commit": "c", "rounds": 3, "tiny": false, "machine": '$machine
cat >"$work/results.json" <<END
{"rows": {
"train-gpt2": {"title": "a", "asked": {"pytorch": 1.6}, "busy": 0, $row, "measured": [$tuff, $peer], "left_out": ["x: y"]},
"lora-llama": {"title": "b", "asked": {"pytorch": 1.2}, "busy": 0.5, $row, "measured": [$tuff, $peer], "left_out": []},
"train-gpt2-bf16": {"title": "c", "asked": {"pytorch": 1.3}, "busy": 0, $row, "measured": [$peer], "left_out": ["Tuff: not yet: z"]}
}}
END
compare --page || fail "--page fails"
page_has "| a | 300 (290 to 310) | PyTorch | 200 (100 to 250) | 1.50 | 1.6 | no |"
page_has "| b | 300 (290 to 310) | PyTorch | 200 (100 to 250) | 1.50 | 1.2 | yes |"
page_has "| c | not yet | PyTorch | 200 (100 to 250) |  | 1.3 |  |"
page_has "Machine: P, 2 threads (avx2), 8 GB, S."
page_has "Programs: Tuff 1; PyTorch 2."
page_has "- PyTorch (PyTorch 2): 200 100 250"
page_has "- Left out: x: y"
[ "$(grep -c 'Other programs took 50 %' "$work/results.md")" = 1 ] || fail "how busy the machine was is not said once"

# Tuff alone: what is not there is left out, and a row is added to those that are there.
compare --tiny --rounds 1 --row generate-gpt2 --llama-bench "$work/none" || fail "Tuff alone fails"
grep -q 'left out: llama.cpp: none cannot be run' "$work/said" || fail "llama.cpp is not left out"
page_has "| a | 300 (290 to 310) "
grep -q '| generate 64, GPT-2 124M, f32 (tiny) | [0-9.]* (.*) | limit: reading at [0-9.]* GB/s | .* | [0-9.]* | 0.9 | ' "$work/results.md" ||
    fail "no row of Tuff alone"

# Programs in place of peers.
cat >"$work/python" <<'END'
#!/bin/sh
rate=100
[ "${OMP_WAIT_POLICY:-}" = passive ] || rate=50
echo "loading"
echo '{"ready": true, "versions": {"PyTorch": "3.0"}, "blas": "mkl"}'
while read -r line; do echo "{\"rate\": $rate}"; done
END
cat >"$work/llama-bench" <<'END'
#!/bin/sh
case $* in
--version) echo "version: 9.9" >&2 ;;
*-p\ 512\ -n\ 0*-dev\ none*) echo '{"gpu_info": "", "samples_ts": [40, 30]}' ;;
*) exit 1 ;;
esac
END
chmod +x "$work/python" "$work/llama-bench"
compare --tiny --rounds 2 --row prompt-gpt2 --python "$work/python" --llama-bench "$work/llama-bench" || fail "peers fail"
turns=$(sed -n 's/^  [12]\/2 \([a-z]*\).*/\1/p' "$work/said" | paste -sd ' ')
[ "$turns" = "tuff pytorch llama tuff pytorch llama" ] || fail "turns: $turns"
page_has "- PyTorch (PyTorch 3.0; threads: passive; tried were passive 100, default 50): 100 100"
page_has "- llama.cpp (llama.cpp 9.9): 35.0 35.0"
page_has "llama-bench -m WORK/gpt2-f32.gguf -p 512 -n 0"
if grep -nF -e "$work" -e "$TUFF_TEST_BUILD" "$work/results.md" "$work/results.json"; then fail "paths of a machine"; fi
