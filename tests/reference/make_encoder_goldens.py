#!/usr/bin/env python3
"""Makes the encoders of assets/golden: tiny random models as Hugging Face directories, and what PyTorch computes with them
in f64.

    python make_encoder_goldens.py                  writes assets/golden
    python make_encoder_goldens.py --check          makes them anew in a temporary folder and compares
    python make_encoder_goldens.py --only bert-mlm

A folder holds config.json, model.safetensors (f32) and truth.safetensors: input_ids [B,T] i32; token_type_ids [B,T] i32 of
models that have them; result: states [B,T,C] after the last layer, or what the head gives; weights, of the result's shape,
and the loss [1] that is the sum of both multiplied; grad.<parameter> of that loss: for every parameter, or, with a head, for
those of the head and the embedding table. A head that looks at some tokens only has these in picked [R] i32, counted over
all rows: five of a masked language model, the first of each row of an encoder's classifier, the last of a decoder's; ModernBERT's
classifier sees the mean of a row.

Weights are drawn with a standard deviation of 0.2, so that every part of the model matters: the script fails unless each
key of the config that Tuff reads moves the result, or says which tensors there are or of what shape (matters.py)."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    MPNetConfig,
    NomicBertConfig,
    RobertaConfig,
    T5Config,
    T5EncoderModel,
    XLMRobertaConfig,
)

from common import to_double
from make_goldens import compare, floats, write_json
from matters import MOVES, ROOT, check_changes, expect_listed, expect_move, expect_near

SHAPE = (3, 11)
LONG = (1, 100)  # of models that look at distances

transformers.utils.logging.set_verbosity_error()  # of changed configs that leave tensors out


def bert():
    return BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=20, type_vocab_size=3, layer_norm_eps=0.05,
    )  # fmt: skip


def roberta():
    return RobertaConfig(
        vocab_size=46, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=18, type_vocab_size=1, layer_norm_eps=0.03, hidden_act="gelu_new", pad_token_id=3,
    )  # fmt: skip


def xlm_roberta():
    return XLMRobertaConfig(
        vocab_size=54, hidden_size=20, num_hidden_layers=2, num_attention_heads=5, intermediate_size=28,
        max_position_embeddings=17, type_vocab_size=1, layer_norm_eps=0.04, hidden_act="silu",
    )  # fmt: skip


def distilbert():
    return DistilBertConfig(
        vocab_size=48, dim=16, n_layers=2, n_heads=4, hidden_dim=36, max_position_embeddings=15, activation="relu"
    )


def nomic_bert():
    return NomicBertConfig(
        vocab_size=52, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
        max_position_embeddings=24, type_vocab_size=2, layer_norm_eps=0.03,
        rope_parameters={"rope_type": "default", "rope_theta": 50.0},
    )  # fmt: skip


def modernbert():
    # Ten tokens see five of them in layers with the window; a head that means and has biases, norms without.
    return ModernBertConfig(
        vocab_size=45, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=18,
        max_position_embeddings=32, norm_eps=0.02, local_attention=5, classifier_pooling="mean", classifier_bias=True,
        classifier_activation="silu", layer_types=["full_attention"] + ["sliding_attention"] * 2 + ["full_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 90.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
        },
        pad_token_id=0, bos_token_id=1, cls_token_id=1, eos_token_id=2, sep_token_id=2,
    )  # fmt: skip


def modernbert_biased():
    # What the other one has not, and a classifier that sees the first token.
    config = modernbert()
    config.attention_bias = config.mlp_bias = config.norm_bias = True
    config.classifier_pooling = "cls"
    return config


def mpnet():
    # Texts that are longer than the 91 tokens from which on distances share a bucket.
    return MPNetConfig(
        vocab_size=47, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
        max_position_embeddings=104, layer_norm_eps=0.04, hidden_act="silu",
    )  # fmt: skip


def t5_encoder():
    return T5Config(
        vocab_size=112, d_model=20, d_kv=6, d_ff=28, num_layers=2, num_heads=3, layer_norm_epsilon=1e-3,
        relative_attention_num_buckets=8, relative_attention_max_distance=7, feed_forward_proj="gated-gelu",
    )  # fmt: skip


def llama():
    return LlamaConfig(
        vocab_size=44, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, rms_norm_eps=0.02, pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0}, tie_word_embeddings=False,
    )  # fmt: skip


def gpt2():
    return GPT2Config(
        vocab_size=42, n_positions=16, n_embd=16, n_layer=2, n_head=4, layer_norm_epsilon=0.02, pad_token_id=0
    )


LABELS = {"classes": ["bad", "so so", "good"], "tokens": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}
HEADS = {
    "": AutoModel, "mlm": AutoModelForMaskedLM, "classes": AutoModelForSequenceClassification,
    "tokens": AutoModelForTokenClassification, "spans": AutoModelForQuestionAnswering,
}  # fmt: skip

# Keys of config.json with other values that leave all shapes as they are.
COMMON = {"num_attention_heads": [1, 4], "hidden_act": ["relu", "silu"], "layer_norm_eps": [1e-5], "num_hidden_layers": [1]}
CHANGES = {
    "bert": {**COMMON, "hidden_act": ["gelu_new", "relu", "silu"]},
    "roberta": {**COMMON, "hidden_act": ["gelu", "relu", "silu"], "pad_token_id": [0, 1]},
    "xlm-roberta": {**COMMON, "hidden_act": ["gelu", "relu"], "pad_token_id": [0, 2]},
    "distilbert": {"n_heads": [1, 2], "activation": ["gelu", "silu"], "n_layers": [1]},
    "nomic_bert": {
        "hidden_act": ["gelu", "relu"], "layer_norm_eps": [1e-5], "num_hidden_layers": [1],
        "rope_parameters": [{"rope_type": "default", "rope_theta": 60.0}],
    },  # fmt: skip
    "modernbert": {
        "hidden_activation": ["relu", "silu"], "norm_eps": [1e-5], "num_attention_heads": [1, 4],
        "local_attention": [3, 7],
        "layer_types": [["full_attention"] * 4, ["sliding_attention"] + ["full_attention"] * 3],
        "rope_parameters": [
            {"full_attention": {"rope_type": "default", "rope_theta": 90.0 if local else 99.0},
             "sliding_attention": {"rope_type": "default", "rope_theta": 22.0 if local else 20.0}}
            for local in (False, True)
        ],
    },  # fmt: skip
    "modernbert-biased": {
        "classifier_pooling": ["mean"], "classifier_activation": ["relu"], "local_attention": [3], "norm_eps": [1e-5],
        "hidden_activation": ["relu"], "num_attention_heads": [1, 4],
    },  # fmt: skip
    "mpnet": {"hidden_act": ["gelu", "relu"], "layer_norm_eps": [1e-5], "num_hidden_layers": [1]},
    "t5-encoder": {
        "relative_attention_max_distance": [10], "layer_norm_epsilon": [0.1], "dense_act_fn": ["relu", "gelu"], "num_layers": [1],
    },  # fmt: skip
    "llama": {
        "rms_norm_eps": [1e-6], "num_hidden_layers": [1], "hidden_act": ["gelu"],
        "rope_parameters": [{"rope_type": "default", "rope_theta": 120.0}],
    },  # fmt: skip
    "gpt2": {
        "n_head": [1], "activation_function": ["relu"], "layer_norm_epsilon": [1e-5], "n_layer": [1],
        "scale_attn_weights": [False],
    },  # fmt: skip
}
# Keys by which tensors or tokens are others, and no number of the same ones; of some models further ones. What GPT-2 divides by
# a layer's number moves too little here: make_goldens.py has it.
SHAPES = set(
    "model_type vocab_size type_vocab_size hidden_size intermediate_size dim hidden_dim head_dim num_key_value_heads n_embd n_inner "
    "n_positions max_position_embeddings relative_attention_num_buckets attention_bias mlp_bias norm_bias classifier_bias "
    "decoder_bias tie_word_embeddings id2label bos_token_id eos_token_id".split()
)
MORE_SHAPES = {
    "bert": {"pad_token_id"}, "distilbert": {"pad_token_id"}, "mpnet": {"pad_token_id", "num_attention_heads"},
    "nomic_bert": {"pad_token_id", "num_attention_heads"}, "llama": {"pad_token_id", "num_attention_heads"},
    "t5": set("d_model d_kv d_ff num_heads num_decoder_layers feed_forward_proj is_gated_act relative_attention_num_buckets "
              "is_encoder_decoder scale_decoder_outputs pad_token_id decoder_start_token_id".split()),
    "gpt2": {"pad_token_id", "scale_attn_by_inverse_layer_idx"}, "modernbert": {"pad_token_id", "num_hidden_layers"},
}  # fmt: skip
CONFIGS = {
    "bert": bert, "roberta": roberta, "xlm-roberta": xlm_roberta, "distilbert": distilbert, "nomic_bert": nomic_bert,
    "modernbert": modernbert, "modernbert-biased": modernbert_biased, "mpnet": mpnet,
    "t5-encoder": t5_encoder, "llama": llama, "gpt2": gpt2,
}  # fmt: skip
ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert")
NO_POOLER = ("distilbert", "modernbert", "t5-encoder", "llama", "llama-tied", "gpt2")
# name of the folder: architecture and head
MODELS = {name + ("-" + head if head else ""): (name, head) for head in HEADS for name in ENCODERS}
MODELS |= {"llama-classes": ("llama", "classes"), "gpt2-classes": ("gpt2", "classes")}
MODELS |= {"nomic_bert" + ("-" + head if head else ""): ("nomic_bert", head) for head in HEADS if head != "spans"}
MODELS |= {"modernbert" + ("-" + head if head else ""): ("modernbert", head) for head in HEADS}
MODELS |= {"modernbert-biased": ("modernbert-biased", "classes")}
MODELS |= {"mpnet" + ("-" + head if head else ""): ("mpnet", head) for head in HEADS}
MODELS |= {"t5-encoder": ("t5-encoder", "")}


def randomize(model, random):
    for name, parameter in sorted(model.named_parameters()):
        noise = 0.2 * random.standard_normal(tuple(parameter.shape))
        is_norm = "norm" in name.lower() and name.endswith("weight")
        with torch.no_grad():
            parameter.copy_(torch.as_tensor(1 + noise if is_norm else noise, dtype=torch.float32))


def kind_of(name, head):
    return T5EncoderModel if name == "t5-encoder" else HEADS[head]


def load(folder, name, head, double=True):
    options = {} if head or name in NO_POOLER else {"add_pooling_layer": False}
    attention = {"mpnet": "eager", "t5-encoder": "exact"}.get(name, "sdpa")  # MPNet has no other; elsewhere eager goes through f32
    model = kind_of(name, head).from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention, local_files_only=True, **options
    )
    if double:
        to_double(model)
    return model.eval()


def result_of(model, head, truth):
    """States of all tokens, or what the head gives for those that it looks at."""
    inputs = {"input_ids": truth["input_ids"].long()}
    if "token_type_ids" in truth:
        inputs["token_type_ids"] = truth["token_type_ids"].long()
    output = model(**inputs)
    if not head:
        return output.last_hidden_state
    if head == "spans":
        return torch.stack((output.start_logits, output.end_logits), dim=-1)
    if head == "mlm":
        return output.logits.flatten(0, 1)[truth["picked"].long()]
    return output.logits


def save(folder, model):
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    write_json(folder / "config.json", config)


def draw_inputs(config, head, random):
    """Ids without the padding's, whose embedding gets no gradient in PyTorch."""
    shape = LONG if config.model_type == "mpnet" else SHAPE
    ids = random.randint(0, config.vocab_size - 1, shape)
    ids += ids >= config.pad_token_id
    truth = {"input_ids": torch.as_tensor(ids, dtype=torch.int32)}
    types = getattr(config, "type_vocab_size", 0)
    if types:
        truth["token_type_ids"] = torch.as_tensor(random.randint(0, types, shape), dtype=torch.int32)
    if head == "mlm":
        truth["picked"] = torch.as_tensor(random.permutation(shape[0] * shape[1])[:5], dtype=torch.int32)
    if head == "classes":
        rows = np.arange(shape[0]) * shape[1]
        last = shape[1] - 1 if config.model_type in ("llama", "gpt2") else 0
        if getattr(config, "classifier_pooling", "cls") == "cls":
            truth["picked"] = torch.as_tensor(rows + last, dtype=torch.int32)
    return truth


