"""Tiny configs of families with experts, changes of keys that must move what they compute, and their routers' loss
(make_goldens.py).

Rounding must not change which experts a token uses: make_goldens.py takes the first seed whose routers tell the last expert
that is used from the next one by NEAREST at every token of all that it computes."""

import torch
from transformers import GptOssConfig, MixtralConfig, OlmoeConfig, Qwen3MoeConfig

from common import causal_loss
from decoders import ANGLES, HIDDEN, PLAIN, shared

NEAREST = 1e-3


def mixtral(tokenizer):
    return MixtralConfig(**shared(tokenizer, rope_parameters=PLAIN, num_local_experts=5, num_experts_per_tok=2))


def mixtral_balanced(tokenizer):
    """With a window, heads of another size, and the routers' loss, which is a part of the loss as large as the rest."""
    return MixtralConfig(
        **shared(tokenizer, rope_parameters=PLAIN, num_local_experts=4, num_experts_per_tok=3, head_dim=12, sliding_window=5,
                 tie_word_embeddings=True, output_router_logits=True, router_aux_loss_coef=1.0)
    )  # fmt: skip


def olmoe(tokenizer):
    return OlmoeConfig(
        **shared(tokenizer, num_key_value_heads=4, rope_parameters=PLAIN, num_experts=6, num_experts_per_tok=3)
    )


def olmoe_clip(tokenizer):
    return OlmoeConfig(
        **shared(tokenizer, rope_parameters=PLAIN, num_experts=5, num_experts_per_tok=2, clip_qkv=1.0, norm_topk_prob=True,
                 attention_bias=True, tie_word_embeddings=True)
    )  # fmt: skip


def qwen3_moe(tokenizer):
    return Qwen3MoeConfig(
        **shared(tokenizer, head_dim=12, rope_parameters=PLAIN, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True,
                 moe_intermediate_size=24)
    )  # fmt: skip


def qwen3_moe_dense(tokenizer):
    """The second of three layers is dense; a window in all of them."""
    return Qwen3MoeConfig(
        **shared(tokenizer, num_hidden_layers=3, rope_parameters=PLAIN, use_sliding_window=True, sliding_window=5,
                 num_experts=5, num_experts_per_tok=3, norm_topk_prob=False, moe_intermediate_size=24, mlp_only_layers=[1])
    )  # fmt: skip


def gpt_oss(tokenizer):
    rope = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
            "original_max_position_embeddings": 32}  # fmt: skip
    return GptOssConfig(
        **shared(tokenizer, intermediate_size=32, head_dim=16, rope_parameters=rope, num_local_experts=4,
                 num_experts_per_tok=2, sliding_window=5)
    )  # fmt: skip


def gpt_oss_limit(tokenizer):
    """Numbers that reach their limits; three layers, of which the last has no window either."""
    return GptOssConfig(
        **shared(tokenizer, num_hidden_layers=3, intermediate_size=24, head_dim=8, rope_parameters=PLAIN, num_local_experts=5,
                 num_experts_per_tok=3, sliding_window=5, swiglu_limit=1.0, swiglu_alpha=1.3, tie_word_embeddings=True,
                 layer_types=["sliding_attention", "full_attention", "full_attention"])
    )  # fmt: skip


CONFIGS = {"mixtral": mixtral, "mixtral-balanced": mixtral_balanced, "olmoe": olmoe, "olmoe-clip": olmoe_clip,
           "qwen3_moe": qwen3_moe, "qwen3_moe-dense": qwen3_moe_dense,
           "gpt_oss": gpt_oss, "gpt_oss-limit": gpt_oss_limit}  # fmt: skip

# per golden: other values of keys, each of which must move the logits
CHANGES = {
    "mixtral": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 3], "sliding_window": [3]},
    "mixtral-balanced": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 2], "sliding_window": [None, 3]},
    "olmoe": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [2, 4], "clip_qkv": [1.0],
                                "norm_topk_prob": [True]},
    "olmoe-clip": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 3], "clip_qkv": [None, 0.5],
                                     "norm_topk_prob": [False]},
    "qwen3_moe": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 3], "norm_topk_prob": [False]},
    "qwen3_moe-dense": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 2], "norm_topk_prob": [True],
                                          "use_sliding_window+layer_types": [(False, KeyError)], "sliding_window": [3]},
    "gpt_oss": ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 3], "sliding_window": [3], "swiglu_limit": [1.0],
                         "swiglu_alpha": [1.0], "layer_types": [["full_attention"] * 2]},
    "gpt_oss-limit": ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 2], "sliding_window": [3],
                               "swiglu_limit": [0.5, 7.0], "swiglu_alpha": [1.0], "layer_types": [["full_attention"] * 3]},
}  # fmt: skip

