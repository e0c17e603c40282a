#!/usr/bin/env python3
"""What scikit-learn, SciPy, seqeval, sacrebleu and rouge-score say of predictions: assets/golden/metrics/truth.json.

    python make_metric_goldens.py [--check]

Random predictions from a seed and awkward ones: a single class, classes that are never said, ties, constants, one number,
empty texts, Unicode, signs, several lines. null stands for what a package calls NaN or refuses. --check makes all of it anew
and compares."""

import argparse
import json
import logging
import math
import pathlib
import random
import sys
import warnings

import numpy as np
import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from scipy import stats
from seqeval import metrics as seqeval
from sklearn import metrics as sk

TRUTH = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden" / "metrics" / "truth.json"
AVERAGES = ("macro", "weighted", "micro")


def number(x):
    return None if x is None or not math.isfinite(x) else float(x)


def averaged(truth, said, kinds, out):
    for kind in kinds:
        p, r, f, _ = sk.precision_recall_fscore_support(truth, said, average=kind, zero_division=0)
        out[f"f1_{kind}"], out[f"precision_{kind}"], out[f"recall_{kind}"] = float(f), float(p), float(r)


# ---- classes


def classes(count, truth, said):
    out = {"accuracy": float(sk.accuracy_score(truth, said)), "mcc": float(sk.matthews_corrcoef(truth, said))}
    averaged(truth, said, AVERAGES, out)
    del out["precision_micro"], out["recall_micro"]  # the accuracy
    if count == 2:
        p, r, f, _ = sk.precision_recall_fscore_support(truth, said, average="binary", pos_label=1, labels=[0, 1], zero_division=0)
        out["f1"], out["precision"], out["recall"] = float(f), float(p), float(r)
    return {"classes": count, "truth": truth, "said": said, "figures": out}


def class_cases(rng):
    cases = [
        classes(2, [1, 1, 1], [1, 1, 1]), classes(2, [0, 0, 0], [0, 0, 0]), classes(2, [0, 0], [1, 1]), classes(2, [1], [0]),
        classes(2, [0, 1, 0, 1], [1, 1, 1, 1]), classes(3, [2, 2, 2], [2, 2, 2]), classes(4, [0, 1, 0, 1], [2, 3, 2, 3]),
        classes(5, [0, 1, 4, 4, 0], [0, 1, 4, 4, 0]), classes(3, [0, 0, 1], [0, 2, 2]),
    ]  # fmt: skip
    for count, n in ((2, 17), (2, 60), (3, 40), (5, 80), (9, 120)):
        truth = [min(rng.randrange(count), rng.randrange(count)) for _ in range(n)]
        cases.append(classes(count, truth, [t if rng.random() < 0.6 else rng.randrange(count) for t in truth]))
    return cases


# ---- sets of labels


def sets(count, truth, said):
    a, b = (np.array([[int(c in s) for c in range(count)] for s in x]) for x in (truth, said))
    out = {"accuracy": float(sk.accuracy_score(a, b))}
    averaged(a, b, AVERAGES, out)
    return {"classes": count, "truth": truth, "said": said, "figures": out}


def set_cases(rng):
    cases = [sets(3, [[], []], [[], []]), sets(3, [[0], [1, 2]], [[], []]), sets(2, [[], []], [[0, 1], [1]])]
    for count, n in ((3, 20), (6, 40)):
        truth = [sorted(c for c in range(count) if rng.random() < 0.35) for _ in range(n)]
        said = [sorted({c for c in t if rng.random() < 0.7} | {c for c in range(count) if rng.random() < 0.15}) for t in truth]
        cases.append(sets(count, truth, said))
    return cases


# ---- numbers


def numbers(truth, said):
    a, b = (np.array(x, dtype=np.float32).astype(np.float64) for x in (truth, said))
    out = {"mse": float(sk.mean_squared_error(a, b)), "rmse": float(sk.root_mean_squared_error(a, b)),
           "mae": float(sk.mean_absolute_error(a, b))}  # fmt: skip
    many = len(truth) > 1
    out["pearson"] = number(stats.pearsonr(a, b).statistic) if many else None
    out["spearman"] = number(stats.spearmanr(a, b).statistic) if many else None
    return {"truth": a.tolist(), "said": b.tolist(), "figures": out}


