#!/usr/bin/env python3
"""Training with the model's dropouts on: what Tuff draws is not what PyTorch draws, so that means over seeds are compared.

    python check_dropout.py --tuff build/default/tuff [--seeds 16] [--steps 50] [--device cpu] [CASE ...]

First both train without dropout, where the first ten losses must be the same; so model, batches and settings are. Then, of each case,
each seed trains both from the same initial state on the same batches. The mean of the last ten training losses, and the loss on
held-out records at the end, without dropout, must lie within three standard errors of their difference. What Tuff has without
dropout stands beside them: in standard errors of the same kind it shows how well the case tells the two apart.
README.md has the figures; no test of every day runs this."""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from peft import PeftModel

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
LAST = 10
LENGTH = 24  # tokens of a block
WORDS = [f"w{i}" for i in range(5, 49)]
PHRASES = [line.split() for line in (
    "the old stone bridge crosses the river", "the baker opens his door in the morning", "she said that the stone was warm",
    "there are three windows in the north wall", "when the rain comes the children run to the barn", "it is the longest road")]


class Case:
    """A golden model in a folder of its own, with the dropouts of the case, and its records."""

    golden, rate, batch, task = "gpt2", 3e-3, 4, "causal-lm"
    dropouts, options, adapter = {}, [], None
    kind = transformers.AutoModelForCausalLM

    def __init__(self, work):
        self.folder = work / "model"
        self.folder.mkdir(parents=True)
        for file in (GOLDEN / self.golden).iterdir():
            if file.name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
                shutil.copyfile(file, self.folder / file.name)
        config = self.folder / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | self.dropouts))
        self.work = work
        drawn = random.Random(7)
        self.train_file, self.held_file = (self.write(drawn, name, n) for name, n in (("train", 400), ("held", 80)))
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        self.prepare()

    def prepare(self):
        pass

    def write(self, drawn, name, records):
        path = self.work / f"{name}.txt"
        path.write_text(" ".join(" ".join(drawn.choice(PHRASES)) + "." for _ in range(records)))
        return path

    def examples(self, path):
        ids = self.tokenizer(path.read_text(), add_special_tokens=False, verbose=False)["input_ids"]
        return [ids[at : at + LENGTH] for at in range(0, len(ids) - LENGTH + 1, LENGTH)]

    def collate(self, examples):
        ids = torch.tensor(examples)
        return {"input_ids": ids}, ids[:, 1:]

    def scores(self, output):
        return output.logits[:, :-1]

    def loss(self, model, examples):
        """The sum of a batch's losses, and how many there are."""
        inputs, labels = self.collate(examples)
        scores = self.scores(model(**inputs))
        count = int((labels != -100).sum())
        return torch.nn.functional.cross_entropy(scores.flatten(0, -2), labels.flatten(), reduction="sum"), count

    def load(self, adapter):
        model = self.kind.from_pretrained(self.folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True)
        return PeftModel.from_pretrained(model, adapter, is_trainable=True) if adapter else model


class Gpt2(Case):
    dropouts = {"embd_pdrop": 0.2, "attn_pdrop": 0.2, "resid_pdrop": 0.2}
    options = ["--block-size", str(LENGTH)]


class Gpt2Lora(Gpt2):
    rate = 1e-2
    options = [*Gpt2.options, "--lora-rank", "8", "--lora-dropout", "0.2", "--lora-target", "all-linear"]
    adapter = True


class Llama(Case):
    golden, dropouts, options = "llama", {"attention_dropout": 0.4}, Gpt2.options


class Bert(Case):
    golden, task, kind = "bert-classes", "classification", transformers.AutoModelForSequenceClassification
    dropouts = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2, "classifier_dropout": 0.3}

    def prepare(self):
        self.labels = json.loads((self.folder / "config.json").read_text())["label2id"]

    def write(self, drawn, name, records):
        labels = sorted(json.loads((self.folder / "config.json").read_text())["label2id"])
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(GOLDEN / "tasks" / file, self.folder / file)
        path = self.work / f"{name}.tsv"
        rows = []
        for _ in range(records):
            label = drawn.randrange(len(labels))
            words = [drawn.choice(WORDS[label::len(labels)] if drawn.random() < 0.5 else WORDS) for _ in range(drawn.randint(3, 8))]
            rows.append(f"{' '.join(words)}\t{labels[label]}\n")
        path.write_text("text\tlabel\n" + "".join(rows))
        return path

    def examples(self, path):
        rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
        return [(self.tokenizer(text)["input_ids"], self.labels[label]) for text, label in rows]

    def collate(self, examples):
        longest = max(len(ids) for ids, _ in examples)
        ids = torch.tensor([ids + [self.tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in examples])
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in examples])
        return {"input_ids": ids, "attention_mask": mask}, torch.tensor([label for _, label in examples])

    def scores(self, output):
        return output.logits