# from which on seeds are tried, by steps of 1000
SEEDS = {"mixtral": 31400, "mixtral-balanced": 30401, "olmoe": 21402, "olmoe-clip": 31403, "qwen3_moe": 28404,
         "qwen3_moe-dense": 30405, "gpt_oss": 20406, "gpt_oss-limit": 20407}  # fmt: skip

# of parameters, as save_pretrained names them; "*" is an expert's number
USUAL = {"mlp.gate.": "mlp.gate.", "gate": "mlp.experts.*.gate_proj.weight", "up": "mlp.experts.*.up_proj.weight",
         "down": "mlp.experts.*.down_proj.weight"}  # fmt: skip
FILE_NAMES = {
    "olmoe": USUAL, "qwen3_moe": USUAL,
    "mixtral": {"mlp.gate.": "block_sparse_moe.gate.", "gate": "block_sparse_moe.experts.*.w1.weight",
                "up": "block_sparse_moe.experts.*.w3.weight", "down": "block_sparse_moe.experts.*.w2.weight"},
}  # fmt: skip


def apart(model_type, truth):
    """The gradients of a truth by the names and in the parts that files have: experts' matrices as stacks [E, out, in]."""
    if model_type == "gpt_oss":
        return apart_by_turns(truth)
    names = FILE_NAMES.get(model_type)
    if not names:
        return truth
    made = {}
    for key, value in truth.items():
        layer, _, what = key.partition("mlp.experts.")
        if what == "gate_up_proj":
            gate, up = value.chunk(2, dim=1)
            made[layer + names["gate"]], made[layer + names["up"]] = gate.contiguous(), up.contiguous()
        elif what == "down_proj":
            made[layer + names["down"]] = value
        else:
            made[key.replace("mlp.gate.", names["mlp.gate."])] = value
    return made


def apart_by_turns(truth):
    """gpt-oss' matrices are [E, in, out], and of what gives gate and up the columns take turns."""
    made = {}
    for key, value in truth.items():
        layer, _, what = key.partition("mlp.experts.")
        kind = "bias" if what.endswith("_bias") else "weight"
        turned = value.transpose(1, 2) if value.dim() == 3 else value
        if what.startswith("gate_up_proj"):
            for which, name in enumerate(("gate_proj", "up_proj")):
                made[f"{layer}mlp.experts.{name}.{kind}"] = turned[:, which::2].contiguous()
        elif what.startswith("down_proj"):
            made[f"{layer}mlp.experts.down_proj.{kind}"] = turned.contiguous()
        else:
            made[key] = value
    return made


def balance(router_logits, used):
    """transformers' load_balancing_loss_func, which goes through f32, in the type of its operands."""
    shares, probable = 0.0, 0.0
    for logits in router_logits:
        probabilities = torch.softmax(logits, dim=-1)
        chosen = torch.zeros_like(logits).scatter_(1, logits.topk(used).indices, 1.0)
        shares, probable = shares + chosen.mean(0), probable + probabilities.mean(0)
    layers, experts = len(router_logits), router_logits[0].shape[-1]
    return experts * (shares * probable).sum() / layers**2


def loss_with_balance(model, ids):
    """The loss of transformers' forward with labels, where config.json asks for the routers' logits."""
    config = model.config
    made = model(input_ids=ids, use_cache=False, output_router_logits=True)
    routers = balance(made.router_logits, config.num_experts_per_tok)
    assert abs(routers.item() - made.aux_loss.item()) < 1e-5 * routers.item(), "transformers' own loss of routers is another"
    return causal_loss(made.logits, ids) + config.router_aux_loss_coef * routers


class Nearness:
    """The smallest difference between a router's last used and next score, of all that its models compute."""

    def __init__(self):
        self.smallest = float("inf")

    def watch(self, model):
        for module in model.modules():
            if type(module).__name__.endswith("TopKRouter"):
                module.register_forward_hook(self.look)
        return model

    def look(self, module, _, output):
        best = output[0].detach().topk(module.top_k + 1, dim=-1).values
        self.smallest = min(self.smallest, (best[:, -2] - best[:, -1]).min().item())
