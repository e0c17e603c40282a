#!/usr/bin/env python3
"""Makes the encoder-decoders of assets/golden: tiny random models as Hugging Face directories, and what PyTorch computes with
them in f64; and what transformers finds with beams (assets/golden/beams).

    python make_seq2seq_goldens.py                  writes assets/golden
    python make_seq2seq_goldens.py --check          makes them anew in a temporary folder and compares
    python make_seq2seq_goldens.py --only t5

A folder holds config.json, model.safetensors (f32), tokenizer.json and

    truth.safetensors   input_ids [B,M] i32, labels [B,N] i32; logits [B,N,V]; loss [1], the mean over all labels;
                        grad.<parameter> for every parameter; batch_source [20,B,M], batch_labels [20,B,N] i32; adamw_losses
                        [20], adamw_grad_norms [20] (before clipping); source_ids [P] i32, greedy_ids [N] i32
    lora/               (t5, bart) a PEFT adapter with random A and B at PEFT's default modules, its truth.safetensors as
                        make_goldens.py has it

The decoder is given decoder_start_token_id and the labels without their last. Weights are drawn so that every part of the model
matters: the script fails unless each key that Tuff reads moves the logits, or is one of SHAPES (matters.py)."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, BartConfig, GenerationConfig, MT5Config, T5Config, UMT5Config

import tiny_tokenizers
from common import expect_steady, load_model, to_double, train
from make_goldens import GREEDY_TOKENS, SMALLEST_GAP, STEPS, adapter_name, compare, floats, save_adapter, write_json
from matters import ROOT, check_changes, expect_listed, expect_near

SHAPE = (2, 23, 13)  # texts, tokens of a source, of a target


def t5_tokenizer():
    return tiny_tokenizers.ends(274, ["<pad>", "</s>", "<unk>"], "$A </s>")


def mt5_tokenizer():
    return tiny_tokenizers.unigram(["<pad>", "</s>", "<unk>"], "$A </s>")


def byt5_tokenizer():
    """transformers' has no file."""
    return tiny_tokenizers.byte_ids()


def bart_tokenizer():
    return tiny_tokenizers.ends(270, ["<s>", "<pad>", "</s>", "<unk>"], "<s> $A </s>")


def t5_values(**more):
    """Texts are longer than the distance from which on all share a bucket."""
    return {"vocab_size": 280, "dropout_rate": 0.0, "decoder_start_token_id": 0, "layer_norm_epsilon": 1e-4} | more


def t5():
    return T5Config(
        **t5_values(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
                    relative_attention_max_distance=11)
    )  # fmt: skip


def t5_gated():
    """As T5 1.1: a gate, an output of its own, which the states are not scaled before."""
    return T5Config(
        **t5_values(d_model=24, d_kv=10, d_ff=28, num_layers=2, num_decoder_layers=3, num_heads=3,
                    relative_attention_num_buckets=12, relative_attention_max_distance=17, feed_forward_proj="gated-gelu",
                    tie_word_embeddings=False)
    )  # fmt: skip


