"""What the reference scripts share: models of transformers in true double precision, the loss, the training step."""

import argparse
import math
import pathlib
import re
import tempfile
import types

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.bloom import modeling_bloom as bloom
from transformers.models.cohere2 import modeling_cohere2 as cohere2
from transformers.models.falcon import modeling_falcon as falcon
from transformers.models.gpt_neo import modeling_gpt_neo as gpt_neo
from transformers.models.gptj import modeling_gptj as gptj
from transformers.models.modernbert import modeling_modernbert as modernbert
from transformers.optimization import Adafactor
from transformers.pytorch_utils import Conv1D

transformers.utils.logging.disable_progress_bar()


LOSS_MOVES = 1e-6  # of a loss: a tenth of what the tests allow

def write_or_check(doc, output, part, make, check, options=None, first=None):
    """What scripts do whose make(folder) writes the `part` of `output`; the exit code. With --check it is made anew elsewhere, and
    check(committed, made) tells in how many places they differ. `options` adds options to a parser; what `first` makes of them,
    unless that is None, is the exit code."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=output)
    parser.add_argument("--check", action="store_true", help="compare with --output instead of writing it")
    if options:
        options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    code = first(arguments) if first else None
    if code is not None:
        return code
    if not arguments.check:
        make(arguments.output)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        make(pathlib.Path(scratch))
        return 1 if check(arguments.output / part, pathlib.Path(scratch) / part) else 0


def load_model(directory, double=False, kind=AutoModelForCausalLM):
    """The language model of a Hugging Face directory, in f32 or in double, ready to train without dropout."""
    model = kind.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="exact", experts_implementation="eager", local_files_only=True
    )
    if double:
        to_double(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def _attention(module, query, key, value, mask, scaling=None, softcap=None, position_bias=None, s_aux=None, **_):
    """Attention in the type of its operands: transformers' own goes through f32, PyTorch's has no softcap."""
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if position_bias is not None:
        scores = scores + position_bias
    scores = scores if mask is None else scores + mask
    if s_aux is not None:  # gpt-oss' sinks, which take weight and give nothing
        sinks = s_aux.reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        weights = torch.softmax(torch.cat((scores, sinks), dim=-1), dim=-1)[..., :-1]
    else:
        weights = torch.softmax(scores, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register("exact", _attention)
AttentionMaskInterface.register("exact", ALL_MASK_ATTENTION_FUNCTIONS["eager"])
gptj.GPTJ_ATTENTION_CLASSES["exact"] = gptj.GPTJAttention
gpt_neo.GPT_NEO_ATTENTION_CLASSES["exact"] = gpt_neo.GPTNeoSelfAttention


class FalconAttention(falcon.FalconAttention):
    """transformers' own, apart from the one with PyTorch's attention, adds ALiBi to the scores and to the mask."""

    def forward(self, hidden_states, alibi, *args, **more):
        return super().forward(hidden_states, None if alibi is None else torch.zeros_like(alibi), *args, **more)


class Functions:
    """PyTorch's functions, with a softmax in the type of its operand."""

    softmax = staticmethod(lambda x, dim, dtype=None: torch.softmax(x, dim))

    def __getattr__(self, name):
        return getattr(F, name)


falcon.FALCON_ATTENTION_CLASSES["exact"] = FalconAttention
bloom.F = Functions()


