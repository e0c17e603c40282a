#!/usr/bin/env python3
"""Holds Tuff's tokenizers against the Hugging Face tokenizers library.

    python check_tokenizers.py goldens [--check]
        Small tokenizers with one component each of tokenizer.json, and what tokenizers makes of a few texts with them,
        into assets/tokenizers/golden.json, which the unit tests read. --check makes them anew and compares.
    python check_tokenizers.py compare --library libtuff.so [--text FILE]... PATH...
        Each PATH is a directory with a tokenizer, a tokenizer.json, a SentencePiece model or a .gguf. Tuff loads it and
        writes it as a Hugging Face directory; tokenizers and transformers must give Tuff's ids with that directory,
        tokenizers also with the original (where it can load that), sentencepiece with a .model. With a .gguf, FILE.gguf.inp and FILE.gguf.out beside it (texts between __ggml_vocab_test__ lines, a line of
        ids for each) must be met exactly.
    python check_tokenizers.py pieces --library libtuff.so
        SentencePiece models with user-defined symbols and with scores that nearly tie, made here, beside sentencepiece.
    python check_tokenizers.py unicode --library libtuff.so
        Every code point in the normal forms, in BERT's classes and in "Punctuation": docs/decisions/006-unicode-tables.md.

Exit status 1 when anything differs."""

import argparse
import json
import pathlib
import random
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tiny_tokenizers import SENTENCES, TEXTS
from tuff_tokenizer import ADD_SPECIAL, PLAIN_SPECIAL, TuffTokenizer, open_library

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "tokenizers" / "golden.json"

# ---- goldens ----

GOLDEN_TEXTS = TEXTS[:5] + TEXTS[8:] + [
    "",
    "a",
    " the  bridge ",
    "the the  the\n\n the\r\n\tthe",
    "<s>the<s> river</s> </s>",
    "the <mask> river<mask>the, <mask>.",
    "word Word WORD wordy a word",
    "ab abc ABCd <x> <x>y <x>yz",
    "caf\u0065\u0301 \ufb01sh \u2460 \u0130I \u1e9e",
    "12 345 \u00bd\u0663 6a7",
    "(the) [river]; \u201cbridge\u201d $5+6=11!",
    "\u65e5\u672c \U0001f30b\U0001f468\u200d\U0001f469 \u2581x \u2581\u2581",
    "tthheerree hereherethe",
    "It's they'LL we\u2019re I'd'S",
]

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def _train(size, pre=None, alphabet=(), special=(), byte_fallback=False):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>" if special else None, byte_fallback=byte_fallback))
    if pre:
        tokenizer.pre_tokenizer = pre
    text = [s.replace(" ", "\u2581") for s in SENTENCES] if pre is None else SENTENCES
    text = text + [s.lower() for s in text]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(text, trainer)
    return json.loads(tokenizer.to_str())["model"]


def golden_models():
    """Vocabularies shared by the variants. `free` has merges across words and both kinds of space."""
    byte_level = _train(330, pre_tokenizers.ByteLevel(add_prefix_space=False), sorted(pre_tokenizers.ByteLevel.alphabet()))
    free = _train(220, None, [" ", "\n"], ["<unk>", "<s>", "</s>"])
    fallback = _train(420, None, ["\n"], ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)], True)
    suffixed = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    suffixed.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], end_of_word_suffix="</w>", show_progress=False)
    suffixed.train_from_iterator([s.lower() for s in SENTENCES], trainer)
    suffixed = json.loads(suffixed.to_str())["model"]
    return {"byte_level": byte_level, "free": free, "fallback": fallback, "suffixed": suffixed}


def _variant(model, decoder=None, normalizer=None, pre=None, post=None, added=(), options=None, special=("<s>", "</s>")):
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": {**model, **(options or {})}}))
    if special and special[0] in model["vocab"]:
        tokenizer.add_special_tokens([AddedToken(s, normalized=False) for s in special])
    if added:
        tokenizer.add_tokens(list(added))
    for name, value in (("normalizer", normalizer), ("pre_tokenizer", pre), ("post_processor", post), ("decoder", decoder)):
        if value is not None:
            setattr(tokenizer, name, value)
    return tokenizer


