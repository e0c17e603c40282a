#!/usr/bin/env python3
"""Random models of each family, as transformers' save_pretrained writes them, through Tuff and back.

    python check_variants.py build/default/tuff                  all families, 10 variants each
    python check_variants.py build/default/tuff --only falcon --count 30 --first 7

A variant has its own head counts, sizes that are no round numbers, biases, switches of its family (variants.py), an output of
its own or the embedding table, f32, bf16 or f16, in one file or several; its weights are as large as the goldens'. What Tuff
computes of a text must be what transformers does, within 1e-4 of the largest number, or Tuff says by name what it does not run:
logits of decoders, states of all tokens of encoders, the loss of pairs of texts of encoder-decoders. What Tuff saves of it, by
itself and by way of a GGUF, must load in transformers, with no tensor too few or too many, and give the same numbers.
At the end a table. Exit status 1 when anything else happened."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

import make_encoder_goldens
import make_goldens
import make_seq2seq_goldens
import tiny_tokenizers
from check_config_keys import letter_pieces
from variants import DECODERS, ENCODERS, PAIRS, Draw

TOLERANCE = 1e-4  # of the largest number
TEXT = "The river ran past the old mill, and the miller slept. Nobody knew why the wheel had stopped at noon."
ANSWERS = ("The wheel had stopped at noon.", "Nobody knew why the river ran.")
WORDS = "ab cad ponk d adfgh dim lamp a b cc nono finch gap ohm ko pip"
BLOCK = 24
FUSED = ("mixtral", "olmoe", "qwen3_moe")  # whose experts transformers may save in one tensor

transformers.utils.logging.set_verbosity(60)
transformers.utils.logging.disable_progress_bar()


class Refused(Exception):
    """What Tuff says that it does not do."""


def run(tuff, *arguments):
    done = subprocess.run([str(tuff), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode < 0:
        raise SystemExit(f"{' '.join(map(str, arguments))}: ended by signal {-done.returncode}")
    if done.returncode:
        raise Refused(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    return done.stdout


class Decoders:
    """Logits of a text."""

    families = DECODERS
    randomize = staticmethod(make_goldens.randomize)

    def __init__(self):
        self.vocabulary = tiny_tokenizers.split(276, digits="", nfc=True)

    def tokenizer(self, family):
        return self.vocabulary

    def class_of(self, r):
        return AutoModelForCausalLM

    def common(self, r):
        return {"tie_word_embeddings": r.yes(), "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}

    def ours(self, tuff, directory, scratch):
        out, text = scratch / "logits.safetensors", scratch / "text.txt"
        text.write_text(TEXT)
        run(tuff, "eval", "--model", directory, "--file", text, "--device", "cpu", "--block-size", BLOCK, "--dump-logits", out)
        return load_file(out)["logits"]

    def theirs(self, model, family):
        ids = self.vocabulary.encode(TEXT).ids
        blocks = [ids[at : at + BLOCK] for at in range(0, len(ids) - BLOCK + 1, BLOCK)]
        return model(torch.tensor(blocks[:4]), use_cache=False).logits


class Pairs:
    """The loss of pairs of texts."""

    families = PAIRS
    randomize = staticmethod(make_seq2seq_goldens.randomize)

    def tokenizer(self, family):
        return make_seq2seq_goldens.bart_tokenizer() if family == "bart" else make_seq2seq_goldens.t5_tokenizer()

    def class_of(self, r):
        return AutoModelForSeq2SeqLM

    def common(self, r):
        return {"tie_word_embeddings": r.of(True, True, False)}

    def ours(self, tuff, directory, scratch):
        pairs = scratch / "pairs.jsonl"
        pairs.write_text("".join(json.dumps({"source": TEXT, "target": answer}) + "\n" for answer in ANSWERS))
        said = run(tuff, "eval", "--task", "seq2seq", "--model", directory, "--file", pairs, "--device", "cpu", "--json")
        return torch.tensor([json.loads(said)["loss"]])

    def theirs(self, model, family):
        tokenizer, total, count = self.tokenizer(family), 0.0, 0
        for answer in ANSWERS:
            source, labels = (torch.tensor([tokenizer.encode(text).ids]) for text in (TEXT, answer))
            total += model(input_ids=source, labels=labels).loss.double() * labels.shape[1]
            count += labels.shape[1]
        return (total / count).reshape(1)


class Encoders:
    """States of all tokens of a text."""

    families = ENCODERS
    randomize = staticmethod(make_encoder_goldens.randomize)

    def tokenizer(self, family):
        return letter_pieces()

    def class_of(self, r):
        return r.of(AutoModel, AutoModelForMaskedLM)

    def common(self, r):
        return {}

    def ours(self, tuff, directory, scratch):
        said = run(tuff, "embed", "--model", directory, "--text", WORDS, "--device", "cpu", "--pooling", "none", "--normalize",
                   "no", "--quiet")  # fmt: skip
        return torch.tensor(json.loads(said), dtype=torch.float64)

    def theirs(self, model, family):
        base = getattr(model, model.base_model_prefix, model)
        return base(torch.tensor([self.tokenizer(family).encode(WORDS).ids])).last_hidden_state[0]


def load(kind, directory, family):
    """In f32, from whatever type the file has; a text of what does not fit, or None."""
    model, info = kind.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="sdpa" if family == "falcon" else "eager",
        experts_implementation="eager", local_files_only=True, output_loading_info=True,
    )  # fmt: skip
    wrong = {key: sorted(name for name in info[key] if "pooler" not in name)
             for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}  # fmt: skip
    return model.eval(), str({key: names for key, names in wrong.items() if names}) if any(wrong.values()) else None


def make(group, family, directory, r):
    """Saves a random variant; its class and its config's keys in words."""
    tokenizer = group.tokenizer(family)
    keys = group.families[family](r) | group.common(r) | {"vocab_size": tokenizer.get_vocab_size() + r.of(0, 1, 12)}
    kind, stored, shard = group.class_of(r), r.of(torch.float32, torch.bfloat16, torch.float16), r.of("1GB", "1GB", "20KB")
    model = kind.from_config(AutoConfig.for_model(family, **keys), attn_implementation="eager").float()
    group.randomize(model, r)
    apart = family not in FUSED or r.of(True, False)
    model.to(stored).save_pretrained(directory, max_shard_size=shard, save_original_format=apart)
    tokenizer.save(str(directory / "tokenizer.json"))
    make_goldens.write_json(directory / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    return kind, f"{keys} {stored} in {shard}{'' if apart else ', fused'}"


def difference(got, want):
    if got.shape != want.shape:
        return float("inf")
    return ((got.double() - want.double()).abs().max() / want.double().abs().max()).item()


def convert(tuff, scratch, directory, ways):
    """What Tuff saves: each way's name and directory; a way ends where Tuff says that GGUF has no such architecture."""
    for way in ways:
        out = scratch / way.replace(" ", "-")
        if way == "saved":
            run(tuff, "convert", directory, "--to", "hf", "--dtype", "f32", "--output", out)
        else:
            file = scratch / "made.gguf"
            try:
                run(tuff, "convert", directory, "--to", "gguf", "--dtype", "f32", "--output", file)
            except Refused as refusal:
                if "GGUF has no" not in str(refusal) and "no name in GGUF" not in str(refusal):
                    raise
                continue
            run(tuff, "convert", file, "--to", "hf", "--dtype", "f32", "--output", out)
        yield way, out


@torch.no_grad()
def check(tuff, group, family, scratch, number):
    """What became of a variant, what it says of that, the largest difference; and its keys."""
    directory, far, words = scratch / "made", 0.0, f"variant {number}"
    try:
        kind, words = make(group, family, directory, Draw(family, number))
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        return "not run by transformers", f"not made: {error}".splitlines()[0][:100], far, words
    try:
        ours = group.ours(tuff, directory, scratch)
    except Refused as refusal:
        return "refused", str(refusal).replace(str(scratch), ""), far, words
    try:
        model, wrong = load(kind, directory, family)
        want = group.theirs(model, family)
    except Exception as error:
        wrong = (str(error) or type(error).__name__).splitlines()[0][:100]
    if wrong:
        return "not run by transformers", wrong, far, words
    far = difference(ours, want)
    if not far <= TOLERANCE:
        return "WRONG", f"other numbers, by {far:.1e}", far, words
    try:
        for way, saved in convert(tuff, scratch, directory, ("saved", "by way of GGUF")):
            # GGUF has the layers of an encoder alone
            model, wrong = load(AutoModel if way != "saved" and kind is AutoModelForMaskedLM else kind, saved, family)
            moved = difference(group.theirs(model, family), want)
            if wrong or not moved <= TOLERANCE:
                return "WRONG", f"{way}: {wrong or f'other numbers, by {moved:.1e}'}", far, words
            far = max(far, moved)
    except Refused as refusal:
        return "WRONG", f"not saved: {refusal}", far, words
    return "same", "", far, words


def main():
    groups = {family: group for group in (Decoders(), Pairs(), Encoders()) for family in group.families}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuff", type=pathlib.Path, help="the command")
    parser.add_argument("--only", action="append", choices=sorted(groups), help="this family only (repeatable)")
    parser.add_argument("--count", type=int, default=10, help="variants of each")
    parser.add_argument("--first", type=int, default=0, help="the number of the first variant, from which it is drawn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds, table, failed = ("same", "refused", "not run by transformers", "WRONG"), [], 0
    for family in options.only or groups:
        counts, most = dict.fromkeys(kinds, 0), 0.0
        for number in range(options.first, options.first + options.count):
            with tempfile.TemporaryDirectory() as scratch:
                verdict, text, far, words = check(options.tuff, groups[family], family, pathlib.Path(scratch), number)
            counts[verdict] += 1
            most = max(most, far)
            if verdict != "same":
                print(f"{family} {number}: {verdict}: {text}", flush=True)
            if verdict == "WRONG":
                print(f"    {words}", flush=True)
        failed += counts["WRONG"]
        table.append(f"| {family} | {' | '.join(str(counts[kind]) for kind in kinds)} | {most:.1e} |")
        print(table[-1], flush=True)
    print(f"\n| family | {' | '.join(kinds)} | largest difference |\n|---{'|---:' * (len(kinds) + 1)}|")
    print("\n".join(table))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