def to_double(model):
    """Makes a model compute in f64 throughout. `model.double()` is not enough: RMSNorm and the rotary tables
    of transformers go through f32 whatever the type of the weights."""
    model.double()
    for module in model.modules():
        kind = type(module).__name__
        if kind.startswith("Gemma") and kind.endswith("RMSNorm"):
            module.forward = types.MethodType(_rms_norm_plus_one, module)
        elif kind.endswith("RMSNorm") or kind.endswith("T5LayerNorm"):
            module.forward = types.MethodType(_rms_norm, module)
        elif kind == "GPTJAttention":
            module._attn = types.MethodType(_gpt_attention, module)
            module.embed_positions = _sines(*module.embed_positions.shape)
        elif kind == "MptAttention":
            module.forward = types.MethodType(_mpt_attention, module)
        elif kind == "GPTNeoSelfAttention":
            module._attn = types.MethodType(_gpt_attention, module)
        elif kind == "ModernBertRotaryEmbedding":
            module.forward = types.MethodType(_rotary_by_layer, module)
            modernbert.apply_rotary_pos_emb = _turn
        elif kind == "Gemma3RotaryEmbedding":
            module.forward = types.MethodType(_rotary_by_layer, module)
        elif kind == "Cohere2RotaryEmbedding":
            module.forward = types.MethodType(_rotary_of_neighbours, module)
            cohere2.apply_rotary_pos_emb = _turn_neighbours
        elif kind == "Cohere2LayerNorm":
            module.forward = types.MethodType(_layer_norm, module)
        elif kind == "GptOssRotaryEmbedding":
            module.forward = types.MethodType(_rotary_of_half, module)
        elif kind.endswith("TopKRouter"):
            module.forward = types.MethodType(_route, module)
        elif kind.endswith("RotaryEmbedding"):
            module.forward = types.MethodType(_rotary, module)


def _gpt_attention(self, query, key, value, attention_mask=None):
    """GPT-J's, whose scores are divided, and GPT-Neo's, with its window; their own go through f32."""
    scores = query @ key.transpose(-1, -2) / getattr(self, "scale_attn", 1.0)
    if getattr(self, "attention_type", "global") == "local":
        near = self.bias[:, :, key.shape[-2] - query.shape[-2] : key.shape[-2], : key.shape[-2]].bool()
        scores = scores.masked_fill(~near, float("-inf"))
    weights = torch.softmax(scores if attention_mask is None else scores + attention_mask, dim=-1)
    return weights @ value, weights