def golden_variants(base):
    byte_level, free, fallback = base["byte_level"], base["free"], base["fallback"]
    split = pre_tokenizers.Split
    llama = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    llama_decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    out = {}
    for prefix in (False, True):
        out[f"byte level, prefix {prefix}"] = "byte_level", _variant(
            byte_level, decoders.ByteLevel(), pre=pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        )
    out["byte level, own pattern"] = "byte_level", _variant(
        byte_level,
        decoders.ByteLevel(),
        normalizers.NFC(),
        pre_tokenizers.Sequence(
            [
                split(Regex(r"\p{N}{1,2}"), "isolated"),
                split(Regex(GPT2_PATTERN), "removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    )
    out["byte level, whole words"] = "byte_level", _variant(
        {**byte_level, "merges": byte_level["merges"][:20], "ignore_merges": True},
        decoders.ByteLevel(),
        pre=pre_tokenizers.ByteLevel(add_prefix_space=False),
    )
    out["byte level, digits after"] = "byte_level", _variant(
        byte_level,
        decoders.ByteLevel(),
        pre=pre_tokenizers.Sequence(
            [pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(True)]
        ),
    )
    for behavior in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            out[f"split, {behavior}, invert {invert}"] = "free", _variant(
                free, decoders.Fuse(), pre=split(Regex(r"[aeiou]|\s"), behavior, invert=invert)
            )
    out["split by a string"] = "free", _variant(free, decoders.Fuse(), pre=split("he", "isolated"))
    for scheme in ("always", "first", "never"):
        for cut in (True, False):
            out[f"metaspace, {scheme}, split {cut}"] = "free", _variant(
                free,
                decoders.Metaspace(prepend_scheme=scheme, split=cut),
                pre=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=cut),
            )
    for name, pre in (
        ("digits", pre_tokenizers.Digits(False)),
        ("single digits", pre_tokenizers.Digits(True)),
        ("punctuation", pre_tokenizers.Punctuation()),
        ("white space", pre_tokenizers.Whitespace()),
        ("split at white space", pre_tokenizers.WhitespaceSplit()),
    ):
        out[name] = "free", _variant(free, None, pre=pre)
    for name, normalizer in (
        ("NFC", normalizers.NFC()),
        ("NFD", normalizers.NFD()),
        ("NFKC", normalizers.NFKC()),
        ("NFKD", normalizers.NFKD()),
        ("lower case", normalizers.Lowercase()),
        ("strip", normalizers.Strip()),
        ("strip left", normalizers.Strip(right=False)),
        ("replace", normalizers.Sequence([normalizers.Replace("the", "a"), normalizers.Replace(Regex(r"\s+"), " ")])),
    ):
        out[name] = "fallback", _variant(fallback, decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]), normalizer)
    out["llama"] = "fallback", _variant(
        fallback,
        llama_decoder,
        llama,
        post=processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]),
    )
    out["llama, unknown fused"] = "free", _variant({**free, "fuse_unk": True}, llama_decoder, llama)
    out["llama, unknown apart"] = "free", _variant(free, llama_decoder, llama)
    added = [
        AddedToken("<mask>", lstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("<x>", normalized=False),
        AddedToken("<x>y", rstrip=True, normalized=False),
        AddedToken("abc", normalized=True),
    ]
    out["added tokens"] = "fallback", _variant(
        fallback, decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]), normalizers.Lowercase(), added=added
    )
    out["added tokens of white space"] = "free", _variant(
        free,
        decoders.Fuse(),
        added=[
            AddedToken("\n", lstrip=True, rstrip=True, normalized=False),
            AddedToken("  ", rstrip=True, normalized=True),
            AddedToken("he", single_word=True, lstrip=True, rstrip=True, normalized=False),
        ],
    )
    suffixed = base["suffixed"]
    out["suffixes of words"] = "suffixed", _variant(
        suffixed, decoders.BPEDecoder("</w>"), normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    )
    out["suffixes of words, unknown fused"] = "suffixed", _variant(
        {**suffixed, "fuse_unk": True}, decoders.BPEDecoder("</w>"), pre=pre_tokenizers.WhitespaceSplit()
    )
    out["bert's ends"] = "free", _variant(free, decoders.Fuse(), post=processors.BertProcessing(("</s>", 2), ("<s>", 1)))
    return out


