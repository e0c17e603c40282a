"""The small vocabularies of the golden models, trained on a few sentences of this file."""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ENCODERS = pathlib.Path(__file__).resolve().parents[2] / "assets" / "tokenizers" / "encoders.json"

SENTENCES = [
    "The old stone bridge crosses the river where the water is slow and the banks are soft.",
    "In the morning the baker opens his door and the smell of the bread goes down the whole street.",
    "She said that the stone was warm, that it floated, and that nobody would believe her.",
    "There are 12 windows in the north wall and 7 in the south wall; three of them don't open.",
    "When the rain comes the children run to the barn, and when the sun returns they run out again.",
    "It isn't the longest road, but it's the one we'll take, because they've mended it.",
]

TEXTS = [
    "The river and the bridge.",
    "  two spaces, then\ttab\n\nand a blank line  ",
    "It isn't 1234567 stones; we'll count them, they've said.",
    "na\u00efve caf\u00e9 \u2014 \u00fcber stra\u00dfe",
    "\u6d6e\u3044\u305f\u77f3 \U0001f30b floats",
    "ends with an end<|endoftext|>and goes on",
    "",
    " ",
    "e\u0301 is not \u00e9 before normalization",
]

END = "<|endoftext|>"
SPLIT_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level_trainer(size, special):
    return trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )


def gpt2(size):
    """GPT-2's kind: the built-in pattern of ByteLevel, the end token last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES, _byte_level_trainer(size - 1, []))
    tokenizer.add_special_tokens([AddedToken(END, normalized=False)])
    return tokenizer


def split(size, digits="{1,3}", nfc=False, begin=None):
    """Llama 3's and Qwen 2's kind: a pattern in the file, the end token first; optionally a begin token by template."""
    tokenizer = Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_WORDS % digits), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [END] + ([begin] if begin else [])
    tokenizer.train_from_iterator(SENTENCES, _byte_level_trainer(size, special))
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A",
            pair=f"{begin} $A {begin} $B",
            special_tokens=[(begin, tokenizer.token_to_id(begin))],
        )
    return tokenizer


def sentencepiece(size):
    """Llama 2's and Mistral's kind: BPE over characters with byte fallback, spaces written as U+2581."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    # Trained word by word, so that no merge spans two words, as SentencePiece trains.
    words = [word for sentence in SENTENCES for word in sentence.split(" ")]
    tokenizer.train_from_iterator(
        words, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    )
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["id"] < 3]  # bytes are plain entries, as in Llama 2
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def ends(size, special, template):
    """T5's and BART's kind: texts have an end, and BART's a beginning; the special tokens come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES, _byte_level_trainer(size, special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, pair=f"{template} " + template.replace("$A", "$B"), special_tokens=[(token, i) for i, token in enumerate(special) if token in template]
    )
    return tokenizer


def unigram(special, template):
    """mT5's kind: a SentencePiece model that assets/tokenizers keeps, behind these special tokens."""
    kept = json.loads(ENCODERS.read_text())
    t5 = next(v["tokenizer"] for v in kept["variants"] if v["name"] == "xlm-roberta")
    pieces = [piece for piece in kept["bases"]["unigram"]["vocab"] if not (piece[0][0] in "<[" and len(piece[0]) > 1)]
    vocab = [[text, 0.0] for text in special] + pieces
    model = {"type": "Unigram", "unk_id": special.index("<unk>"), "byte_fallback": False, "vocab": vocab}
    tokenizer = Tokenizer.from_str(json.dumps(t5 | {"model": model, "added_tokens": [], "post_processor": None}))
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, pair=f"{template} " + template.replace("$A", "$B"), special_tokens=[(token, i) for i, token in enumerate(special) if token in template]
    )
    return tokenizer


def byte_ids(extra=125):
    """What byT5's does: three special tokens, a token for each byte, and some more special ones."""
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocab = {text: i for i, text in enumerate(["<pad>", "</s>", "<unk>"])}
    for byte in range(256):
        vocab[_letter_of(byte)] = 3 + byte
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = letters
    tokenizer.decoder = decoders.ByteLevel()
    names = ["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(extra)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in names])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def _letter_of(byte):
    """The character that stands for a byte where bytes are characters."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in shown]
    return chr(byte) if byte in shown else chr(256 + hidden.index(byte))
