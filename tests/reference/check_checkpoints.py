#!/usr/bin/env python3
"""Checkpoints of `tuff train` in other hands: transformers and PEFT load their weights and give the logits that
Tuff gives, TrainerState reads trainer_state.json, safetensors reads the optimizer's states, whose AdamW step in
PyTorch is the next step of Tuff.

    python tests/reference/check_checkpoints.py [--tuff build/default/tuff]
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers.trainer_callback import TrainerState

from common import load_model

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"

TEXT = "".join(
    f"In the morning they said the river isn't a road, but {i} stones because the bridge is one.\n" for i in range(40)
)
RATE = 1e-3


def tuff(arguments):
    subprocess.run([str(a) for a in arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def train(args, work, name, *options):
    out = work / name
    tuff([args.tuff, "train", "--model", GOLDEN / args.model, "--train-file", work / "text", "--output-dir", out,
          "--dropout", "none", "--max-steps", 4, "--save-steps", 2, "--block-size", 32, "--per-device-train-batch-size", 2,
          "--learning-rate", RATE, "--lr-scheduler-type", "constant", "--max-grad-norm", 0, "--device", "cpu",
          "--dump-batches", work / f"{name}.npy", *options])
    return out


def check_logits(args, work, model, *options):
    file = work / "logits.safetensors"
    tuff([args.tuff, "eval", "--file", work / "text", "--block-size", 32, "--dump-logits", file, "--device", "cpu", *options])
    saved = load_file(file)
    with torch.no_grad():
        logits = model(saved["input_ids"].long()).logits
    return (logits - saved["logits"]).abs().max().item()


def check_state(directory, step):
    state = TrainerState.load_from_json(str(directory / "trainer_state.json"))
    assert state.global_step == step and state.max_steps == 4 and 0 < state.epoch < 1
    assert [line["step"] for line in state.log_history] == list(range(1, step + 1))
    return state


def check_full(args, work):
    out = train(args, work, "full")
    now, later = out / "checkpoint-2", out / "checkpoint-4"
    check_state(now, 2)
    model = load_model(now).eval()
    print(f"{args.model}: a model of transformers, logits within {check_logits(args, work, model, '--model', now):.2g}")

    # two steps of PyTorch from the checkpoint, on the same batches
    states = load_file(now / "optimizer.safetensors")
    counter = states.pop("optimizer.state")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0)
    for name, p in model.named_parameters():
        m, v = states[f"adam.m.{name}"], states[f"adam.v.{name}"]
        if m.shape != p.shape:  # the memory's order is [out, in], Conv1D's files hold the transpose
            m, v = m.T.contiguous(), v.T.contiguous()
        elif p.ndim == 2 and "c_" in name:
            m, v = m.T.contiguous(), v.T.contiguous()
        optimizer.state[p] = {"step": torch.tensor(2.0), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    batches = torch.from_numpy(numpy.load(work / "full.npy")).long()
    for step in (2, 3):
        optimizer.zero_grad()
        model(batches[step], labels=batches[step]).loss.backward()
        optimizer.step()
    after = load_model(later)
    worst = moved = 0.0
    for (name, p), before, now_p in zip(load_model(later).named_parameters(), load_model(now).parameters(), model.parameters()):
        told = optimizer.state[now_p]["exp_avg_sq"] > 1e-12  # where a gradient is rounding, so is its sign
        worst = max(worst, ((p - now_p).abs() * told).max().item())
        moved = max(moved, (p - before).abs().max().item())
    print(f"{args.model}: two steps of PyTorch's AdamW from it: parameters within {worst:.2g}, which moved by {moved:.2g}; "
          f"counter {counter.tolist()}")
    assert worst < 1e-5 and moved > 1e-3


def check_lora(args, work):
    out = train(args, work, "lora", "--lora-rank", 4)
    check_state(out / "checkpoint-2", 2)
    base = load_model(GOLDEN / args.model)
    model = PeftModel.from_pretrained(base, str(out / "checkpoint-2")).eval()
    difference = check_logits(args, work, model, "--model", GOLDEN / args.model, "--adapter", out / "checkpoint-2")
    print(f"{args.model}: an adapter of PEFT, logits within {difference:.2g}")
    own = json.loads((out / "checkpoint-2/trainer_state.json").read_text())["stateful_callbacks"]["tuff"]
    assert own["method"] == "LORA" and own["settings"]["lora_rank"] == 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tuff", default="build/default/tuff")
    args = parser.parse_args()
    for args.model in ("gpt2", "llama"):
        with tempfile.TemporaryDirectory() as name:
            work = pathlib.Path(name)
            (work / "text").write_text(TEXT)
            check_full(args, work)
            check_lora(args, work)


main()
