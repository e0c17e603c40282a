#!/usr/bin/env python3
"""What transformers' logits processors leave of some logits, for the unit tests: assets/golden/sampler/truth.json.

    python make_sampler_goldens.py [--check]

Each case has settings, a prompt and a text so far; the truth are the ids that are left and their weights, in f64, relative
to the largest. The processors stand in the order of GenerationMixin, which is checked. Frequency and presence penalties,
which transformers does not have, are written out here as OpenAI defines them, behind the repetition penalty as in vLLM.
--check makes them anew and compares."""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel
from transformers.generation import logits_process as hf

TRUTH = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden" / "sampler" / "truth.json"
VOCAB = 40
ENDS = [3, 17]


class Penalties(hf.LogitsProcessor):
    def __init__(self, prompt_length, frequency, presence):
        self.prompt_length, self.frequency, self.presence = prompt_length, frequency, presence

    def __call__(self, input_ids, scores):
        counts = torch.bincount(input_ids[0, self.prompt_length :], minlength=VOCAB)
        return scores - self.frequency * counts - self.presence * (counts > 0)


def processors(s, prompt_length):
    """Hugging Face's names of settings -> its processors."""
    keep = {"min_tokens_to_keep": s.get("min_tokens_to_keep", 1)}
    out = hf.LogitsProcessorList()
    if "sequence_bias" in s:
        out.append(hf.SequenceBiasLogitsProcessor([[ids, float(bias)] for ids, bias in s["sequence_bias"]]))
    if "repetition_penalty" in s:
        out.append(hf.RepetitionPenaltyLogitsProcessor(s["repetition_penalty"]))
    if "frequency_penalty" in s or "presence_penalty" in s:
        out.append(Penalties(prompt_length, s.get("frequency_penalty", 0), s.get("presence_penalty", 0)))
    if "no_repeat_ngram_size" in s:
        out.append(hf.NoRepeatNGramLogitsProcessor(s["no_repeat_ngram_size"]))
    if "min_new_tokens" in s:
        out.append(hf.MinNewTokensLengthLogitsProcessor(prompt_length, s["min_new_tokens"], torch.tensor(ENDS)))
    out.append(hf.TemperatureLogitsWarper(s["temperature"]))
    for name, warper in (("top_k", hf.TopKLogitsWarper), ("top_p", hf.TopPLogitsWarper), ("min_p", hf.MinPLogitsWarper),
                         ("typical_p", hf.TypicalLogitsWarper)):  # fmt: skip
        if name in s:
            out.append(warper(s[name], **keep))
    return out


ALL = {
    "sequence_bias": [[[5], 1.5], [[7], "-inf"], [[2, 11, 9], 2.25]], "repetition_penalty": 1.25, "frequency_penalty": 0.5,
    "presence_penalty": 0.25, "no_repeat_ngram_size": 2, "min_new_tokens": 6, "temperature": 0.75, "top_k": 30, "top_p": 0.96875,
    "min_p": 0.015625, "typical_p": 0.875,
}  # fmt: skip


def check_order():
    """Whether GenerationMixin takes the same processors in the same order."""
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=VOCAB, bos_token_id=0, eos_token_id=0))
    ours = [type(p) for p in processors(ALL, 3) if not isinstance(p, Penalties)]
    known = {k: v for k, v in ALL.items() if not k.endswith("y_penalty") and k != "presence_penalty" and k != "sequence_bias"}
    bias = [[ids, float(b)] for ids, b in ALL["sequence_bias"]]
    config = GenerationConfig(do_sample=True, sequence_bias=bias, eos_token_id=ENDS, **known)
    config._eos_token_tensor = torch.tensor(ENDS)
    theirs = [type(p) for p in model._get_logits_processor(config, input_ids_seq_length=3, device="cpu")]
    assert ours == theirs, (ours, theirs)


def settings():
    for temperature in (1.0, 0.5, 1.75):
        yield {"temperature": temperature}
    for name, values in (
        ("top_k", (1, 7)),
        ("top_p", (0.125, 0.5, 0.875, 0.984375)),
        ("min_p", (0.03125, 0.25)),
        ("typical_p", (0.0625, 0.25, 0.5, 0.75, 0.9375, 0.9990234375)),
        ("repetition_penalty", (1.5, 0.75)),
        ("frequency_penalty", (0.5, -1.0)),
        ("presence_penalty", (0.75, -0.5)),
        ("no_repeat_ngram_size", (1, 2, 3, 5, 60)),
        ("min_new_tokens", (4, 5, 100)),
        ("sequence_bias", ([[[0], 3.0]], [[[4], "-inf"], [[6], -2.5]], [[[2, 11, 9], 4.0], [[1, 11, 9], 8.0], [[8, 2, 11, 1], "-inf"]])),
    ):
        for value in values:
            yield {"temperature": 1.0, name: value}
    for typical in (0.25, 0.75):
        yield {"temperature": 2.0, "top_k": 20, "top_p": 0.75, "typical_p": typical}
    for keep in (2, 5, 39, 60):
        for name in ("top_k", "top_p", "min_p", "typical_p"):
            if keep < VOCAB or name == "top_k":
                yield {"temperature": 1.0, name: {"top_k": 3, "min_p": 0.9375}.get(name, 0.03125), "min_tokens_to_keep": keep}
    yield ALL
    yield ALL | {"min_tokens_to_keep": 4, "typical_p": 0.125}


# The last ids come before in the prompt and in the text, so that n-grams and biases of several ids have something to find.
PROMPT, TEXT = [8, 2, 11, 5, 3, 2, 11], [17, 5, 8, 2, 11]


def make():
    check_order()
    random = np.random.RandomState(7)
    rows = [(np.round(random.normal(size=VOCAB) * scale * 1024) / 1024).tolist() for scale in (0.5, 2, 5)]
    assert all(len(set(row)) == VOCAB for row in rows), "equal logits"
    cases = []
    for s in settings():
        for row in range(len(rows)):
            scores = torch.tensor([rows[row]], dtype=torch.float64)
            left = processors(s, len(PROMPT))(torch.tensor([PROMPT + TEXT]), scores)[0]
            weights = (left - left.max()).exp()
            ids = (left > -np.inf).nonzero()[:, 0].tolist()
            cases.append({"settings": s, "row": row, "ids": ids, "weights": [float(f"{weights[i]:.13e}") for i in ids]})
    return {"prompt": PROMPT, "text": TEXT, "ends": ENDS, "rows": rows, "cases": cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    made = make()
    if parser.parse_args().check:
        same = json.loads(TRUTH.read_text()) == made
        print("the same" if same else f"{TRUTH} differs from what transformers makes now")
        sys.exit(0 if same else 1)
    TRUTH.parent.mkdir(parents=True, exist_ok=True)
    cases = ",\n".join(json.dumps(case) for case in made.pop("cases"))
    head = json.dumps(made, indent=None)
    TRUTH.write_text(f'{head[:-1]}, "cases": [\n{cases}]}}\n')
    print(f"{TRUTH}: {TRUTH.stat().st_size} bytes, {cases.count(chr(10)) + 1} cases")


if __name__ == "__main__":
    main()