def byt5():
    """As T5 1.1, with more layers in the encoder; distances as they usually are, which is as llama.cpp has them."""
    return T5Config(
        **t5_values(vocab_size=384, d_model=20, d_kv=8, d_ff=36, num_layers=3, num_decoder_layers=1, num_heads=2,
                    feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    )  # fmt: skip


def mt5():
    return MT5Config(
        **t5_values(vocab_size=112, d_model=28, d_kv=6, d_ff=40, num_layers=2, num_decoder_layers=2, num_heads=4,
                    feed_forward_proj="gated-gelu")
    )  # fmt: skip


def umt5():
    """A table of distances in every layer."""
    return UMT5Config(
        **t5_values(vocab_size=112, d_model=24, d_kv=12, d_ff=32, num_layers=2, num_decoder_layers=2, num_heads=2,
                    feed_forward_proj="gated-gelu")
    )  # fmt: skip


def bart_values(**more):
    values = {"vocab_size": 270, "max_position_embeddings": 48, "dropout": 0.0, "activation_dropout": 0.0,
              "forced_eos_token_id": None}  # fmt: skip
    return values | more


def bart():
    return BartConfig(
        **bart_values(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                      encoder_ffn_dim=40, decoder_ffn_dim=40)
    )  # fmt: skip


def bart_uneven():
    return BartConfig(
        **bart_values(d_model=36, encoder_layers=1, decoder_layers=2, encoder_attention_heads=3, decoder_attention_heads=2,
                      encoder_ffn_dim=28, decoder_ffn_dim=44, scale_embedding=True, activation_function="relu",
                      decoder_start_token_id=0)
    )  # fmt: skip


MODELS = {"t5": (t5, t5_tokenizer), "t5-gated": (t5_gated, t5_tokenizer), "bart": (bart, bart_tokenizer),
          "bart-uneven": (bart_uneven, bart_tokenizer), "byt5": (byt5, byt5_tokenizer), "mt5": (mt5, mt5_tokenizer),
          "umt5": (umt5, mt5_tokenizer)}  # fmt: skip
SEEDS = {name: 20460 + i for i, name in enumerate(MODELS)} | {"mt5": 20470}
LORA = ("t5", "bart")
UNTIED = ("t5-gated", "byt5", "mt5")
START = {"decoder_start_token_id": [5]}
T5_CHANGES = START | {"relative_attention_max_distance": [14], "layer_norm_epsilon": [0.1], "scale_decoder_outputs": [True, False]}
BART_CHANGES = START | {"activation_function": ["silu"], "scale_embedding": [True, False]}
FAR_CHANGES = START | {"relative_attention_max_distance": [20], "layer_norm_epsilon": [0.1], "dense_act_fn": ["relu", "gelu"]}
CHANGES = {
    "t5": T5_CHANGES | {"dense_act_fn": ["gelu"]},
    "t5-gated": T5_CHANGES | {"dense_act_fn": ["relu", "gelu"]},
    "byt5": FAR_CHANGES | {"scale_decoder_outputs": [True]},
    "mt5": FAR_CHANGES,
    "umt5": FAR_CHANGES,
    "bart": BART_CHANGES | {"encoder_attention_heads": [2], "decoder_attention_heads": [2]},
    "bart-uneven": BART_CHANGES | {"encoder_attention_heads": [2], "decoder_attention_heads": [3]},
}
# Keys of config.json that Tuff reads and that say which tensors there are or of what shape, or how texts are made of logits.
# Heads are T5's shapes; what transformers makes of feed_forward_proj stands in dense_act_fn and is_gated_act.
SHAPES = set(
    "model_type vocab_size d_model d_kv d_ff num_layers num_decoder_layers num_heads relative_attention_num_buckets "
    "feed_forward_proj is_gated_act n_positions is_encoder_decoder tie_word_embeddings max_position_embeddings encoder_layers "
    "decoder_layers encoder_ffn_dim decoder_ffn_dim bos_token_id eos_token_id pad_token_id forced_bos_token_id "
    "forced_eos_token_id id2label".split()
)
BEAMS = [
    {"num_beams": 4, "length_penalty": 1.0, "early_stopping": False},
    {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True},
    {"num_beams": 5, "length_penalty": -1.0, "early_stopping": False},
    {"num_beams": 2, "length_penalty": 0.5, "early_stopping": "never"},
]
BEAM_TOKENS = 14
BEAM_GAP = 1e-3  # between the scores of the best text and of what a search with a beam more or less finds, so that f32 agrees
DECODERS = ("gpt2", "llama", "gemma2")
SETTINGS_OF = ("t5", "bart", "mt5")
SETTINGS = [
    {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True, "no_repeat_ngram_size": 3, "min_length": 6, "max_length": 12,
     "forced_eos_token_id": "end"},
    {"num_beams": 3, "max_length": 9, "forced_bos_token_id": 7, "forced_eos_token_id": "end"},
    {"num_beams": 2, "early_stopping": "never", "length_penalty": -0.5, "min_new_tokens": 5, "max_new_tokens": 11},
    {"num_beams": 5, "no_repeat_ngram_size": 1, "max_length": 14},
    {"max_length": 10, "forced_eos_token_id": "end", "no_repeat_ngram_size": 2},
    {"max_new_tokens": 7, "min_length": 4, "forced_bos_token_id": 9},
]  # fmt: skip


def randomize(model, random):
    """Parameters in the order of their names, norms near one; the bias of BART's output, which is none, too."""
    tensors = dict(model.named_parameters()) | {n: b for n, b in model.named_buffers() if n == "final_logits_bias"}
    for name, tensor in sorted(tensors.items()):
        noise = random.standard_normal(tuple(tensor.shape))
        if "norm" in name:
            value = 0.1 * noise if name.endswith("bias") else 1 + 0.15 * noise
        elif name.endswith("relative_attention_bias.weight"):
            value = 1.0 * noise
        elif name.endswith("bias"):
            value = 0.2 * noise
        elif "shared" in name:
            scaled = model.config.model_type == "bart" and model.config.scale_embedding
            value = (0.1 if scaled else 0.4) * noise
        elif "embed_positions" in name:
            value = 0.3 * noise
        else:
            # what layers add counts for more than the token itself, or texts would repeat it
            adds = name.endswith((".o.weight", ".wo.weight", "out_proj.weight", "fc2.weight"))
            value = (0.7 if ".q" in name else 2.5 if adds else 1.4) / np.sqrt(tensor.shape[1]) * noise
            if name.endswith("Attention.q.weight"):  # T5 does not scale the products of queries and keys
                value /= np.sqrt(model.config.d_kv)
        with torch.no_grad():
            tensor.copy_(torch.as_tensor(value, dtype=torch.float32))


def load(folder, double=False):
    return load_model(folder, double, AutoModelForSeq2SeqLM)


def untie(model):
    """T5 1.1 has an output of its own; transformers ties it until a file says otherwise."""
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    model.all_tied_weights_keys.pop("lm_head.weight")


def save(folder, model, tokenizer):
    model.generation_config = GenerationConfig()
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for key in ("_name_or_path", "transformers_version"):
        config.pop(key, None)
    write_json(folder / "config.json", config)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if folder.name == "byt5":
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "ByT5Tokenizer", "extra_ids": 125})
        return
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>",
         "clean_up_tokenization_spaces": False},
    )  # fmt: skip


