#!/usr/bin/env python3
"""Makes the encoders of assets/golden: tiny random models as Hugging Face directories, and what PyTorch computes with them
in f64.

    python make_encoder_goldens.py                  writes assets/golden
    python make_encoder_goldens.py --check          makes them anew in a temporary folder and compares
    python make_encoder_goldens.py --only bert

A folder holds config.json, model.safetensors (f32) and truth.safetensors: input_ids [B,T] i32; token_type_ids [B,T] i32 of
models that have them; states [B,T,C] after the last layer; state_weights [B,T,C] and the loss [1] that is the sum of both
multiplied; grad.<parameter> of that loss for every parameter.

Weights are drawn with a standard deviation of 0.2, so that every part of the model matters: the script fails unless each
change of a config key that `CHANGES` lists moves the result by ten times what the tests allow."""

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
from transformers import AutoModel, BertConfig, DistilBertConfig, RobertaConfig, XLMRobertaConfig

from make_goldens import ROOT, compare, floats, write_json

MOVES = 1e-4  # of the largest state: ten times what the C tests allow
SHAPE = (3, 11)

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
        max_position_embeddings=17, type_vocab_size=1, layer_norm_eps=0.04,
    )  # fmt: skip


def distilbert():
    return DistilBertConfig(
        vocab_size=48, dim=16, n_layers=2, n_heads=4, hidden_dim=36, max_position_embeddings=15, activation="relu"
    )


# Keys of config.json with other values that leave all shapes as they are.
COMMON = {"num_attention_heads": [1, 4], "hidden_act": ["relu", "silu"], "layer_norm_eps": [1e-5], "num_hidden_layers": [1]}
CHANGES = {
    "bert": {**COMMON, "hidden_act": ["gelu_new", "relu", "silu"]},
    "roberta": {**COMMON, "hidden_act": ["gelu", "relu", "silu"], "pad_token_id": [0, 1]},
    "xlm-roberta": {**COMMON, "hidden_act": ["gelu_new", "relu", "silu"], "pad_token_id": [0, 2]},
    "distilbert": {"n_heads": [1, 2], "activation": ["gelu", "silu"], "n_layers": [1]},
}
MODELS = {"bert": bert, "roberta": roberta, "xlm-roberta": xlm_roberta, "distilbert": distilbert}


def randomize(model, random):
    for name, parameter in sorted(model.named_parameters()):
        noise = 0.2 * random.standard_normal(tuple(parameter.shape))
        is_norm = "norm" in name.lower() and name.endswith("weight")
        with torch.no_grad():
            parameter.copy_(torch.as_tensor(1 + noise if is_norm else noise, dtype=torch.float32))


def load(folder):
    """The layers alone, in double."""
    options = {} if "distilbert" in (folder / "config.json").read_text() else {"add_pooling_layer": False}
    model = AutoModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True, **options
    )
    return model.double().eval()


def states_of(model, truth):
    inputs = {"input_ids": truth["input_ids"].long()}
    if "token_type_ids" in truth:
        inputs["token_type_ids"] = truth["token_type_ids"].long()
    return model(**inputs).last_hidden_state


def save(folder, model):
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    write_json(folder / "config.json", config)


def draw_inputs(config, random):
    """Ids without the padding's, whose embedding gets no gradient in PyTorch."""
    ids = random.randint(0, config.vocab_size - 1, SHAPE)
    ids += ids >= config.pad_token_id
    truth = {"input_ids": torch.as_tensor(ids, dtype=torch.int32)}
    types = getattr(config, "type_vocab_size", 0)
    if types:
        truth["token_type_ids"] = torch.as_tensor(random.randint(0, types, SHAPE), dtype=torch.int32)
    return truth


def check_changes(folder, name, truth):
    """Each listed change, and other token types and positions, must move the states."""
    config = json.loads((folder / "config.json").read_text())
    want, moves = truth["states"].double(), {}
    with tempfile.TemporaryDirectory() as scratch:
        changed = pathlib.Path(scratch) / "model"
        shutil.copytree(folder, changed)
        for key, values in CHANGES[name].items():
            for value in values:
                if value == config[key] or config.get("hidden_size", config.get("dim")) % (value if "heads" in key else 1):
                    continue
                (changed / "config.json").write_text(json.dumps({**config, key: value}))
                with torch.no_grad():
                    got = states_of(load(changed), truth)
                moves[f"{key} {value}"] = ((got - want).abs().max() / want.abs().max()).item()
    if config.get("type_vocab_size", 0) > 1:
        with torch.no_grad():
            got = states_of(load(folder), {"input_ids": truth["input_ids"]})
        moves["no token types"] = ((got - want).abs().max() / want.abs().max()).item()
    for change, move in moves.items():
        if not move >= MOVES:
            raise SystemExit(f"{name}: {change} moves the states by {move:.1e} of the largest only, expected {MOVES:.0e}")
    return min(moves.values()), len(moves)


def make(output, name, seed):
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.RandomState(seed)
    config = MODELS[name]()
    options = {"add_pooling_layer": False} if name != "distilbert" else {}
    model = type(AutoModel.from_config(config))(config, **options).float()
    randomize(model, random)
    save(folder, model)

    truth = draw_inputs(config, random)
    model = load(folder)
    states = states_of(model, truth)
    weights = torch.as_tensor(random.standard_normal(tuple(states.shape)), dtype=torch.float32)
    loss = (states * weights.double()).sum()
    loss.backward()
    truth.update(states=states.detach().float(), state_weights=weights, loss=floats(loss))
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            truth["grad." + key] = parameter.grad.float().contiguous()
    save_file(truth, folder / "truth.safetensors")
    least, count = check_changes(folder, name, truth)
    print(f"{name:12} {count} changes move the states, by {least:.1e} and more; loss {loss.item():.4f}")


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
