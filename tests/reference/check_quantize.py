#!/usr/bin/env python3
"""Quantizes a model by Tuff and by llama.cpp's llama-quantize: the types of all tensors, the bytes where there is one way
to make them, and how large the errors are where there are many.

    python check_quantize.py --tuff build/default/tuff [--quantize llama-quantize] [--prefix "chroot DIR"] [--work DIR] MODEL

--prefix runs llama-quantize elsewhere, where --work is seen as --seen. Exit status 1 when a type, a byte or a key of the
metadata differs, or an error of Tuff's is more than 1.01 times llama.cpp's."""

import argparse
import pathlib
import shlex
import subprocess
import sys
import tempfile

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

MIXES = (
    "q8_0 q6_k q5_k_m q5_k_s q4_k_m q4_k_s q3_k_l q3_k_m q3_k_s q2_k q5_1 q5_0 q4_1 q4_0 iq4_nl mxfp4"
).split()  # fmt: skip
NAMES = {"mxfp4": "MXFP4_MOE"}
SAME = {"F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"}


def read(path):
    reader = GGUFReader(path)
    keys = {key: reader.fields[key].contents() for key in ("general.file_type", "general.quantization_version")}
    return keys, {tensor.name: tensor for tensor in reader.tensors}


def numbers(tensor):
    return np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float64).reshape(-1)


def compare(mix, whole, ours, theirs):
    """Ratios of errors by type; what differs."""
    (our_keys, our), (their_keys, their) = read(ours), read(theirs)
    bad, errors = [], {}
    if our_keys != their_keys:
        bad.append(f"metadata {our_keys}, llama.cpp has {their_keys}")
    for name, tensor in their.items():
        kind, found = tensor.tensor_type.name, our[name].tensor_type.name
        if found != kind:
            bad.append(f"{name} is {found}, llama.cpp has {kind}")
        elif kind in SAME:
            differ = int((our[name].data != tensor.data).sum())
            if differ:
                bad.append(f"{name} as {kind}: {differ} of {tensor.data.size} bytes differ")
        else:
            x = numbers(whole[name])
            sums = errors.setdefault(kind, np.zeros(2))
            sums += [((numbers(t) - x) ** 2).sum() for t in (our[name], tensor)]
    return bad, {kind: float(np.sqrt(a / b)) for kind, (a, b) in errors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tuff", default="build/default/tuff")
    parser.add_argument("--quantize", default="llama-quantize")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.mkdtemp()))
    parser.add_argument("--seen")
    parser.add_argument("--types", default=",".join(MIXES))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    seen, failed = options.seen or str(options.work), 0
    whole, ours, theirs = (options.work / name for name in ("whole.gguf", "ours.gguf", "theirs.gguf"))
    convert = [options.tuff, "convert", options.model, "--to", "gguf", "--overwrite", "--quiet", "--dtype"]
    subprocess.run([*convert, "f32", "--output", str(whole)], check=True)
    tensors = read_whole(whole)
    for mix in options.types.split(","):
        subprocess.run([*convert, mix, "--output", str(ours)], check=True)
        command = [*shlex.split(options.prefix), options.quantize, f"{seen}/whole.gguf", f"{seen}/theirs.gguf"]
        done = subprocess.run([*command, NAMES.get(mix, mix.upper()), "2"], capture_output=True, text=True)
        if done.returncode:
            print(f"{mix:7} llama.cpp refuses:", done.stderr.strip().splitlines()[-1])
            continue
        bad, ratios = compare(mix, tensors, ours, theirs)
        bad += [f"errors of {kind} are {ratio:.3f} times llama.cpp's" for kind, ratio in ratios.items() if ratio > 1.01]
        print(f"{mix:7}", "the same types;" if not bad else "", *(f"{k} {r:.3f}" for k, r in sorted(ratios.items())))
        for line in bad[:8]:
            print("       ", line)
        failed |= bool(bad)
    return failed


def read_whole(path):
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    assert all(tensor.tensor_type == GGMLQuantizationType.F32 for tensor in tensors.values())
    return tensors


if __name__ == "__main__":
    sys.exit(main())