def logits_of(model, source, labels):
    start = torch.full_like(labels[:, :1], model.config.decoder_start_token_id)
    given = torch.cat((start, labels[:, :-1]), dim=1)
    return model(input_ids=source, decoder_input_ids=given, use_cache=False).logits


def loss_of(model, both):
    """Sources and labels side by side."""
    source, labels = both[:, : SHAPE[1]], both[:, SHAPE[1] :]
    return F.cross_entropy(logits_of(model, source, labels).flatten(0, 1), labels.flatten())


def gradients(model, both, rename=lambda name: name):
    model.zero_grad(set_to_none=True)
    loss = loss_of(model, both)
    loss.backward()
    with torch.no_grad():
        logits = logits_of(model, both[:, : SHAPE[1]], both[:, SHAPE[1] :])
    truth = {"logits": logits.to(torch.float32).contiguous(), "loss": floats(loss)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            truth["grad." + rename(name)] = parameter.grad.to(torch.float32).contiguous()
    return truth


def training(model, batches):
    rate = STEPS["learning_rate"]
    steps = list(
        train(model, batches, lambda step: rate, clip=STEPS["clip"], decay=STEPS["weight_decay"],
              betas=tuple(STEPS["betas"]), eps=STEPS["eps"], loss_of=loss_of)
    )  # fmt: skip
    return {
        "adamw_losses": floats([loss for loss, _ in steps]),
        "adamw_grad_norms": floats([norm for _, norm in steps]),
    }


@torch.no_grad()
def greedy(model, source):
    ids, gap = [model.config.decoder_start_token_id], float("inf")
    for _ in range(GREEDY_TOKENS):
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = logits.topk(2).values
        gap = min(gap, (best[0] - best[1]).item())
        ids.append(int(logits.argmax()))
    return ids[1:], gap


def choose_source(model, tokenizer):
    """The source whose greedy text says most: many distinct tokens, no near ties, no end token."""
    best = (0, None)
    for sentence in tiny_tokenizers.SENTENCES:
        words = sentence.split(" ")
        for count in (3, 5, 8, 11):
            source = tokenizer.encode(" ".join(words[:count])).ids
            text, gap = greedy(model, source)
            if gap > SMALLEST_GAP and model.config.eos_token_id not in text and len(set(text)) > best[0]:
                best = (len(set(text)), (" ".join(words[:count]), source, text))
    if best[1] is None:
        raise SystemExit("no source has a greedy text without near ties: change the seed")
    return best[1]


def make_lora(folder, both, batches, random):
    base = folder
    folder = folder / "lora"
    model = get_peft_model(load(base), LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, task_type="SEQ_2_SEQ_LM"))
    adapters = sorted((n, p) for n, p in model.named_parameters() if "lora_" in n)
    with torch.no_grad():
        for name, parameter in adapters:
            spread = 0.15 if "lora_A" in name else 0.1
            parameter.copy_(torch.as_tensor(spread * random.standard_normal(tuple(parameter.shape))))
    save_adapter(model, folder)
    truth = {}
    for part in (lambda m: gradients(m, both, adapter_name), lambda m: training(m, batches)):
        model = PeftModel.from_pretrained(load(base), folder, is_trainable=True)
        to_double(model)
        truth |= part(model)
    save_file(truth, folder / "truth.safetensors")