def as_in_the_file(gradients):
    """Nomic BERT's modules have other names in memory than in files, where queries, keys and values are one matrix."""
    pairs = [("embeddings.LayerNorm", "emb_ln"), ("layers.", "encoder.layers."), ("self_attn.o_proj", "attn.out_proj"),
             ("up_proj", "fc11"), ("gate_proj", "fc12"), ("down_proj", "fc2"), ("post_attention_layernorm", "norm1"),
             ("post_mlp_layernorm", "norm2")]  # fmt: skip
    named = {}
    for key, value in gradients.items():
        if key.endswith("self_attn.q_proj.weight"):
            value = torch.cat([gradients[key.replace("q_proj", which)] for which in ("q_proj", "k_proj", "v_proj")])
            key = key.replace("self_attn.q_proj", "attn.Wqkv")
        for old, new in pairs:
            key = key.replace(old, new)
        if "self_attn" not in key:
            named[key] = value
    return named


def check_keys(folder, name, head, truth):
    """Each key that Tuff reads moves the result, with what the architecture's other goldens change; so do other token types."""
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    width = config.get("hidden_size") or config.get("dim") or config.get("d_model") or config["n_embd"]
    alike = [other for other in CHANGES if other.split("-biased")[0] == name.split("-biased")[0]]
    listed = {key for other in alike for key in CHANGES[other]}
    expect_listed(name, config, kind, listed, SHAPES | MORE_SHAPES.get(kind, set()))
    changes = {key: [v for v in values if "head" not in key or width % v == 0] for key, values in CHANGES[name].items()}
    moves = check_changes(folder, changes, lambda changed: result_of(load(changed, name, head), head, truth), truth["result"])
    if config.get("type_vocab_size", 0) > 1:
        with torch.no_grad():
            plain = result_of(load(folder, name, head), head, {k: v for k, v in truth.items() if k != "token_type_ids"})
        moves.append(expect_move(folder.name, "no token types", plain, truth["result"], MOVES))
    return moves


