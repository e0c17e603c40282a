"""Tiny configs of decoders of Llama's kind, and changes of keys that must move what they compute (make_goldens.py).

Where a window, a softcap, a scaled table of angles or a factor is part of a family, the texts are long enough and the
numbers large enough that it matters."""

from transformers import (
    Cohere2Config,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    Glm4Config,
    GlmConfig,
    GraniteConfig,
    LlamaConfig,
    Olmo2Config,
    Phi3Config,
    Qwen3Config,
    SmolLM3Config,
    StableLmConfig,
    Starcoder2Config,
)

PLAIN = {"rope_type": "default", "rope_theta": 10000.0}


def shared(tokenizer, **more):
    values = {
        "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None,
    }  # fmt: skip
    return values | more


def llama3(tokenizer):
    rope = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16}  # fmt: skip
    return LlamaConfig(**shared(tokenizer, rope_parameters=rope))


def llama_yarn(tokenizer):
    rope = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
    return LlamaConfig(**shared(tokenizer, head_dim=16, tie_word_embeddings=True, rope_parameters=rope))


def qwen3(tokenizer):
    return Qwen3Config(
        **shared(tokenizer, head_dim=12, num_hidden_layers=3, rope_parameters=PLAIN, use_sliding_window=True,
                 sliding_window=5, max_window_layers=1)
    )  # fmt: skip


def gemma(tokenizer):
    return GemmaConfig(**shared(tokenizer, head_dim=10, num_key_value_heads=1, tie_word_embeddings=True, rope_parameters=PLAIN))


def gemma2(tokenizer):
    return Gemma2Config(
        **shared(tokenizer, head_dim=8, tie_word_embeddings=True, rope_parameters=PLAIN, sliding_window=5,
                 query_pre_attn_scalar=3, attn_logit_softcapping=2.0, final_logit_softcapping=4.0)
    )  # fmt: skip


def gemma3(tokenizer):
    rope = {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 50000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}  # fmt: skip
    types = ["sliding_attention", "full_attention", "sliding_attention"]
    return Gemma3TextConfig(
        **shared(tokenizer, head_dim=8, num_hidden_layers=3, tie_word_embeddings=True, rope_parameters=rope,
                 layer_types=types, sliding_window=5, query_pre_attn_scalar=3)
    )  # fmt: skip


def olmo2(tokenizer):
    return Olmo2Config(**shared(tokenizer, rope_parameters=PLAIN))


def granite(tokenizer):
    return GraniteConfig(
        **shared(tokenizer, tie_word_embeddings=True, rope_parameters=PLAIN, embedding_multiplier=3.0,
                 attention_multiplier=0.2, residual_multiplier=0.6, logits_scaling=2.0)
    )  # fmt: skip


def smollm3(tokenizer):
    return SmolLM3Config(
        **shared(tokenizer, num_hidden_layers=3, tie_word_embeddings=True, rope_parameters=PLAIN, no_rope_layers=[1, 0, 1])
    )


def longrope(original, **more):
    return {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": original,
            "short_factor": [1.0, 1.2, 1.5, 2.5], "long_factor": [1.5, 3.0, 6.0, 9.0]} | more  # fmt: skip


def phi3(tokenizer):
    """The table is made for as many positions as the model has: the short factors."""
    return Phi3Config(
        **shared(tokenizer, sliding_window=5, original_max_position_embeddings=128, rope_parameters=longrope(128))
    )


def phi3_long(tokenizer):
    """All texts are longer than those of the training: the long factors, of half of each head."""
    rope = longrope(2, partial_rotary_factor=0.5)
    rope |= {key: rope[key][:2] for key in ("short_factor", "long_factor")}
    return Phi3Config(
        **shared(tokenizer, tie_word_embeddings=True, original_max_position_embeddings=2, rope_parameters=rope)
    )


def starcoder2(tokenizer):
    return Starcoder2Config(
        **shared(tokenizer, tie_word_embeddings=True, norm_epsilon=1e-5, sliding_window=5, rope_parameters=PLAIN)
    )


def part_of_head(share):
    return PLAIN | {"partial_rotary_factor": share}


def stablelm(tokenizer):
    return StableLmConfig(**shared(tokenizer, use_qkv_bias=True, rope_parameters=part_of_head(0.5)))


def stablelm_parallel(tokenizer):
    return StableLmConfig(
        **shared(tokenizer, qk_layernorm=True, use_parallel_residual=True, rope_parameters=part_of_head(0.25))
    )


def cohere2(tokenizer):
    types = ["sliding_attention", "full_attention", "sliding_attention"]
    return Cohere2Config(
        **shared(tokenizer, num_hidden_layers=3, tie_word_embeddings=True, rope_parameters=PLAIN, layer_types=types,
                 sliding_window=5, layer_norm_eps=1e-5, logit_scale=0.5)
    )  # fmt: skip


def glm(tokenizer):
    return GlmConfig(**shared(tokenizer, head_dim=12, rope_parameters=part_of_head(0.5)))


