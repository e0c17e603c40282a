"""Small tokenizers of encoders, one component each, and what the Hugging Face library and SentencePiece make of texts."""

import base64
import io
import json
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tiny_tokenizers import SENTENCES

TEXTS = [
    "The river and the bridge.",
    "  two spaces, then\ttab\n\nand a blank line  ",
    "It isn't 1234567 stones; we'll count them, they've said.",
    "na\u00efve caf\u00e9 \u2014 \u00fcber stra\u00dfe \u0130I \u1e9e",
    "\u6d6e\u3044\u305f\u77f3 \U0001f30b floats\u3000there",
    "e\u0301 cafe\u0301s a\u0323\u0302 \ufb01sh \u2122 \u2460",
    "unaffordable riverbanks windowsill",
    "",
    " ",
    "a",
    "[CLS] the [MASK] river [SEP]</s> <mask>, the<mask>the",
    "the\u200bwall \u00ad(soft) \u0007bell",
    "a very-long-winded-hyphenated-word, tototototototototototo",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u092f\u0939 \ud55c\uad6d\uc5b4 \u2581x \u2581\u2581",
    "''quoted`` don't do not ``x'' 3,000, n't",
    "The THE tHe \u0418\u0301\u0419 \u01c5 \U00010400",
]
PAIRS = [(0, 2), (2, 0), (7, 0), (0, 7), (3, 4), (6, 6), (10, 5)]
# max_length, strategy
CUTS = [(0, "longest_first"), (8, "longest_first"), (11, "longest_first"), (30, "only_first"), (30, "only_second")]
STRATEGIES = ["longest_first", "only_first", "only_second"]

RULES = """41\t61
FB01\t66 69
2122\t54 4D
E9\t65 301
65 301 301\t65
9\t20
A\t20
200B\t
3000\t20
AD\t
"""


def _train_wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=260, special_tokens=special, initial_alphabet=["\u6d6e", "\u00e9", "\u00ef", "T"], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    for extra in ("The", "na\u00efve", "caf\u00e9", "##\u00e9s", "cafes", "n't", "'s"):
        model["vocab"].setdefault(extra, len(model["vocab"]))
    return model


def _train_spm(**options):
    import sentencepiece

    out = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        if options.pop("rules", None):
            rules.write(RULES)
            rules.flush()
            options["normalization_rule_tsv"] = rules.name
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES * 5), model_writer=out, hard_vocab_limit=False, minloglevel=2, num_threads=1, **options
        )
    return out.getvalue()


def trained_models():
    """What is trained once and kept in the file: trainers need not give the same on every machine."""
    spm = {
        "unigram": _train_spm(vocab_size=150, model_type="unigram", rules=True),
        "unigram, bytes, no prefix": _train_spm(
            vocab_size=400, model_type="unigram", byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
            normalization_rule_name="identity", user_defined_symbols=["<mask>"],
        ),
        "unigram over spaces": _train_spm(
            vocab_size=150, model_type="unigram", split_by_whitespace=False, normalization_rule_name="identity"
        ),
        "bpe": _train_spm(vocab_size=150, model_type="bpe", rules=True, pad_id=3),
        "bpe, bytes": _train_spm(
            vocab_size=400, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False
        ),
    }  # fmt: skip
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    byte_level.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=320, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        ),
    )  # fmt: skip
    return {
        "wordpiece": _train_wordpiece(),
        "byte_level": json.loads(byte_level.to_str())["model"],
        "spm": {name: base64.b64encode(model).decode() for name, model in spm.items()},
    }


def _proto(model):
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(base64.b64decode(model))
    return proto


def unigram_model(proto, byte_fallback=False, extra=()):
    vocab = [[p.piece, p.score] for p in proto.pieces] + [[text, 0.0] for text in extra]
    return {"type": "Unigram", "unk_id": proto.trainer_spec.unk_id, "byte_fallback": byte_fallback, "vocab": vocab}


def bases(trained):
    """The models that the variants share."""
    proto = _proto(trained["spm"]["unigram"])
    bytes_proto = _proto(trained["spm"]["unigram, bytes, no prefix"])
    return {
        "wordpiece": trained["wordpiece"],
        "byte_level": trained["byte_level"],
        "unigram": unigram_model(proto, extra=["<mask>", "[CLS]", "[SEP]"]),
        "unigram_bytes": unigram_model(bytes_proto, byte_fallback=True),
    }


