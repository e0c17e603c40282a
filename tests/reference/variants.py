"""Random configs of each family for check_variants.py, drawn from a seed.

Of each choice every value comes about as often: they are dealt like cards, so that ten variants of a family have each of its
switches on and off, each type and each way of storing."""

import zlib

import numpy as np

SCALINGS = ("default", "linear", "dynamic", "yarn", "llama3", "longrope")
GATES = ("silu", "gelu", "relu", "gelu_pytorch_tanh", "gelu_new")


class Draw(np.random.RandomState):
    def __init__(self, family, number):
        super().__init__(self.seed_of(family, number))
        self.family, self.number, self.asked = family, number, {}

    @staticmethod
    def seed_of(*words):
        return zlib.crc32(" ".join(map(str, words)).encode())

    def of(self, *values):
        """One of the values; the n-th time that a variant asks for these is a choice of its own."""
        text = repr(values)
        time = self.asked[text] = self.asked.get(text, -1) + 1
        cards, at = divmod(self.number, len(values))
        order = np.random.RandomState(self.seed_of(self.family, text, time, cards)).permutation(len(values))
        return values[order[at]]

    def yes(self):
        return self.of(False, True)

    def size(self, low, high):
        return int(self.randint(low, high + 1))

    def heads(self, most=8):
        """A number of heads, and one that it is a multiple of."""
        kind, heads = self.of("alike", "one", "groups"), self.size(1, most)
        if kind == "groups":
            heads = self.of(4, 6, 8)
            return heads, heads // self.of(2, 2, heads // 2)
        return heads, heads if kind == "alike" else 1


