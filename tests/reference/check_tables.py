#!/usr/bin/env python3
"""Reads adapters that PEFT made of models with more tokens, or with a table or a head of their own, with Tuff.

    python check_tables.py --tuff build/default/tuff [--work DIR] [--only MODEL]

On the goldens gpt2 and llama-tied, whose head is their table, and llama: PEFT trains rows of new tokens (trainable_token_indices),
saves grown tables along, trains tables or heads whole (modules_to_save) or by LoRA. Tuff's logits of model and adapter are
PEFT's, and transformers' logits of the model that Tuff merges are, too. Exit status 1 where they differ by more than 1e-4."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoTokenizer

from common import load_model, to_double

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"
TOLERANCE = 1e-4
MODELS = {"gpt2": (["c_attn"], "wte"), "llama": (["q_proj"], "embed_tokens"), "llama-tied": (["q_proj"], "embed_tokens")}
TOKENS = ["<one>", "<two>"]
TEXT = "once upon a time <one> there was a ship <two> and it went out to sea " * 4


def cases(modules, table, vocabulary):
    """name: settings of LoRA, whether the tables grow, whether the tokenizer is saved beside it."""
    rows = {"trainable_token_indices": [vocabulary, vocabulary + 1]}
    return {
        "new rows, tokenizer": (rows, True, True),
        "new rows": (rows, True, False),
        "grown": ({}, True, False),
        "grown, both whole": ({"modules_to_save": [table, "lm_head"]}, True, False),
        "table whole": ({"modules_to_save": [table]}, False, False),
        "head whole": ({"modules_to_save": ["lm_head"]}, False, False),
        "LoRA of the head": ({"target_modules": [*modules, "lm_head"]}, False, False),
        "LoRA of the table": ({"target_modules": [*modules, table]}, False, False),
    }


def make(folder, settings, grows, with_tokenizer, modules, out):
    """An adapter whose tensors are not what they begin as."""
    model = load_model(folder)
    if grows:
        model.resize_token_embeddings(model.config.vocab_size + len(TOKENS))
    config = {"r": 4, "target_modules": modules, "fan_in_fan_out": folder.name == "gpt2", "task_type": "CAUSAL_LM"} | settings
    model = get_peft_model(model, LoraConfig(**config))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(out)
    if with_tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(TOKENS, special_tokens=True)
        tokenizer.save_pretrained(out)
    return model


def logits_of(model, ids):
    to_double(model)
    model.eval()
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits


def check(tuff, folder, made, work):
    """(what, the largest difference) of one adapter."""
    text, file, out, merged = work / "text.txt", work / "logits.safetensors", work / "out", work / "merged"
    text.write_text(TEXT)
    model = make(folder, *made, out)
    arguments = ["--model", folder, "--adapter", out, "--file", text, "--block-size", 24, "--dump-logits", file]
    subprocess.run([tuff, "eval", *map(str, arguments), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    dumped = load_file(file)
    ids = dumped["input_ids"].long().reshape(-1, dumped["input_ids"].shape[-1])
    want = logits_of(model, ids)
    subprocess.run([tuff, "convert", folder, "--adapter", out, "--to", "hf", "--output", merged, "--quiet"], check=True)
    return [
        ("beside the model", (dumped["logits"].double().reshape(want.shape) - want).abs().max().item()),
        ("merged", (logits_of(load_model(merged), ids) - want).abs().max().item()),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--work", type=pathlib.Path, help="a folder for what is made (default: a temporary one)")
    parser.add_argument("--only", action="append", choices=sorted(MODELS), help="this model only (repeatable)")
    options = parser.parse_args()
    wrong = 0
    for name in options.only or MODELS:
        folder, (modules, table) = GOLDEN / name, MODELS[name]
        for case, (settings, *how) in cases(modules, table, load_model(folder).config.vocab_size).items():
            with tempfile.TemporaryDirectory(dir=options.work) as work:
                for what, error in check(options.tuff, folder, (settings, *how, modules), pathlib.Path(work)):
                    wrong += not error <= TOLERANCE
                    print(f"{name:10} {case:20} {what:17} {error:.1e}", flush=True)
    print("all agree" if not wrong else f"{wrong} DO NOT AGREE")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
