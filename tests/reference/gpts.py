"""Tiny configs of decoders of GPT's kind after GPT-2, and changes of keys that must move what they compute (make_goldens.py):
LayerNorm, feed-forward layers without a gate, attention and feed-forward side by side."""

from transformers import BloomConfig, FalconConfig, GPTJConfig, GPTNeoConfig, GPTNeoXConfig, MptConfig, PhiConfig


def shared(tokenizer, **more):
    return {"vocab_size": tokenizer.get_vocab_size(), "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None} | more


def sizes(tokenizer, **more):
    values = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128}
    return shared(tokenizer, **values) | more


def angles(share, theta=10000.0):
    return {"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": share}


def gpt_neox(tokenizer):
    return GPTNeoXConfig(**sizes(tokenizer, hidden_size=48, intermediate_size=40, rope_parameters=angles(0.5)))


def gpt_neox_serial(tokenizer):
    return GPTNeoXConfig(
        **sizes(tokenizer, intermediate_size=56, rope_parameters=angles(1.0), use_parallel_residual=False, attention_bias=False,
                hidden_act="gelu_new", tie_word_embeddings=True)
    )  # fmt: skip


def phi(tokenizer):
    return PhiConfig(
        **sizes(tokenizer, hidden_size=48, intermediate_size=56, num_key_value_heads=2, rope_parameters=angles(0.5))
    )


def phi_tied(tokenizer):
    return PhiConfig(
        **sizes(tokenizer, intermediate_size=40, rope_parameters=angles(1.0), hidden_act="gelu", tie_word_embeddings=True)
    )


def gptj(tokenizer):
    return GPTJConfig(**shared(tokenizer, n_embd=48, n_layer=2, n_head=4, n_positions=128, n_inner=56, rotary_dim=6))


def gptj_tied(tokenizer):
    return GPTJConfig(
        **shared(tokenizer, n_embd=32, n_layer=2, n_head=4, n_positions=128, rotary_dim=8, activation_function="gelu",
                 tie_word_embeddings=True)
    )  # fmt: skip


def gpt_neo(tokenizer):
    types = [[["local", "global"], 1], [["local"], 1]]
    return GPTNeoConfig(
        **shared(tokenizer, hidden_size=32, num_layers=3, num_heads=4, max_position_embeddings=64, attention_types=types,
                 window_size=5)
    )  # fmt: skip


def bloom(tokenizer):
    """Six heads: the slopes of four, and two that lie between."""
    return BloomConfig(**shared(tokenizer, hidden_size=48, n_layer=2, n_head=6, seq_length=128))


def bloom_untied(tokenizer):
    return BloomConfig(
        **shared(tokenizer, hidden_size=32, n_layer=2, n_head=4, seq_length=64, tie_word_embeddings=False)
    )


def mpt(tokenizer):
    return MptConfig(**shared(tokenizer, d_model=40, n_layers=2, n_heads=5, max_seq_len=128))


def mpt_clip(tokenizer):
    attention = {"clip_qkv": 1.0, "softmax_scale": 0.5}
    return MptConfig(
        **shared(tokenizer, d_model=32, n_layers=2, n_heads=4, max_seq_len=64, attn_config=attention,
                 tie_word_embeddings=False)
    )  # fmt: skip


def falcon(tokenizer):
    return FalconConfig(**sizes(tokenizer, hidden_size=40, num_attention_heads=5, num_kv_heads=5))


def falcon_groups(tokenizer):
    return FalconConfig(
        **sizes(tokenizer, num_kv_heads=2, new_decoder_architecture=True, num_ln_in_parallel_attn=1, ffn_hidden_size=56,
                activation="gelu_new", tie_word_embeddings=False)
    )  # fmt: skip


def falcon_norms(tokenizer):
    return FalconConfig(**sizes(tokenizer, num_kv_heads=2, new_decoder_architecture=True, ffn_hidden_size=40))