def _variant(model, normalizer=None, pre=None, post=None, decoder=None, special=(), options=None):
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": {**model, **(options or {})}}))
    for name, value in (("normalizer", normalizer), ("pre_tokenizer", pre), ("post_processor", post), ("decoder", decoder)):
        if value is not None:
            setattr(tokenizer, name, value)
    tokenizer.add_special_tokens([s if isinstance(s, AddedToken) else AddedToken(s, normalized=False) for s in special])
    return tokenizer


def _bert(model, normalizer=None, **options):
    ids = model["vocab"]
    parts = {
        "normalizer": normalizer or normalizers.BertNormalizer(),
        "pre": pre_tokenizers.BertPreTokenizer(),
        "post": processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
        ),
        "decoder": decoders.WordPiece(),
        "special": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    }
    return _variant(model, **{**parts, **options})


def variants(trained):
    base = bases(trained)
    wordpiece, unigram, byte_level = base["wordpiece"], base["unigram"], base["byte_level"]
    charsmap = _proto(trained["spm"]["unigram"]).normalizer_spec.precompiled_charsmap
    normalizer = normalizers.BertNormalizer
    out = {"bert": ("wordpiece", _bert(wordpiece))}
    for name, n in (
        ("cased", normalizer(lowercase=False)),
        ("cased, without accents", normalizer(lowercase=False, strip_accents=True)),
        ("uncased, with accents", normalizer(strip_accents=False)),
        ("no Chinese", normalizer(handle_chinese_chars=False)),
        ("not cleaned", normalizer(clean_text=False)),
        ("StripAccents", normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])),
    ):
        out["bert, " + name] = "wordpiece", _bert(wordpiece, n)
    cls, sep = ("[CLS]", wordpiece["vocab"]["[CLS]"]), ("[SEP]", wordpiece["vocab"]["[SEP]"])
    out["BertProcessing"] = "wordpiece", _bert(wordpiece, post=processors.BertProcessing(sep, cls))
    out["short words"] = "wordpiece", _bert(wordpiece, options={"max_input_chars_per_word": 6})
    out["another prefix"] = "wordpiece", _bert(wordpiece, options={"continuing_subword_prefix": "t"}, decoder=decoders.WordPiece("t", False))
    out["no prefix"] = "wordpiece", _bert(wordpiece, options={"continuing_subword_prefix": ""}, decoder=decoders.Fuse())
    out["words at white space"] = "wordpiece", _bert(wordpiece, pre=pre_tokenizers.Whitespace())

    ends = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    mask = AddedToken("<mask>", lstrip=True, normalized=False)
    special = ["<unk>", "<s>", "</s>", mask]
    space, piece = pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace
    precompiled = normalizers.Precompiled(charsmap)
    out["xlm-roberta"] = "unigram", _variant(
        unigram, precompiled, pre_tokenizers.Sequence([space, piece()]), ends, decoders.Metaspace(), special
    )
    out["t5"] = "unigram", _variant(
        unigram,
        normalizers.Sequence([precompiled, normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "\u2581")]),
        piece(),
        processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)]),
        decoders.Metaspace(),
        special,
    )
    albert = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents()]
    out["albert"] = "unigram", _variant(
        unigram,
        normalizers.Sequence(albert + [normalizers.Lowercase(), precompiled]),
        pre_tokenizers.Sequence([space, piece()]),
        processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", len(unigram["vocab"]) - 2), ("[SEP]", len(unigram["vocab"]) - 1)],
        ),
        decoders.Metaspace(),
        special + ["[CLS]", "[SEP]"],
    )  # fmt: skip
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            out[f"unigram, {scheme}, split {split}"] = "unigram", _variant(
                unigram, None, piece(prepend_scheme=scheme, split=split), ends, decoders.Metaspace(prepend_scheme=scheme), special
            )
    out["unigram, nothing around"] = "unigram", _variant(unigram, None, None, None, decoders.Fuse(), special)
    out["unigram, Nmt"] = "unigram", _variant(
        unigram, normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()]), piece(), ends, decoders.Metaspace(), special
    )
    out["unigram, bytes"] = "unigram_bytes", _variant(
        base["unigram_bytes"], normalizers.NFC(), piece(prepend_scheme="never"), None,
        decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]), ["<s>", "</s>"],
    )  # fmt: skip

    roberta = ["<s>", "<pad>", "</s>", "<unk>", mask]
    sep, cls = ("</s>", byte_level["vocab"]["</s>"]), ("<s>", byte_level["vocab"]["<s>"])
    for trim in (True, False):
        for prefix in (True, False):
            out[f"roberta, trim {trim}, prefix {prefix}"] = "byte_level", _variant(
                byte_level, normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=prefix),
                processors.RobertaProcessing(sep, cls, trim_offsets=trim, add_prefix_space=prefix), decoders.ByteLevel(), roberta,
            )  # fmt: skip
    out["byte level, trimmed, with a template"] = "byte_level", _variant(
        byte_level, None, pre_tokenizers.ByteLevel(add_prefix_space=False),
        processors.Sequence([processors.ByteLevel(add_prefix_space=False), processors.TemplateProcessing(
            single="$A:0 </s>:0", pair="</s>:3 $B:2 <s>:1 $A:7", special_tokens=[("</s>", sep[1]), ("<s>", cls[1])])]),
        decoders.ByteLevel(), roberta,
    )  # fmt: skip
    return base, out


