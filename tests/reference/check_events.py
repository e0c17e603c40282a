#!/usr/bin/env python3
"""The event files of `tuff train` in TensorBoard's own reader: every figure of train_log.jsonl is there, at its step,
as f32, and nothing else is; the settings are the text "args". Also of a training that was interrupted and gone on with.

    python tests/reference/check_events.py [--tuff build/default/tuff]
"""
import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"
TEXT = "".join(f"In the morning they said the river isn't a road, but {i} stones.\n" for i in range(60))
TRAIN = {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm", "epoch": "train/epoch"}


def of_log(path):
    """{tag: {step: value}} as the log has them."""
    scalars, samples = {}, 0
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "sample" in record:
            samples += 1
            continue
        for key, value in record.items():
            tag = TRAIN.get(key, key.replace("eval_", "eval/", 1) if key.startswith("eval_") else None)
            if tag and value is not None:
                scalars.setdefault(tag, {})[record["step"]] = value
    return scalars, samples


def check(log, directory):
    reader = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    want, samples = of_log(log)
    speed = "train/tokens_per_second"
    found = set(reader.Tags()["scalars"])
    assert found - {speed} == set(want), (found, set(want))
    figures = 0
    for tag, steps in want.items():
        events = {e.step: e.value for e in reader.Scalars(tag)}
        assert set(events) == set(steps), (tag, set(events) ^ set(steps))
        for step, value in steps.items():
            assert events[step] == float(numpy.float32(value)), (tag, step, events[step], value)
            figures += 1
    assert all(e.value > 0 and math.isfinite(e.value) for e in reader.Scalars(speed))
    texts = [tag for tag in reader.Tags()["tensors"] if tag.startswith("samples/")]
    steps = {(tag, e.step) for tag in texts for e in reader.Tensors(tag)}  # the reader purges scalars alone
    assert len(steps) == samples, (steps, samples)
    for tag in texts:  # TensorBoard shows none where one is not UTF-8
        assert all(e.tensor_proto.string_val[0].decode() for e in reader.Tensors(tag))
    args = reader.Tensors("args/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "learning-rate: 0.001" in args, args
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tuff", default="build/default/tuff")
    tuff = pathlib.Path(parser.parse_args().tuff).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        (root / "text.txt").write_text(TEXT)
        out = root / "out"
        command = [tuff, "train", "--model", GOLDEN / "llama", "--train-file", root / "text.txt", "--validation-file",
                   root / "text.txt", "--output-dir", out, "--block-size", "32", "--learning-rate", "1e-3", "--max-steps",
                   "12", "--eval-steps", "3", "--save-steps", "5", "--sample-prompt", "the river", "--sample-tokens", "8",
                   "--report-to", "tensorboard", "--device", "cpu", "--quiet"]
        subprocess.run(command, check=True)
        print("whole:", check(out / "train_log.jsonl", out / "runs"), "figures are those of the log")
        subprocess.run(command + ["--overwrite-output-dir", "--resume-from-checkpoint", out / "checkpoint-5"], check=True)
        files = len(list((out / "runs").iterdir()))
        print("gone on:", check(out / "train_log.jsonl", out / "runs"), f"figures, in {files} files")


main()
