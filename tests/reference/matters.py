"""What the scripts that make goldens assert of each: every key of config.json that Tuff reads moves what the model computes, or
says what shapes there are, or is no matter of what is computed; and transformers in f32 is near the truth in f64."""

import json
import pathlib
import re
import shutil
import tempfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4  # of the largest number; the C tests ask Tuff for a tenth of it
MOVES = 10 * TOLERANCE
ROUNDING = TOLERANCE / 10
GELUS = {"gelu", "gelu_new", "gelu_pytorch_tanh"}  # by erf and by tanh, within 5e-4 of one another: changes among them
GELU_MOVES = TOLERANCE  # and may give as little


def keys_read(model_type, family):
    """The keys that Tuff reads for an architecture: as src/models/keys.c, its own line counts before its family's, before that of all."""
    text = (ROOT / "src" / "models" / "hf_keys.def").read_text()
    best = {}
    for kinds, key, verdict in re.findall(r'^TUFF_KEY\("([^"]+)", "([^"]+)", (\w+),', text, re.M):
        words = kinds.split()
        rank = 1 if kinds == "*" else 3 if model_type in words else 2 if family in words else 0
        if rank > best.get(key, (0, ""))[0]:
            best[key] = rank, verdict
    return {key for key, (_, verdict) in best.items() if verdict == "READ"}


def dropouts():
    """The keys that matter in training alone."""
    text = (ROOT / "src" / "models" / "dropouts.def").read_text()
    return {key for keys in re.findall(r'^TUFF_DROPOUT\("[^"]+", "([^"]+)"', text, re.M) for key in keys.split()}


def expect_listed(name, config, family, changed, shapes):
    """Keys that are changed together are joined by "+"."""
    changed = {key for keys in changed for key in keys.split("+")}
    read = keys_read(config["model_type"], family)
    left = (read & set(config)) - changed - shapes - dropouts()
    if not read or left:
        raise SystemExit(f"{name}: CHANGES does not have {', '.join(sorted(left)) or 'any key'}")


def changed_models(folder, changes):
    """Yields a directory with the model and one change of its config, what that is, and by how much it must move the result at
    least. KeyError takes a key out."""
    config = json.loads((folder / "config.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        changed = pathlib.Path(scratch) / "model"
        shutil.copytree(folder, changed)
        for key, values in changes.items():
            keys = key.split("+")
            for value in values:
                others = dict(zip(keys, value if len(keys) > 1 else [value]))
                whole = {k: v for k, v in (config | others).items() if v is not KeyError}
                if whole == config:
                    continue
                (changed / "config.json").write_text(json.dumps(whole))
                alike = isinstance(value, str) and {value, config.get(key)} <= GELUS
                yield changed, f"{key} {value}", GELU_MOVES if alike else MOVES


def difference(got, want):
    return ((got.double() - want.double()).abs().max() / want.double().abs().max()).item()


def expect_move(name, change, got, want, least):
    move = difference(got, want)
    if not move >= least:
        raise SystemExit(f"{name}: {change} moves the result by {move:.1e} of the largest, expected {least:.0e}")
    return move


@torch.no_grad()
def check_changes(folder, changes, result, want):
    """`result` computes with the model of a directory, and `want` is what it is without a change. Returns the moves, of the
    result's largest number."""
    return [
        expect_move(folder.name, change, result(changed), want, least)
        for changed, change, least in changed_models(folder, changes)
    ]


def expect_near(name, single, want):
    """What transformers makes in f32."""
    error = difference(single, want)
    if not error <= ROUNDING:
        raise SystemExit(f"{name}: transformers in f32 is {error:.1e} of the largest from f64, expected {ROUNDING:.0e}")
    return error
