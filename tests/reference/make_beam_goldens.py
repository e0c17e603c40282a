#!/usr/bin/env python3
"""What transformers finds with beams under settings that change log-probabilities, and the texts behind the best one, with
decoders of several kinds and encoder-decoders of assets/golden: assets/golden/beams/penalties.json.

    python make_beam_goldens.py [--check]

Without a cache: MPT's in transformers 5.12 gives other texts than none. Searches whose texts have scores nearer than a bound are left out, so that f32 agrees. --check makes them anew and compares."""

import argparse
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from common import load_model
from make_seq2seq_goldens import BEAM_GAP, BEAM_TOKENS, end_of

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
TRUTH = GOLDEN / "beams" / "penalties.json"
DECODERS = ("gpt2", "llama", "gemma2", "bloom", "gpt_neox", "gptj", "qwen3", "falcon", "mpt", "phi3", "olmo2")
PAIRS = ("t5", "bart")
MOST = 3  # searches of a model with the same settings


def settings(text):
    """`text` is what is found without any: its tokens are made less or more probable."""
    yield {"num_beams": 3}
    yield {"num_beams": 3, "repetition_penalty": 1.5}
    yield {"num_beams": 4, "no_repeat_ngram_size": 2, "length_penalty": 2.0, "early_stopping": True}
    yield {"num_beams": 3, "min_new_tokens": 9, "length_penalty": 0.5, "early_stopping": "never"}
    biases = [[[text[0]], -4.0], [text[:2], 2.5], [[text[2]], "-inf"]]
    yield {"num_beams": 4, "sequence_bias": biases}
    yield {"num_beams": 3, "sequence_bias": biases, "repetition_penalty": 1.25, "no_repeat_ngram_size": 3, "min_new_tokens": 5}


def search(model, prompt, pair, ends, s):
    known = dict(s)
    if "sequence_bias" in s:
        known["sequence_bias"] = [[ids, float(bias)] for ids, bias in s["sequence_bias"]]
    out = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=BEAM_TOKENS, eos_token_id=ends, return_dict_in_generate=True,
        output_scores=True, num_return_sequences=s["num_beams"], use_cache=False, **known
    )  # fmt: skip
    scores, texts = out.sequences_scores.tolist(), []
    if min(a - b for a, b in zip(scores, scores[1:])) < BEAM_GAP:
        return None
    for row in out.sequences.tolist():
        text = row[1:] if pair else row[len(prompt) :]
        end = next((i + 1 for i, token in enumerate(text) if token in ends), len(text))
        texts.append(text[:end])
    return texts


def searches(name):
    pair = name in PAIRS
    folder = GOLDEN / name
    model = load_model(folder, True, AutoModelForSeq2SeqLM if pair else AutoModelForCausalLM).eval()
    truth = load_file(folder / "truth.safetensors")
    prompt = truth["source_ids" if pair else "prompt_ids"].tolist()
    start = model.config.decoder_start_token_id if pair else None
    model.generation_config = GenerationConfig(decoder_start_token_id=start, pad_token_id=0)
    usual = end_of(model, prompt, pair)
    runs = []
    for s in settings(usual):
        found = 0
        for end in dict.fromkeys(usual[3:8]):
            texts = search(model, prompt, pair, [end, 1], s)
            if texts and found < MOST:
                runs.append(s | {"eos": [end, 1], "texts": texts})
                found += 1
    ended = sum(text[-1] in run["eos"] for run in runs for text in run["texts"])
    kinds = len({json.dumps({k: v for k, v in run.items() if k not in ("eos", "texts")}) for run in runs})
    print(f"{name:9} {len(runs)} searches of {kinds} kinds, {sum(len(run['texts']) for run in runs)} texts, {ended} of which ended")
    if kinds < 3:
        raise SystemExit(f"{name}: too few searches")
    prompt_text = json.loads((folder / "truth.json").read_text())["source" if pair else "prompt"]
    return {"prompt": prompt_text, "max_new_tokens": BEAM_TOKENS, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    torch.set_num_threads(1)
    check = parser.parse_args().check
    made = {name: searches(name) for name in DECODERS + PAIRS}
    if check:
        same = json.loads(TRUTH.read_text()) == made
        print("the same" if same else f"{TRUTH} differs from what transformers makes now")
        sys.exit(0 if same else 1)
    runs = lambda model: ",\n".join(json.dumps(run) for run in model["runs"])
    head = lambda model: json.dumps({k: v for k, v in model.items() if k != "runs"})[:-1]
    TRUTH.write_text("{" + ",\n".join(f'"{name}": {head(m)}, "runs": [\n{runs(m)}]}}' for name, m in made.items()) + "}\n")
    assert json.loads(TRUTH.read_text()) == made


if __name__ == "__main__":
    main()
