#!/usr/bin/env python3
"""Files as other programs write them, read by Tuff: a state_dict of torch.save, whole and in shards, and a GGUF in parts,
as gguf's writer splits it. What Tuff makes of each must be, byte for byte, what it makes of the file they come from.

    python check_files.py --tuff build/release/tuff assets/golden/llama assets/golden/bert ..."""

import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gguf
import torch
from safetensors.torch import load_file

WEIGHTS = {"model.safetensors", "truth.safetensors"}


def convert(options, source, target, to):
    command = [options.tuff, "convert", str(source), "--to", to, "--dtype", "f32", "--output", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")


def save_torch(source, target, shards):
    target.mkdir()
    for file in source.iterdir():
        if file.is_file() and file.name not in WEIGHTS:
            shutil.copy(file, target)
    state = collections.OrderedDict(load_file(source / "model.safetensors"))
    if shards == 1:
        torch.save(state, target / "pytorch_model.bin")
        return
    names, weight_map = list(state), {}
    for shard in range(shards):
        name = f"pytorch_model-{shard + 1:05}-of-{shards:05}.bin"
        part = names[shard::shards]
        torch.save({key: state[key] for key in part}, target / name)
        weight_map.update((key, name) for key in part)
    (target / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def split_gguf(source, stem, tensors, small_first):
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(stem, architecture, split_max_tensors=tensors, small_first_shard=small_first)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        item = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=item)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(stem.parent.glob(f"{stem.stem}-*-of-*.gguf"))


def same(name, a, b):
    equal = a.read_bytes() == b.read_bytes()
    print(f"{name}: {'the same' if equal else 'DIFFERS'}")
    return equal


def check(options, source, folder):
    good = True
    convert(options, source, folder / "plain", "hf")
    plain = folder / "plain" / "model.safetensors"
    for shards in (1, 3):
        save_torch(source, folder / f"torch{shards}", shards)
        convert(options, folder / f"torch{shards}", folder / f"hf{shards}", "hf")
        good &= same(f"{source.name}, torch.save in {shards}", folder / f"hf{shards}" / "model.safetensors", plain)
    if options.no_gguf:
        return good
    convert(options, source, folder / "whole.gguf", "gguf")
    convert(options, folder / "whole.gguf", folder / "whole", "hf")
    for small_first in (False, True):
        stem = folder / f"parts{int(small_first)}.gguf"
        parts = split_gguf(folder / "whole.gguf", stem, 5, small_first)
        for part in (parts[0], parts[-1]):
            target = folder / f"from-{part.stem}"
            convert(options, part, target, "hf")
            label = f"{source.name}, GGUF in {len(parts)} parts, by {part.name}"
            good &= same(label, target / "model.safetensors", folder / "whole" / "model.safetensors")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--no-gguf", action="store_true", help="for models that no GGUF can hold")
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="Hugging Face directories with model.safetensors")
    options = parser.parse_args()
    good = True
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(options, model, pathlib.Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
