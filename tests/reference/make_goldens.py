#!/usr/bin/env python3
"""Makes assets/golden: tiny random models as Hugging Face directories, and what PyTorch computes with them in f64.

    python make_goldens.py                  writes assets/golden
    python make_goldens.py --check          makes them anew in a temporary folder and compares
    python make_goldens.py --output DIR --only llama

A folder holds config.json, model.safetensors (f32), tokenizer.json and

    truth.safetensors   input_ids [B,T] i32; logits [B,T,V]; loss [1]; grad.<parameter> for every parameter;
                        batch_ids [20,B,T] i32; adamw_losses [20], adamw_grad_norms [20] (before clipping) and
                        final_loss [1] (of input_ids, after the 20 steps); prompt_ids [P] i32, greedy_ids [N] i32
    optimizers.safetensors  (gpt2, llama) <rule>.losses and .grad_norms [50] of the same batches, over and over, by each rule
                        of OPTIMIZERS, and <rule>.lora.*, which begin at lora/initial; .drift [1] is the
                        most that a loss differs, of itself, where all is computed in f32
    cache_f16.safetensors   (gpt2, llama) logits [N,V] and greedy_ids [N] i32 from prompt_ids when keys and values are
                        rounded to f16 on their way into the KV cache
    truth.json          how the 20 steps were made; texts with their token ids and what those decode to
    lora/               (gpt2, llama, those of LORA) a PEFT adapter with random A and B, its truth.safetensors: logits, loss,
                        grad.<tensor of adapter_model.safetensors>, and, from lora/initial (Kaiming A, zero B):
                        adamw_losses, adamw_grad_norms, final_loss
    ia3/, prompt/       (gpt2, llama) the same for IA3 and prompt tuning, with a begin that is not at rest
    bitfit/, bias/      (gpt2) all biases alone, and beside a LoRA
    prefix/, vera/      (gpt2, llama) keys and values of five tokens; VeRA. prefix-projection/, vera-key/ (llama): computed by a
                        net, which lies beside them; without its matrices, which PEFT draws from the config's key
    tables/             (gpt2, llama) a LoRA of the tokens' table, and of llama's head
    sum/                (gpt2, llama) 0.7 of lora/ and -0.5 of tables/, as PEFT puts them side by side; the last token's logits
    dora/, rslora/      (gpt2, llama) the same for LoRA with magnitudes, and with a rank, an alpha and a scale of its own of
                        some modules; both are also in merged.safetensors: the weights that PEFT merges them into, those
                        of the last layer's attention
    experts/, experts4/ (mixtral, qwen3_moe, gpt_oss) the same for LoRA of experts' own matrices, merged.safetensors with the
                        last layer's experts; logits of a LoRA as transformers 4 had it (expert_adapters.py)

The loss is Hugging Face's with labels = input_ids: T - 1 predictions a row, the mean over all. All is computed in f64
and rounded to f32 at the end. Weights come from NumPy's legacy generator, which is the same in every version."""

import argparse
import json
import pathlib
import re
import shutil
import sys
import tempfile

import numpy as np
import torch
from peft import IA3Config, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config

import decoders
import expert_adapters
import experts
import gpts
import tiny_tokenizers
from common import causal_loss, forward_loss, load_model, off_by_roundings, to_double, train
from matters import ROOT, check_changes, expect_listed, expect_near
from more_adapters import make_more, make_sum

STEPS = {"steps": 20, "learning_rate": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "clip": 1.0}
OPTIMIZERS = {
    "sgd": {"optim": "sgd", "rate": 0.1},
    "momentum": {"optim": "sgd", "rate": 0.05, "momentum": 0.9},
    "nesterov": {"optim": "sgd", "rate": 0.05, "momentum": 0.9, "nesterov": True},
    "lion": {"optim": "lion", "rate": 2e-4, "betas": (0.9, 0.99)},
    "adamw": {"rate": 1e-3},
    "adafactor": {"optim": "adafactor", "rate": 3e-4},
    "adafactor_scaled": {
        "optim": "adafactor", "rate": 2e-3,
        "args": {"scale_parameter": True, "beta1": 0.8, "clip_threshold": 0.5, "decay_rate": -0.7},
    },
    "adamw_8bit": {"optim": "adamw_8bit", "rate": 1e-3, "runs": 5},
    "muon": {"optim": "muon", "rate": 1e-3},
    "muon_original": {
        "optim": "muon", "rate": 5e-3, "args": {"adjust": "original", "nesterov": False, "momentum": 0.9, "adamw_lr": 1e-3},
    },
}  # fmt: skip
MANY_STEPS = 50  # of adapters and optimizers: the batches come again
ADAPTER_RATE = 1e-2  # of IA3 and prompt tuning
GREEDY_TOKENS = 24
CACHE_F16_TOLERANCE = 1e-4  # of the largest logit: room for a number that f32 rounds to the other neighbour in f16
SMALLEST_GAP = 0.02  # between the two best logits on the greedy way, so that f32 takes the same way


