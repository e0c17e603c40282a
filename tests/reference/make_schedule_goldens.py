#!/usr/bin/env python3
"""The learning rates of transformers' schedulers, for the unit tests: assets/golden/schedules/rates.json.

    python make_schedule_goldens.py [--check]

Each run has a scheduler with its settings, a peak, a warm-up and a number of steps; the truth is the rate of every step and of
the one behind the last, as get_scheduler's LambdaLR gives it. --check makes them anew and compares."""

import argparse
import json
import pathlib
import sys
import warnings

import torch
from transformers import get_scheduler

TRUTH = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden" / "schedules" / "rates.json"
# type, peak, warm-up, steps, settings
RUNS = [
    ("linear", 5e-5, 0, 7, {}), ("linear", 1e-3, 4, 13, {}), ("linear", 1e-3, 9, 9, {}),
    ("cosine", 1e-3, 3, 17, {}), ("cosine", 2e-4, 0, 11, {"num_cycles": 1.25}),
    ("constant", 3e-4, 0, 3, {}), ("constant_with_warmup", 3e-4, 5, 9, {}),
    ("cosine_with_restarts", 1e-3, 2, 16, {}), ("cosine_with_restarts", 1e-3, 3, 21, {"num_cycles": 3}),
    ("polynomial", 1e-3, 2, 12, {}), ("polynomial", 5e-4, 0, 14, {"power": 2.5, "lr_end": 1e-5}),
    ("inverse_sqrt", 1e-3, 4, 15, {}), ("inverse_sqrt", 1e-3, 0, 6, {}), ("inverse_sqrt", 1e-3, 3, 14, {"timescale": 7}),
    ("cosine_with_min_lr", 1e-3, 3, 15, {"min_lr": 1e-4}),
    ("cosine_with_min_lr", 1e-3, 0, 15, {"min_lr_rate": 0.25, "num_cycles": 1}),
    ("cosine_warmup_with_min_lr", 1e-3, 4, 15, {"min_lr": 5e-5}),
    ("cosine_warmup_with_min_lr", 1e-3, 4, 15, {"min_lr_rate": 0.1, "warmup_lr_rate": 0.2, "num_cycles": 0.75}),
    ("cosine_warmup_with_min_lr", 1e-3, 1, 8, {"min_lr_rate": 0, "warmup_lr_rate": 0.5}),
    ("warmup_stable_decay", 1e-3, 3, 17, {"num_decay_steps": 6}),
    ("warmup_stable_decay", 1e-3, 4, 20, {"num_decay_steps": 5, "num_stable_steps": 6, "decay_type": "1-sqrt",
                                          "warmup_type": "cosine", "min_lr_ratio": 0.1}),
    ("warmup_stable_decay", 1e-3, 5, 15, {"num_decay_steps": 7, "decay_type": "linear", "warmup_type": "1-sqrt",
                                          "min_lr_ratio": 0.05}),
    ("warmup_stable_decay", 1e-3, 0, 12, {"num_decay_steps": 12, "num_cycles": 1.5}),
]  # fmt: skip


def rates(kind, peak, warmup, steps, settings):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps of the schedule without steps of the optimizer
        schedule = get_scheduler(kind, optimizer, warmup, steps, settings)
        made = []
        for _ in range(steps + 1):
            made.append(optimizer.param_groups[0]["lr"])
            schedule.step()
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed instead of writing it")
    check = parser.parse_args().check
    made = [
        {"type": kind, "peak": peak, "warmup": warmup, "steps": steps, "settings": settings,
         "rates": rates(kind, peak, warmup, steps, settings)}
        for kind, peak, warmup, steps, settings in RUNS
    ]  # fmt: skip
    text = "[\n" + ",\n".join(json.dumps(run) for run in made) + "\n]\n"
    if check:
        same = TRUTH.read_text() == text
        print("the rates are what this script makes" if same else "the rates differ")
        return 0 if same else 1
    TRUTH.parent.mkdir(exist_ok=True)
    TRUTH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
