#!/usr/bin/env python3
"""Makes assets/golden/settings: the losses of 50 AdamW steps of models of assets/golden, with settings that other goldens leave
as they are.

    python make_setting_goldens.py             writes assets/golden/settings
    python make_setting_goldens.py --check     makes them anew and compares

Each file has <run>.losses and <run>.grad_norms (before clipping), all computed in f64 without dropout and with the settings of
the other goldens (STEPS of make_goldens.py):

    smoothing.safetensors   label smoothing as transformers' LabelSmoother has it
    frozen.safetensors      parameters that require no gradient, all along or until a step comes: what AdamW has of a parameter
                            begins with its first step
    average.safetensors     moving averages as diffusers' EMAModel has them: <run>.average_losses of the golden's input_ids after
                            each step

The batches are those of the models' own goldens, of classifiers the records of assets/golden/tasks."""

import csv
import re
import sys

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers.trainer_pt_utils import LabelSmoother

import make_encoder_goldens as encoders
import make_seq2seq_goldens as seq2seq
import make_task_goldens as tasks
from common import forward_loss, load_model, to_double, train, write_or_check
from make_goldens import MANY_STEPS, ROOT, STEPS, compare_tensors, floats

GOLDEN = ROOT / "assets" / "golden"


def steps_of(model, batches, loss_of=None, rate=STEPS["learning_rate"]):
    return train(
        model, batches, lambda step: rate, clip=STEPS["clip"], decay=STEPS["weight_decay"], betas=tuple(STEPS["betas"]),
        eps=STEPS["eps"], loss_of=loss_of,
    )  # fmt: skip


def put(truth, run, steps):
    losses, norms = zip(*steps)
    truth[run + ".losses"], truth[run + ".grad_norms"] = floats(losses), floats(norms)
    print(f"{run:24} loss {losses[0]:.6f} to {losses[-1]:.6f}")


def again(batches):
    """They come again and again."""
    return np.resize(batches, (MANY_STEPS, *batches.shape[1:]))


def text_batches(model):
    return again(load_file(GOLDEN / model / "truth.safetensors")["batch_ids"].numpy())


# ---- label smoothing


def smoothed(logits, labels, factor):
    """LabelSmoother's loss of [rows, classes], without its way through f32."""
    nll = -F.log_softmax(logits, dim=-1)
    own = nll.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    loss = (((1 - factor) * own + factor * nll.mean(1)) * (labels != -100)).sum() / (labels != -100).sum()
    theirs = LabelSmoother(epsilon=factor)({"logits": logits.detach()}, labels).item()
    if abs(theirs - loss.item()) > 1e-6 * abs(theirs):
        raise SystemExit(f"the loss is {loss.item()}, that of transformers {theirs}")
    return loss


def causal(factor):
    def loss(model, ids):
        logits = model(input_ids=ids, use_cache=False).logits
        return smoothed(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), factor)

    return loss


def translated(factor):
    def loss(model, both):
        source, labels = both[:, : seq2seq.SHAPE[1]], both[:, seq2seq.SHAPE[1] :]
        return smoothed(seq2seq.logits_of(model, source, labels).flatten(0, 1), labels.flatten(), factor)

    return loss


def classified(factor):
    """Of numbers of records, one after the other: they differ in length."""
    tokenizer = tasks.make_tokenizer(tasks.VOCABULARY)
    with open(GOLDEN / "tasks" / "classification.tsv", newline="") as file:
        records = list(csv.DictReader(file, delimiter="\t"))
    classes = encoders.LABELS["classes"]

    def loss(model, numbers):
        rows = [records[i % len(records)] for i in numbers.tolist()]
        inputs = [tokenizer(row["one"], row["two"], return_tensors="pt") for row in rows]
        logits = torch.cat([model(**each).logits for each in inputs])
        return smoothed(logits, torch.tensor([classes.index(row["class"]) for row in rows]), factor)

    epochs = [range(0, 11)[at : at + tasks.BATCH] for at in range(0, 11, tasks.BATCH)]
    return loss, [list(epochs[step % len(epochs)]) for step in range(MANY_STEPS)]