def check_keys(folder, name, both, want):
    """Each key that Tuff reads moves the logits, or is one of SHAPES."""
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    expect_listed(name, config, "t5" if kind.endswith("t5") else kind, CHANGES[name], SHAPES)
    logits = lambda changed: logits_of(load(changed, double=True), both[:, : SHAPE[1]], both[:, SHAPE[1] :])
    moves = check_changes(folder, CHANGES[name], logits, want)
    print(f"{name:11} {len(moves)} changes of keys move the logits, by {min(moves):.1e} and more")


def make(output, name):
    make_config, make_tokenizer = MODELS[name]
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.RandomState(SEEDS[name])
    tokenizer = make_tokenizer()
    config = make_config()
    model = AutoModelForSeq2SeqLM.from_config(config, attn_implementation="exact").float()
    if name in UNTIED:
        untie(model)
    randomize(model, random)
    save(folder, model, tokenizer)

    rows, sources, targets = SHAPE
    both = torch.as_tensor(random.randint(2, config.vocab_size, (rows, sources + targets)), dtype=torch.long)
    # Targets are every second token of the sources, of few in a fixed order with noise: something to learn.
    cycle = random.permutation(np.arange(2, config.vocab_size))[:24]
    batches = cycle[(np.arange(sources + 3) + random.randint(0, 24, (STEPS["steps"], rows, 1))) % 24]
    batches = np.concatenate((batches[:, :, :sources], batches[:, :, ::2]), axis=2)
    noise = random.uniform(size=batches.shape) < 0.1
    batches = np.where(noise, random.randint(2, config.vocab_size, batches.shape), batches)
    assert batches.shape[2] == sources + targets

    model = load(folder, double=True)
    truth = {key: torch.as_tensor(np.ascontiguousarray(value), dtype=torch.int32) for key, value in {
        "input_ids": both[:, :sources].numpy(), "labels": both[:, sources:].numpy(),
        "batch_source": batches[:, :, :sources], "batch_labels": batches[:, :, sources:]}.items()}  # fmt: skip
    truth.update(gradients(model, both))
    check_keys(folder, name, both, truth["logits"])
    text, source, target = choose_source(model, tokenizer)
    truth["source_ids"] = torch.tensor(source, dtype=torch.int32)
    truth["greedy_ids"] = torch.tensor(target, dtype=torch.int32)
    truth.update(training(model, batches))
    steady = expect_steady(name, lambda: load(folder, double=True), lambda model: training(model, batches)["adamw_losses"],
                           truth["adamw_losses"])  # fmt: skip
    save_file(truth, folder / "truth.safetensors")
    write_json(folder / "truth.json", {"source": text, "greedy": tokenizer.decode(target, skip_special_tokens=True)})
    if name in LORA:
        make_lora(folder, both, batches, random)

    with torch.no_grad():
        single = logits_of(load(folder), both[:, :sources], both[:, sources:])
    error = expect_near(name, single, truth["logits"])
    losses = [truth["adamw_losses"][i].item() for i in (0, -1)]
    print(f"{name:11} f32 logits differ by {error:.1e}; loss {losses[0]:.3f} -> {losses[1]:.3f}, moved by roundings {steady:.1e}")


def end_of(model, prompt, pair):
    """A token that texts of these weights have after some others, to be their end."""
    made = model.generate(torch.tensor([prompt]), num_beams=4, do_sample=False, max_new_tokens=8, min_new_tokens=8,
                          use_cache=not pair)[0].tolist()
    return made[1:] if pair else made[len(prompt) :]