class T5(Case):
    golden, task, kind = "t5", "seq2seq", transformers.AutoModelForSeq2SeqLM
    dropouts = {"dropout_rate": 0.2}

    def write(self, drawn, name, records):
        path = self.work / f"{name}.jsonl"
        with path.open("w") as file:
            for _ in range(records):
                words = drawn.choice(PHRASES)
                print(json.dumps({"source": " ".join(words), "target": " ".join(reversed(words[:4]))}), file=file)
        return path

    def examples(self, path):
        rows = map(json.loads, path.read_text().splitlines())
        return [(self.tokenizer(row["source"])["input_ids"], self.tokenizer(row["target"])["input_ids"]) for row in rows]

    def collate(self, examples):
        longest, most = (max(len(e[i]) for e in examples) for i in (0, 1))
        source = torch.tensor([e[0] + [0] * (longest - len(e[0])) for e in examples])
        mask = torch.tensor([[1] * len(e[0]) + [0] * (longest - len(e[0])) for e in examples])
        labels = torch.tensor([e[1] + [-100] * (most - len(e[1])) for e in examples])
        start = json.loads((self.folder / "config.json").read_text())["decoder_start_token_id"]
        given = torch.cat((torch.full((len(examples), 1), start), labels[:, :-1].clamp_min(0)), dim=1)
        return {"input_ids": source, "attention_mask": mask, "decoder_input_ids": given}, labels

    def scores(self, output):
        return output.logits


CASES = {"gpt2-full": Gpt2, "gpt2-lora": Gpt2Lora, "bert-classification": Bert, "t5-seq2seq": T5, "llama-attention": Llama}


def run_tuff(args, case, seed, dropout, steps, name):
    """The losses of all steps and the held-out one; the adapter as it began is in <name>-initial."""
    out = case.work / name
    shutil.rmtree(out, ignore_errors=True)
    log = case.work / f"{name}.jsonl"
    log.unlink(missing_ok=True)
    command = [args.tuff, "train", "--device", args.device, "--model", case.folder, "--task", case.task, "--train-file",
               case.train_file, "--validation-file", case.held_file, "--output-dir", out, "--max-steps", steps, "--no-shuffle",
               "--per-device-train-batch-size", case.batch, "--learning-rate", case.rate, "--lr-scheduler-type", "constant",
               "--threads", 1, "--logging-steps", 1, "--log-file", log, "--seed", seed, "--dropout", dropout, "--quiet", "--save-anyway",
               *case.options]  # fmt: skip
    if dropout == "none" and "--lora-dropout" in command:
        command[command.index("--lora-dropout") + 1] = "0"
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    held = [line["eval_loss"] for line in lines if "eval_loss" in line]
    return [line["loss"] for line in lines if "loss" in line], held[-1]


def run_torch(case, seed, dropout, steps, adapter):
    model = case.load(adapter)
    if not dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            for field in ("dropout", "attention_dropout"):
                if isinstance(getattr(module, field, None), float):
                    setattr(module, field, 0.0)
    torch.manual_seed(1000 + seed)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=case.rate, weight_decay=0.0)
    examples, losses = case.examples(case.train_file), []
    model.train()
    for step in range(steps):
        at = step * case.batch % (len(examples) // case.batch * case.batch)
        total, count = case.loss(model, examples[at : at + case.batch])
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(total.item() / count)
    model.eval()
    with torch.no_grad():
        sums = [case.loss(model, [example]) for example in case.examples(case.held_file)]
    return losses, sum(s.item() for s, _ in sums) / sum(n for _, n in sums)


def figures(losses, held):
    return np.array([np.mean(losses[-LAST:]), held])


def compare(one, other):
    """Differences of means, and their standard errors; unlike seeds draw unlike masks, so that the two are independent."""
    difference = one.mean(axis=0) - other.mean(axis=0)
    return difference, np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))


def check(args, name, work):
    case = CASES[name](work)
    seeds, start = range(args.first_seed, args.first_seed + args.seeds), {}
    if case.adapter:
        for seed in [0, *seeds]:  # LoRA's start is drawn by the seed
            run_tuff(args, case, seed, "config", 0, f"initial-{seed}")
            start[seed] = case.work / f"initial-{seed}"
    mine, held = run_tuff(args, case, 0, "none", args.steps, "plain")
    theirs, theirs_held = run_torch(case, 0, False, args.steps, start.get(0))
    apart = max(abs(a - b) / abs(b) for a, b in zip(mine[:LAST], theirs))
    print(f"{name}: without dropout the first losses differ by {apart:.1e}; {mine[0]:.4f} -> {mine[-1]:.4f}, held-out {held:.4f} "
          f"(PyTorch {theirs_held:.4f})", flush=True)
    good = apart < 1e-5 and len(mine) == args.steps
    tuff = np.array([figures(*run_tuff(args, case, seed, "config", args.steps, "drops")) for seed in seeds])
    torches = np.array([figures(*run_torch(case, seed, True, args.steps, start.get(seed))) for seed in seeds])
    difference, error = compare(tuff, torches)
    without = figures(mine, held) - torches.mean(axis=0)
    for i, what in enumerate(("training", "held-out")):
        ratio = difference[i] / error[i]
        good = good and abs(ratio) < 3
        print(f"  {what:8} loss: Tuff {tuff[:, i].mean():.4f}, PyTorch {torches[:, i].mean():.4f}, difference {difference[i]:+.4f}, "
              f"standard error {error[i]:.4f}: {ratio:+.2f}; without dropout {without[i] / error[i]:+.1f}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    unknown = [name for name in args.cases if name not in CASES]
    if unknown:
        parser.error(f"no case is called {unknown[0]}; there are {', '.join(CASES)}")
    bad = []
    for name in args.cases or CASES:
        with tempfile.TemporaryDirectory() as work:
            if not check(args, name, pathlib.Path(work)):
                bad.append(name)
    print("not within three standard errors: " + ", ".join(bad) if bad else "all within three standard errors")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
