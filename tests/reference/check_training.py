#!/usr/bin/env python3
"""Compares a training run of Tuff with PyTorch (and PEFT) fed the same initial state and the same batches.

    tuff train --model M --train-file T --output-dir initial --max-steps 0 ...
    tuff train --model M --train-file T --output-dir out --dropout none --dump-batches batches.npy --json ... > tuff.jsonl
    python check_training.py --initial initial --batches batches.npy --log tuff.jsonl --learning-rate 1e-3

With --adapter, --initial is the base model and --adapter the PEFT directory of the initial adapter; only the adapter is
trained. Prints the largest relative difference of the loss over the steps, the first step past 1e-5, and, with
--validation, the held-out loss of both. Exit status 1 when a difference is larger than its tolerance.

The log is JSON lines: {"step": 1, "loss": x, "learning_rate": x, "grad_norm": x} counted from 1, and
{"step": N, "eval_loss": x}; other lines and keys are passed over."""

import argparse
import json
import pathlib
import sys

import numpy as np
from peft import PeftModel
from transformers import AutoTokenizer

from common import held_out_loss, learning_rate_at, load_model, to_double, train


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--initial", required=True, help="Hugging Face directory of the model before training, f32")
    parser.add_argument("--adapter", help="PEFT directory of the adapter before training")
    parser.add_argument("--batches", required=True, help=".npy of int32 [n, B, T]: a micro-batch a row")
    parser.add_argument("--log", help="JSON lines of Tuff's run; without it only PyTorch's losses are printed")
    parser.add_argument("--steps", type=int, default=0, help="compare this many steps only")
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--lr-scheduler-type", default="constant", choices=["constant", "linear", "cosine"])
    parser.add_argument("--warmup-steps", type=int, default=0)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--decay-groups", default="matrices", choices=["matrices", "all"], help="what decays: as in tuff train, or all")
    parser.add_argument("--optim", default="adamw", choices=["adamw", "sgd", "lion"])
    parser.add_argument("--momentum", type=float, default=0.0, help="of SGD")
    parser.add_argument("--nesterov", action="store_true", help="of SGD")
    parser.add_argument("--max-grad-norm", type=float, default=1.0)
    parser.add_argument("--gradient-accumulation-steps", type=int, default=1)
    parser.add_argument("--adam-beta1", type=float, default=0.9)
    parser.add_argument("--adam-beta2", type=float, default=0.999)
    parser.add_argument("--adam-epsilon", type=float, default=1e-8)
    parser.add_argument("--validation", help="held-out text, or .npy of token ids (all rows joined)")
    parser.add_argument("--block-size", type=int, default=0, help="block of the held-out loss (default: T of the batches)")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="of the loss at every step, relative")
    parser.add_argument("--eval-tolerance", type=float, default=1e-2, help="of the held-out loss, relative")
    parser.add_argument("--double", action="store_true", help="run PyTorch in f64")
    parser.add_argument("--write-losses", help="write PyTorch's losses as JSON lines to this file")
    return parser.parse_args(argv)


def read_log(path):
    """The steps of a log by number, and its held-out losses by step."""
    steps, held_out = {}, {}
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if not line.lstrip().startswith("{"):
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{path}:{number}: not JSON: {error}") from None
        if "step" in record and "loss" in record:
            steps[int(record["step"])] = record
        if "step" in record and "eval_loss" in record:
            held_out[int(record["step"])] = float(record["eval_loss"])
    return steps, held_out


def read_validation(path, tokenizer_directory):
    if path.endswith(".npy"):
        return np.load(path).reshape(-1)
    text = pathlib.Path(path).read_text(encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_directory, local_files_only=True)
    return np.array(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def relative(found, expected):
    """The relative difference; infinite when either is not a number, so that it never passes as small."""
    error = abs(found - expected) / max(abs(expected), 1e-30)
    return error if error == error else float("inf")


def main():
    options = parse()
    batches = np.load(options.batches)
    if batches.ndim != 3 or batches.dtype.kind not in "iu":
        raise SystemExit(f"{options.batches}: expected integers [n, B, T], found {batches.dtype} {batches.shape}")
    accumulation = options.gradient_accumulation_steps
    total = len(batches) // accumulation
    count = min(options.steps or total, total)
    logged, logged_eval = read_log(options.log) if options.log else ({}, {})

    model = load_model(options.initial)
    if options.adapter:
        model = PeftModel.from_pretrained(model, options.adapter, is_trainable=True)
    if options.double:
        to_double(model)
    block = options.block_size or batches.shape[2]
    validation = read_validation(options.validation, options.initial) if options.validation else None
    if validation is not None:
        print(f"held-out loss before: {held_out_loss(model, validation, block)[0]:.6f}")

    def rate(step):
        return learning_rate_at(step, options.learning_rate, options.lr_scheduler_type, options.warmup_steps, total)

    worst, worst_step, first, worst_norm, worst_rate, missing = 0.0, 0, 0, 0.0, 0.0, []
    output = open(options.write_losses, "w", encoding="utf-8") if options.write_losses else None
    run = train(
        model, batches[: count * accumulation], rate, accumulation, options.max_grad_norm, options.weight_decay,
        options.decay_groups, (options.adam_beta1, options.adam_beta2), options.adam_epsilon,
        options.optim, options.momentum, options.nesterov,
    )  # fmt: skip
    for step, (loss, norm) in enumerate(run, 1):
        if output:
            print(json.dumps({"step": step, "loss": loss, "learning_rate": rate(step - 1), "grad_norm": norm}), file=output)
        if not options.log:
            print(f"step {step}: loss {loss:.8f}, gradient norm {norm:.6f}")
            continue
        if step not in logged:
            missing.append(step)
            continue
        record = logged[step]
        error = relative(float(record["loss"]), loss)
        if error > worst:
            worst, worst_step = error, step
        if error > 1e-5 and not first:
            first = step
        if "grad_norm" in record:
            worst_norm = max(worst_norm, relative(float(record["grad_norm"]), norm))
        if "learning_rate" in record:
            worst_rate = max(worst_rate, relative(float(record["learning_rate"]), rate(step - 1)) if rate(step - 1) else 0.0)
    if output:
        output.close()

    good = True
    if options.log:
        compared = count - len(missing)
        print(f"{compared} of {count} steps compared; last loss {loss:.6f}")
        print(f"loss: largest relative difference {worst:.2e} at step {worst_step}")
        print(f"loss: first step past 1e-5: {first or 'none'}")
        print(f"gradient norm: largest relative difference {worst_norm:.2e}; learning rate: {worst_rate:.2e}")
        good = compared > 0 and worst <= options.tolerance
    if validation is not None:
        expected, predictions = held_out_loss(model, validation, block)
        print(f"held-out loss after: PyTorch {expected:.6f} over {predictions} predictions", end="")
        if logged_eval:
            found = logged_eval[max(logged_eval)]
            print(f", Tuff {found:.6f}, relative difference {relative(found, expected):.2e}")
            good = good and relative(found, expected) <= options.eval_tolerance
        else:
            print("; none in Tuff's log" if options.log else "")
    if options.log:
        print("agrees" if good else "DOES NOT AGREE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