def gpt2(tokenizer):
    return GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=64, n_embd=32, n_layer=2, n_head=4,
        bos_token_id=tokenizer.token_to_id(tiny_tokenizers.END), eos_token_id=tokenizer.token_to_id(tiny_tokenizers.END),
    )  # fmt: skip


def llama(tokenizer):
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=72, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        bos_token_id=tokenizer.token_to_id("<|begin|>"), eos_token_id=tokenizer.token_to_id(tiny_tokenizers.END),
    )  # fmt: skip


def llama_tied(tokenizer):
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=36, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=96, rms_norm_eps=1e-5,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip


def mistral(tokenizer):
    # A head_dim that is not hidden_size / heads, as in Mistral NeMo.
    return MistralConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, max_position_embeddings=128, rms_norm_eps=1e-5,
        sliding_window=None, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip


def qwen2(tokenizer):
    return Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=40, intermediate_size=56, num_hidden_layers=2,
        num_attention_heads=5, num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-6,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip


# name: config, tokenizer, batch shape, config.json with rope_theta at the top as transformers 4 wrote it, LoRA targets
MODELS = {
    "gpt2": (gpt2, lambda: tiny_tokenizers.gpt2(288), (2, 24), False, ["c_attn", "c_proj", "c_fc"]),
    "llama": (
        llama, lambda: tiny_tokenizers.split(280, begin="<|begin|>"), (3, 17), True,
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    ),  # fmt: skip
    "llama-tied": (llama_tied, lambda: tiny_tokenizers.split(272, digits=""), (2, 21), False, None),
    "mistral": (mistral, lambda: tiny_tokenizers.sentencepiece(320), (2, 19), True, None),
    "qwen2": (qwen2, lambda: tiny_tokenizers.split(276, digits="", nfc=True), (2, 23), False, None),
} | {
    name: (make_config, lambda: tiny_tokenizers.split(276, digits="", nfc=True), (2, 19), False, None)
    for name, make_config in decoders.CONFIGS.items()
}
SEEDS = {name: 20260 + i for i, name in enumerate(MODELS)} | {name: 20360 + i for i, name in enumerate(gpts.CONFIGS)}
MODELS |= {
    name: (make_config, lambda: tiny_tokenizers.split(276, digits="", nfc=True), (2, 19), False, None)
    for name, make_config in (gpts.CONFIGS | experts.CONFIGS).items()
}
SEEDS |= experts.SEEDS
CHANGES = decoders.CHANGES | gpts.CHANGES | experts.CHANGES
# Keys that say which tensors there are or of what shape, where texts begin and end, how long they are, what the routers' loss is
SHAPES = set(
    "model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
    "max_position_embeddings tie_word_embeddings bos_token_id eos_token_id pad_token_id attention_bias mlp_bias".split()
)
EXPERTS = set("num_experts num_local_experts output_router_logits router_aux_loss_coef".split())
MORE_SHAPES = {
    "gpt2": {"n_embd", "n_inner", "n_layer", "n_positions"}, "gptj": {"n_embd", "n_inner", "n_layer", "n_head", "n_positions"},
    "gpt_neo": {"num_layers", "num_heads"}, "bloom": {"n_layer", "seq_length"},
    "mpt": {"d_model", "expansion_ratio", "max_seq_len", "n_layers", "norm_type"},
    "falcon": set("bias ffn_hidden_size multi_query new_decoder_architecture num_kv_heads num_ln_in_parallel_attn".split()),
    "starcoder2": {"use_bias"}, "stablelm": {"qk_layernorm", "use_qkv_bias"},
    "mixtral": EXPERTS, "olmoe": EXPERTS, "gpt_oss": EXPERTS,
    "qwen3_moe": EXPERTS | {"moe_intermediate_size", "mlp_only_layers", "decoder_sparse_step"},
}  # fmt: skip
# all linear layers of families that fuse queries, keys and values, each in an order of its own
FUSED = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
LORA = {"gpt_neox": FUSED, "bloom": FUSED, "falcon-groups": FUSED,
        "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
        # beside experts, which are parameters and no linear layers: PEFT's defaults (PEFT 0.21 does not find its own), all the rest
        "mixtral": ["q_proj", "v_proj"], "qwen3_moe": ["q_proj", "k_proj", "v_proj", "o_proj"]}  # fmt: skip