def rope(r, dims, kinds=SCALINGS, shares=(None,)):
    """Rotary parameters of one of the kinds, of heads of so many dims, of which a share turns."""
    share = r.of(*shares)
    if share and (int(dims * share) < 2 or int(dims * share) % 2):
        share = 1.0
    turned, kind = int(dims * (share or 1)), r.of(*kinds)
    kind = "linear" if kind == "dynamic" and turned < 4 else kind  # which transformers divides by zero for
    value = {"rope_type": kind, "rope_theta": r.of(500.0, 1e4, 1e6)}
    if share:
        value["partial_rotary_factor"] = share
    if kind != "default":
        value["factor"] = r.of(2.0, 3.5, 8.0)
    if kind in ("yarn", "llama3", "longrope"):
        value["original_max_position_embeddings"] = r.of(8, 16, 64)
    if kind == "llama3":
        value |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if kind == "yarn":
        value |= r.of({}, {"beta_fast": 16.0, "beta_slow": 2.0}, {"attention_factor": 1.3}, {"truncate": False},
                      {"mscale": 0.7, "mscale_all_dim": 0.9})  # fmt: skip
    if kind == "longrope":
        value |= {key: (1 + 3 * r.uniform(size=turned // 2)).round(3).tolist() for key in ("short_factor", "long_factor")}
        value |= r.of({}, {"attention_factor": 1.2})
    return value


def windows(r, layers):
    return [r.of("full_attention", "sliding_attention") for _ in range(layers)]


def plain(r, free=True):
    """Sizes of Llama's kind; `free`: heads may have a size of their own, though hidden size / heads must be a whole number, too."""
    heads, kv_heads = r.heads()
    head_dim, own = 2 * r.size(2, 8), free and r.of(True, True, False)
    value = {
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "num_hidden_layers": r.of(1, 2, 3),
        "hidden_size": heads * (r.size(5, 15) if own else head_dim), "intermediate_size": r.size(9, 90),
        "max_position_embeddings": r.of(64, 100, 128), "hidden_act": r.of(*GATES),
    }  # fmt: skip
    return value | ({"head_dim": head_dim} if own else {})


def dims_of(value):
    return value.get("head_dim") or value["hidden_size"] // value["num_attention_heads"]


def turned(r, value, **more):
    return value | {"rope_parameters": rope(r, dims_of(value), **more)}


def llama(r):
    value = plain(r) | {"attention_bias": r.yes(), "mlp_bias": r.yes(), "rms_norm_eps": r.of(1e-6, 1e-5, 1e-2)}
    return turned(r, value)


def mistral(r):
    return turned(r, plain(r) | {"sliding_window": r.of(None, 3, 9)})


def qwen2(r):
    value = turned(r, plain(r, free=False))
    first = r.size(0, value["num_hidden_layers"])
    return value | {"use_sliding_window": r.yes(), "sliding_window": r.size(2, 9), "max_window_layers": first}


def qwen3(r):
    value = qwen2(r) | {"head_dim": 2 * r.size(2, 8), "attention_bias": r.yes()}
    return turned(r, value)


def gemma(r):
    value = plain(r) | {"attention_bias": r.yes(), "hidden_act": r.of("gelu_pytorch_tanh", "gelu", "silu")}
    return turned(r, value)


def gemma2(r):
    value = turned(r, plain(r))
    return value | {
        "hidden_activation": value.pop("hidden_act"), "sliding_window": r.size(2, 9), "query_pre_attn_scalar": r.size(3, 40),
        "attn_logit_softcapping": r.of(None, 2.0, 50.0), "final_logit_softcapping": r.of(None, 4.0, 30.0),
        "layer_types": windows(r, value["num_hidden_layers"]), "attention_bias": r.yes(),
    }  # fmt: skip


def gemma3_text(r):
    value = gemma2(r)
    kinds = ("default", "linear", "yarn", "llama3")
    value["rope_parameters"] = {"full_attention": rope(r, dims_of(value), kinds),
                                "sliding_attention": rope(r, dims_of(value), ("default", "default", "linear"))}  # fmt: skip
    value["attn_logit_softcapping"] = r.of(None, None, None, 2.0)
    return value


def olmo2(r):
    return turned(r, plain(r, free=False) | {"attention_bias": r.yes()})


def granite(r):
    return llama(r) | {"embedding_multiplier": r.of(1.0, 3.0), "attention_multiplier": r.of(1.0, 0.3),
                       "residual_multiplier": r.of(1.0, 0.4), "logits_scaling": r.of(1.0, 2.5)}  # fmt: skip


def smollm3(r):
    value = turned(r, plain(r, free=False))
    layers = value["num_hidden_layers"]
    turns = {"no_rope_layers": [r.of(0, 1) for _ in range(layers)]} if r.yes() else {"no_rope_layer_interval": r.of(2, 3)}
    slides = {"use_sliding_window": True, "sliding_window": r.size(2, 9), "layer_types": windows(r, layers)} if r.yes() else {}
    return value | turns | slides | {"attention_bias": r.yes(), "mlp_bias": r.yes()}


def phi3(r):
    """LongRoPE's factors are chosen by a key of the config's own."""
    value = plain(r, free=False) | {"max_position_embeddings": 128}
    value = turned(r, value, kinds=("default", "longrope", "longrope"), shares=(None, 0.5, 0.75))
    return value | {"sliding_window": r.of(None, 5), "original_max_position_embeddings": r.of(4, 64, 128)}


def starcoder2(r):
    value = plain(r, free=False) | {"use_bias": r.yes(), "sliding_window": r.of(None, 5), "norm_epsilon": r.of(1e-5, 1e-2)}
    return turned(r, value | {"hidden_act": r.of("gelu_pytorch_tanh", "gelu", "relu")})


def stablelm(r):
    value = plain(r, free=False) | {"use_qkv_bias": r.yes(), "use_parallel_residual": r.yes(), "qk_layernorm": r.yes()}
    return turned(r, value, shares=(1.0, 0.5, 0.25))


def cohere2(r):
    value = plain(r) | {"attention_bias": r.yes(), "logit_scale": r.of(0.0625, 1.0, 2.0), "sliding_window": r.size(2, 9)}
    return turned(r, value | {"layer_types": windows(r, value["num_hidden_layers"])})


def glm(r):
    return turned(r, plain(r) | {"attention_bias": r.yes()}, shares=(1.0, 0.5, 0.75))


def routed(r, value):
    """Experts, of which each token uses some."""
    experts = r.size(1, 9)
    return turned(r, value | {"num_experts": experts, "num_experts_per_tok": r.size(1, experts)})


def mixtral(r):
    """transformers scales no angles of a model without head_dim."""
    value = plain(r)
    return routed(r, value | {"head_dim": dims_of(value)}) | {"sliding_window": r.of(None, 3, 9)}


def olmoe(r):
    return routed(r, plain(r, free=False)) | {"attention_bias": r.yes(), "clip_qkv": r.of(None, 0.5, 3.0),
                                              "norm_topk_prob": r.yes()}  # fmt: skip


def qwen3_moe(r):
    value = routed(r, plain(r))
    dense = r.of([], [], [0], [1], [0, 2])
    return value | {"attention_bias": r.yes(), "use_sliding_window": r.yes(), "sliding_window": r.size(2, 9),
                    "norm_topk_prob": r.yes(), "moe_intermediate_size": r.size(9, 90), "mlp_only_layers": dense,
                    "decoder_sparse_step": r.of(1, 1, 2)}  # fmt: skip


def gpt_oss(r):
    value = routed(r, plain(r) | {"head_dim": 2 * r.size(2, 8)})
    return value | {"attention_bias": r.yes(), "sliding_window": r.size(2, 9), "swiglu_limit": r.of(7.0, 0.5),
                    "swiglu_alpha": r.of(1.702, 1.0), "layer_types": windows(r, value["num_hidden_layers"])}  # fmt: skip


def shared_heads(r):
    heads = r.size(1, 8)
    return heads, heads * 2 * r.size(2, 8)


def gpt2(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "n_embd": hidden, "n_layer": r.of(1, 2, 3), "n_positions": r.of(64, 100),
            "n_inner": r.of(None, r.size(9, 90)), "activation_function": r.of("gelu_new", "gelu", "relu", "silu"),
            "scale_attn_weights": r.of(True, True, True, True, False), "layer_norm_epsilon": r.of(1e-5, 1e-2),
            "scale_attn_by_inverse_layer_idx": r.of(False, False, False, False, True)}  # fmt: skip


def gpt_neox(r):
    heads, hidden = shared_heads(r)
    angles = rope(r, hidden // heads, shares=(1.0, 0.5, 0.25))
    return {"num_attention_heads": heads, "hidden_size": hidden, "num_hidden_layers": r.of(1, 2, 3),
            "intermediate_size": r.size(9, 90), "hidden_act": r.of("gelu", "gelu_new", "relu", "gelu_fast"),
            "attention_bias": r.yes(), "use_parallel_residual": r.yes(), "rope_parameters": angles}  # fmt: skip


def phi(r):
    value = turned(r, plain(r, free=False), shares=(1.0, 0.5, 0.4))
    return value | {"qk_layernorm": r.of(False, False, False, True)}


def gptj(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "n_embd": hidden, "n_layer": r.of(1, 2, 3), "n_positions": 64, "n_inner": r.of(None, 51),
            "rotary_dim": r.of(2, hidden // heads, 2 * r.size(1, hidden // heads // 2)),
            "activation_function": r.of("gelu_new", "gelu", "relu")}  # fmt: skip


def gpt_neo(r):
    heads, hidden = shared_heads(r)
    layers = r.of(1, 2, 3)
    types = [[[r.of("global", "local") for _ in range(layers)], 1]]
    return {"num_heads": heads, "hidden_size": hidden, "num_layers": layers, "attention_types": types,
            "intermediate_size": r.of(None, 45), "window_size": r.size(2, 12), "max_position_embeddings": 64,
            "activation_function": r.of("gelu_new", "gelu", "relu")}  # fmt: skip


def bloom(r):
    heads, hidden = shared_heads(r)
    return {"n_head": heads, "hidden_size": hidden, "n_layer": r.of(1, 2, 3), "layer_norm_epsilon": r.of(1e-5, 1e-2),
            "apply_residual_connection_post_layernorm": r.of(False, False, False, True)}  # fmt: skip


def mpt(r):
    heads, hidden = shared_heads(r)
    attention = {"clip_qkv": r.of(None, 0.5, 2.0), "softmax_scale": r.of(None, 0.3), "alibi_bias_max": r.of(8, 8, 8, 4)}
    return {"n_heads": heads, "d_model": hidden, "n_layers": r.of(1, 2, 3), "max_seq_len": r.of(64, 100),
            "attn_config": attention, "no_bias": r.of(True, True, True, False), "layer_norm_epsilon": r.of(1e-5, 1e-2),
            "expansion_ratio": r.of(4, 4, 4, 2)}  # fmt: skip


def falcon(r):
    """With ALiBi the heads are powers of two, whose slopes bf16 holds: transformers rounds them to it, and their products."""
    kind, alibi, order = r.of("7b", "rw", "40b"), r.of(False, False, True), r.of("side by side", "one after the other")
    heads, kv_heads = r.heads()
    if alibi:
        heads = r.of(1, 2, 4, 8)
        kv_heads = r.of(1, heads)
    value = {"num_attention_heads": heads, "hidden_size": heads * 2 * r.size(2, 8), "num_hidden_layers": r.of(1, 2, 3),
             "alibi": alibi, "new_decoder_architecture": kind == "40b", "multi_query": kind == "7b", "bias": r.yes(),
             "num_kv_heads": kv_heads if kind == "40b" else heads, "layer_norm_epsilon": r.of(1e-5, 1e-2),
             "parallel_attn": kind == "40b" or order == "side by side", "ffn_hidden_size": r.of(None, r.size(9, 90)),
             "activation": r.of("gelu", "gelu_new", "relu"), "max_position_embeddings": 128}  # fmt: skip
    value |= {"num_ln_in_parallel_attn": r.of(None, 1, 2)} if kind == "40b" else {}
    return turned(r, value, kinds=("default", "linear", "dynamic", "yarn", "llama3"))


DECODERS = {
    family.__name__: family
    for family in (gpt2, llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3_text, olmo2, granite, smollm3, phi3, starcoder2,
                   stablelm, cohere2, glm, gpt_neox, phi, gptj, gpt_neo, bloom, mpt, falcon, mixtral, olmoe, qwen3_moe, gpt_oss)
} | {"glm4": glm}  # fmt: skip


def t5(r):
    """Its heads are of any size, and need not be as wide as the model together."""
    gate = r.of("", "gated-")
    return {"d_model": 4 * r.size(3, 11), "d_kv": r.size(3, 14), "d_ff": r.size(9, 90), "num_layers": r.of(1, 2, 3),
            "num_decoder_layers": r.of(None, 1, 2), "num_heads": r.size(1, 6),
            "relative_attention_num_buckets": r.of(8, 12, 32), "relative_attention_max_distance": r.of(18, 30, 128),
            "feed_forward_proj": gate + r.of("relu", "gelu", "silu"), "layer_norm_epsilon": r.of(1e-6, 1e-2),
            "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}  # fmt: skip


def bart(r):
    one, other, width = r.of(1, 2, 4), r.of(1, 2, 4), r.size(2, 7)
    return {"d_model": 8 * width, "encoder_layers": r.of(1, 2, 3), "decoder_layers": r.of(1, 2, 3),
            "encoder_attention_heads": one, "decoder_attention_heads": other, "encoder_ffn_dim": r.size(9, 90),
            "decoder_ffn_dim": r.size(9, 90), "activation_function": r.of("gelu", "relu", "silu"),
            "scale_embedding": r.yes(), "max_position_embeddings": r.of(100, 128), "decoder_start_token_id": r.of(0, 2), "pad_token_id": 1,
            "bos_token_id": 0, "eos_token_id": 2, "forced_eos_token_id": None}  # fmt: skip


PAIRS = {family.__name__: family for family in (t5, bart)} | {"mt5": t5, "umt5": t5}


def bert(r):
    heads, hidden = shared_heads(r)
    return {"num_attention_heads": heads, "hidden_size": hidden, "num_hidden_layers": r.of(1, 2, 3),
            "intermediate_size": r.size(9, 90), "hidden_act": r.of("gelu", "gelu_new", "relu", "silu"),
            "max_position_embeddings": r.of(64, 100), "type_vocab_size": r.of(1, 2, 3),
            "layer_norm_eps": r.of(1e-12, 1e-5, 1e-2)}  # fmt: skip


def roberta(r):
    return bert(r) | {"pad_token_id": r.of(0, 1, 4), "type_vocab_size": 1}


def distilbert(r):
    heads, hidden = shared_heads(r)
    return {"n_heads": heads, "dim": hidden, "n_layers": r.of(1, 2, 3), "hidden_dim": r.size(9, 90),
            "activation": r.of("gelu", "relu", "silu"), "max_position_embeddings": r.of(64, 100),
            "sinusoidal_pos_embds": r.of(False, False, True)}  # fmt: skip


def nomic_bert(r):
    value = bert(r)
    return turned(r, value | {"hidden_act": r.of("silu", "gelu", "relu")}, kinds=("default", "default", "linear", "dynamic"))


def modernbert(r):
    value = bert(r)
    layers = r.of(2, 3, 4)
    angles = {kind: rope(r, value["hidden_size"] // value["num_attention_heads"], ("default", "default", "linear"))
              for kind in ("full_attention", "sliding_attention")}  # fmt: skip
    more = {"norm_eps": value.pop("layer_norm_eps"), "hidden_activation": value.pop("hidden_act"), "num_hidden_layers": layers,
            "local_attention": r.of(4, 6, 16), "layer_types": windows(r, layers), "rope_parameters": angles,
            "attention_bias": r.yes(), "mlp_bias": r.yes(), "norm_bias": r.yes()}  # fmt: skip
    value.pop("type_vocab_size")
    return value | more | {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}


def mpnet(r):
    value = bert(r)
    value.pop("type_vocab_size")
    return value | {"relative_attention_num_buckets": r.of(32, 32, 16), "pad_token_id": 1}


ENCODERS = {family.__name__: family for family in (bert, roberta, distilbert, nomic_bert, modernbert, mpnet)} | {
    "xlm-roberta": roberta
}
