#!/usr/bin/env python3
"""Trains an adapter by each method with Tuff and loads all that comes of it elsewhere.

    python check_methods.py --tuff build/default/tuff [--work DIR] [--steps 10] [--only METHOD] [--devices cpu,lavapipe]

On the goldens gpt2 and llama, by each method that PEFT has: PEFT loads the adapter, and its logits are Tuff's; Tuff merges it
where weights can hold it, and transformers' logits of the merged model are PEFT's of model and adapter; as a GGUF adapter and
back to PEFT's files, where GGUF can say it, it has the same logits again. What Tuff refuses is printed with its sentence.
Exit status 1 when logits differ by more than 1e-3 (the largest difference is printed), when training changed none, or when
something is refused that should not be."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoTokenizer

from common import load_model, to_double

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "assets/golden"
TOLERANCE = 1e-3
NEW = "<|im_start|>,<|im_end|>"
TURN = "<|im_start|>user\nWhat do you say?<|im_end|>\n<|im_start|>pirate\n{}<|im_end|>\n"
# name: options, whether weights can hold it, whether GGUF can say it
METHODS = {
    "lora": (["--lora-rank", "4"], True, True),
    "lora-all": (["--lora-rank", "4", "--lora-target", "all-linear", "--use-rslora"], True, True),
    "lora-patterns": (["--lora-rank", "4", "--lora-target", "all-linear", "--rank-pattern", "{ranks}"], True, True),
    "lora-tables": (["--lora-rank", "4", "--lora-target", "{tables}"], True, False),
    "lora-bias": (["--lora-rank", "4", "--lora-target", "all-linear", "--bias", "all"], True, False),
    "lora-tokens": (["--lora-rank", "4", "--trainable-token-indices", "{tokens}"], True, False),
    "tokens": (["--method", "tokens", "--trainable-token-indices", "220,222,70"], True, False),
    "new-tokens": (["--lora-rank", "4", "--add-special-tokens", NEW], True, False),
    "new-tokens-alone": (["--method", "tokens", "--add-special-tokens", NEW], True, False),
    "dora": (["--lora-rank", "4", "--use-dora"], True, False),
    "ia3": (["--method", "ia3"], True, False),
    "vera": (["--method", "vera", "--lora-rank", "8"], True, False),
    "bitfit": (["--method", "bitfit"], True, False),
    "prompt": (["--method", "prompt"], False, False),
    "prefix": (["--method", "prefix"], False, False),
    "prefix-projection": (["--method", "prefix", "--prefix-projection", "--encoder-hidden-size", "16"], False, False),
}
OF_MODEL = {
    "gpt2": {"tables": "wte,c_attn", "ranks": "c_attn=2", "tokens": "220,68,101"},
    "llama": {"tables": "embed_tokens,lm_head,q_proj", "ranks": "q_proj=2", "tokens": '{"embed_tokens": [222, 70], "lm_head": [70, 104]}'},
}
NOT_THERE = {("llama", "bitfit"), ("llama", "lora-bias")}  # it has no biases


def tuff(options, *arguments):
    """What a run of the command says where it fails, else nothing."""
    done = subprocess.run([options.tuff, *map(str, arguments), "--quiet"], capture_output=True, text=True)
    if "tuff help" in done.stderr:
        raise SystemExit(done.stderr)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def with_peft_of(base, out):
    """The model with the adapter, as PEFT loads it: where tokens are new the base gets rows for them first, as PEFT's
    AutoPeftModel does by itself."""
    model = load_model(base)
    if (out / "tokenizer.json").is_file():
        model.resize_token_embeddings(len(AutoTokenizer.from_pretrained(out)))
    return PeftModel.from_pretrained(model, out)


def logits_of(model, ids):
    to_double(model)
    model.eval()
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits[:, -ids.shape[1] :]


def measured(options, model, text, work, adapter=None):
    """Token ids and logits as Tuff has them."""
    file = work / "logits.safetensors"
    more = ["--adapter", adapter] if adapter else []
    said = tuff(options, "eval", "--model", model, "--file", text, "--block-size", 24, "--dump-logits", file, *more,
                "--device", options.device)  # fmt: skip
    if said:
        raise SystemExit(said)
    dumped = load_file(file)
    ids = dumped["input_ids"].long().reshape(-1, dumped["input_ids"].shape[-1])
    return ids, dumped["logits"].double().reshape(*ids.shape, -1)


def check(options, name, method, work):
    arguments, merges, as_gguf = METHODS[method]
    arguments = [argument.format(**OF_MODEL[name]) for argument in arguments]
    base, text, out = GOLDEN / name, ROOT / "assets/stories/style.txt", work / "out"
    if NEW in arguments:
        stories = text.read_text().splitlines()
        text = work / "turns.txt"
        text.write_text("".join(TURN.format(line[:60]) for line in stories[:200]))
    said = tuff(options, "train", "--model", base, "--train-file", text, "--output-dir", out, "--max-steps", options.steps, "--block-size",
                24, "--per-device-train-batch-size", 2, "--learning-rate", "2e-2", "--device", options.device, *arguments)  # fmt: skip
    if said:
        return [("training", float("inf"), said)]
    ids, found = measured(options, base, text, work, out)
    with_peft = logits_of(with_peft_of(base, out), ids)
    if method == "bitfit":  # a LoRA of no module, which PEFT cannot switch off
        moved = (with_peft - logits_of(load_model(base), ids)).abs().max().item()
    else:
        unmoved = with_peft_of(base, out)
        with unmoved.disable_adapter():
            moved = (with_peft - logits_of(unmoved, ids)).abs().max().item()
    results = [("PEFT", (found - with_peft).abs().max().item(), f"training moved logits by {moved:.2g}")]
    if NEW in arguments:
        results[0] = ("PEFT", results[0][1], f"{results[0][2]}; {int((ids >= load_model(base).config.vocab_size).sum())} new tokens")
        auto = AutoPeftModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="exact")
        results.append(("AutoPeftModel", (logits_of(auto, ids) - with_peft).abs().max().item(), ""))
    if moved < 10 * TOLERANCE:
        results.append(("PEFT", float("inf"), "training changed nothing"))

    said = tuff(options, "convert", base, "--adapter", out, "--to", "hf", "--output", work / "merged")
    if merges and not said:
        results.append(("merged, transformers", (logits_of(load_model(work / "merged"), ids) - with_peft).abs().max().item(), ""))
    elif merges or not said:
        results.append(("merged, transformers", float("inf"), said or "this should have been refused"))
    else:
        results.append(("merged: refused", 0.0, said))

    said = tuff(options, "convert", out, "--base", base, "--to", "gguf", "--output", work / "adapter.gguf")
    if as_gguf and not said:
        back = work / "back"
        said = tuff(options, "convert", work / "adapter.gguf", "--base", base, "--to", "hf", "--output", back)
        error = float("inf") if said else (logits_of(PeftModel.from_pretrained(load_model(base), back), ids) - with_peft).abs().max().item()
        results.append(("GGUF and back, PEFT", error, said or ""))
    elif as_gguf or not said:
        results.append(("GGUF", float("inf"), said or "this should have been refused"))
    else:
        results.append(("GGUF: refused", 0.0, said))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--work", type=pathlib.Path, help="a folder for what is made (default: a temporary one)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", action="append", choices=sorted(METHODS), help="this method only (repeatable)")
    parser.add_argument("--devices", default="cpu")
    options = parser.parse_args()
    wrong = 0
    for options.device in options.devices.split(","):
        for name in OF_MODEL:
            for method in options.only or METHODS:
                if (name, method) in NOT_THERE:
                    continue
                with tempfile.TemporaryDirectory(dir=options.work) as work:
                    for what, error, said in check(options, name, method, pathlib.Path(work)):
                        wrong += error > TOLERANCE
                        print(f"{options.device:8} {name:5} {method:17} {what:22} {error:.1e}  {said}", flush=True)
    print("all agree" if not wrong else f"{wrong} DO NOT AGREE")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