def _mpt_attention(self, hidden_states, position_bias, past_key_values=None, attention_mask=None, **_):
    """MPT's own goes through f32."""
    qkv = self.Wqkv(hidden_states)
    if self.clip_qkv:
        qkv = qkv.clamp(-self.clip_qkv, self.clip_qkv)
    query, key, value = (x.unflatten(2, (self.n_heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=2))
    scores = query @ key.transpose(2, 3) * self.softmax_scale + position_bias[:, :, -key.shape[2] :]
    weights = torch.softmax(scores.masked_fill(attention_mask, float("-inf")), dim=-1)
    return self.out_proj((weights @ value).transpose(1, 2).flatten(2)), weights


def _sines(positions, dims):
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * 10000 ** (
        -torch.arange(0, dims, 2, dtype=torch.float64) / dims
    )
    return torch.cat((angle.sin(), angle.cos()), dim=1)


def _rms_norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def _rms_norm_plus_one(self, x):
    return (1 + self.weight) * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def _route(self, hidden_states):
    """Those of transformers go through f32: scores of all experts, weights of those that are used, which these are."""
    scores = F.linear(hidden_states.reshape(-1, self.hidden_dim), self.weight, getattr(self, "bias", None))
    best, chosen = torch.topk(torch.softmax(scores, dim=-1), self.top_k, dim=-1)
    if getattr(self, "norm_topk_prob", True):
        best = best / best.sum(dim=-1, keepdim=True)
    return scores, best, chosen


def _layer_norm(self, x):
    """Cohere's goes through f32."""
    return F.layer_norm(x, self.weight.shape, self.weight, None, self.variance_epsilon)


def _turn_neighbours(q, k, cos, sin, unsqueeze_dim=1):
    """Cohere's goes through f32."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return tuple(x * cos + cohere2.rotate_half(x) * sin for x in (q, k))


def _rotary_of_neighbours(self, x, position_ids):
    halves = _rotary(self, x, position_ids)
    return tuple(part[..., : part.shape[-1] // 2].repeat_interleave(2, dim=-1) for part in halves)


def _rotary_of_half(self, x, position_ids):
    return tuple(part[..., : part.shape[-1] // 2] for part in _rotary(self, x, position_ids))


def _turn(q, k, cos, sin, unsqueeze_dim=1):
    """ModernBERT's own goes through f32."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    return tuple(x * cos + modernbert.rotate_half(x) * sin for x in (q, k))


def _rotary_by_layer(self, x, position_ids, layer_type):
    return _rotary(self, x, position_ids, self.config.rope_parameters[layer_type], layer_type + "_")


def _rotary(self, x, position_ids, parameters=None, prefix=""):
    """Angles in f64; scaled ones from transformers' frequencies, which are f32."""
    if parameters is None:
        parameters = getattr(self.config, "rope_parameters", None) or {"rope_theta": self.config.rope_theta}
    scale = 1.0
    if parameters.get("rope_type", "default") == "default":
        dim = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        dim = int(dim * parameters.get("partial_rotary_factor", 1.0))
        frequency = parameters["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    else:
        frequency = getattr(self, prefix + "inv_freq").to(torch.float64)
        length = int(position_ids.max()) + 1
        if parameters["rope_type"] == "longrope" and length > parameters["original_max_position_embeddings"]:
            frequency = ROPE_INIT_FUNCTIONS["longrope"](self.config, seq_len=length)[0].to(torch.float64)
        scale = getattr(self, prefix + "attention_scaling")
    angle = position_ids[..., None].to(torch.float64) * frequency
    angle = torch.cat((angle, angle), dim=-1)
    return (scale * angle.cos()).to(x.dtype), (scale * angle.sin()).to(x.dtype)


def causal_loss(logits, ids):
    """Mean over the T - 1 predictions of each row, in the type of the logits (transformers' own goes through f32).
    Behind V virtual tokens it is T predictions: their last row predicts the first token, as PEFT has it."""
    virtual = logits.shape[1] - ids.shape[1]
    if virtual:
        return F.cross_entropy(logits[:, virtual - 1 : -1].flatten(0, 1), ids.flatten())
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def forward_loss(model, ids):
    return causal_loss(model(input_ids=ids, use_cache=False).logits, ids)


def learning_rate_at(step, base, kind="constant", warmup=0, total=0):
    """The rate of optimizer step `step` (from 0), as transformers' get_scheduler gives it."""
    if step < warmup:
        return base * step / max(1, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    if kind in ("constant", "constant_with_warmup"):
        return base
    if kind == "linear":
        return base * max(0.0, 1.0 - progress)
    if kind == "cosine":
        return base * max(0.0, 0.5 * (1.0 + np.cos(np.pi * progress)))
    raise SystemExit(f"unknown scheduler '{kind}': expected constant, linear or cosine")


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al. 2023, https://arxiv.org/abs/2302.06675), by its formulas."""

    def __init__(self, groups, lr, betas):
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * torch.sign(first * m + (1 - first) * p.grad))
                m.mul_(second).add_(p.grad, alpha=1 - second)


def dynamic_map(signed):
    """bitsandbytes' 256 values of a byte, sorted: 7 decimal exponents, each with twice the fractions of the one below."""
    values = [0.0, 1.0]
    for i in range(7):
        edges = torch.linspace(0.1, 1, 2**i + 1 if signed else 2 ** (i + 1) + 1, dtype=torch.float32)
        means = (10.0 ** (i - 6) * ((edges[:-1] + edges[1:]) / 2)).tolist()
        values += means + ([-v for v in means] if signed else [])
    return torch.tensor(sorted(values + [0.0] * (256 - len(values))), dtype=torch.float32)


class AdamW8bit(torch.optim.Optimizer):
    """bitsandbytes' AdamW with 8-bit states by blocks of 256, by its formulas: parameters of less than 4096 elements and
    tables (as transformers' Trainer asks for) keep theirs in full. `turned` are Conv1D's, whose blocks are along the outputs'
    rows."""

    def __init__(self, groups, lr, betas, eps, tables, turned):
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})
        self.tables, self.turned = tables, turned

    @staticmethod
    def rounded(x, values):
        flat = torch.nn.functional.pad(x.flatten(), (0, -x.numel() % 256)).view(-1, 256)
        most = flat.abs().amax(dim=1, keepdim=True)
        middles = (values[1:] + values[:-1]) / 2
        codes = torch.searchsorted(middles, torch.where(most > 0, flat / most.clamp_min(1e-300), 0.0).contiguous())
        return (values[codes] * most).flatten()[: x.numel()].view_as(x)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                s = self.state[p]
                s["step"] = t = s.get("step", 0) + 1
                m = s.setdefault("m", torch.zeros_like(p))
                v = s.setdefault("v", torch.zeros_like(p))
                m.mul_(first).add_(p.grad, alpha=1 - first)
                v.mul_(second).addcmul_(p.grad, p.grad, value=1 - second)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                denominator = (v.sqrt() / math.sqrt(1 - second**t)).add_(group["eps"])
                p.addcdiv_(m, denominator, value=-group["lr"] / (1 - first**t))
                if p.numel() < 4096 or p in self.tables:
                    continue
                for x, signed in ((m, True), (v, False)):
                    whole = x.t().contiguous() if p in self.turned else x
                    made = self.rounded(whole, dynamic_map(signed).to(x.dtype))
                    x.copy_(made.t() if p in self.turned else made)


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon's formulas without its rounding to bf16; the parameters that are not `hidden` are AdamW's."""

    def __init__(self, groups, lr, betas, eps, hidden, turned, momentum, nesterov, adjust, adamw_lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.hidden, self.turned, self.betas, self.eps = hidden, turned, betas, eps
        self.momentum, self.nesterov, self.adjust, self.adamw_lr = momentum, nesterov, adjust, adamw_lr

    @staticmethod
    def orthogonal(x):
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / x.norm().clamp(min=1e-7)
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return x.T if tall else x

    def factor(self, p):
        rows, columns = p.shape[::-1] if p in self.turned else p.shape
        return 0.2 * math.sqrt(max(rows, columns)) if self.adjust == "match_rms_adamw" else math.sqrt(max(1, rows / columns))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, decay = group["lr"], group["weight_decay"]
            for p in group["params"]:
                s = self.state[p]
                m = s.setdefault("m", torch.zeros_like(p))
                if p in self.hidden:
                    m.lerp_(p.grad, 1 - self.momentum)
                    way = self.orthogonal(p.grad.lerp(m, self.momentum) if self.nesterov else m)
                    p.mul_(1 - lr * decay).sub_(lr * self.factor(p) * way)
                    continue
                s["step"] = t = s.get("step", 0) + 1
                v = s.setdefault("v", torch.zeros_like(p))
                other = self.adamw_lr or lr
                m.mul_(self.betas[0]).add_(p.grad, alpha=1 - self.betas[0])
                v.mul_(self.betas[1]).addcmul_(p.grad, p.grad, value=1 - self.betas[1])
                p.mul_(1 - other * decay)
                denominator = (v.sqrt() / math.sqrt(1 - self.betas[1] ** t)).add_(self.eps)
                p.addcdiv_(m, denominator, value=-other / (1 - self.betas[0] ** t))


def parameters_of(model, kind):
    return {m.weight for m in model.modules() if isinstance(m, kind)}


def hidden_matrices(model):
    """What Muon gets: matrices of layers, whose names have the layer's number, but no tables."""
    tables = parameters_of(model, torch.nn.Embedding)
    named = model.named_parameters()
    return {p for n, p in named if p.dim() == 2 and min(p.shape) > 1 and re.search(r"\.\d+\.", n) and p not in tables}