def number_cases(rng):
    cases = [
        numbers([1.5], [2.5]), numbers([1, 2], [5, 3]), numbers([1, 1, 1], [1, 2, 3]), numbers([1, 2, 3], [0.1, 0.1, 0.1]),
        numbers([0.1] * 7, [0.1] * 7), numbers([1, 2, 2, 3, 3, 3], [3, 1, 1, 2, 2, 2]), numbers([5, 4, 3], [-5, -4, -3]),
        numbers([1e20, 2e20, -1e20], [1, 2, 3]),
    ]  # fmt: skip
    for n, steps in ((30, 5), (40, 1000)):
        truth = [rng.randrange(steps) / 4 for _ in range(n)]
        cases.append(numbers(truth, [t + rng.gauss(0, steps / 16) for t in truth]))
        cases.append(numbers(truth, [round(t + rng.gauss(0, steps / 16)) for t in truth]))
    return cases


# ---- entities


def entities(labels, truth, said):
    names = [[[labels[i] for i in s] for s in x] for x in (truth, said)]
    f, p, r = (score(*names) for score in (seqeval.f1_score, seqeval.precision_score, seqeval.recall_score))
    out = {"entity_f1": float(f), "entity_precision": float(p), "entity_recall": float(r)}
    return {"labels": labels, "truth": truth, "said": said, "figures": out}


def entity_cases(rng):
    iob = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    cases = [entities(iob, [[0, 0, 0]], [[0, 0, 0]]), entities(iob, [[1, 2, 0, 3]], [[0, 0, 0, 0]]),
             entities(iob, [[0, 0]], [[1, 2]]), entities(iob, [[1, 2], [2, 2]], [[1, 2], [2, 2]]),
             entities(["O", "I-X", "I-Y"], [[1, 1, 2, 0, 2]], [[1, 2, 2, 0, 2]]), entities(["B", "I", "O"], [[0, 1, 2, 0]], [[0, 1, 1, 0]])]  # fmt: skip
    kinds = [iob, ["B-PER", "I-PER", "E-PER", "S-PER", "O"], ["O", "B-a-b", "I-a-b", "B-é", "I-é", "B-", "I-"],
             ["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B", "I", "B"]]  # fmt: skip
    for labels in kinds:
        for changed in (0.15, 0.5):
            truth = [[rng.randrange(len(labels)) for _ in range(rng.randrange(1, 14))] for _ in range(12)]
            said = [[rng.randrange(len(labels)) if rng.random() < changed else i for i in s] for s in truth]
            cases.append(entities(labels, truth, said))
    return cases


# ---- texts


def texts(truth, said):
    out = {"bleu": sacrebleu.corpus_bleu(said, [truth]).score, "chrf": sacrebleu.corpus_chrf(said, [truth]).score}
    out["exact_match"] = sum(a == b for a, b in zip(truth, said)) / len(truth)
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    stemmed = {}
    for stem, into in ((False, out), (True, stemmed)):
        scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
        scores = [scorer.score(t, s) for t, s in zip(truth, said)]
        for kind in kinds:
            into[kind] = sum(s[kind].fmeasure for s in scores) / len(scores)
    return {"truth": truth, "said": said, "figures": out, "stemmed": stemmed}


WORDS = """the The a of and running runner runs ran easily flies dying happiness relational conditional nationally hoping
hopped agreed feed plastered 3.14 1,000 1990-1995 20% $5 U.S. e.g. don't it's well-known über naïve Ärger İstanbul K ß 東京 は
です مرحبا word. (word) "quoted" a,b a.b .5 5. -- - ... , ; : / http://x.y/z?q=1 &amp; &lt;b&gt; &quot; <skipped> ™ ½ 👍 e\u0301
\u00a0 \u2003x\u2003 x\u001cy \u200b semi-\ncolon generalization oscillators""".split(" ")  # fmt: skip


def sentence(rng, n):
    return "".join(rng.choice(WORDS) + rng.choice([" ", " ", " ", " ", "  ", "\n", "-\n", ""]) for _ in range(n))


def vary(rng, text):
    words = text.split(" ")
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(words))
        words[at : at + rng.randrange(3)] = [rng.choice(WORDS)] * rng.randrange(3)
        words = words or [""]
    return " ".join(words)