def make_goldens():
    base = golden_models()
    variants = []
    for name, (model, tokenizer) in golden_variants(base).items():
        whole = json.loads(tokenizer.to_str())
        changed = {k: v for k, v in whole["model"].items() if base[model].get(k) != v}
        whole["model"] = changed
        encoded = [tokenizer.encode(text) for text in GOLDEN_TEXTS]
        decoded = [tokenizer.decode(e.ids, skip_special_tokens=True) for e in encoded]
        variants.append(
            {
                "name": name,
                "base": model,
                "tokenizer": whole,
                "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in GOLDEN_TEXTS],
                "special_ids": [e.ids for e in encoded],
                # Tuff gives the bytes themselves where tokenizers writes U+FFFD.
                "decoded": [None if "\ufffd" in text else text for text in decoded],
            }
        )
    return {"texts": GOLDEN_TEXTS, "models": base, "variants": variants}


def goldens(options):
    made = make_goldens()
    if options.check:
        same = json.loads(GOLDEN.read_text()) == made
        print("the same" if same else f"{GOLDEN} differs from what tokenizers makes now")
        return same
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(v, ensure_ascii=True) for v in made["variants"])
    bases = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in made["models"].items())
    text = f'{{"texts": {json.dumps(made["texts"])},\n"models": {{\n{bases}}},\n"variants": [\n{lines}]}}\n'
    assert json.loads(text) == made
    GOLDEN.write_text(text)
    print(f"{GOLDEN}: {len(text)} bytes, {len(made['variants'])} tokenizers")
    return True


# ---- comparing ----


def random_texts(count):
    source = random.Random(1)
    ranges = [range(32, 127)] * 6 + [
        range(0, 32), range(0xA0, 0x250), range(0x300, 0x370), range(0x370, 0x530), range(0x900, 0xA00), range(0x1100, 0x1200),
        range(0x2000, 0x2070), range(0x4E00, 0x4F00), range(0xAC00, 0xAD00), range(0x1F300, 0x1F650),
    ]  # fmt: skip
    bits = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<0x0A>", "\u2581", "  ", "    ", "\n\n", "'s", "'LL", "123456", "e\u0301"]
    out = []
    for _ in range(count):
        text = ""
        while len(text) < source.choice([3, 10, 40, 200]):
            kind = source.random()
            if kind < 0.3:
                text += source.choice(bits) if kind < 0.15 else " "
            else:
                letters = source.choice(ranges)
                text += "".join(chr(source.choice(letters)) for _ in range(source.randint(1, 6)))
        out.append(text)
    return out + [piece * n for piece in ("a", "ab", "=", "\u2581", " ", "\n", "\u00e9") for n in range(1, 60)]


def differing(name, texts, tuff, other):
    bad = [text for text in texts if tuff(text) != other(text)]
    for text in bad[:3]:
        print(f"  {text[:60]!r}: Tuff {tuff(text)[:12]}, {name} {other(text)[:12]}")
    print(f"  {name}: {len(texts) - len(bad)} of {len(texts)} texts the same")
    return len(bad)


def check_vectors(path, tuff):
    texts_path, ids_path = pathlib.Path(f"{path}.inp"), pathlib.Path(f"{path}.out")
    if not texts_path.exists():
        return 0
    texts = texts_path.read_bytes().decode().split("\n__ggml_vocab_test__\n")
    ids = [[int(i) for i in line.split()] for line in ids_path.read_text().split("\n")]
    expected = dict(zip(texts, ids))
    return differing(f"vectors of {texts_path.name}", texts, tuff.encode, expected.get)


