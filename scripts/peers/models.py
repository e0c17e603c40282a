"""Models of known shapes with random weights, as Hugging Face directories in f32, made with Python's own library alone.

Speed asks of weights only that they are like a model's in size. Their tokenizer has a token for each word of four letters that
texts() writes, so that texts have ids from everywhere in the table."""

import array
import json
import os
import random
import struct

CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
SYLLABLES = [c + v for c in CONSONANTS for v in VOWELS]
SPACE = "\u0120"  # as byte-level tokenizers write a space
END = "<|endoftext|>"


def gpt2(layers, heads, width, vocabulary, context=1024):
    return {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": layers, "n_head": heads, "n_embd": width,
        "n_positions": context, "vocab_size": vocabulary, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": vocabulary - 1, "eos_token_id": vocabulary - 1,
    }  # fmt: skip


def llama(layers, heads, kv_heads, width, inner, vocabulary, context=2048):
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "hidden_size": width, "intermediate_size": inner, "vocab_size": vocabulary,
        "max_position_embeddings": context, "tie_word_embeddings": True, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "bos_token_id": vocabulary - 1, "eos_token_id": vocabulary - 1,
    }  # fmt: skip


SHAPES = {"gpt2": gpt2(12, 12, 768, 50257), "llama": llama(30, 9, 3, 576, 1536, 49152)}
# The same, to try a script with. Widths are multiples of 256, which Q4_K_M needs.
TINY = {"gpt2": gpt2(2, 4, 256, 12288), "llama": llama(2, 4, 2, 256, 512, 12288)}


def tensors(config):
    """Names and shapes of the weights. Of tied tables there is one."""
    if config["model_type"] == "gpt2":
        width = config["n_embd"]
        found = {"transformer.wte.weight": [config["vocab_size"], width], "transformer.wpe.weight": [config["n_positions"], width]}
        for layer in range(config["n_layer"]):
            at = f"transformer.h.{layer}."
            for norm in "ln_1", "ln_2":
                found |= {f"{at}{norm}.weight": [width], f"{at}{norm}.bias": [width]}
            for name, rows, columns in (
                ("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width),
                ("mlp.c_fc", width, 4 * width), ("mlp.c_proj", 4 * width, width),
            ):  # fmt: skip
                found |= {f"{at}{name}.weight": [rows, columns], f"{at}{name}.bias": [columns]}
        return found | {"transformer.ln_f.weight": [width], "transformer.ln_f.bias": [width]}
    width, inner = config["hidden_size"], config["intermediate_size"]
    narrow = width // config["num_attention_heads"] * config["num_key_value_heads"]
    found = {"model.embed_tokens.weight": [config["vocab_size"], width]}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for norm in "input_layernorm", "post_attention_layernorm":
            found[f"{at}{norm}.weight"] = [width]
        for name, rows, columns in (
            ("self_attn.q_proj", width, width), ("self_attn.k_proj", narrow, width), ("self_attn.v_proj", narrow, width),
            ("self_attn.o_proj", width, width), ("mlp.gate_proj", inner, width), ("mlp.up_proj", inner, width),
            ("mlp.down_proj", width, inner),
        ):  # fmt: skip
            found[f"{at}{name}.weight"] = [rows, columns]
    return found | {"model.norm.weight": [width]}


def count(shape):
    n = 1
    for dim in shape:
        n *= dim
    return n


def product_parameters(config):
    """Weights that each token is multiplied with: all matrices, the tied table as the head."""
    return sum(count(shape) for name, shape in tensors(config).items() if len(shape) == 2 and not name.endswith("wpe.weight"))


def bytes_of_token(config, mean_length):
    """What generating a token has to read in f32: all weights, of tables that are only looked up in one row, and the cache."""
    gpt = config["model_type"] == "gpt2"
    layers, heads = (config["n_layer"], config["n_head"]) if gpt else (config["num_hidden_layers"], config["num_attention_heads"])
    width = config["n_embd"] if gpt else config["hidden_size"]
    read = sum(count(shape) for name, shape in tensors(config).items() if not name.endswith("wpe.weight"))
    rows = 2 * width if gpt else width
    cache = 2 * layers * width // heads * (heads if gpt else config["num_key_value_heads"])
    return 4 * (read + rows + cache * mean_length)


def write_weights(path, config, seed=42):
    """A safetensors file. Normal numbers of deviation 0.02; a million are drawn, and each tensor begins elsewhere among them."""
    chance = random.Random(seed)
    drawn = array.array("f", [chance.gauss(0, 0.02) for _ in range(1 << 20)]).tobytes()
    one, zero = struct.pack("<f", 1), struct.pack("<f", 0)
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors(config).items():
        size = 4 * count(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(config).items():
            if len(shape) == 1:
                file.write((one if name.endswith("weight") else zero) * count(shape))
                continue
            left, begin = 4 * count(shape), 4 * chance.randrange(len(drawn) // 4)
            while left:
                piece = drawn[begin : begin + left]
                file.write(piece)
                left, begin = left - len(piece), 0


def byte_names():
    """The 256 bytes as byte-level tokenizers write them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]


def tokenizer(vocabulary):
    """tokenizer.json: a syllable and a word of two syllables behind a space are a token, all else is bytes."""
    merges = [(SPACE, c) for c in CONSONANTS] + [(SPACE + s[0], s[1]) for s in SYLLABLES] + [(s[0], s[1]) for s in SYLLABLES]
    merges += [(SPACE + first, second) for first in SYLLABLES for second in SYLLABLES]
    names = byte_names() + [a + b for a, b in merges]
    if len(names) >= vocabulary:
        raise ValueError(f"a vocabulary of {vocabulary} has no room for {len(names)} tokens and one that ends texts")
    names += [f"<unused{i}>" for i in range(len(names), vocabulary - 1)] + [END]
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": vocabulary - 1, "content": END, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "vocab": {name: i for i, name in enumerate(names)},
                  "merges": [f"{a} {b}" for a, b in merges]},
    }  # fmt: skip


def texts(words, seed=1):
    """So many words, which are as many tokens."""
    chance = random.Random(seed)
    return "".join(f" {chance.choice(SYLLABLES)}{chance.choice(SYLLABLES)}" for _ in range(words))


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)


def make(directory, config):
    """The model as a Hugging Face directory; one that is there already is taken as it is."""
    if os.path.exists(os.path.join(directory, "config.json")):
        return
    os.makedirs(directory, exist_ok=True)
    write_weights(os.path.join(directory, "model.safetensors"), config)
    write_json(os.path.join(directory, "tokenizer.json"), tokenizer(config["vocab_size"]))
    write_json(os.path.join(directory, "tokenizer_config.json"), {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END})
    write_json(os.path.join(directory, "config.json"), config)  # last: what is there is whole