def write_json(path, value):
    text = json.dumps(value, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
    path.write_text(text + "\n", encoding="utf-8")


def randomize(model, random):
    """Weights with a spread that makes every part of the model matter; norms near one, biases that are not zero."""
    tied = model.config.tie_word_embeddings
    for name, parameter in sorted(model.named_parameters()):
        noise = random.standard_normal(tuple(parameter.shape))
        if "norm" in name or ".ln_" in name:
            middle = 0.0 if model.config.model_type.startswith("gemma") else 1.0  # Gemma's norms are 1 + weight
            value = 0.1 * noise if name.endswith("bias") else middle + 0.15 * noise
        elif name.endswith("bias"):
            value = 0.2 * noise
        elif "wpe" in name:
            value = 0.3 * noise
        elif any(table in name for table in ("embed_tokens", "embed_in", "wte", "word_embeddings")):
            scaled = model.config.model_type.startswith("gemma")  # its rows are multiplied by the root of their size
            value = (0.2 if scaled else 0.4 if tied else 0.8) * noise
        elif name.endswith("sinks"):
            value = noise
        elif parameter.dim() == 3:
            transposed = model.config.model_type == "gpt_oss"
            value = 1.4 / np.sqrt(parameter.shape[1 if transposed else 2]) * noise
        else:
            fan_in = parameter.shape[0] if model.config.model_type == "gpt2" else parameter.shape[1]
            value = 1.4 / np.sqrt(fan_in) * noise
        with torch.no_grad():
            parameter.copy_(torch.as_tensor(value, dtype=torch.float32))


def old_style_config(config):
    """config.json as most files on the hub have it: rope_theta at the top, torch_dtype, no rope_parameters."""
    config = dict(config)
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["rope_scaling"] = None
    config["torch_dtype"] = config.pop("dtype")
    return dict(sorted(config.items()))


def positions_of(config):
    names = ("max_position_embeddings", "seq_length", "max_seq_len")
    return next(getattr(config, name) for name in names if hasattr(config, name))


def save_model(folder, name, model, tokenizer, old_style):
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    write_json(folder / "config.json", old_style_config(config) if old_style else config)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.id_to_token(model.config.eos_token_id)
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "clean_up_tokenization_spaces": False,
         "model_max_length": positions_of(model.config)},
    )  # fmt: skip


def floats(value):
    return torch.as_tensor(value, dtype=torch.float64).detach().reshape(-1).to(torch.float32)


@torch.no_grad()
def greedy(model, prompt):
    """The greedy continuation of a prompt, and the smallest gap between the two best logits on the way."""
    ids, gap = list(prompt), float("inf")
    for _ in range(GREEDY_TOKENS):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = logits.topk(2).values
        gap = min(gap, (best[0] - best[1]).item())
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :], gap


class HalfCache(DynamicCache):
    """A KV cache that holds what f16 holds."""

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        half = [x.to(torch.float16).to(x.dtype) for x in (key_states, value_states)]
        return super().update(*half, layer_idx, *args, **kwargs)


@torch.no_grad()
def make_cache_f16(folder, model, prompt):
    """The greedy way with such a cache; fails when it is too near a tie, or too near the logits of an f32 cache."""
    ids, rows, gap, change = list(prompt), [], float("inf"), 0.0
    for _ in range(GREEDY_TOKENS):
        given = torch.tensor([ids])
        logits = model(input_ids=given, use_cache=True, past_key_values=HalfCache()).logits[0, -1]
        exact = model(input_ids=given, use_cache=False).logits[0, -1]
        change = max(change, ((logits - exact).abs().max() / logits.abs().max()).item())
        best = logits.topk(2).values
        gap = min(gap, (best[0] - best[1]).item())
        rows.append(logits)
        ids.append(int(logits.argmax()))
    if gap < SMALLEST_GAP or change < 5 * CACHE_F16_TOLERANCE:
        raise SystemExit(f"{folder.name}: a cache in f16: gap {gap:.3f}, logits change by {change:.1e}: change the seed")
    greedy_ids = torch.tensor(ids[len(prompt) :], dtype=torch.int32)
    save_file({"logits": torch.stack(rows).float(), "greedy_ids": greedy_ids}, folder / "cache_f16.safetensors")
    print(f"{folder.name:11} cache in f16: logits change by {change:.1e} of the largest, gap {gap:.3f}")