def make_beams(output):
    """Of each model a few searches; the end is a token that its texts are likely to have."""
    found = {}
    for name in DECODERS + tuple(MODELS):
        pair = name in MODELS
        source = output / name if pair and (output / name).exists() else ROOT / "assets" / "golden" / name
        model = load_model(source, True, AutoModelForSeq2SeqLM if pair else AutoModelForCausalLM).eval()
        truth = load_file(source / "truth.safetensors")
        prompt = truth["source_ids" if pair else "prompt_ids"].tolist()
        model.generation_config = GenerationConfig(
            decoder_start_token_id=model.config.decoder_start_token_id if pair else None, pad_token_id=0
        )
        runs = []
        for end in dict.fromkeys(end_of(model, prompt, pair)[1:8]):
            ends = list(dict.fromkeys((end, model.config.eos_token_id)))
            for settings in BEAMS:
                out = model.generate(
                    torch.tensor([prompt]), do_sample=False, max_new_tokens=BEAM_TOKENS, eos_token_id=ends,
                    return_dict_in_generate=True, output_scores=True, num_return_sequences=2, use_cache=not pair, **settings
                )  # fmt: skip
                scores = out.sequences_scores.tolist()
                if scores[0] - scores[1] < BEAM_GAP:
                    continue
                text = out.sequences[0].tolist()
                text = text[1:] if pair else text[len(prompt) :]
                for i, token in enumerate(text):
                    if token in ends:
                        text = text[: i + 1]
                        break
                runs.append(settings | {"eos": ends, "ids": text, "score": round(scores[0], 6)})
        ended = sum(run["ids"][-1] in run["eos"] for run in runs)
        print(f"{name:11} {len(runs)} searches, {ended} of which ended")
        if len(runs) < 4 or not ended:
            raise SystemExit(f"{name}: too few searches, or none that ended: change the seed")
        text = json.loads((source / "truth.json").read_text())["source" if pair else "prompt"]
        found[name] = {"prompt": text, "max_new_tokens": BEAM_TOKENS, "runs": runs}
    folder = output / "beams"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "truth.json", found)
    make_settings(output)


def whole_text(ids, ends):
    """Up to its end; what transformers pads with comes behind it."""
    for i, token in enumerate(ids):
        if token in ends:
            return ids[: i + 1]
    return ids


def make_settings(output):
    """Of some models what a generation_config.json makes them answer."""
    found = {}
    for name in SETTINGS_OF:
        source = output / name if (output / name).exists() else ROOT / "assets" / "golden" / name
        model = load(source, double=True).eval()
        prompt = load_file(source / "truth.safetensors")["source_ids"].tolist()
        end = model.config.eos_token_id
        fixed = {"decoder_start_token_id": model.config.decoder_start_token_id, "pad_token_id": 0, "eos_token_id": end}
        runs = []
        for settings in SETTINGS:
            settings = {k: end if v == "end" else v for k, v in settings.items()}
            config = GenerationConfig(**fixed, **settings)
            beams = {"num_return_sequences": 2, "output_scores": True} if settings.get("num_beams", 1) > 1 else {}
            out = model.generate(torch.tensor([prompt]), generation_config=config, do_sample=False, use_cache=False,
                                 return_dict_in_generate=True, **beams)  # fmt: skip
            scores = out.sequences_scores.tolist() if beams else [1.0, 0.0]
            if scores[0] - scores[1] < BEAM_GAP:
                continue
            runs.append({"config": fixed | settings, "ids": whole_text(out.sequences[0].tolist()[1:], [end])})
        texts = {tuple(run["ids"]) for run in runs}
        print(f"{name:11} {len(runs)} of {len(SETTINGS)} settings, {len(texts)} texts")
        if len(texts) < 4:
            raise SystemExit(f"{name}: too few texts: change the settings")
        found[name] = {"prompt": json.loads((source / "truth.json").read_text())["source"], "runs": runs}
    write_json(output / "beams" / "settings.json", found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "assets" / "golden")
    parser.add_argument("--only", action="append", choices=[*MODELS, "beams"], help="make this only (repeatable)")
    parser.add_argument("--check", action="store_true", help="compare with --output instead of writing it")
    arguments = parser.parse_args()
    names = arguments.only or [*MODELS, "beams"]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) if arguments.check else arguments.output
        for name in names:
            if name == "beams":
                make_beams(output)
            else:
                make(output, name)
        if arguments.check:
            wrong = sum(compare(arguments.output / name, output / name, ["penalties.json"]) for name in names)
            print("the goldens are what this script makes" if not wrong else f"{wrong} differences")
            return 1 if wrong else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
