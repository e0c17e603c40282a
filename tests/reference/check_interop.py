#!/usr/bin/env python3
"""Loads what Tuff saved with transformers (and PEFT) and compares the logits.

    python check_interop.py --model OUT --logits logits.safetensors
    python check_interop.py --model BASE --adapter OUT --logits logits.safetensors
    python check_interop.py --model OUT --text-ids ids.json

--logits: a safetensors file with `input_ids` [B, T] (i32 or i64) and `logits` [B, T, V] f32 as Tuff computed them, or
          two .npy files: --logits logits.npy --ids ids.npy.
--text-ids: JSON [{"text": "...", "ids": [...]}, ...]: the saved tokenizer must give these ids in transformers too.
Exit status 1 when the largest absolute difference of a logit is past --tolerance or an id differs."""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoTokenizer

from common import load_model, to_double


def read_logits(path, ids_path):
    if path.endswith(".npy"):
        if not ids_path:
            raise SystemExit("--logits as .npy needs --ids")
        return torch.as_tensor(np.load(ids_path)).long(), torch.as_tensor(np.load(path))
    tensors = load_file(path)
    for name in ("input_ids", "logits"):
        if name not in tensors:
            raise SystemExit(f"{path}: no tensor `{name}`, found {sorted(tensors)}")
    return tensors["input_ids"].long(), tensors["logits"]


def check_logits(options):
    ids, found = read_logits(options.logits, options.ids)
    ids = ids.reshape(-1, ids.shape[-1])
    found = found.double().reshape(ids.shape[0], ids.shape[1], -1)
    model = load_model(options.model)
    if options.adapter:
        model = PeftModel.from_pretrained(model, options.adapter)
    if options.double:
        to_double(model)
    model.eval()
    with torch.no_grad():
        expected = model(input_ids=ids, use_cache=False).logits.double()
    expected = expected[:, -ids.shape[1] :]  # without the rows of virtual tokens
    if expected.shape != found.shape:
        raise SystemExit(f"logits have shape {tuple(found.shape)}, transformers gives {tuple(expected.shape)}")
    error = (found - expected).abs().max().item()
    print(f"logits {tuple(found.shape)}: largest difference {error:.2e}, largest logit {expected.abs().max().item():.3f}")
    return error <= options.tolerance


def check_tokens(options):
    tokenizer = AutoTokenizer.from_pretrained(options.model, local_files_only=True)
    wrong = 0
    records = json.loads(pathlib.Path(options.text_ids).read_text(encoding="utf-8"))
    records = records["texts"] if isinstance(records, dict) else records
    for record in records:
        ids = tokenizer(record["text"], add_special_tokens=options.special_tokens)["input_ids"]
        if ids != record["ids"]:
            wrong += 1
            print(f"{record['text']!r}: Tuff {record['ids']}, transformers {ids}")
    print(f"tokenizer: {len(records) - wrong} of {len(records)} texts agree")
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Hugging Face directory")
    parser.add_argument("--adapter", help="PEFT adapter directory")
    parser.add_argument("--logits", help="what Tuff computed: .safetensors or .npy")
    parser.add_argument("--ids", help="token ids of --logits when that is .npy")
    parser.add_argument("--text-ids", help="JSON of texts and their ids as Tuff encodes them")
    parser.add_argument("--special-tokens", action="store_true", help="the ids include the template's special tokens")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--double", action="store_true", help="run PyTorch in f64")
    options = parser.parse_args()
    if not options.logits and not options.text_ids:
        parser.error("nothing to check: give --logits or --text-ids")
    good = True
    if options.logits:
        good = check_logits(options)
    if options.text_ids:
        good = check_tokens(options) and good
    print("agrees" if good else "DOES NOT AGREE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