def falcon_rw(tokenizer):
    """Slopes that are powers of two: transformers rounds them, and their products with positions, to bf16."""
    return FalconConfig(
        **sizes(tokenizer, alibi=True, bias=True, multi_query=False, parallel_attn=False, tie_word_embeddings=False)
    )


# of parameters, as save_pretrained names them
FILE_NAMES = {"gpt_neox": lambda name: "embed_out.weight" if name == "lm_head.weight" else name}

CONFIGS = {"gpt_neox": gpt_neox, "gpt_neox-serial": gpt_neox_serial, "phi": phi, "phi-tied": phi_tied, "gptj": gptj,
           "gptj-tied": gptj_tied, "gpt_neo": gpt_neo, "bloom": bloom, "bloom-untied": bloom_untied, "mpt": mpt,
           "mpt-clip": mpt_clip, "falcon": falcon, "falcon-groups": falcon_groups,
           "falcon-rw": falcon_rw, "falcon-norms": falcon_norms}  # fmt: skip

# per golden: other values of keys, each of which must move the logits
CHANGES = {
    "gpt2": {"activation_function": ["relu", "gelu"], "layer_norm_epsilon": [0.1], "n_head": [1, 2],
             "scale_attn_weights": [False], "scale_attn_by_inverse_layer_idx": [True]},
    "gpt_neox": {"hidden_act": ["relu", "gelu_new"], "layer_norm_eps": [0.1], "use_parallel_residual": [False],
                 "rope_parameters": [angles(0.5, 500.0), angles(0.34), angles(1.0)]},
    "gpt_neox-serial": {"hidden_act": ["relu"], "layer_norm_eps": [0.1], "use_parallel_residual": [True],
                        "rope_parameters": [angles(0.5)]},
    "phi": {"hidden_act": ["relu", "gelu"], "layer_norm_eps": [0.1],
            "rope_parameters": [angles(0.5, 500.0), angles(0.34), angles(1.0)]},
    "phi-tied": {"hidden_act": ["relu"], "layer_norm_eps": [0.1], "rope_parameters": [angles(0.5)]},
    "gptj": {"activation_function": ["relu", "gelu"], "layer_norm_epsilon": [0.1], "rotary_dim": [4, 8, 12]},
    "gptj-tied": {"activation_function": ["relu"], "layer_norm_epsilon": [0.1], "rotary_dim": [4]},
    "gpt_neo": {"activation_function": ["relu", "gelu"], "layer_norm_epsilon": [0.1], "window_size": [3, 64],
                "attention_layers": [["global"] * 3, ["local", "local", "local"]],
                "attention_layers+attention_types": [(KeyError, [[["global"], 3]])]},
    "bloom": {"layer_norm_epsilon": [0.1], "n_head": [4, 8]},
    "bloom-untied": {"layer_norm_epsilon": [0.1], "n_head": [2]},
    "mpt": {"layer_norm_epsilon": [0.1], "n_heads": [4], "attn_config": [{"clip_qkv": 1.0}, {"softmax_scale": 1.0}]},
    "mpt-clip": {"layer_norm_epsilon": [0.1],
                 "attn_config": [{"clip_qkv": 1.0}, {"softmax_scale": 0.5}, {"clip_qkv": 1.5, "softmax_scale": 0.5}]},
    "falcon": {"activation": ["relu", "gelu_new"], "layer_norm_epsilon": [0.1],
               "rope_parameters": [{"rope_type": "default", "rope_theta": 500.0}]},
    "falcon-groups": {"activation": ["relu", "gelu"], "layer_norm_epsilon": [0.1],
                      "rope_parameters": [{"rope_type": "default", "rope_theta": 500.0}]},
    "falcon-norms": {"activation": ["relu", "gelu_new"], "layer_norm_epsilon": [0.1],
                     "rope_parameters": [{"rope_type": "default", "rope_theta": 500.0}]},
    "falcon-rw": {"activation": ["relu", "gelu_new"], "layer_norm_epsilon": [0.1], "alibi": [False],
                  "parallel_attn": [True]},
}  # fmt: skip
