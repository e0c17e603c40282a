#!/usr/bin/env python3
"""Holds Tuff's tokenizers of encoders (WordPiece, Unigram, SentencePiece models; pairs, places, truncation) against the
Hugging Face tokenizers library and SentencePiece.

    python check_encoders.py goldens [--check | --train]
        Small tokenizers, and what the libraries make of a few texts and pairs with them, into assets/tokenizers/encoders.json,
        which the unit tests read. --check makes them anew from the file's models and compares; --train trains new models.
    python check_encoders.py compare --library libtuff.so [--text FILE]... [--pairs FILE.csv]... PATH...
        Each PATH is a tokenizer.json, a directory with one, the vocab.txt beside one, a SentencePiece .model or a .gguf. Ids,
        type ids and places in bytes must be the library's, for each line of the texts, for pairs (the first two columns), for texts that walk
        through every block of Unicode, and for random ones; with a .model those of SentencePiece; with a .gguf the vectors
        beside it are met. What Tuff writes must give the same again, in Tuff and in the library.
    python check_encoders.py speed --library libtuff.so [--text FILE]... PATH...
        Ids of the lines of the texts, one thread, best of five: Tuff and the library's fastest call.

Exit status 1 when anything differs. Three places in which Tuff differs on purpose are not counted: characters that the
precompiled charsmap removes at the start of a text (the library forgets them, and all that follows is placed too early),
marks that normal forms reorder (placed by where they came to stand, not by which they are), and the type ids of windows
after the first, which the library leaves at 0."""

import argparse
import csv
import ctypes
import json
import os
import pathlib
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer

from check_tokenizers import check_vectors, differing, random_texts
from encoder_tokenizers import STRATEGIES, TEXTS, describe, golden_pieces, golden_variants, trained_models
from tuff_tokenizer import TuffTokenizer, open_library

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "tokenizers" / "encoders.json"


def kept_models(golden):
    models = {name: golden["bases"][name] for name in ("wordpiece", "byte_level")}
    return {**models, "spm": {item["name"]: item["model"] for item in golden["pieces"]}}


def goldens(options):
    trained = trained_models() if options.train else kept_models(json.loads(GOLDEN.read_text()))
    base, variants = golden_variants(trained)
    made = {"texts": TEXTS, "bases": base, "variants": variants, "pieces": golden_pieces(trained)}
    if options.check:
        same = json.loads(GOLDEN.read_text()) == made
        print("the same" if same else f"{GOLDEN} differs from what the libraries make now")
        return same
    lines = lambda items: ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)
    text = f'{{"texts": {json.dumps(TEXTS)},\n"bases": {json.dumps(base, separators=(",", ":"))},\n'
    text += f'"variants": [\n{lines(variants)}],\n"pieces": [\n{lines(made["pieces"])}]}}\n'
    assert json.loads(text) == json.loads(json.dumps(made))
    GOLDEN.write_text(text)
    print(f"{GOLDEN}: {len(text)} bytes, {len(variants)} tokenizers")
    return True


# ---- comparing ----


def every_block():
    """All code points, 64 a text; and the same with spaces between."""
    points = "".join(chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000)
    walk = [points[i : i + 64] for i in range(0, len(points), 64)]
    return walk + [" ".join(text) for text in walk]


def without_spans(windows):
    return [{k: v for k, v in window.items() if k in ("ids", "type_ids", "texts")} for window in windows]


def differing_places(name, texts, tuff, theirs):
    """As `differing`, with what is not counted. `tuff` and `theirs` give lists of windows."""
    bad = placed = 0
    for text in texts:
        ours, other = tuff(text), theirs(text)
        keys = ("ids", "type_ids", "texts", "spans")
        same = [[w[k] for k in keys] for w in ours] == [[w[k] for k in keys] for w in other]
        if same:
            continue
        if without_spans(ours) == without_spans(other):
            placed += 1
            continue
        bad += 1
        if bad <= 3:
            print(f"  {str(text)[:60]!r}: Tuff {ours[0]['ids'][:12]}, {name} {other[0]['ids'][:12]}")
    print(f"  {name}: {len(texts) - bad} of {len(texts)} the same, {placed} of them but for places")
    return bad, placed


def encode_theirs(tokenizer):
    def encode(text):
        texts = text if isinstance(text, tuple) else (text,)
        encoding = tokenizer.encode(*texts)
        return [describe(e, texts) for e in [encoding] + encoding.overflowing]

    return encode


def encode_ours(tuff, **params):
    return lambda text: tuff.encode_pair(*(text if isinstance(text, tuple) else (text,)), **params)


