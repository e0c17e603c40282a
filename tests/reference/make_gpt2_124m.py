#!/usr/bin/env python3
"""Writes a model with random weights in the shape of a real one, to measure speed and memory with.

    python make_gpt2_124m.py OUT                          GPT-2 124M (12 layers, 768 wide, vocabulary 50257)
    python make_gpt2_124m.py OUT --shape smollm135        Llama 135M (30 layers, 576 wide, 9 heads, 3 KV heads, 49152)
    python make_gpt2_124m.py OUT --tokenizer gpt2/tokenizer.json --gguf OUT/model.gguf

OUT becomes a Hugging Face directory (f32). --tokenizer takes a byte-level BPE tokenizer.json with at most the
vocabulary's size; without it a small one is trained and the vocabulary is filled with unused entries.
--gguf writes the same weights as an f32 GGUF file with its tokenizer, which llama.cpp loads. Shapes `tiny` and
`tiny-llama` are for trying the script."""

import argparse
import json
import pathlib

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

import tiny_tokenizers


def llama(**shape):
    return LlamaConfig(
        tie_word_embeddings=True, rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **shape
    )


SHAPES = {
    "gpt2": lambda: GPT2Config(),
    "smollm135": lambda: llama(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=2048,
    ),  # fmt: skip
    "tiny": lambda: GPT2Config(vocab_size=512, n_positions=128, n_embd=64, n_layer=2, n_head=4),
    "tiny-llama": lambda: llama(
        vocab_size=512, hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=128,
    ),  # fmt: skip
}


def make_tokenizer(path, size):
    """The tokenizer.json of a path, or a small trained one, as a dict whose vocabulary has exactly `size` entries."""
    state = json.loads((Tokenizer.from_file(path) if path else tiny_tokenizers.gpt2(320)).to_str())
    used = set(state["model"]["vocab"].values()) | {token["id"] for token in state["added_tokens"]}
    if max(used) >= size:
        raise SystemExit(f"{path}: {max(used) + 1} tokens do not fit the model's vocabulary of {size}")
    for number in sorted(set(range(size)) - used):
        state["model"]["vocab"][f"<unused{number}>"] = number
    return state


def id_of(state, text):
    for token in state["added_tokens"]:
        if token["content"] == text:
            return token["id"]
    return state["model"]["vocab"].get(text)


def write_gguf(path, model, state):
    """The weights in llama.cpp's names and orders: Conv1D transposed, Llama's q and k rows in rotary pairs."""
    import gguf

    config = model.config
    is_gpt2 = config.model_type == "gpt2"
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", heads)
    writer = gguf.GGUFWriter(path, "gpt2" if is_gpt2 else "llama")
    writer.add_name("random weights")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(4 * config.hidden_size if is_gpt2 else config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if is_gpt2:
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_head_count_kv(kv_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(config.hidden_size // heads)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_vocab_size(config.vocab_size)

    tokens = sorted(state["model"]["vocab"].items(), key=lambda item: item[1])
    names = [text for text, _ in tokens]
    special = {token["content"] for token in state["added_tokens"] if token["special"]}
    names += [token["content"] for token in state["added_tokens"] if token["content"] not in state["model"]["vocab"]]
    kinds = [
        gguf.TokenType.CONTROL if n in special else gguf.TokenType.UNUSED if n.startswith("<unused") else gguf.TokenType.NORMAL
        for n in names
    ]
    merges = state["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)

    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2 if is_gpt2 else gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        data = tensor.float()
        if is_gpt2 and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            data = data.t()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            count = heads if "q_proj" in name else kv_heads
            half = data.shape[0] // count // 2
            data = data.reshape(count, 2, half, data.shape[1]).transpose(1, 2).reshape(data.shape)
        target = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise SystemExit(f"no GGUF name for {name}")
        writer.add_tensor(target, data.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--shape", default="gpt2", choices=sorted(SHAPES))
    parser.add_argument("--tokenizer", help="a byte-level BPE tokenizer.json")
    parser.add_argument("--gguf", help="also write this GGUF file (needs the gguf package)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    config = SHAPES[options.shape]()
    state = make_tokenizer(options.tokenizer, config.vocab_size)
    end = id_of(state, tiny_tokenizers.END)
    config.bos_token_id = config.eos_token_id = end if end is not None else 0
    model = AutoModelForCausalLM.from_config(config).float()  # transformers initializes with std 0.02
    model.save_pretrained(options.output)
    (options.output / "generation_config.json").unlink(missing_ok=True)
    (options.output / "tokenizer.json").write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": tiny_tokenizers.END}
    (options.output / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")
    if options.gguf:
        write_gguf(options.gguf, model, state)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{options.output}: {config.model_type}, {count / 1e6:.1f} million parameters, f32")


if __name__ == "__main__":
    main()
