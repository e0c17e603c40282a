#!/usr/bin/env python3
"""Random models of each family of decoders, as transformers' save_pretrained writes them, through Tuff and back.

    python check_variants.py build/default/tuff                  all families, 10 variants each
    python check_variants.py build/default/tuff --only falcon --count 30 --seed 7

A variant has its own head counts, sizes that are no round numbers, biases, switches of its family, an output of its own or
the embedding table, f32, bf16 or f16, in one file or several; its weights are as large as the goldens'. Tuff's logits of a
text must be those of transformers within 1e-4 of the largest, or Tuff says by name what it does not run. What Tuff saves of
it, by itself and by way of a GGUF, must load in transformers, with no tensor too few or too many, and give the same logits.
Exit status 1 when anything else happened."""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

import tiny_tokenizers
from make_goldens import randomize, write_json

TOLERANCE = 1e-4  # of the largest logit
TEXT = "The river ran past the old mill, and the miller slept. Nobody knew why the wheel had stopped at noon."
BLOCK = 24
NO_GGUF = ("gptj", "gpt_neo")  # that GGUF has no architecture for

transformers.utils.logging.set_verbosity(60)
transformers.utils.logging.disable_progress_bar()


class Draw(np.random.RandomState):
    def of(self, *values):
        return values[self.randint(len(values))]

    def yes(self):
        return bool(self.randint(2))

    def size(self, low, high):
        return int(self.randint(low, high + 1))

    def heads(self, most=8):
        """A number of heads, and one that it is a multiple of."""
        heads = self.size(1, most)
        return heads, self.of(*(n for n in range(1, heads + 1) if heads % n == 0))