def make(output, folder_name, seed):
    name, head = MODELS[folder_name]
    folder = output / folder_name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.RandomState(seed)
    config = CONFIGS[name]()
    if head in LABELS:
        config.id2label = dict(enumerate(LABELS[head]))
        config.label2id = {label: i for i, label in enumerate(LABELS[head])}
    options = {} if head or name in NO_POOLER else {"add_pooling_layer": False}
    kind = kind_of(name, head)
    model = (type(kind.from_config(config)) if kind is HEADS[head] else kind)(config, **options).float()
    randomize(model, random)
    save(folder, model)

    truth = draw_inputs(config, head, random)
    model = load(folder, name, head)
    result = result_of(model, head, truth)
    weights = torch.as_tensor(random.standard_normal(tuple(result.shape)), dtype=torch.float32)
    loss = (result * weights.double()).sum()
    loss.backward()
    truth.update(result=result.detach().float().contiguous(), weights=weights, loss=floats(loss))
    base = model.base_model_prefix + "."
    table = model.get_input_embeddings().weight
    gradients = {
        key: torch.where(parameter.grad.abs() < 1e-12, 0.0, parameter.grad).float().contiguous()  # keys' bias: noise
        for key, parameter in model.named_parameters()
        if parameter.grad is not None
        and (not head or not key.startswith(base) or "pooler" in key or parameter is table)
    }
    if name == "nomic_bert":
        gradients = as_in_the_file(gradients)
    truth |= {"grad." + key: value for key, value in gradients.items()}
    save_file(truth, folder / "truth.safetensors")
    moves = check_keys(folder, name, head, truth)
    with torch.no_grad():
        error = expect_near(folder_name, result_of(load(folder, name, head, double=False), head, truth), truth["result"])
    print(f"{folder_name:19} {len(moves)} changes move the result, by {min(moves):.1e} and more; f32 differs by {error:.1e}; "
          f"loss {loss.item():.4f}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "assets" / "golden")
    parser.add_argument("--only", action="append", choices=sorted(MODELS), help="make this model only (repeatable)")
    parser.add_argument("--check", action="store_true", help="compare with --output instead of writing it")
    arguments = parser.parse_args()
    names = arguments.only or list(MODELS)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) if arguments.check else arguments.output
        for name in names:
            make(output, name, seed=30260 + list(MODELS).index(name))
        if arguments.check:
            wrong = sum(compare(arguments.output / name, output / name) for name in names)
            print("the goldens are what this script makes" if not wrong else f"{wrong} differences")
            return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