def make_optimizer(model, name, groups, betas, eps, momentum=0.0, nesterov=False, args=None):
    args = args or {}
    if name == "adafactor":
        own = {"scale_parameter": False, "relative_step": False} | args
        return Adafactor(groups, lr=None if own["relative_step"] else 0.0, **own)
    if name == "adamw_8bit":
        tables, turned = parameters_of(model, torch.nn.Embedding), parameters_of(model, Conv1D)
        return AdamW8bit(groups, lr=0.0, betas=betas, eps=eps, tables=tables, turned=turned)
    if name == "muon":
        own = {"momentum": 0.95, "nesterov": True, "adjust": "match_rms_adamw", "adamw_lr": None} | args
        hidden, turned = hidden_matrices(model), parameters_of(model, Conv1D)
        return Muon(groups, lr=0.0, betas=betas, eps=eps, hidden=hidden, turned=turned, **own)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov)
    if name == "lion":
        return Lion(groups, lr=0.0, betas=betas)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=eps)


def train(model, batches, rate, accumulation=1, clip=1.0, decay=0.0, decay_groups="all", betas=(0.9, 0.999), eps=1e-8,
          optim="adamw", momentum=0.0, nesterov=False, loss_of=None, args=None):  # fmt: skip
    """Yields (loss, gradient norm before clipping) of each step of the optimizer. `batches` is [n, B, T], a micro-batch a row;
    `rate` is a function of the step, `loss_of` the loss of a micro-batch. Only parameters that require a gradient are trained."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if decay_groups == "all":
        groups = [{"params": trained, "weight_decay": decay}]
    else:
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
    optimizer = make_optimizer(model, optim, groups, betas, eps, momentum, nesterov, args)
    model.train()
    for step in range(len(batches) // accumulation):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for batch in batches[step * accumulation : (step + 1) * accumulation]:
            loss = (loss_of or forward_loss)(model, torch.as_tensor(np.asarray(batch), dtype=torch.long)) / accumulation
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(trained, clip if clip > 0 else float("inf"))
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        yield total, norm.item()


@torch.no_grad()
def off_by_roundings(model, seed):
    """Moves weights by about a rounding to f32, as another order of adding up would move what they make."""
    random = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.mul_(1 + 2**-24 * torch.randn(parameter.shape, generator=random, dtype=torch.float64).to(parameter.dtype))


def expect_steady(name, load, losses_of, want):
    """Weights that are off by roundings to f32 must not move the losses of a training by a tenth of what the tests allow, or
    another order of adding up would. `load` gives the model in f64, `losses_of` trains it."""
    worst = 0.0
    for seed in range(4):
        model = load()
        off_by_roundings(model, seed)
        worst = max(worst, ((losses_of(model) - want).abs() / want.abs()).max().item())
    if worst > LOSS_MOVES:
        raise SystemExit(f"{name}: roundings move the losses by {worst:.1e}, more than {LOSS_MOVES:.0e}: change the seed")
    return worst


@torch.no_grad()
def held_out_loss(model, ids, block, rows=8):
    """Mean loss over the predicted tokens of non-overlapping blocks of a token sequence: T - 1 predictions a block.
    A last, shorter block counts when it has at least two tokens."""
    was_training = model.training
    model.eval()
    ids = torch.as_tensor(np.asarray(ids), dtype=torch.long)
    whole = len(ids) // block
    pieces = list(ids[: whole * block].view(whole, block).split(rows)) if whole else []
    if len(ids) - whole * block >= 2:
        pieces.append(ids[whole * block :].view(1, -1))
    total, count = 0.0, 0
    for piece in pieces:
        predictions = piece.shape[0] * (piece.shape[1] - 1)
        total += forward_loss(model, piece).item() * predictions
        count += predictions
    model.train(was_training)
    return total / count, count
