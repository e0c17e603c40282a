"""The goldens of adapters that came after LoRA, IA3 and prompt tuning, for make_goldens.py: each a folder beside the model as
PEFT writes it, with its truth.safetensors (logits, loss, gradients, 50 steps of AdamW that begin as the folder is)."""

import copy

import numpy as np
import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, TrainableTokensConfig, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from common import load_model, to_double

LORA_RATE = 1e-3
OTHER_RATE = 1e-2  # of what is far from the model's weights in size


def trained(model):
    return sorted((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def shift(_, old, noise):
    return old + 0.3 * noise


def lora_or_shift(name, old, noise):
    return (0.15 if "lora_A" in name else 0.1) * noise if "lora_" in name else shift(name, old, noise)


def vectors(name, old, noise):
    return (0.3 if "lambda_b" in name else 0.5) * noise


def prefix(name, old, noise):
    return noise * (0.7 if "embedding" in name else 0.3 if name.endswith("bias") else 1 / np.sqrt(noise.shape[1]))


def configs_of(gpt2):
    """name: config, how its tensors begin, the rate."""
    wide = {"task_type": "CAUSAL_LM", "fan_in_fan_out": gpt2}
    targets = ["c_attn", "c_proj"] if gpt2 else ["q_proj", "v_proj", "up_proj", "down_proj"]
    configs = {
        "prefix": (PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), prefix, OTHER_RATE),
        "vera": (VeraConfig(r=12, target_modules=targets, projection_prng_key=11, **wide), vectors, OTHER_RATE),
    }
    tables = ["wte", "c_attn"] if gpt2 else ["embed_tokens", "lm_head", "q_proj"]  # GPT-2's head is tied to its table
    configs["tables"] = (LoraConfig(r=4, lora_alpha=8, target_modules=tables, **wide), lambda name, old, noise: 0.15 * noise, LORA_RATE)
    if gpt2:
        # rows of the tokens' table, which the tied head has too; others of the head than of the table; rows alone
        rows = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn"], trainable_token_indices=[26, 146, 5], **wide)
        apart = LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn"], trainable_token_indices={"wte": [146, 230], "lm_head": [83]}, **wide)
        alone = TrainableTokensConfig(token_indices=[230, 26], task_type="CAUSAL_LM")
        configs |= {"tokens": (rows, lora_or_shift, LORA_RATE), "tokens-apart": (apart, lora_or_shift, LORA_RATE), "tokens-alone": (alone, shift, OTHER_RATE)}  # fmt: skip
    else:
        rows = {"embed_tokens": [7, 149], "lm_head": [114, 149, 3]}
        configs["tokens"] = (LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"], trainable_token_indices=rows, **wide), lora_or_shift, LORA_RATE)
    if gpt2:
        configs["bitfit"] = (LoraConfig(target_modules="dummy-target-modules", bias="all", task_type="CAUSAL_LM"), shift, OTHER_RATE)
        configs["bias"] = (LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], bias="all", **wide), lora_or_shift, LORA_RATE)
    else:
        configs["prefix-projection"] = (
            PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, prefix_projection=True, encoder_hidden_size=12), prefix, LORA_RATE,
        )  # fmt: skip
        # without its matrices, which the key tells
        configs["vera-key"] = (VeraConfig(r=9, target_modules=["k_proj", "gate_proj"], projection_prng_key=5, save_projection=False, **wide), vectors, OTHER_RATE)  # fmt: skip
    return configs


def tensor_name(name):
    """What Tuff calls a trained tensor: those of an adapter as its file does, parameters of the model as the model does."""
    name = name.replace(".default", "")
    if "lora_" in name or "vera_" in name or "trainable_tokens_" in name:
        return name
    if name == "prompt_encoder.embedding.weight":
        return "prompt_embeddings"
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


def inner_name(name):
    return name.replace(".default", "")


def begin_anew(folder, config, begin, seed):
    """PEFT has no way back to training from a prefix that it saved."""
    random = np.random.RandomState(seed)  # of its own, so that none depends on another
    model = get_peft_model(load_model(folder), copy.deepcopy(config))
    with torch.no_grad():
        for key, parameter in trained(model):
            noise = torch.as_tensor(random.standard_normal(tuple(parameter.shape)), dtype=torch.float32)
            parameter.copy_(begin(key, parameter, noise))
    return model


def double(model):
    to_double(model)
    return model


def make_sum(folder, ids, save_adapter):
    """Two LoRAs by their weights, as PEFT puts them side by side; the logits of the last token."""
    parts = {"lora": 0.7, "tables": -0.5}
    model = load_model(folder)
    for name in parts:
        first = not isinstance(model, PeftModel)
        model = PeftModel.from_pretrained(model, folder / name, name) if first else model
        if not first:
            model.load_adapter(folder / name, name)
    model.add_weighted_adapter(list(parts), list(parts.values()), "sum", combination_type="cat")
    model.set_adapter("sum")
    for name in parts:
        model.delete_adapter(name)
    save_adapter(model, folder / "sum")
    with torch.no_grad():
        logits = double(model).eval()(input_ids=ids, use_cache=False).logits
    save_file({"input_ids": ids.to(torch.int32), "logits": logits[:, -1].to(torch.float32).contiguous()}, folder / "sum" / "truth.safetensors")
    print(f"{folder.name:11} sum: logits up to {logits.abs().max().item():.2f}")


def make_more(folder, gpt2, ids, batches, seed, save_adapter, gradients, training):
    for name, (config, begin, rate) in configs_of(gpt2).items():
        anew, inner = name.startswith("prefix"), name == "prefix-projection"
        model = begin_anew(folder, config, begin, seed)
        save_adapter(model, folder / name)
        if inner:  # with what it is computed from, as Tuff writes it, which PEFT passes over
            file = folder / name / "adapter_model.safetensors"
            save_file(load_file(file) | {inner_name(key): value.detach() for key, value in trained(model)}, file)

        def load():
            if anew:
                return double(begin_anew(folder, config, begin, seed))  # noqa: B023
            return double(PeftModel.from_pretrained(load_model(folder), folder / name, is_trainable=True))  # noqa: B023

        truth = gradients(load(), ids, inner_name if inner else tensor_name)
        again = double(PeftModel.from_pretrained(load_model(folder), folder / name))
        with torch.no_grad():
            difference = (again(input_ids=ids, use_cache=False).logits - truth["logits"]).abs().max().item()
        if difference > 1e-5:
            raise SystemExit(f"{folder.name}/{name}: what PEFT saved differs by {difference:.1e}")
        truth.update(training(load(), batches, ids, rate))
        save_file(truth, folder / name / "truth.safetensors")
        losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
        print(f"{folder.name:11} {name}: loss {losses[0]:.3f} -> {losses[1]:.3f}")