def load_theirs(path, what):
    """None, having said why, where the library does not read it: it has no type of its own for it, or it is damaged."""
    try:
        theirs = Tokenizer.from_file(str(path))
    except Exception as error:
        print(f"  tokenizers cannot load {what}: {error}")
        return None
    theirs.no_truncation()
    theirs.no_padding()
    return theirs


def plain(theirs):
    return lambda text: theirs.encode(text, add_special_tokens=False).ids


def compare_written(directory, texts, tuff):
    """What Tuff wrote, in the libraries; None where they cannot load it."""
    from transformers import AutoTokenizer

    written = load_theirs(pathlib.Path(directory) / "tokenizer.json", "what Tuff wrote")
    if not written:
        return None
    bad = differing("what Tuff wrote, in tokenizers", texts, tuff.encode, plain(written))
    special = AutoTokenizer.from_pretrained(directory, local_files_only=True).encode
    return bad + differing("what Tuff wrote, in transformers", texts, lambda text: tuff.encode(text, ADD_SPECIAL), special)


def compare(options):
    library = open_library(options.library)
    texts = [pathlib.Path(file).read_bytes().decode() for file in options.text] + random_texts(options.random)
    bad = 0
    for path in map(pathlib.Path, options.paths):
        print(path)
        tuff = TuffTokenizer(library, path)
        bad += check_vectors(path, tuff)
        original = path if path.suffix == ".json" else path / "tokenizer.json"
        if path.suffix == ".model":
            from sentencepiece import SentencePieceProcessor

            pieces = SentencePieceProcessor(model_file=str(path)).encode
            bad += differing("sentencepiece", texts, lambda text: tuff.encode(text, PLAIN_SPECIAL), pieces)
        theirs = load_theirs(original, original) if original.is_file() else None
        if theirs:
            bad += differing("tokenizers", texts, tuff.encode, plain(theirs))
        bad += sum(tuff.decode(tuff.encode(text)).decode() != text for text in texts[: len(options.text)])
        with tempfile.TemporaryDirectory() as directory:
            tuff.save(directory)
            again = TuffTokenizer(library, pathlib.Path(directory))
            bad += differing("what Tuff wrote, in Tuff", texts, tuff.encode, again.encode)
            wrong = compare_written(directory, texts, tuff)
        if wrong is None and original.is_file() and not theirs:
            print(f"  {path} is at fault itself: Tuff reads it, the libraries read neither it nor what is written of it")
            wrong = 0
        bad += 1 if wrong is None else wrong
    return bad == 0


def piece_models(source):
    """Names and bytes of models: user-defined symbols of each kind, and Unigram scores whose sums f32 rounds alike."""
    from encoder_tokenizers import _train_spm
    from sentencepiece import sentencepiece_model_pb2

    for kind in ("unigram", "bpe"):
        for bytes_too in (False, True):
            for user in ([], ["\u2581"], ["\u2581the"], ["he", "\ufb01", "\uff21"]):
                options = {"model_type": kind, "byte_fallback": bytes_too, "vocab_size": 600 if bytes_too else 300}
                yield f"{kind} {bytes_too} {user}", _train_spm(**options, user_defined_symbols=user)
    pieces = sorted({"".join(source.choices("abcd\u2581", k=source.randint(1, 4))) for _ in range(150)} | set("abcd\u2581"))
    for scale in (1.1, 110):  # the larger sums go past 100000, where sentencepiece counts anew
        for user in ([], ["ab", "c\u2581d", "\uff21"]):
            proto = sentencepiece_model_pb2.ModelProto()
            proto.ParseFromString(_train_spm(model_type="unigram", vocab_size=60, user_defined_symbols=user))
            kept = [piece for piece in proto.pieces if piece.type != 1]
            del proto.pieces[:]
            proto.pieces.extend(kept)
            for text in (text for text in pieces if text not in user):
                score = scale * (-len(text) + source.choice([0, 1e-5, -1e-5, 3e-6]))
                proto.pieces.add(piece=text, score=score, type=1)
            yield f"ties at {scale} {user}", proto.SerializeToString()


