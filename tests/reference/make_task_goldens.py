#!/usr/bin/env python3
"""Makes assets/golden/tasks: small files of records, and the losses of 20 AdamW steps that transformers has on them.

    python make_task_goldens.py             writes assets/golden/tasks
    python make_task_goldens.py --check     makes them anew and compares

tokenizer.json and tokenizer_config.json are of all; regression/ is a model of its own, the other tasks train models of assets/golden: bert-mlm,
bert-classes (one label, several), bert-tokens, bert-spans. truth.json has losses and gradient norms (before
clipping) by task, and how the steps were made. All is computed in f64, without dropout, an example at a time: a step's loss is
the sum over its examples by the number of their labels. Which tokens mlm hides is drawn here by a Philox of its own."""

import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertTokenizerFast,
)

from common import to_double
from make_encoder_goldens import LABELS, bert, randomize, save
from make_goldens import ROOT, STEPS, write_json

BATCH, SEED = 4, 44
WINDOW, STRIDE = 14, 3
WORDS = [f"w{i}" for i in range(5, 49)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "-"]


def philox(key, position, step, stream):
    """Philox4x32-10 (Salmon et al. 2011)."""
    v = [position & 0xFFFFFFFF, position >> 32, step, stream]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * v[0], 0xCD9E8D57 * v[2]
        v = [(b >> 32) ^ v[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ v[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return v


def hide(ids, number):
    """What a masked language model sees of an example, and what it is to find."""
    seen, labels = list(ids), [-100] * len(ids)
    for place, token in enumerate(ids):
        drawn = philox(SEED, number, place, 0x07000000)
        if token < 5 or drawn[0] >= 0.15 * 2**32:
            continue
        labels[place] = token
        if drawn[1] < 0.8 * 2**32:
            seen[place] = 4
        elif drawn[1] < 0.9 * 2**32:
            seen[place] = drawn[2] * len(VOCABULARY) >> 32
            if seen[place] == 0:
                raise SystemExit("choose a seed that puts no padding among the words: its row gets no gradient in PyTorch")
    return seen, labels


def text(random, least, most):
    return " ".join(random.choice(WORDS, random.randint(least, most + 1)))


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines))


def make_data(folder, random):
    """Records of each task; classification's are pairs."""
    data = {}
    data["mlm"] = [text(random, 8, 17) for _ in range(10)]
    write_lines(folder / "mlm.txt", data["mlm"])
    data["classification"] = [(text(random, 2, 8), text(random, 1, 8), random.choice(LABELS["classes"])) for _ in range(11)]
    write_lines(folder / "classification.tsv", ["one\ttwo\tclass", *("\t".join(row) for row in data["classification"])])
    data["several"] = [
        (text(random, 2, 15), [name for name in LABELS["classes"] if random.rand() < 0.5]) for _ in range(9)
    ]
    write_lines(folder / "several.jsonl", [json.dumps({"text": t, "label": names}) for t, names in data["several"]])
    data["regression"] = [(text(random, 2, 15), round(float(random.standard_normal()), 3)) for _ in range(9)]
    write_lines(folder / "regression.csv", ["text,label", *(f"{t},{y}" for t, y in data["regression"])])
    data["tokens"] = []
    for _ in range(9):
        words = list(random.choice([*WORDS, "w7-w9"], random.randint(2, 7)))
        data["tokens"].append((words, [str(random.choice(LABELS["tokens"])) for _ in words]))
    write_lines(
        folder / "tokens.jsonl", [json.dumps({"tokens": words, "labels": labels}) for words, labels in data["tokens"]]
    )
    data["qa"] = []
    for i in range(8):
        context = text(random, 5, 24)
        words = context.split()
        first = random.randint(0, len(words) - 2)
        answer, start = " ".join(words[first : first + 2]), len(" ".join(words[:first])) + (first > 0)
        answers = {"text": [answer], "answer_start": [start]} if i != 3 else {"text": [], "answer_start": []}
        data["qa"].append({"question": text(random, 2, 4), "context": context, "answers": answers})
    write_lines(folder / "qa.jsonl", [json.dumps(record) for record in data["qa"]])
    return data


def make_tokenizer(folder):
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = pathlib.Path(scratch) / "vocab.txt"
        write_lines(vocabulary, VOCABULARY)
        tokenizer = BertTokenizerFast(vocab=str(vocabulary))
        tokenizer.save_pretrained(scratch)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            write_json(folder / name, json.loads((pathlib.Path(scratch) / name).read_text()))
    return tokenizer


def make_regression(folder, random):
    config = bert()
    config.num_labels = 1
    config.problem_type = "regression"
    model = AutoModelForSequenceClassification.from_config(config).float()
    randomize(model, random)
    save(folder / "regression", model)


def windows(tokenizer, records):
    """As run_qa.py makes them, but each as long as it is."""
    examples = []
    for record in records:
        encoded = tokenizer(
            record["question"], record["context"], truncation="only_second", max_length=WINDOW, stride=STRIDE,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        for i, ids in enumerate(encoded["input_ids"]):
            offsets, first, last = encoded["offset_mapping"][i], 0, 0
            places = [k for k, which in enumerate(encoded.sequence_ids(i)) if which == 1]
            if record["answers"]["text"]:
                begin = record["answers"]["answer_start"][0]
                end = begin + len(record["answers"]["text"][0])
                if offsets[places[0]][0] <= begin and offsets[places[-1]][1] >= end:
                    first = max(k for k in places if offsets[k][0] <= begin)
                    last = min(k for k in places if offsets[k][1] >= end)
            examples.append((ids, encoded["token_type_ids"][i], first, last))
    return examples


def word_labels(tokenizer, words, labels):
    encoded = tokenizer(words, is_split_into_words=True)
    numbers, before = [], None
    for word in encoded.word_ids():
        fresh = word is not None and word != before
        numbers.append(LABELS["tokens"].index(labels[word]) if fresh else -100)
        before = word
    return encoded["input_ids"], numbers


def losses_of(task, tokenizer, data, model):
    """What gives the sum of the losses of example number i of the endless sequence, and the number of its labels; how
    many examples there are."""
    classes = LABELS["classes"]

    def run(ids, types=None, **labels):
        types = {} if types is None else {"token_type_ids": torch.tensor([types])}
        return model(input_ids=torch.tensor([ids]), **types, **labels).loss

    if task == "mlm":
        examples = [tokenizer(t)["input_ids"] for t in data]

        def loss(i):
            seen, labels = hide(examples[i % len(examples)], i)
            count = sum(label >= 0 for label in labels)
            return (run(seen, labels=torch.tensor([labels])) * count if count else torch.zeros(())), count
    elif task == "classification":
        examples = [(tokenizer(a, b), classes.index(c)) for a, b, c in data]

        def loss(i):
            pair, label = examples[i % len(examples)]
            return run(pair["input_ids"], pair["token_type_ids"], labels=torch.tensor([label])), 1
    elif task == "several":
        examples = [(tokenizer(t)["input_ids"], [float(c in names) for c in classes]) for t, names in data]

        def loss(i):
            ids, labels = examples[i % len(examples)]
            return run(ids, labels=torch.tensor([labels], dtype=torch.float64)) * len(classes), len(classes)
    elif task == "regression":
        examples = [(tokenizer(t)["input_ids"], y) for t, y in data]

        def loss(i):
            ids, y = examples[i % len(examples)]
            return run(ids, labels=torch.tensor([y], dtype=torch.float32).double()), 1
    elif task == "tokens":
        examples = [word_labels(tokenizer, words, labels) for words, labels in data]

        def loss(i):
            ids, labels = examples[i % len(examples)]
            count = sum(label >= 0 for label in labels)
            return run(ids, labels=torch.tensor([labels])) * count, count
    else:
        examples = windows(tokenizer, data)

        def loss(i):
            ids, types, first, last = examples[i % len(examples)]
            found = {"start_positions": torch.tensor([first]), "end_positions": torch.tensor([last])}
            return 2 * run(ids, types, **found), 2

    return loss, len(examples)


TASKS = {
    "mlm": (AutoModelForMaskedLM, "bert-mlm"),
    "classification": (AutoModelForSequenceClassification, "bert-classes"),
    "several": (AutoModelForSequenceClassification, "bert-classes"),
    "regression": (AutoModelForSequenceClassification, "tasks/regression"),
    "tokens": (AutoModelForTokenClassification, "bert-tokens"),
    "qa": (AutoModelForQuestionAnswering, "bert-spans"),
}


def train(model, loss, examples):
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=STEPS["learning_rate"], betas=STEPS["betas"], eps=STEPS["eps"],
        weight_decay=STEPS["weight_decay"],
    )  # fmt: skip
    losses, norms = [], []
    for step in range(STEPS["steps"]):
        epoch, at = divmod(step, -(-examples // BATCH))
        batch = range(epoch * examples, (epoch + 1) * examples)[BATCH * at :][:BATCH]  # an epoch's last is what is left
        parts = [loss(i) for i in batch]
        total = sum(part for part, _ in parts) / sum(count for _, count in parts)
        optimizer.zero_grad()
        total.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), STEPS["clip"]).item())
        optimizer.step()
        losses.append(total.item())
    return losses, norms