def rope(r, *kinds, dims=8, share=None):
    """Rotary parameters of one of the kinds; LongRoPE's factors are of so many dims."""
    kind = r.of("default", *kinds)
    value = {"rope_type": kind, "rope_theta": r.of(500.0, 1e4, 1e6)}
    if share:
        value["partial_rotary_factor"] = share
    if kind != "default":
        value["factor"] = r.of(2.0, 3.5, 8.0)
    if kind in ("yarn", "llama3", "longrope"):
        value["original_max_position_embeddings"] = r.of(8, 16, 64)
    if kind == "llama3":
        value |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if kind == "longrope":
        value |= {key: (1 + 3 * r.uniform(size=dims // 2)).round(3).tolist() for key in ("short_factor", "long_factor")}
    return value


def windows(r, layers):
    return [r.of("full_attention", "sliding_attention") for _ in range(layers)]


def plain(r, free=True):
    """Sizes of Llama's kind; `free`: heads are not of hidden size / heads, though that must be a whole number, too."""
    heads, kv_heads = r.heads()
    head_dim = 2 * r.size(2, 8)
    value = {
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "num_hidden_layers": r.size(1, 3),
        "hidden_size": heads * (r.size(5, 15) if free else head_dim), "intermediate_size": r.size(9, 90),
        "max_position_embeddings": r.of(64, 100, 128), "hidden_act": r.of("silu", "gelu", "relu", "gelu_pytorch_tanh"),
    }  # fmt: skip
    return value | ({"head_dim": head_dim} if free else {})


def dims_of(value):
    return value.get("head_dim") or value["hidden_size"] // value["num_attention_heads"]


def llama(r):
    value = plain(r) | {"attention_bias": r.yes(), "mlp_bias": r.yes(), "rms_norm_eps": r.of(1e-6, 1e-5, 1e-2)}
    return value | {"rope_parameters": rope(r, "linear", "yarn", "llama3", "dynamic")}


def mistral(r):
    return plain(r) | {"sliding_window": r.of(None, 3, 9), "rope_parameters": rope(r)}


def qwen2(r):
    value = plain(r, free=False)
    first = r.size(0, value["num_hidden_layers"])
    return value | {"use_sliding_window": r.yes(), "sliding_window": r.size(2, 9), "max_window_layers": first,
                    "rope_parameters": rope(r, "yarn")}  # fmt: skip


def qwen3(r):
    return qwen2(r) | {"head_dim": 2 * r.size(2, 8), "attention_bias": r.yes()}


def gemma(r):
    value = plain(r) | {"rope_parameters": rope(r), "attention_bias": r.yes()}
    return value | {"hidden_act": r.of("gelu_pytorch_tanh", "gelu")}


def gemma2(r):
    value = plain(r)
    return value | {
        "hidden_activation": value.pop("hidden_act"), "rope_parameters": rope(r), "sliding_window": r.size(2, 9),
        "query_pre_attn_scalar": r.size(3, 40), "attn_logit_softcapping": r.of(None, 2.0, 50.0),
        "final_logit_softcapping": r.of(None, 4.0, 30.0), "layer_types": windows(r, value["num_hidden_layers"]),
        "attention_bias": r.yes(),
    }  # fmt: skip


def gemma3_text(r):
    value = gemma2(r)
    value["rope_parameters"] = {"full_attention": rope(r, "linear"), "sliding_attention": rope(r)}
    value["attn_logit_softcapping"] = None
    return value


def olmo2(r):
    return plain(r, free=False) | {"attention_bias": r.yes(), "rope_parameters": rope(r, "linear")}


def granite(r):
    return llama(r) | {"embedding_multiplier": r.of(1.0, 3.0), "attention_multiplier": r.of(1.0, 0.3),
                       "residual_multiplier": r.of(1.0, 0.4), "logits_scaling": r.of(1.0, 2.5)}  # fmt: skip


def smollm3(r):
    value = plain(r, free=False)
    layers = value["num_hidden_layers"]
    turns = {"no_rope_layers": [r.size(0, 1) for _ in range(layers)]} if r.yes() else {"no_rope_layer_interval": r.size(2, 3)}
    return value | turns | {"attention_bias": r.yes(), "mlp_bias": r.yes(), "rope_parameters": rope(r, "yarn")}


def phi3(r):
    value = plain(r, free=False)
    dims, original = dims_of(value), r.of(4, 128)
    share = r.of(None, 0.5) if dims % 4 == 0 else None
    parameters = rope(r, *(("longrope",) if dims > 4 else ()), dims=dims // 2 if share else dims, share=share)
    return value | {"sliding_window": r.of(None, 5), "original_max_position_embeddings": original,
                    "max_position_embeddings": 128, "rope_parameters": parameters}  # fmt: skip


def starcoder2(r):
    return plain(r, free=False) | {"use_bias": r.yes(), "sliding_window": r.of(None, 5), "norm_epsilon": r.of(1e-5, 1e-2),
                                   "rope_parameters": rope(r)}  # fmt: skip


def stablelm(r):
    value = plain(r, free=False)
    share = r.of(1.0, 0.5) if dims_of(value) % 4 == 0 else 1.0
    return value | {"use_qkv_bias": r.yes(), "use_parallel_residual": r.yes(), "qk_layernorm": r.yes(),
                    "rope_parameters": rope(r, share=share)}  # fmt: skip


def cohere2(r):
    value = plain(r)
    return value | {"attention_bias": r.yes(), "logit_scale": r.of(0.0625, 1.0, 2.0), "sliding_window": r.size(2, 9),
                    "layer_types": windows(r, value["num_hidden_layers"]), "rope_parameters": rope(r)}  # fmt: skip


def glm(r):
    value = plain(r) | {"attention_bias": r.yes()}
    share = r.of(1.0, 0.5) if dims_of(value) % 4 == 0 else 1.0
    return value | {"rope_parameters": rope(r, share=share)}


def shared_heads(r):
    heads = r.size(1, 8)
    return heads, heads * 2 * r.size(2, 8)


def gpt2(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "n_embd": hidden, "n_layer": r.size(1, 3), "n_positions": r.of(64, 100),
            "n_inner": r.of(None, r.size(9, 90)), "activation_function": r.of("gelu_new", "gelu", "gelu", "relu"),
            "scale_attn_by_inverse_layer_idx": r.of(False, False, False, True)}  # fmt: skip


def gpt_neox(r):
    heads, hidden = shared_heads(r)
    share = r.of(1.0, 0.5) if hidden // heads % 4 == 0 else 1.0
    return {"num_attention_heads": heads, "hidden_size": hidden, "num_hidden_layers": r.size(1, 3),
            "intermediate_size": r.size(9, 90), "hidden_act": r.of("gelu", "gelu_new", "relu"), "attention_bias": r.yes(),
            "use_parallel_residual": r.yes(), "rope_parameters": rope(r, "linear", share=share)}  # fmt: skip


def phi(r):
    value = plain(r, free=False)
    share = r.of(1.0, 0.5) if dims_of(value) % 4 == 0 else 1.0
    return value | {"rope_parameters": rope(r, share=share), "qk_layernorm": r.of(False, False, False, True)}


def gptj(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "n_embd": hidden, "n_layer": r.size(1, 3), "n_positions": 64, "n_inner": r.of(None, 51),
            "rotary_dim": 2 * r.size(1, hidden // heads // 2), "activation_function": r.of("gelu_new", "gelu")}  # fmt: skip


def gpt_neo(r):
    heads, hidden = shared_heads(r)
    layers = r.size(1, 3)
    types = [[[r.of("global", "local") for _ in range(layers)], 1]]
    return {"num_heads": heads, "hidden_size": hidden, "num_layers": layers, "attention_types": types,
            "intermediate_size": r.of(None, 45), "window_size": r.size(2, 12), "max_position_embeddings": 64}  # fmt: skip


def bloom(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "hidden_size": hidden, "n_layer": r.size(1, 3), "layer_norm_epsilon": r.of(1e-5, 1e-2),
            "apply_residual_connection_post_layernorm": r.of(False, False, False, True)}  # fmt: skip


def mpt(r):
    heads, hidden = shared_heads(r)
    attention = {"clip_qkv": r.of(None, 0.5, 2.0), "softmax_scale": r.of(None, 0.3)}
    return {"n_heads": heads, "d_model": hidden, "n_layers": r.size(1, 3), "max_seq_len": r.of(64, 100),
            "attn_config": attention, "no_bias": r.of(True, True, True, False)}  # fmt: skip


def falcon(r):
    """With ALiBi the heads are powers of two, whose slopes bf16 holds: transformers rounds them to it, and their products."""
    alibi = r.of(False, False, True)
    groups = r.yes()
    heads, kv_heads = r.heads()
    if alibi:
        heads = r.of(1, 2, 4, 8)
        kv_heads = r.of(1, heads)
    one = r.yes()
    value = {"num_attention_heads": heads, "hidden_size": heads * 2 * r.size(2, 8), "num_hidden_layers": r.size(1, 3),
             "alibi": alibi, "new_decoder_architecture": groups, "multi_query": one, "bias": r.yes(),
             "num_kv_heads": kv_heads if groups else heads, "parallel_attn": groups or r.yes(),
             "activation": r.of("gelu", "gelu_new"), "max_position_embeddings": 128}  # fmt: skip
    return value | ({"num_ln_in_parallel_attn": r.of(None, 1, 2)} if groups else {}) | {"rope_parameters": rope(r)}


FAMILIES = {
    family.__name__: family
    for family in (gpt2, llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3_text, olmo2, granite, smollm3, phi3, starcoder2,
                   stablelm, cohere2, glm, gpt_neox, phi, gptj, gpt_neo, bloom, mpt, falcon)
} | {"glm4": glm}  # fmt: skip


def load(directory, family):
    """In f32, from whatever type the file has; a text of what does not fit, or None."""
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="sdpa" if family == "falcon" else "eager",
        local_files_only=True, output_loading_info=True,
    )  # fmt: skip
    wrong = {key: sorted(info[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[key]}
    return model.eval(), str(wrong) if wrong else None


@torch.no_grad()
def logits_of(model, ids):
    return model(ids, use_cache=False).logits.double()


def run(tuff, *arguments):
    done = subprocess.run([str(tuff), *map(str, arguments)], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def make(family, directory, tokenizer, r):
    """Saves a random variant; its config's keys in words."""
    vocabulary = tokenizer.get_vocab_size() + r.of(0, 1, 12)
    keys = FAMILIES[family](r)
    more = {"tie_word_embeddings": r.yes(), "vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = AutoConfig.for_model(family, **keys, **more)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    randomize(model, r)
    stored, shard = r.of(torch.float32, torch.bfloat16, torch.float16), r.of("1GB", "1GB", "20KB")
    model.to(stored).save_pretrained(directory, max_shard_size=shard)
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(directory / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    return f"{keys | more} {stored} in {shard}"


def difference(got, want):
    if got.shape != want.shape:
        return float("inf")
    return ((got - want).abs().max() / want.abs().max()).item()


def same_logits(directory, family, ids, want, what):
    """A text of what is wrong with what Tuff saved, or None."""
    model, wrong = load(directory, family)
    if wrong:
        return f"{what}: {wrong}"
    far = difference(logits_of(model, ids), want)
    return None if far <= TOLERANCE else f"{what}: other logits, by {far:.1e}"


def check(tuff, family, scratch, tokenizer, seed):
    """What became of a variant: "same", "refused: ..." or what is wrong; and its keys."""
    directory, out, text = scratch / "made", scratch / "logits.safetensors", scratch / "text.txt"
    words = make(family, directory, tokenizer, Draw(seed))
    text.write_text(TEXT)
    refusal = run(tuff, "eval", "--model", directory, "--file", text, "--device", "cpu", "--block-size", BLOCK,
                  "--dump-logits", out)  # fmt: skip
    try:
        model, wrong = load(directory, family)
        tensors = {} if refusal else load_file(out)
        ids = tensors["input_ids"].long() if tensors else torch.arange(20)[None]
        want = logits_of(model, ids)
        trouble = wrong
    except Exception as error:
        trouble = (str(error) or type(error).__name__).splitlines()[0][:100]
    if refusal:
        return f"refused: {refusal.split(': ', 1)[-1]}", words
    if trouble:
        return f"transformers does not run it: {trouble}", words
    far = difference(tensors["logits"].double(), want)
    if not far <= TOLERANCE:
        return f"OTHER LOGITS, by {far:.1e}", words
    problem = run(tuff, "convert", directory, "--to", "hf", "--dtype", "f32", "--output", scratch / "hf")
    problem = problem or same_logits(scratch / "hf", family, ids, want, "saved")
    if family not in NO_GGUF and not problem:
        problem = run(tuff, "convert", directory, "--to", "gguf", "--dtype", "f32", "--output", scratch / "made.gguf")
        problem = problem or run(tuff, "convert", scratch / "made.gguf", "--to", "hf", "--dtype", "f32", "--output",
                                 scratch / "back")  # fmt: skip
        problem = problem or same_logits(scratch / "back", family, ids, want, "by way of GGUF")
    return f"WRONG: {problem}" if problem else "same", words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuff", type=pathlib.Path, help="the command")
    parser.add_argument("--only", action="append", choices=sorted(FAMILIES), help="this family only (repeatable)")
    parser.add_argument("--count", type=int, default=10, help="variants of each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = tiny_tokenizers.split(276, digits="", nfc=True)
    failed = 0
    for family in options.only or FAMILIES:
        counts = {}
        for seed in range(options.seed, options.seed + options.count):
            with tempfile.TemporaryDirectory() as scratch:
                verdict, words = check(options.tuff, family, pathlib.Path(scratch), tokenizer, seed)
            kind = verdict.split(":")[0].split(",")[0]
            counts[kind] = counts.get(kind, 0) + 1
            failed += kind in ("OTHER LOGITS", "WRONG")
            if verdict != "same":
                print(f"{family} {seed}: {verdict}", flush=True)
            if kind in ("OTHER LOGITS", "WRONG"):
                print(f"    {words}", flush=True)
        print(f"{family:12}", ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
