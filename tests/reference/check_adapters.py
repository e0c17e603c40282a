"""What Tuff computes with an adapter, of vectors or of a classifier, against sentence-transformers or PEFT with the same.

    tuff embed --model M --adapter A --file texts.txt --output vectors.npy
    python check_adapters.py --model M --adapter A --texts texts.txt --vectors vectors.npy
    tuff classify --model M --adapter A --file texts.txt --top-k LABELS --json >classes.jsonl
    python check_adapters.py --model M --adapter A --texts texts.txt --classes classes.jsonl
    tuff convert M --adapter A --to hf --output merged
    python check_adapters.py --model M --adapter A --merged merged

The last compares weights with PEFT's merge_and_unload (--tolerance 1e-6 unless it is given).
Exit status 1 when a number differs by more than --tolerance, or the adapter changes nothing."""

import argparse
import json
import os

import numpy as np
import torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer


def vectors_of(args, texts):
    model = SentenceTransformer(args.model, device="cpu")
    plain = model.encode(texts)
    model.load_adapter(args.adapter)
    wanted = model.encode(texts)
    return np.load(args.vectors), wanted, np.abs(wanted - plain).max()


def scores_of(args, texts):
    with open(os.path.join(args.adapter, "adapter_labels.json")) as file:
        labels = json.load(file)["label2id"]
    found = np.zeros((len(texts), len(labels)))
    with open(args.classes) as file:
        for row, line in enumerate(file):
            for guess in json.loads(line)["labels"]:
                found[row, labels[guess["label"]]] = guess["score"]
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    base = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=len(labels))
    def run(model):
        with torch.no_grad():
            return torch.cat([model(**tokenizer(t, return_tensors="pt")).logits.softmax(-1) for t in texts]).numpy()

    plain = run(base.eval())
    wanted = run(PeftModel.from_pretrained(base, args.adapter).eval())
    return found, wanted, np.abs(wanted - plain).max()


def weights_of(args, _):
    """All weights in one row: those that were merged, PEFT's, and how far these are from the model's own."""
    import transformers

    cls = getattr(transformers, AutoConfig.from_pretrained(args.merged).architectures[0])
    base = cls.from_pretrained(args.model)
    plain = {name: value.clone() for name, value in base.state_dict().items()}
    wanted = PeftModel.from_pretrained(base, args.adapter).merge_and_unload().state_dict()
    found = cls.from_pretrained(args.merged).state_dict()
    assert found.keys() == wanted.keys() == plain.keys()
    rows = [torch.cat([weights[name].flatten().float() for name in sorted(wanted)]).numpy() for weights in (found, wanted, plain)]
    return rows[0], rows[1], np.abs(rows[1] - rows[2]).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "adapter"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--texts")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--vectors")
    what.add_argument("--classes")
    what.add_argument("--merged")
    parser.add_argument("--tolerance", type=float)
    args = parser.parse_args()
    texts = []
    if args.texts:
        with open(args.texts, encoding="utf-8") as file:
            texts = [line.rstrip("\n") for line in file]
    if args.tolerance is None:
        args.tolerance = 1e-6 if args.merged else 1e-5
    found, wanted, change = (weights_of if args.merged else vectors_of if args.vectors else scores_of)(args, texts)
    worst = np.abs(found - wanted).max()
    print(f"{found.shape}: largest difference {worst:.2e}; the adapter changes up to {change:.2e}")
    raise SystemExit(0 if worst <= args.tolerance < change else 1)


if __name__ == "__main__":
    main()