def check_cuts(tuff, tokenizer, pairs):
    bad = 0
    for length in (10, 17, 40):
        for strategy in STRATEGIES:
            tokenizer.enable_truncation(length, strategy=strategy)
            kept = []
            for pair in pairs:
                try:
                    tokenizer.encode(*pair)
                    kept.append(pair)
                except BaseException:  # the text that is not cut leaves no room
                    pass
            theirs = lambda pair: encode_theirs(tokenizer)(pair)[:1]
            ours = encode_ours(tuff, max_length=length, truncation=STRATEGIES.index(strategy))
            bad += differing_places(f"{strategy}, {length}", kept, ours, theirs)[0]
    tokenizer.enable_truncation(24, stride=5)
    ours = encode_ours(tuff, max_length=24, overlap=5, windows=True)
    bad += differing_places("windows", [a for a, _ in pairs], ours, encode_theirs(tokenizer))[0]
    tokenizer.no_truncation()
    return bad


def compare_library(path, tuff, texts, pairs, placed_limit):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    bad, placed = differing_places("tokenizers", texts, encode_ours(tuff), encode_theirs(tokenizer))
    bad += differing_places("pairs", pairs, encode_ours(tuff), encode_theirs(tokenizer))[0]
    if pairs:
        bad += check_cuts(tuff, tokenizer, pairs[:500])
    theirs = lambda text: tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False).encode()
    decodes = [text for text in texts[:3000] if "\ufffd" not in theirs(text).decode()]
    bad += differing("decoded", decodes, lambda text: tuff.decode(tuff.encode(text, 1)), theirs)
    return bad + (placed > placed_limit)


def compare(options):
    library = open_library(options.library)
    lines = [line for file in options.text for line in pathlib.Path(file).read_text().split("\n")]
    pairs = [tuple(row[:2]) for file in options.pairs for row in csv.reader(open(file, newline=""))]
    texts = lines + [text for pair in pairs for text in pair] + every_block() + random_texts(2000)
    whole = ["\n".join(lines)] if lines else []
    bad = 0
    for path in map(pathlib.Path, options.paths):
        print(path)
        tuff = TuffTokenizer(library, path)
        original = path / "tokenizer.json" if path.is_dir() else path
        if path.suffix == ".txt":
            original = path.parent / "tokenizer.json"
        if path.suffix == ".gguf":
            bad += check_vectors(path, tuff)
        if original.suffix == ".json" and original.is_file():
            bad += compare_library(original, tuff, whole + texts, pairs, len(texts) // 20)
        if path.suffix == ".model":
            import sentencepiece

            pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
            controls = [pieces.id_to_piece(i) for i in range(len(pieces)) if pieces.is_control(i) or pieces.is_unknown(i)]
            plain = [text for text in texts if not any(control in text for control in controls)]
            bad += differing("sentencepiece", plain, tuff.encode, pieces.encode)
        with tempfile.TemporaryDirectory() as directory:
            tuff.save(directory)
            again = TuffTokenizer(library, pathlib.Path(directory))
            written = Tokenizer.from_file(directory + "/tokenizer.json")
            written.no_truncation()
            written.no_padding()
            plain = lambda text: written.encode(text, add_special_tokens=False).ids
            bad += differing("what Tuff wrote, in Tuff", texts, tuff.encode, again.encode)
            bad += differing("what Tuff wrote, in tokenizers", texts, tuff.encode, plain)
            bad += differing_places("pairs of what Tuff wrote", pairs, encode_ours(tuff, spans=False), no_places(encode_theirs(written)))[0]
    return bad == 0


def no_places(encode):
    return lambda text: [{**window, "spans": None} for window in encode(text)]


# ---- speed ----


def best(call):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def speed(options):
    library = open_library(options.library)
    texts = [line for file in options.text for line in pathlib.Path(file).read_text().split("\n")]
    data = [text.encode() for text in texts]
    ids, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
    faster = True
    for path in map(pathlib.Path, options.paths):
        tuff, tokenizer = TuffTokenizer(library, path), Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()

        def ours():
            for item in data:
                library.tuff_tokenizer_encode(
                    tuff.handle, item, ctypes.c_size_t(len(item)), 1, ctypes.byref(ids), ctypes.byref(count)
                )
                library.tuff_free(ids)

        batch = best(lambda: tokenizer.encode_batch_fast(texts))
        one = best(lambda: [tokenizer.encode(text) for text in texts])
        mine, theirs = best(ours), min(batch, one)
        rate = sum(map(len, data)) / 1e6
        print(f"{path}: {len(texts)} texts, {rate:.1f} MB: Tuff {rate / mine:.1f} MB/s, tokenizers {rate / theirs:.1f} MB/s, {theirs / mine:.1f} times")
        faster = faster and mine <= theirs
    return faster


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("goldens")
    make.add_argument("--check", action="store_true")
    make.add_argument("--train", action="store_true")
    for name in ("compare", "speed"):
        command = commands.add_parser(name)
        command.add_argument("--library", required=True)
        command.add_argument("--text", action="append", default=[])
        command.add_argument("--pairs", action="append", default=[])
        command.add_argument("paths", nargs="+")
    options = parser.parse_args()
    sys.exit(0 if {"goldens": goldens, "compare": compare, "speed": speed}[options.command](options) else 1)


if __name__ == "__main__":
    main()