def choose_prompt(model, tokenizer):
    """The sentence start whose greedy continuation says most: many distinct tokens, no near ties, no end token."""
    best = (0, None)
    for sentence in tiny_tokenizers.SENTENCES:
        words = sentence.split(" ")
        for count in range(1, 5):
            text = " ".join(words[:count])
            prompt = tokenizer.encode(text).ids
            continuation, gap = greedy(model, prompt)
            distinct = len(set(continuation))
            if gap > SMALLEST_GAP and model.config.eos_token_id not in continuation and distinct > best[0]:
                best = (distinct, (gap, text, prompt, continuation))
    if best[1] is None:
        raise SystemExit("no prompt has a greedy continuation without near ties: change the seed")
    return best[1]


def gradients(model, ids, rename=lambda name: name):
    model.zero_grad(set_to_none=True)
    logits = model(input_ids=ids, use_cache=False).logits
    loss = causal_loss(logits, ids)
    loss.backward()
    own = logits.detach()[:, -ids.shape[1] :]  # without the rows of virtual tokens
    truth = {"logits": own.to(torch.float32).contiguous(), "loss": floats(loss)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            truth["grad." + rename(name)] = parameter.grad.to(torch.float32).contiguous()
    return truth


def training(model, batches, ids, rate=STEPS["learning_rate"], loss_of=forward_loss, accumulation=1):
    steps = list(
        train(model, batches, lambda step: rate, clip=STEPS["clip"], decay=STEPS["weight_decay"],
              betas=tuple(STEPS["betas"]), eps=STEPS["eps"], loss_of=loss_of, accumulation=accumulation)
    )  # fmt: skip
    model.eval()
    with torch.no_grad():
        final = causal_loss(model(input_ids=ids, use_cache=False).logits, ids)
    return {
        "adamw_losses": floats([loss for loss, _ in steps]),
        "adamw_grad_norms": floats([norm for _, norm in steps]),
        "final_loss": floats(final),
    }


def make_optimizers(folder, batches):
    """Each rule's steps in f64, of the whole model and of LoRA; and how far PyTorch's in f32 are from them. Where moments are rounded
    to 8 bits, one run in f32 may be lucky: there it is the worst of some, from weights that are off by roundings too."""
    truth = {}
    for name, lora in ((name, lora) for name in OPTIMIZERS for lora in (False, True)):
        settings = {"clip": STEPS["clip"], "decay": STEPS["weight_decay"]} | OPTIMIZERS[name]
        rate, runs = settings.pop("rate"), settings.pop("runs", 1)

        def steps(double, seed=None):
            model = load_model(folder)
            if lora:  # noqa: B023
                model = PeftModel.from_pretrained(model, folder / "lora" / "initial", is_trainable=True)
            if double:
                to_double(model)
            if seed is not None:
                off_by_roundings(model, seed)
            return np.array(list(train(model, batches, lambda step: rate, **settings)))  # noqa: B023

        made, singles = steps(True), [steps(False)] + [steps(False, seed) for seed in range(runs - 1)]
        whole = name + (".lora" if lora else "")
        truth[whole + ".losses"], truth[whole + ".grad_norms"] = floats(made[:, 0]), floats(made[:, 1])
        truth[whole + ".drift"] = floats(max(np.abs(single[:, 0] / made[:, 0] - 1).max() for single in singles))
        print(f"{folder.name:11} {whole}: loss {made[0, 0]:.3f} -> {made[-1, 0]:.3f}, in f32 off by {truth[whole + '.drift'][0]:.1e}")
    save_file(truth, folder / "optimizers.safetensors")


def save_adapter(model, folder):
    above = folder.parent if folder.name in model.peft_config else folder  # PEFT makes a folder for one that has a name
    model.save_pretrained(above)
    (above / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = ".."
    for key in ("target_modules", "target_parameters", "feedforward_modules"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    config.pop("peft_version", None)
    write_json(folder / "adapter_config.json", config)


def adapter_name(name):
    if name.startswith("prompt_encoder."):
        return "prompt_embeddings"
    return re.sub(r"\.default(\.|$)", r"\1", name)


def make_lora(folder, targets, ids, batches, random):
    """False: rounding would change which experts its tokens use."""
    near = experts.Nearness()
    base = folder
    folder = folder / "lora"
    fan_in_fan_out = "c_attn" in targets
    config = LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, fan_in_fan_out=fan_in_fan_out, task_type="CAUSAL_LM"
    )
    model = get_peft_model(load_model(base), config)
    adapters = sorted((n, p) for n, p in model.named_parameters() if "lora_" in n)
    with torch.no_grad():
        for name, parameter in adapters:
            bound = 1.0 / np.sqrt(parameter.shape[1])  # Kaiming uniform with a = sqrt(5), as PEFT makes A
            value = random.uniform(-bound, bound, tuple(parameter.shape)) if "lora_A" in name else 0.0
            parameter.copy_(torch.as_tensor(value, dtype=torch.float32).expand_as(parameter))
    save_adapter(model, folder / "initial")
    with torch.no_grad():
        for name, parameter in adapters:
            spread = 0.15 if "lora_A" in name else 0.1
            parameter.copy_(torch.as_tensor(spread * random.standard_normal(tuple(parameter.shape))))
    save_adapter(model, folder)

    model = near.watch(PeftModel.from_pretrained(load_model(base), folder, is_trainable=True))
    to_double(model)
    truth = gradients(model, ids, adapter_name)
    model = near.watch(PeftModel.from_pretrained(load_model(base), folder / "initial", is_trainable=True))
    to_double(model)
    truth.update(training(model, batches, ids))
    save_file(truth, folder / "truth.safetensors")
    losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
    print(f"{base.name:11} lora: loss {losses[0]:.3f} -> {losses[1]:.3f}")
    return near.smallest >= experts.NEAREST


def make_other_adapters(folder, targets, ids, batches, random):
    """IA3 at its default modules, and five virtual tokens, with numbers of their own."""
    fan_in_fan_out = "c_attn" in targets
    configs = {
        "ia3": IA3Config(task_type="CAUSAL_LM", fan_in_fan_out=fan_in_fan_out),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    }
    for name, config in configs.items():
        model = get_peft_model(load_model(folder), config)
        with torch.no_grad():
            for parameter in (p for p in model.parameters() if p.requires_grad):
                value = random.standard_normal(tuple(parameter.shape))
                parameter.copy_(torch.as_tensor(1 + 0.3 * value if name == "ia3" else 0.6 * value))
        save_adapter(model, folder / name)
        truth = {}
        for part in ("gradients", "training"):
            model = get_peft_model(load_model(folder), config)
            saved = load_file(folder / name / "adapter_model.safetensors")
            with torch.no_grad():
                for key, parameter in model.named_parameters():
                    if parameter.requires_grad:
                        parameter.copy_(saved[adapter_name(key)])
            to_double(model)
            if part == "training":
                truth.update(training(model, batches, ids, ADAPTER_RATE))
            else:
                truth.update(gradients(model, ids, adapter_name))
        save_file(truth, folder / name / "truth.safetensors")
        losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
        print(f"{folder.name:11} {name}: loss {losses[0]:.3f} -> {losses[1]:.3f}")


def make_variants(folder, targets, ids, batches, seed):
    """LoRA's variants at all linear layers, with numbers of their own."""
    random = np.random.RandomState(seed)  # of its own, so that nothing else depends on it
    fan_in_fan_out = "c_attn" in targets
    common = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": targets, "task_type": "CAUSAL_LM",
              "fan_in_fan_out": fan_in_fan_out}  # fmt: skip
    some = {"c_attn": 2, "c_fc": 6} if fan_in_fan_out else {"k_proj": 2, "model.layers.1.mlp.up_proj": 6}
    configs = {
        "dora": LoraConfig(use_dora=True, **common),
        "rslora": LoraConfig(use_rslora=True, rank_pattern=some, alpha_pattern={next(iter(some)): 3}, **common),
    }
    for name, config in configs.items():
        model = get_peft_model(load_model(folder), config)
        with torch.no_grad():
            for key, parameter in sorted((k, p) for k, p in model.named_parameters() if p.requires_grad):
                value = torch.as_tensor(random.standard_normal(tuple(parameter.shape)), dtype=torch.float32)
                if "magnitude" in key:
                    parameter.mul_(1 + 0.1 * value)
                else:
                    parameter.copy_((0.15 if "lora_A" in key else 0.1) * value)
        save_adapter(model, folder / name)
        merged = PeftModel.from_pretrained(load_model(folder), folder / name).merge_and_unload().state_dict()
        kept = {k: v.contiguous() for k, v in merged.items() if re.search(r"\.1\.(attn\.c_attn|self_attn\.[qk]_proj)\.weight$", k)}
        save_file(kept, folder / name / "merged.safetensors")
        truth = {}
        for part in ("gradients", "training"):
            model = PeftModel.from_pretrained(load_model(folder), folder / name, is_trainable=True)
            to_double(model)
            made = training(model, batches, ids) if part == "training" else gradients(model, ids, adapter_name)
            truth.update(made)
        save_file({strip_weight(key): value for key, value in truth.items()}, folder / name / "truth.safetensors")
        losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
        print(f"{folder.name:11} {name}: loss {losses[0]:.3f} -> {losses[1]:.3f}")


def strip_weight(key):
    """PEFT's files have magnitudes without the ending."""
    return key.removesuffix(".weight") if "lora_magnitude_vector" in key else key


def check_keys(folder, name, ids, want):
    """Each key that Tuff reads moves the logits, with what the family's other goldens change."""
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    alike = [other for other in CHANGES if other.split("-")[0] == name.split("-")[0]]
    family = kind if name in gpts.CHANGES else "llama"
    expect_listed(name, config, family, {key for other in alike for key in CHANGES[other]}, SHAPES | MORE_SHAPES.get(kind, set()))
    logits = lambda changed: load_model(changed, double=True)(input_ids=ids, use_cache=False).logits
    moves = check_changes(folder, CHANGES[name], logits, want)
    print(f"{name:17} {len(moves)} changes of keys move the logits, by {min(moves):.1e} and more")


def make_balanced(folder, truth, batches, ids, near):
    """The losses with that of the routers in them: of whole batches, and of micro-batches of one row, each of which has a
    loss of its routers of its own (apart.safetensors)."""
    model = near.watch(load_model(folder, double=True))
    truth.update(training(model, batches, ids, loss_of=experts.loss_with_balance))
    model = near.watch(load_model(folder, double=True))
    rows = batches.reshape(-1, 1, batches.shape[2])
    made = training(model, rows, ids, loss_of=experts.loss_with_balance, accumulation=batches.shape[1])
    made["batch_ids"] = torch.as_tensor(batches, dtype=torch.int32)
    save_file(made, folder / "apart.safetensors")


def make(output, name, seed):
    """Makes a golden; false: rounding would change which experts its tokens use."""
    near = experts.Nearness()
    make_config, make_tokenizer, shape, old_style, targets = MODELS[name]
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.RandomState(seed)
    tokenizer = make_tokenizer()
    model = AutoModelForCausalLM.from_config(make_config(tokenizer), attn_implementation="exact").float()
    randomize(model, random)
    save_model(folder, name, model, tokenizer, old_style)

    vocabulary = tokenizer.get_vocab_size()
    ids = torch.as_tensor(random.randint(0, vocabulary, shape), dtype=torch.long)
    # Few distinct tokens in a fixed order with noise: something to learn in 20 steps.
    cycle = random.permutation(vocabulary)[:24]
    batches = cycle[(np.arange(shape[1]) + random.randint(0, 24, (STEPS["steps"], shape[0], 1))) % 24]
    noise = random.uniform(size=batches.shape) < 0.1
    batches = np.where(noise, random.randint(0, vocabulary, batches.shape), batches)

    model = load_model(folder, double=True)
    truth = {"input_ids": ids.to(torch.int32), "batch_ids": torch.as_tensor(batches, dtype=torch.int32)}
    near.watch(model)
    model_type = model.config.model_type
    truth.update(experts.apart(model_type, gradients(model, ids, gpts.FILE_NAMES.get(model_type, lambda name: name))))
    if near.smallest < experts.NEAREST:
        return False
    if getattr(model.config, "output_router_logits", False):
        make_balanced(folder, truth, batches, ids, near)
    else:
        truth.update(training(near.watch(load_model(folder, double=True)), batches, ids))
    if near.smallest < experts.NEAREST:
        return False
    model = load_model(folder, double=True)
    check_keys(folder, name, ids, truth["logits"])
    gap, prompt, prompt_ids, continuation = choose_prompt(model, tokenizer)
    truth["prompt_ids"] = torch.tensor(prompt_ids, dtype=torch.int32)
    truth["greedy_ids"] = torch.tensor(continuation, dtype=torch.int32)
    greedy(near.watch(model), prompt_ids)
    if near.smallest < experts.NEAREST:
        return False
    save_file(truth, folder / "truth.safetensors")

    texts = [
        {"text": text, "ids": ids_, "decoded": tokenizer.decode(ids_, skip_special_tokens=True)}
        for text, ids_ in ((t, tokenizer.encode(t).ids) for t in tiny_tokenizers.TEXTS + tiny_tokenizers.SENTENCES[-1:])
    ]
    write_json(
        folder / "truth.json",
        {"adamw": STEPS, "prompt": prompt, "greedy_smallest_gap": round(gap, 4), "texts": texts},
    )
    if targets:
        make_cache_f16(folder, load_model(folder, double=True), prompt_ids)
        batches = np.resize(batches, (MANY_STEPS, *batches.shape[1:]))
        make_lora(folder, targets, ids, batches, random)
        make_optimizers(folder, batches)
        make_other_adapters(folder, targets, ids, batches, random)
        make_variants(folder, targets, ids, batches, seed + 500)
        make_more(folder, name == "gpt2", ids, batches, seed + 600, save_adapter, gradients, training)
        make_sum(folder, ids, save_adapter)
    elif name in LORA:
        while not make_lora(folder, LORA[name], ids, batches, random):
            pass
    expert_adapters.make_expert_adapters(folder, name, ids, batches, seed, sys.modules[__name__])

    single = load_model(folder)
    error = expect_near(name, single(input_ids=ids, use_cache=False).logits, truth["logits"])
    losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
    print(f"{name:11} f32 logits differ by {error:.1e}; loss {losses[0]:.3f} -> {losses[1]:.3f}, gap {gap:.3f}")
    if near.smallest < float("inf"):
        print(f"{name:11} seed {seed}: the nearest of unused experts is {near.smallest:.1e} behind")
    return True


def compare(expected, made, besides=()):
    """Prints what differs between two golden folders, besides files that other scripts make; returns the number of differences."""
    names = {path.relative_to(root) for root in (expected, made) for path in root.rglob("*") if path.is_file()}
    names -= {pathlib.Path(name) for name in besides}
    wrong = []
    for name in sorted(names):
        left, right = expected / name, made / name
        if not left.is_file() or not right.is_file():
            wrong.append(f"{name}: only in {'the new' if right.is_file() else 'the committed'} folder")
        elif name.suffix == ".safetensors":
            wrong += [f"{name}: {text}" for text in compare_tensors(load_file(left), load_file(right))]
        elif left.read_bytes() != right.read_bytes():
            wrong.append(f"{name}: differs")
    for line in wrong:
        print(line)
    return len(wrong)


def others(folder):
    """Files of a golden's folder that make_bottleneck_goldens.py makes."""
    return [path.relative_to(folder) for kind in ("bottleneck*", "houlsby") for path in folder.glob(f"{kind}/*")]


def compare_tensors(left, right):
    for name in sorted(set(left) | set(right)):
        if name not in left or name not in right:
            yield f"tensor {name} is in one file only"
        elif left[name].dtype != right[name].dtype or left[name].shape != right[name].shape:
            yield f"tensor {name} has another type or shape"
        else:
            a, b = left[name].double(), right[name].double()
            error = ((a - b).abs().max() / a.abs().max().clamp_min(1e-30)).item() if a.numel() else 0.0
            if error > 2e-7:
                yield f"tensor {name} differs by {error:.1e} of its largest value"


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
            seed = SEEDS[name]
            while not make(output, name, seed):
                seed += 1000
        if arguments.check:
            wrong = sum(compare(arguments.output / name, output / name, others(arguments.output / name)) for name in names)
            print("the goldens are what this script makes" if not wrong else f"{wrong} differences")
            return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
