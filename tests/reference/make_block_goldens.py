#!/usr/bin/env python3
"""What gguf.quants makes of blocks, and into blocks: assets/golden/blocks/truth.safetensors.

    python make_block_goldens.py            writes it
    python make_block_goldens.py --check    makes it anew and compares

Of each type "NAME.blocks", bytes by chance, with scales that are 0, negative and subnormal among them, and "NAME.decoded",
their numbers. "rows", numbers of many kinds, 32 in each row, and "NAME.encoded" for the types that have one way to be made."""

import argparse
import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.numpy import load_file, save_file

FILE = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden" / "blocks" / "truth.safetensors"
# where the halves of a block are that scale it; MXFP4 has an exponent instead
HALVES = {
    "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_k": [80, 82], "q3_k": [108],
    "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "iq4_nl": [0], "mxfp4": [],
}  # fmt: skip
SCALES = [0.0, -0.0, 0.01, -0.01, 3e-7, -6e-8, 6e-5, 65504.0]
RECIPES = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"]


def blocks_of(name, rng):
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name.upper()]]
    blocks = rng.integers(0, 256, (len(SCALES), size), dtype=np.uint8)
    for place, at in enumerate(HALVES[name]):
        scales = np.roll(np.array(SCALES, np.float16), 3 * place)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if name == "mxfp4":
        blocks[:, 0] = [0, 1, 2, 100, 127, 128, 130, 200]
    return blocks


def rows_of(rng):
    normal = rng.standard_normal((12, 32))
    kinds = [
        normal * 0.02,
        np.abs(normal[:2]),
        -np.abs(normal[:2]),
        normal[:2] * 1e-6,  # scales are subnormal
        normal[:1] * 1e-12,  # or 0
        normal[:1] * 2e4,
        np.zeros((1, 32)),
        np.full((1, 32), 0.3),
        np.where(np.arange(32) == 5, 7.0, 0.01 * normal[:1]),  # one is large
        np.where(np.arange(32) % 2, 1.0, -1.0)[None],  # two of the same size: the first counts
        np.linspace(-8, 7, 32)[None],  # halfway between whole numbers
        np.linspace(0, 15, 32)[None],
        np.array([[6, -6, 5, -5, 3.5, 2.5, 1.75, 1.25, 0.75, 0.25, -0.25] + [0.0] * 21]),  # ties of MXFP4
        np.array([[0.99999994, 7.9999995, 8.0, 8.000001]]).repeat(8, axis=1),  # beside a power of 2
    ]
    return np.concatenate(kinds).astype(np.float32)


def make():
    rng = np.random.default_rng(20261122)
    rows = rows_of(rng)
    made = {"rows": rows}
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for name in HALVES:
            kind = GGMLQuantizationType[name.upper()]
            made[name + ".blocks"] = blocks_of(name, rng)
            made[name + ".decoded"] = dequantize(made[name + ".blocks"], kind)
            if name in RECIPES:
                made[name + ".encoded"] = np.concatenate([quantize(row[None], kind) for row in rows])
    assert all(np.isfinite(tensor).all() for tensor in made.values() if tensor.dtype == np.float32)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    made = make()
    if parser.parse_args().check:
        there = load_file(FILE)
        same = there.keys() == made.keys() and all(there[key].tobytes() == made[key].tobytes() for key in made)
        print("the same" if same else "gguf.quants makes something else")
        return 0 if same else 1
    FILE.parent.mkdir(exist_ok=True)
    save_file(made, FILE)
    print(len(made), "tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