def pieces(options):
    from sentencepiece import SentencePieceProcessor

    library, source, bad = open_library(options.library), random.Random(3), 0
    words = " ".join(SENTENCES).split()
    texts = [" ".join(source.choices(words, k=source.randint(1, 20))) for _ in range(300)]
    texts += ["".join(source.choices("theriv anos\u2581 <0x41>\u00e9\u65e5\ufb01\uff21", k=source.randint(1, 40))) for _ in range(300)]
    texts += ["".join(source.choices("abcd ", k=n)) for n in (20, 300, 3000) for _ in range(60)]
    with tempfile.TemporaryDirectory() as directory:
        for name, model in piece_models(source):
            print(name)
            path = pathlib.Path(directory) / "test.model"
            path.write_bytes(model)
            tuff = TuffTokenizer(library, path)
            theirs = SentencePieceProcessor(model_proto=model).encode
            bad += differing("sentencepiece", texts, lambda text: tuff.encode(text, PLAIN_SPECIAL), theirs)
    return bad == 0


def made_by(parts):
    """A tokenizer of these components that knows nothing but how its words begin."""
    model = {"type": "BPE", "unk_token": "?", "fuse_unk": True, "vocab": {"?": 0, "\u0394": 1}, "merges": []}
    parts = {"added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, **parts}
    return json.dumps({"version": "1.0", **parts, "model": model}).encode()


# Lower case is utf8proc's, and so not among them.
FORMS = [{"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Nmt")] + [
    {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents, "lowercase": False}
    for clean, chinese, accents in ((True, False, False), (False, True, False), (False, False, True), (True, True, True))
]


def unicode_tables(options):
    """Every code point, alone and between marks, in the normal forms and classes; and what is punctuation."""
    library = open_library(options.library)
    points = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    bad = 0
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "tokenizer.json"
        alphabet = {"<0x%02X>" % b: b for b in range(256)}
        for form in FORMS:
            whole = json.loads(made_by({"normalizer": form}))
            whole["model"].update({"vocab": alphabet, "byte_fallback": True, "unk_token": None})
            path.write_text(json.dumps(whole))
            tuff = TuffTokenizer(library, path)
            theirs = Tokenizer.from_file(str(path)).normalizer.normalize_str
            for make in ("{}", "a\u0301{}\u0316", "\u0345{}\u0334\u3099", "\U00011935{}"):
                texts = [make.format(c) for c in points]
                ours = lambda text: bytes(tuff.encode(text)).decode()
                bad += differing(f"{' '.join(map(str, form.values()))} of {ascii(make)}", texts, ours, theirs)
        path.write_bytes(made_by({"pre_tokenizer": {"type": "Punctuation", "behavior": "Isolated"}}))
        tuff = TuffTokenizer(library, path)
        theirs = pre_tokenizers.Punctuation("isolated").pre_tokenize_str
        count = lambda text: len(theirs(text))
        texts = [f"b{c}b" for c in points if c not in "?\u0394"]
        bad += differing("Punctuation", texts, lambda text: len(tuff.encode(text)), count)
    return bad == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("goldens")
    make.add_argument("--check", action="store_true")
    check = commands.add_parser("compare")
    check.add_argument("--library", required=True)
    check.add_argument("--text", action="append", default=[])
    check.add_argument("--random", type=int, default=1000, help="number of random texts")
    check.add_argument("paths", nargs="+")
    for name in ("pieces", "unicode"):
        commands.add_parser(name).add_argument("--library", required=True)
    options = parser.parse_args()
    sys.exit(0 if {"goldens": goldens, "compare": compare, "pieces": pieces, "unicode": unicode_tables}[options.command](options) else 1)


if __name__ == "__main__":
    main()