def text_cases(rng):
    cases = [
        texts(["the cat"], [""]), texts([""], ["the cat"]), texts([""], [""]), texts(["."], ["."]), texts(["a b c"], ["x y z"]),
        texts(["a b c"], ["a b c"]), texts(["a b c d e"], ["a b c d e"]), texts(["the cat sat on the mat"], ["the the the the"]),
        texts(["a b c d e f g h"], ["a b c"]), texts(["東京は日本の首都です。"], ["東京は首都です。"]), texts(["!!!"], ["???"]),
        texts(["first line here\nsecond line there"], ["second line there\nfirst line here"]),
        texts(["\n\na b\n\nb a\n"], ["a b a\nb"]), texts(["x", "a b c d"], ["", "a b c d"]), texts([" \u2003 "], ["\u00a0"]),
        texts(["the quick brown fox jumped over lazy dogs", "we are agreed"], ["quick foxes jumping over a lazy dog", "we agree"]),
    ]  # fmt: skip
    for n, most in ((4, 6), (8, 25), (10, 12), (6, 40)):
        truth = [sentence(rng, rng.randrange(1, most)) for _ in range(n)]
        cases.append(texts(truth, [vary(rng, t) if rng.random() < 0.9 else sentence(rng, 3) for t in truth]))
    return cases


def tokenized(rng):
    lines = ["", " ", "a.b", "1.5 1. .5 a.5 5.a", "1,000,000.", "x,,y..z", "5-6 a-b 5--6", "&amp;lt; &amp;amp;", "semi-\ncolon\nx",
             "<skip<skipped>ped>", "don't 'quote'", "é.é,é", "a\u00a0b\u2028c\u001dd", "(a)[b]{c}", "~`@#$%^&*_+=|\\"]  # fmt: skip
    lines += [sentence(rng, 8) for _ in range(30)]
    split = Tokenizer13a()
    return [[line, split(line.rstrip())] for line in lines]


def stems(rng):
    roots = "a sky sk fly tie troubl yyy yy y y2k oat priv hop fall fil siz tann conflat happ enjo relat ration digit radic vile abl"
    suffixes = """s ss sses ies ied eed ed ing y ly al alli alli ational tional enci anci izer bli entli eli ousli ization ation ator
    alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness ance ence er ic able ible ant
    ement ment ent ion sion tion ou ism ate iti ous ive ize e ll lle""".split()
    words = """sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed
    generalizations oscillators geology theologi archaeology hissing fizzed feed agreed bled sing controll roll rolling cease rate
    caresses ponies ties cats died spied dies flies is as 1980s 2nd""".split()
    words += [root + suffix for root in roots.split() for suffix in suffixes]
    words += [rng.choice(roots.split()) + rng.choice(suffixes) + rng.choice(suffixes) for _ in range(600)]
    words = sorted({w for w in words if len(w) > 3})
    stem = PorterStemmer().stem
    return {w: stem(w) for w in words}


def make():
    rng = random.Random(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"classes": class_cases(rng), "sets": set_cases(rng), "numbers": number_cases(rng), "entities": entity_cases(rng),
                "texts": text_cases(rng), "tokenized": tokenized(rng), "stems": stems(rng)}  # fmt: skip


def differences(a, b, where=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{where}[{i}]")
    elif isinstance(a, float) and isinstance(b, float):
        if not math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12):
            yield f"{where}: {a} is committed, {b} was made"
    elif a != b:
        yield f"{where}: {a} is committed, {b} was made"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed instead of writing it")
    check = parser.parse_args().check
    logging.disable(logging.WARNING)
    made = json.loads(json.dumps(make()))
    if check:
        found = list(differences(json.loads(TRUTH.read_text()), made))
        print("\n".join(found[:20]) or f"{TRUTH.name} is as it would be made now")
        sys.exit(bool(found))
    TRUTH.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'  "{name}": [\n' + ",\n".join("    " + json.dumps(c, ensure_ascii=True) for c in cases) + "\n  ]" if isinstance(cases, list)
             else f'  "{name}": ' + json.dumps(cases) for name, cases in made.items()]  # fmt: skip
    TRUTH.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{TRUTH.name}: {TRUTH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
