#!/usr/bin/env python3
"""Holds Tuff's mixed precision to PyTorch's: a small GPT-2, drawn here, is trained on a text for some steps by Tuff in f32 and
with --bf16, and on the same batches by PyTorch in f32 and under autocast. The losses with --bf16 may differ from those in f32
by at most 1.5 times what autocast's do, at the largest and in the mean.

    python check_precision.py --tuff build/default/tuff --text README.md --tokenizer assets/model

Autocast runs without AMX: PyTorch's kernels for it end the process where a virtual machine hides CPUID's list of palettes."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

ALLOWED = 1.5


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True, help="the command")
    parser.add_argument("--text", required=True, help="what is trained on")
    parser.add_argument("--tokenizer", required=True, help="a directory with tokenizer.json, of at most 1,024 tokens")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1, help="so many models are drawn, one after the other")
    return parser.parse_args()


def draw(directory, tokenizer, seed):
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=1024, n_positions=128, n_embd=128, n_layer=4, n_head=4, bos_token_id=1, eos_token_id=1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(directory)
    for name in "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json":
        shutil.copy(pathlib.Path(tokenizer) / name, directory)


def by_tuff(options, model, folder, more, seed):
    """The losses of a run, and its batches."""
    command = [
        options.tuff, "train", "--model", model, "--train-file", options.text, "--output-dir", folder / "out", "--device", "cpu",
        "--max-steps", str(options.steps), "--per-device-train-batch-size", "4", "--block-size", "128", "--dropout", "none",
        "--learning-rate", str(options.learning_rate), "--lr-scheduler-type", "constant", "--logging-steps", "1",
        "--seed", str(seed), "--dump-batches", folder / "batches.npy", "--log-file", folder / "log.jsonl", "--overwrite-output-dir",
        *more,
    ]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "grad_norm" in line], np.load(folder / "batches.npy")


def by_pytorch(options, directory, batches, low):
    model = GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float32)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    losses = []
    for batch in batches[: options.steps]:
        ids = torch.tensor(batch, dtype=torch.long)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = model(ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def apart(low, exact):
    difference = np.abs(np.array(low) - np.array(exact))
    return difference.max(), difference.mean()


def check(options, seed):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        draw(folder / "model", options.tokenizer, seed)
        exact, batches = by_tuff(options, folder / "model", folder, [], seed)
        rounded, again = by_tuff(options, folder / "model", folder, ["--bf16"], seed)
        lengths = len(exact), len(rounded), len(batches), len(again)
        assert lengths == 4 * (options.steps,) and (batches == again).all(), lengths
        theirs = by_pytorch(options, folder / "model", batches, False)
        autocast = by_pytorch(options, folder / "model", batches, True)
    base, ours, limit = apart(theirs, exact), apart(rounded, exact), apart(autocast, theirs)
    print(f"model {seed}, {options.steps} steps, last loss {exact[-1]:.4f}; largest and mean difference of the loss from f32's:")
    print(f"  PyTorch f32 from Tuff f32  {base[0]:.2e}  {base[1]:.2e}")
    print(f"  PyTorch autocast           {limit[0]:.2e}  {limit[1]:.2e}")
    print(f"  tuff train --bf16          {ours[0]:.2e}  {ours[1]:.2e}  {ours[0] / limit[0]:.2f} and {ours[1] / limit[1]:.2f} times that")
    return ours[0] <= ALLOWED * limit[0] and ours[1] <= ALLOWED * limit[1]


def main():
    options = parse()
    torch.set_num_threads(1)
    good = all([check(options, seed) for seed in range(1, options.seeds + 1)])
    print("agrees" if good else "DOES NOT AGREE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
