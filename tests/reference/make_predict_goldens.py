#!/usr/bin/env python3
"""What transformers' pipelines predict with the small models of assets/golden: assets/golden/predict/truth.json, and the
tokenizer of these runs beside it, whose words are made of the letters a to p.

    python make_predict_goldens.py            writes them
    python make_predict_goldens.py --check    makes them anew and compares

Places are bytes. Question answering, which transformers 5 has no pipeline for, is what its 4.x computed: windows of the
context by the tokenizer, probabilities of beginnings and ends by the functions that document question answering still has,
the best over all windows, extended to whole words (also where a window begins within one, which 4.x cut there)."""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
    pipeline,
)
from transformers.pipelines.document_question_answering import select_starts_ends

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
FOLDER = GOLDEN / "predict"
TEXTS = ["ab cad ponk", "p", "", "hook, dip é mad cab fed", "a b c d e f g h"]
PAIRS = [["ab cad", "ponk"], ["ab cad ponk dim", "a b c"]]
MASKED = ["ab [MASK] cad", "[MASK] p [MASK]", "hook, [MASK]"]
QUESTIONS = [["a lop", "ab cad ponk dim fed go, hid ak job mole nice ok pin cab"], ["nib", "deaf é cafe. hood mind"], ["p", ""]]
CHANGES = [{}, {"problem_type": "multi_label_classification"}, {"problem_type": "regression"}]

transformers.utils.logging.set_verbosity_error()


def make_tokenizer():
    letters = "abcdefghijklmnop"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(letters) + ["##" + letter for letter in letters]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(pieces[:5])
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def wrap(tokenizer, folder):
    types = ["token_type_ids"] if folder.startswith("bert") else []  # other models do not know them
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"] + types,
    )  # fmt: skip


def in_bytes(text, at):
    return len(text[:at].encode())


def load(kind, folder):
    return kind.from_pretrained(GOLDEN / folder, dtype=torch.float32, local_files_only=True).eval()


def fill(folder, tokenizer):
    run = pipeline("fill-mask", model=load(AutoModelForMaskedLM, folder), tokenizer=tokenizer, top_k=4)
    for text in MASKED:
        found = run(text)
        masks = found if isinstance(found[0], list) else [found]
        yield {"text": text, "want": [[[guess["token"], guess["score"]] for guess in mask] for mask in masks]}


def classify(folder, tokenizer, change):
    model = load(AutoModelForSequenceClassification, folder)
    for key, value in change.items():
        setattr(model.config, key, value)
    run = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    for item in [{"text": text} for text in TEXTS] + [{"text": a, "text_pair": b} for a, b in PAIRS]:
        found = {row["label"]: row["score"] for row in run(dict(item))}
        yield {"text": item["text"], "pair": item.get("text_pair"), "want": [found[label] for label in labels]}


def entities(folder, tokenizer):
    model = load(AutoModelForTokenClassification, folder)
    for strategy in ("none", "simple"):
        run = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
        for text in TEXTS[:2] + TEXTS[3:]:
            found = run(text)
            want = [
                [in_bytes(text, e["start"]), in_bytes(text, e["end"]), e.get("entity_group", e.get("entity")), float(e["score"])]
                for e in found
            ]
            yield {"text": text, "group": strategy == "simple", "want": want}


def answers(folder, tokenizer, length, stride, top_k, impossible):
    model = load(AutoModelForQuestionAnswering, folder)
    for question, context in QUESTIONS:
        encoded = tokenizer(
            question, context, truncation="only_second", max_length=length, stride=stride, return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
        words = [span for _, span in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(context)]
        found, none = {}, 1e6
        for encoding in encoded.encodings:
            batch = {"input_ids": torch.tensor([encoding.ids])}
            if "token_type_ids" in tokenizer.model_input_names:
                batch["token_type_ids"] = torch.tensor([encoding.type_ids])
            with torch.no_grad():
                output = model(**batch)
            mask = np.array([[s != 1 and i != tokenizer.cls_token_id for s, i in zip(encoding.sequence_ids, encoding.ids)]], int)
            begins, ends, scores, none = select_starts_ends(
                output.start_logits.numpy(), output.end_logits.numpy(), mask, None, none, 64, impossible, 15
            )
            for begin, end, score in zip(begins, ends, scores):
                if encoding.sequence_ids[begin] != 1 or encoding.sequence_ids[end] != 1:
                    continue
                first, last = encoding.offsets[begin][0], encoding.offsets[end][1] - 1
                span = tuple(next(w[i] for w in words if w[0] <= at < w[1]) for i, at in enumerate((first, last)))
                found[span] = max(found.get(span, 0), float(score))
        want = [[in_bytes(context, a), in_bytes(context, b), score] for (a, b), score in found.items()]
        if impossible:
            want.append([0, 0, none])
        want.sort(key=lambda item: -item[2])
        yield {"text": question, "pair": context, "want": want[:top_k]}


def make():
    tokenizer = make_tokenizer()
    runs = []
    for folder in ("bert-mlm", "distilbert-mlm", "modernbert-mlm", "mpnet-mlm"):
        runs.append({"task": "masks", "model": folder, "cases": list(fill(folder, wrap(tokenizer, folder)))})
    for folder in ("bert-classes", "modernbert-classes", "modernbert-biased", "mpnet-classes"):
        for change in CHANGES if folder == "bert-classes" else CHANGES[:1]:
            cases = list(classify(folder, wrap(tokenizer, folder), change))
            runs.append({"task": "classes", "model": folder, **change, "cases": cases})
    for folder in ("bert-tokens", "modernbert-tokens", "mpnet-tokens"):
        runs.append({"task": "entities", "model": folder, "cases": list(entities(folder, wrap(tokenizer, folder)))})
    for folder in ("bert-spans", "mpnet-spans"):
        for length, stride, top_k, impossible in ((15, 3, 3, False), (12, 2, 2, True)):
            cases = list(answers(folder, wrap(tokenizer, folder), length, stride, top_k, impossible))
            runs.append({"task": "answers", "model": folder, "max_length": length, "overlap": stride, "answers": top_k,
                         "maybe_none": impossible, "cases": cases})  # fmt: skip
    return tokenizer.to_str(pretty=False) + "\n", {"transformers": transformers.__version__, "runs": runs}


def close(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) < 1e-6
    return a == b


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    tokenizer, truth = make()
    if check:
        there = json.loads((FOLDER / "truth.json").read_text())
        same = close(there["runs"], json.loads(json.dumps(truth["runs"])))
        print("the same" if same else "transformers predicts something else")
        return 0 if same else 1
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "tokenizer.json").write_text(tokenizer)
    (FOLDER / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n")
    print(sum(len(run["cases"]) for run in truth["runs"]), "cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
