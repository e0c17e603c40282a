#!/usr/bin/env python3
"""Small files of torch.save, into assets/golden/torch: what `tests/unit/torch_test.c` reads and damages, and the seeds of
the fuzzer. Every tensor is 0, 1, 2, ... by the order of its storage.

    python make_torch_files.py [FOLDER]"""

import collections
import pathlib
import sys

import torch

TYPES = {
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f64": torch.float64,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
    "bool": torch.bool,
}


def numbers(shape, dtype=torch.float32):
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


def state_dict():
    state = collections.OrderedDict((name, numbers((2, 3), dtype)) for name, dtype in TYPES.items())
    whole = numbers((3, 4))
    state["whole"] = whole
    state["tied"] = whole
    state["last_rows"] = whole[1:]
    state["parameter"] = torch.nn.Parameter(numbers((4,)))
    state["trained"] = torch.nn.Parameter(numbers((1, 4)), requires_grad=False)
    state["scalar"] = torch.tensor(7.0)
    state["empty"] = torch.empty(0, 3)
    state["one_column"] = numbers((2, 6))[:, 2:3][:1]
    state["words"] = "no tensor"
    state._metadata = {"": {"version": 1}}
    return state


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "assets/golden/torch")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state_dict(), folder / "state.bin")
    adapter = folder / "adapter"
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q"]}\n')
    name = "base_model.model.h.0.q.lora_"
    torch.save({name + "A.weight": numbers((2, 3)), name + "B.weight": numbers((4, 2))}, adapter / "adapter_model.bin")
    torch.save({"a": numbers((2, 3)).t()}, folder / "turned.bin")
    torch.save({"epoch": 3, "model": {"a": numbers((2,))}, "rates": [0.5, 1e-3]}, folder / "checkpoint.bin")
    torch.save({"a": numbers((2,))}, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), folder / "module.bin")
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), folder / "script.bin")


if __name__ == "__main__":
    main()