def byte_places(text):
    """Of each character, and of the end: its byte."""
    places = [0]
    for c in text:
        places.append(places[-1] + len(c.encode()))
    return places


def describe(encoding, texts):
    """ids, type ids, texts, and spans in bytes, as Tuff gives them."""
    places = [byte_places(text) for text in texts]
    of = [-1 if s is None else s for s in encoding.sequence_ids]
    spans = [(0, 0) if s < 0 else (places[s][start], places[s][end]) for s, (start, end) in zip(of, encoding.offsets)]
    return {"ids": encoding.ids, "type_ids": encoding.type_ids, "texts": of, "spans": spans}


def _flat(described):
    return {**described, "spans": [place for span in described["spans"] for place in span]}


def _pairs(tokenizer):
    out = []
    for a, b in PAIRS:
        for length, strategy in CUTS:
            if length:
                tokenizer.enable_truncation(length, strategy=strategy)
            else:
                tokenizer.no_truncation()
            try:
                made = _flat(describe(tokenizer.encode(TEXTS[a], TEXTS[b]), (TEXTS[a], TEXTS[b])))
            except BaseException:  # the text that is not cut leaves no room
                made = None
            out.append({"pair": [a, b], "max_length": length, "truncation": STRATEGIES.index(strategy), "made": made})
    tokenizer.no_truncation()
    return out


def _windows(tokenizer):
    out = []
    for text, (length, overlap) in ((2, (9, 3)), (12, (12, 0)), (6, (7, 2))):
        tokenizer.enable_truncation(length, stride=overlap)
        encoding = tokenizer.encode(TEXTS[text])
        windows = [_flat(describe(e, (TEXTS[text],))) for e in [encoding] + encoding.overflowing]
        out.append({"text": text, "max_length": length, "overlap": overlap, "windows": windows})
    tokenizer.no_truncation()
    return out


def golden_variants(trained):
    base, made = variants(trained)
    out = []
    for name, (model, tokenizer) in made.items():
        whole = json.loads(tokenizer.to_str())
        # A list of scores is never changed; the library reads some of them an ulp off.
        whole["model"] = {k: v for k, v in whole["model"].items() if base[model].get(k) != v and not isinstance(v, list)}
        encoded = [tokenizer.encode(text) for text in TEXTS]
        decoded = [tokenizer.decode(e.ids, skip_special_tokens=True) for e in encoded]
        out.append(
            {
                "name": name,
                "base": model,
                "tokenizer": whole,
                "singles": [_flat(describe(e, (text,))) for e, text in zip(encoded, TEXTS)],
                # Tuff gives the bytes themselves where tokenizers writes U+FFFD.
                "decoded": [None if "\ufffd" in text else text for text in decoded],
                "pairs": _pairs(tokenizer) if name in ("bert", "xlm-roberta", "roberta, trim True, prefix True") or "template" in name else [],
                "windows": _windows(tokenizer) if name == "bert" else [],
            }
        )
    return base, out


def golden_pieces(trained):
    """What SentencePiece itself makes of texts without control symbols, which it does not know in a text."""
    import sentencepiece

    out = []
    texts = [text for text in TEXTS if "</s>" not in text]
    for name, model in trained["spm"].items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(model))
        out.append({"name": name, "model": model, "texts": texts, "ids": [processor.encode(text) for text in texts]})
    return out
