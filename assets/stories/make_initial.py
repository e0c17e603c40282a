#!/usr/bin/env python3
"""Writes the bundled model before its training: a Llama of about 0.9 million parameters with random weights.

    pip install torch transformers
    python make_initial.py OUT

OUT gets config.json, model.safetensors (f32) and the tokenizer.json beside this script; `tuff train --model OUT` takes
it from there."""

import argparse
import json
import pathlib
import shutil

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = LlamaConfig(
        vocab_size=1024, hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, initializer_range=0.04,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    model = AutoModelForCausalLM.from_config(config).float()
    model.save_pretrained(options.output)
    (options.output / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(HERE / "tokenizer.json", options.output / "tokenizer.json")
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "model_max_length": 256}
    (options.output / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")
    print(f"{options.output}: {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    main()
