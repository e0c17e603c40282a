"""Tiny configs of families with experts, changes of keys that must move what they compute, and their routers' loss
(make_goldens.py).

Rounding must not change which experts a token uses: make_goldens.py takes the first seed whose routers tell the last expert
that is used from the next one by NEAREST at every token of all that it computes."""

import torch
from transformers import MixtralConfig

from common import causal_loss
from decoders import ANGLES, HIDDEN, PLAIN, shared

NEAREST = 1e-3


def mixtral(tokenizer):
    return MixtralConfig(**shared(tokenizer, rope_parameters=PLAIN, num_local_experts=5, num_experts_per_tok=2))


CONFIGS = {"mixtral": mixtral}

# per golden: other values of keys, each of which must move the logits
CHANGES = {
    "mixtral": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "num_experts_per_tok": [1, 3], "sliding_window": [3]},
}  # fmt: skip

# from which on seeds are tried, by steps of 1000
SEEDS = {"mixtral": 31400}

# of parameters, as save_pretrained names them; "*" is an expert's number
FILE_NAMES = {
    "mixtral": {"mlp.gate.": "block_sparse_moe.gate.", "gate": "block_sparse_moe.experts.*.w1.weight",
                "up": "block_sparse_moe.experts.*.w3.weight", "down": "block_sparse_moe.experts.*.w2.weight"},
}  # fmt: skip


def apart(model_type, truth):
    """The gradients of a truth by the names and in the parts that files have: experts' matrices as stacks [E, out, in]."""
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
