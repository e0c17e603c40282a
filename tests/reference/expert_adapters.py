"""LoRA of experts' own matrices beside PEFT, for make_goldens.py: "experts/" of PEFT's target_parameters, "experts4/" of
files that PEFT made with transformers 4, where each expert had linear layers of its own."""

import json
import re

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import experts
from common import load_model, to_double

# name: modules, parameters: both matrices and the router; the outer one alone, without modules; columns by turns
TARGETS = {
    "mixtral": (["q_proj", "v_proj"], ["mlp.experts.down_proj", "mlp.experts.gate_up_proj", "mlp.gate.weight"]),
    "qwen3_moe": ([], ["mlp.experts.down_proj"]),
    "gpt_oss": (["q_proj"], ["experts.down_proj", "experts.gate_up_proj"]),
}
RANKS = {"experts.down_proj": 2}
# transformers 4's modules of an expert
APART = {"mixtral": ("block_sparse_moe.experts", "w1", "w3", "w2"), "qwen3_moe": ("mlp.experts", "gate_proj", "up_proj", "down_proj")}


def numbers(model, random, spread_a, spread_b):
    with torch.no_grad():
        for name, parameter in sorted((n, p) for n, p in model.named_parameters() if "lora_" in n):
            value = (spread_a if "lora_A" in name else spread_b) * random.standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.as_tensor(value, dtype=torch.float32))


def make_parameters(folder, targets, ids, batches, seed, tools):
    """False: rounding would change which experts its tokens use."""
    near = experts.Nearness()
    modules, parameters = targets
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=modules, target_parameters=parameters,
                        rank_pattern=RANKS, task_type="CAUSAL_LM")  # fmt: skip
    model = get_peft_model(load_model(folder), config)
    numbers(model, np.random.RandomState(seed), 0.15, 0.1)
    made = folder / "experts"
    tools.save_adapter(model, made)
    truth = {}
    for part in ("gradients", "training"):
        model = near.watch(PeftModel.from_pretrained(load_model(folder), made, is_trainable=True))
        to_double(model)
        truth.update(tools.training(model, batches, ids) if part == "training" else tools.gradients(model, ids, tools.adapter_name))
        if near.smallest < experts.NEAREST:
            return False
    save_file(truth, made / "truth.safetensors")
    merged = PeftModel.from_pretrained(load_model(folder), made).merge_and_unload().state_dict()
    kept = {k: v.contiguous() for k, v in merged.items() if re.search(r"\.1\.mlp\.(experts\.|gate\.weight)", k) and "bias" not in k}
    save_file(kept, made / "merged.safetensors")
    losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
    print(f"{folder.name:11} experts: loss {losses[0]:.3f} -> {losses[1]:.3f}, nearest {near.smallest:.1e}")
    return True


def make_apart(folder, names, ids, seed, tools):
    """As transformers 4 had them; PEFT puts them together. Each has numbers of its own; False as above."""
    random = np.random.RandomState(seed)
    near = experts.Nearness()
    model = load_model(folder)
    container, *matrices = names
    made = folder / "experts4"
    made.mkdir(exist_ok=True)
    config = model.config
    count = getattr(config, "num_local_experts", None) or config.num_experts
    width = getattr(config, "moe_intermediate_size", None) or config.intermediate_size
    sizes = [(config.hidden_size, width), (config.hidden_size, width), (width, config.hidden_size)]
    tensors = {}
    for layer in range(config.num_hidden_layers):
        start = f"base_model.model.model.layers.{layer}."
        router = f"{start}{container.removesuffix('experts')}gate."
        tensors[router + "lora_A.weight"] = 0.15 * random.standard_normal((3, config.hidden_size))
        tensors[router + "lora_B.weight"] = 0.1 * random.standard_normal((count, 3))
        for expert in range(count):
            for matrix, (inner, outer) in zip(matrices, sizes):
                key = f"{start}{container}.{expert}.{matrix}."
                tensors[key + "lora_A.weight"] = 0.15 * random.standard_normal((3, inner))
                tensors[key + "lora_B.weight"] = 0.1 * random.standard_normal((outer, 3))
    save_file({k: torch.as_tensor(v, dtype=torch.float32) for k, v in tensors.items()}, made / "adapter_model.safetensors")
    settings = {"base_model_name_or_path": "..", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
                "lora_alpha": 6, "lora_dropout": 0.0, "peft_type": "LORA", "r": 3, "target_modules": ["gate", *matrices],
                "task_type": "CAUSAL_LM"}  # fmt: skip
    tools.write_json(made / "adapter_config.json", settings)
    model = near.watch(PeftModel.from_pretrained(model, made))
    to_double(model)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
    if near.smallest < experts.NEAREST:
        return False
    save_file({"logits": logits.float().contiguous()}, made / "truth.safetensors")
    print(f"{folder.name:11} experts4: the nearest of unused experts is {near.smallest:.1e} behind")
    return True


def make_expert_adapters(folder, name, ids, batches, seed, tools):
    """Seeds of their own, so that nothing else depends on them."""
    first, last = seed + 100_000, seed + 200_000
    while name in TARGETS and not make_parameters(folder, TARGETS[name], ids, batches, first, tools):
        first += 1
    while name in APART and not make_apart(folder, APART[name], ids, last, tools):
        last += 1