def glm4(tokenizer):
    return Glm4Config(
        **shared(tokenizer, head_dim=8, tie_word_embeddings=True, attention_bias=False, rope_parameters=part_of_head(0.5))
    )


CONFIGS = {
    "llama-llama3": llama3, "llama-yarn": llama_yarn, "qwen3": qwen3, "gemma": gemma, "gemma2": gemma2, "gemma3_text": gemma3,
    "olmo2": olmo2, "granite": granite, "smollm3": smollm3, "phi3": phi3, "phi3-long": phi3_long,
    "starcoder2": starcoder2, "stablelm": stablelm, "stablelm-parallel": stablelm_parallel,
    "cohere2": cohere2, "glm": glm, "glm4": glm4,
}  # fmt: skip

ANGLES = {"rope_parameters": [{"rope_type": "default", "rope_theta": 500.0}]}
HIDDEN = {"hidden_act": ["relu"]}
SCALED = {"rope_scaling": [{"rope_type": "linear", "factor": 4.0}]}
WINDOW = "use_sliding_window+sliding_window+max_window_layers+layer_types"
# per golden: other values of keys, each of which must move the logits; those of keys that change together are tuples
CHANGES = {
    "llama": HIDDEN | SCALED | {"rms_norm_eps": [0.1], "rope_theta": [500.0]},
    "llama-tied": HIDDEN | ANGLES | {"rms_norm_eps": [0.1]},
    "mistral": HIDDEN | SCALED | {"rms_norm_eps": [0.1], "rope_theta": [500.0], "sliding_window": [3]},
    "qwen2": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], WINDOW: [(True, 3, 0, KeyError), (True, 5, 1, KeyError)]},
    "llama-llama3": HIDDEN | {"rms_norm_eps": [0.1], "rope_parameters": [PLAIN]},
    "llama-yarn": HIDDEN | {"rms_norm_eps": [0.1], "rope_parameters": [PLAIN]},
    "qwen3": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "sliding_window": [3], "layer_types": [["full_attention"] * 3],
                                WINDOW: [(False, 5, 1, KeyError), (True, 5, 2, KeyError)]},
    "gemma": HIDDEN | ANGLES | {"rms_norm_eps": [0.1]},
    "gemma2": ANGLES | {"rms_norm_eps": [0.1], "hidden_activation": ["relu"], "sliding_window": [3],
                        "query_pre_attn_scalar": [30], "attn_logit_softcapping": [None, 1.0],
                        "final_logit_softcapping": [None, 8.0], "layer_types": [["full_attention"] * 2]},
    "gemma3_text": {"rms_norm_eps": [0.1], "hidden_activation": ["relu"], "sliding_window": [3],
                    "query_pre_attn_scalar": [30], "final_logit_softcapping": [8.0],
                    "layer_types": [["full_attention"] * 3], "rope_parameters": [{
                        "full_attention": {"rope_type": "default", "rope_theta": 50000.0},
                        "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}]},
    "olmo2": HIDDEN | ANGLES | {"rms_norm_eps": [0.1]},
    "granite": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "embedding_multiplier": [1.0], "attention_multiplier": [1.0],
                                  "residual_multiplier": [1.0], "logits_scaling": [1.0]},
    "smollm3": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "no_rope_layers": [[1, 1, 1], [0, 1, 1]],
                                  "no_rope_layers+no_rope_layer_interval": [(KeyError, 3)],
                                  "use_sliding_window+sliding_window+layer_types": [(True, 3, ["sliding_attention"] * 3)]},
    "phi3": HIDDEN | ANGLES | {"rms_norm_eps": [0.1], "sliding_window": [None, 3], "original_max_position_embeddings": [8]},
    "phi3-long": HIDDEN | {"rms_norm_eps": [0.1], "original_max_position_embeddings": [32], "sliding_window": [3],
                           "rope_parameters": [longrope(2, partial_rotary_factor=0.5, short_factor=[1.0, 1.2],
                                                        long_factor=factors) for factors in ([1.5, 2.0], [1.0, 3.0])]},
    "starcoder2": HIDDEN | ANGLES | {"norm_epsilon": [0.1], "sliding_window": [None, 3]},
    "stablelm": HIDDEN | {"layer_norm_eps": [0.1], "use_parallel_residual": [True], "rope_parameters": [part_of_head(1.0), part_of_head(0.25)]},
    "stablelm-parallel": HIDDEN | {"layer_norm_eps": [0.1], "rope_parameters": [part_of_head(1.0)]},
    "cohere2": HIDDEN | ANGLES | {"layer_norm_eps": [0.1], "sliding_window": [3], "logit_scale": [1.0],
                                  "layer_types": [["full_attention"] * 3]},
    "glm": HIDDEN | {"rms_norm_eps": [0.1], "rope_parameters": [part_of_head(1.0), {**part_of_head(0.5), "rope_theta": 500.0}]},
    "glm4": HIDDEN | {"rms_norm_eps": [0.1], "rope_parameters": [part_of_head(1.0)]},
}  # fmt: skip