def make_smoothing(folder):
    truth = {}
    for name, factor in (("llama", 0.1), ("gpt2", 0.3)):
        put(truth, name, steps_of(load_model(GOLDEN / name, double=True), text_batches(name), causal(factor)))
        model = PeftModel.from_pretrained(load_model(GOLDEN / name), GOLDEN / name / "lora" / "initial", is_trainable=True)
        to_double(model)
        put(truth, f"{name}.lora", steps_of(model, text_batches(name), causal(factor)))
    batches = load_file(GOLDEN / "t5" / "truth.safetensors")
    both = torch.cat((batches["batch_source"], batches["batch_labels"]), dim=2).numpy()
    put(truth, "t5", steps_of(seq2seq.load(GOLDEN / "t5", double=True), again(both), translated(0.1)))
    loss, numbers = classified(0.1)
    model = encoders.load(GOLDEN / "bert-classes", "bert", "classes")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    put(truth, "bert-classes", steps_of(model, numbers, loss))
    save_file(truth, folder / "smoothing.safetensors")


# ---- freezing

FROZEN = {
    "gpt2.freeze": r"\.wte\.|\.wpe\.|\.h\.0\.",
    "llama.only": r"^(?!.*(norm|q_proj))",
    "llama.top": r"embed|layers\.0\.",
    "llama.lora": r"lora_A",
}
# the steps after which what matches is no longer frozen
PHASES = {
    "llama.phases": {5: r"layers\.1\.", 9: r"layers\.0\.", 14: r"embed"},
    "gpt2.phases": {6: r"\.h\.0\.", 13: r"\.wte\.|\.wpe\."},
}


def thawing(model, phases):
    """The loss, before each of which what is frozen at that step is frozen."""
    step = 0

    def loss(model, ids):
        nonlocal step
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not any(step < at and re.search(pattern, name) for at, pattern in phases.items()))
        step += 1
        return forward_loss(model, ids)

    return loss


def make_frozen(folder):
    truth = {}
    for run, pattern in FROZEN.items():
        name = run.split(".")[0]
        if run.endswith(".lora"):
            model = PeftModel.from_pretrained(load_model(GOLDEN / name), GOLDEN / name / "lora" / "initial", is_trainable=True)
            to_double(model)
        else:
            model = load_model(GOLDEN / name, double=True)
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and not re.search(pattern, key))
        put(truth, run, steps_of(model, text_batches(name)))
    for run, phases in PHASES.items():
        name = run.split(".")[0]
        model = load_model(GOLDEN / name, double=True)
        put(truth, run, steps_of(model, text_batches(name), thawing(model, phases)))
    save_file(truth, folder / "frozen.safetensors")


# ---- moving averages

AVERAGES = {"llama": 0.9, "gpt2": 0.15, "llama.lora": 0.9}


def make_average(folder):
    truth = {}
    for run, decay in AVERAGES.items():
        name = run.split(".")[0]
        model = load_model(GOLDEN / name, double=True)
        if run.endswith(".lora"):
            model = PeftModel.from_pretrained(load_model(GOLDEN / name), GOLDEN / name / "lora" / "initial", is_trainable=True)
            to_double(model)
        ids = load_file(GOLDEN / name / "truth.safetensors")["input_ids"].long()
        trained = [p for p in model.parameters() if p.requires_grad]
        averages, steps, losses = [p.detach().clone() for p in trained], [], []
        for n, step in enumerate(steps_of(model, text_batches(name))):
            keep = min(decay, (1 + n) / (10 + n)) if n else 0.0
            with torch.no_grad():
                for average, parameter in zip(averages, trained):
                    average.sub_((1 - keep) * (average - parameter))
                kept = [p.detach().clone() for p in trained]
                for parameter, average in zip(trained, averages):
                    parameter.copy_(average)
                losses.append(forward_loss(model, ids).item())
                for parameter, value in zip(trained, kept):
                    parameter.copy_(value)
            steps.append(step)
        put(truth, run, steps)
        truth[run + ".average_losses"] = floats(losses)
        print(f"{run:24} average {losses[0]:.6f} to {losses[-1]:.6f}")
    save_file(truth, folder / "average.safetensors")


MAKERS = [make_smoothing, make_frozen, make_average]


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for one in MAKERS:
        one(folder)


def check(old, new):
    wrong = []
    for path in sorted(new.glob("*.safetensors")):
        wrong += [f"{path.name}: {text}" for text in compare_tensors(load_file(old / path.name), load_file(path))]
    for line in wrong:
        print(line)
    return len(wrong)


def main():
    return write_or_check(__doc__, GOLDEN / "settings", ".", make, check)


if __name__ == "__main__":
    sys.exit(main())