def make(output):
    folder = output / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(4711)
    data = make_data(folder, random)
    make_regression(folder, random)
    tokenizer = make_tokenizer(folder)
    truth = {"adamw": STEPS, "batch": BATCH, "seed": SEED, "window": WINDOW, "stride": STRIDE, "tasks": {}}
    for task, (kind, name) in TASKS.items():
        path = folder / "regression" if task == "regression" else ROOT / "assets" / "golden" / name
        options = {"problem_type": "multi_label_classification"} if task == "several" else {}
        model = kind.from_pretrained(
            path, dtype=torch.float32, attn_implementation="eager", local_files_only=True, **options
        )
        to_double(model)
        losses, norms = train(model.eval(), *losses_of(task, tokenizer, data[task], model))
        truth["tasks"][task] = {"model": name, "losses": losses, "norms": norms}
        print(f"{task:15} loss {losses[0]:.6f} to {losses[-1]:.6f}")
    write_json(folder / "truth.json", truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "assets" / "golden")
    parser.add_argument("--check", action="store_true", help="compare with --output instead of writing it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.check:
        make(arguments.output)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        make(pathlib.Path(scratch))
        old, new = (json.loads((p / "tasks" / "truth.json").read_text()) for p in (arguments.output, pathlib.Path(scratch)))
    worst = 0.0
    for task, truth in old["tasks"].items():
        pairs = zip(truth["losses"] + truth["norms"], new["tasks"][task]["losses"] + new["tasks"][task]["norms"])
        worst = max([worst, *(abs(a - b) / abs(a) for a, b in pairs)])
    print(f"the largest difference is {worst:.1e}")
    return 1 if worst > 1e-9 else 0


if __name__ == "__main__":
    sys.exit(main())
