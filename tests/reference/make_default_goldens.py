#!/usr/bin/env python3
"""The texts that transformers makes of some models of assets/golden by a generation_config.json, without beams:
assets/golden/sampler/defaults.json.

    python make_default_goldens.py [--check]

What is drawn is drawn from one token. Texts of which a token is nearly as probable as another one are left out, so that f32
agrees. --check makes them anew and compares."""

import argparse
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from common import load_model

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
TRUTH = GOLDEN / "sampler" / "defaults.json"
MODELS = {"gpt2": AutoModelForCausalLM, "llama": AutoModelForCausalLM, "bart": AutoModelForSeq2SeqLM}
TOKENS = 12
GAP = 1e-3


def settings(text, begin):
    """`text` is what is made without any, behind `begin` tokens that count as a part of it."""
    long = {"max_new_tokens": TOKENS}
    yield long
    yield long | {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2}
    yield long | {"bad_words_ids": [[text[0]], text[1:3], [text[5]]], "eos_token_id": [text[5], 1]}
    yield long | {"suppress_tokens": [text[0], text[3]]}
    yield long | {"begin_suppress_tokens": [text[0], text[1]]}
    yield long | {"sequence_bias": [[[text[5]], 1.5], [text[:2], -40.0]], "begin_suppress_tokens": [text[6]]}
    yield {"min_length": begin + 4, "max_length": begin + 6, "eos_token_id": [text[2], text[4]]}
    yield {"min_length": begin + 8, "max_length": begin + 3, "min_new_tokens": 2, "max_new_tokens": 5, "eos_token_id": text[0]}
    yield long | {"do_sample": True, "temperature": 0.7, "top_k": 1, "repetition_penalty": 1.3}
    yield long | {"do_sample": True, "top_p": 0.0, "min_p": 0.1}
    yield long | {"do_sample": True, "typical_p": 1.0, "temperature": 2.0, "min_p": 1.0, "suppress_tokens": [text[1]]}


def make(model, prompt, pair, s):
    out = model.generate(torch.tensor([prompt]), generation_config=GenerationConfig(**s), use_cache=False,
                         return_dict_in_generate=True, output_scores=True)  # fmt: skip
    ids = out.sequences[0].tolist()[1 if pair else len(prompt) :]
    forced = pair and s.get("forced_bos_token_id") is not None
    for scores in out.scores[forced:]:
        best = scores[0].topk(2).values.tolist()
        if best[0] - best[1] < GAP:
            return None
    return ids


def texts(name):
    pair = MODELS[name] is AutoModelForSeq2SeqLM
    model = load_model(GOLDEN / name, True, MODELS[name]).eval()
    prompt = load_file(GOLDEN / name / "truth.safetensors")["source_ids" if pair else "prompt_ids"].tolist()
    fixed = {"pad_token_id": 0, "eos_token_id": 1}
    if pair:
        fixed |= {"decoder_start_token_id": model.config.decoder_start_token_id, "forced_bos_token_id": 9}
    usual = make(model, prompt, pair, fixed | {"max_new_tokens": TOKENS, "eos_token_id": None})
    runs = []
    for s in settings(usual[1:] if pair else usual, 1 if pair else len(prompt)):
        ids = make(model, prompt, pair, fixed | s)
        if ids:
            runs.append({"config": fixed | s, "ids": ids})
    made = len({tuple(run["ids"]) for run in runs})
    print(f"{name:6} {len(runs)} texts, {made} of them different")
    if made < 6:
        raise SystemExit(f"{name}: too few texts: change the settings")
    return {"prompt": json.loads((GOLDEN / name / "truth.json").read_text())["source" if pair else "prompt"], "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    torch.set_num_threads(1)
    check = parser.parse_args().check
    made = {name: texts(name) for name in MODELS}
    if check:
        same = json.loads(TRUTH.read_text()) == made
        print("the same" if same else f"{TRUTH} differs from what transformers makes now")
        sys.exit(0 if same else 1)
    runs = lambda model: ",\n".join(json.dumps(run) for run in model["runs"])
    body = ",\n".join(f'"{name}": {{"prompt": {json.dumps(m["prompt"])}, "runs": [\n{runs(m)}]}}' for name, m in made.items())
    TRUTH.write_text("{" + body + "}\n")
    assert json.loads(TRUTH.read_text()) == made


if __name__ == "__main__":
    main()
