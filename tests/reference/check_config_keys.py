#!/usr/bin/env python3
"""Which keys of config.json and GGUF the other programs know, and whether Tuff follows each of them.

    python check_config_keys.py --list [--only mixtral]
    python check_config_keys.py --perturb build/default/tuff [--only llama] [--report table.tsv]

--list:    writes assets/golden/keys/*.json: the keys that transformers' config classes have or that its models ask a config
           for while they are built, run and generate; those of PEFT's LoraConfig, and the modules that it adapts by default; the names of the gguf package.
           C tests hold src/models/hf_keys.def, src/models/gguf_keys.def and src/formats/peft_keys.def to them.
--perturb: gives each key other values, or takes it out, in copies of the golden models, and compares Tuff's logits (of
           encoders: the mean of a text's states; of encoder-decoders: the loss of a pair) with those of transformers. A key that changes transformers' numbers must
           change Tuff's to the same, or be refused. Exit status 1 when Tuff ran a model and gave other numbers."""

import argparse
import dataclasses
import inspect
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version

import peft
import torch
import transformers
from gguf.constants import Keys
from peft.utils import constants
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedConfig
from transformers.generation import GenerationConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "assets" / "golden"
MODELS = ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "olmo2", "granite", "smollm3",
          "phi3", "starcoder2", "stablelm", "cohere2", "glm", "glm4", "gpt_neox", "phi", "gptj", "gpt_neo",
          "bloom", "mpt", "falcon", "mixtral", "olmoe", "qwen3_moe", "gpt_oss")  # fmt: skip
ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert", "nomic_bert", "modernbert", "mpnet")
PAIRS = ("t5", "mt5", "umt5", "bart")
TOLERANCE = 2e-4  # of the largest logit: both compute in f32
GENERATION = set(GenerationConfig._get_default_generation_params())
# What PreTrainedConfig takes from a file besides its fields, and what versions before 5 wrote.
TAKEN = """torch_dtype num_labels rope_scaling rope_theta partial_rotary_factor name_or_path _name_or_path _commit_hash
output_attentions attn_implementation experts_implementation per_layer_config pruned_heads is_decoder
cross_attention_hidden_size tie_encoder_decoder tie_last_hidden_states torchscript use_bfloat16 tf_legacy_loss
tokenizer_class prefix task_specific_params finetuning_task sep_token_id decoder_start_token_id quantization_config
auto_map original_max_position_embeddings""".split()

transformers.utils.logging.set_verbosity(60)  # what fails is in the table
transformers.utils.logging.disable_progress_bar()


def load(directory):
    name = directory.name
    kind = AutoModel if name in ENCODERS else AutoModelForSeq2SeqLM if name in PAIRS else AutoModelForCausalLM
    # Falcon's own attention adds ALiBi twice, to the scores and to the mask; that with PyTorch's does it once.
    attention = "sdpa" if name.startswith("falcon") else "eager"
    model, info = kind.from_pretrained(
        directory, dtype=torch.float32, attn_implementation=attention, experts_implementation="eager", local_files_only=True,
        output_loading_info=True,
    )
    info["missing_keys"] = [key for key in info["missing_keys"] if "pooler." not in key]
    return model.eval(), info


def numbers(model, ids):
    """Logits, or, of an encoder, the mean of its states, or the loss of a pair of equal texts."""
    with torch.no_grad():
        if model.config.model_type in PAIRS:
            return model(input_ids=ids, labels=ids).loss.reshape(1)
        if model.config.model_type in ENCODERS:
            return model(ids).last_hidden_state.double().mean(1)
        return model(ids, use_cache=False).logits


def letter_pieces():
    """A tokenizer of words made of the letters a to p, small enough for the encoders' vocabularies."""
    letters = "abcdefghijklmnop"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(letters) + ["##" + letter for letter in letters]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def keys_asked_for(directory):
    """The attributes of its config that a model asks for."""
    encoder = directory.name in ENCODERS
    asked = set()
    original = PreTrainedConfig.__getattribute__

    def trace(self, name):
        asked.add(name)
        return original(self, name)

    PreTrainedConfig.__getattribute__ = trace
    try:
        model, _ = load(directory)
        ids = torch.arange(3, 12)[None]
        numbers(model, ids)
        if not encoder:
            model.generate(ids, max_new_tokens=3, do_sample=False)
    finally:
        PreTrainedConfig.__getattribute__ = original
    kind = type(model.config)
    asked.discard("output_loading_info")  # an option of the call above
    return {name for name in asked if not name.startswith("_") and not callable(getattr(kind, name, None))}, kind


def list_keys(only):
    folder = GOLDEN / "keys"
    found = json.loads((folder / "transformers.json").read_text()) if only else {"transformers": transformers.__version__}
    listed = only or MODELS + ENCODERS + PAIRS
    for name in listed:
        asked, kind = keys_asked_for(GOLDEN / name)
        fields = {field.name for field in dataclasses.fields(kind)}
        found[name] = sorted(asked | fields | GENERATION | set(kind.attribute_map) | set(TAKEN))
    names = set()
    for kind in vars(Keys).values():
        if inspect.isclass(kind):
            names |= {v for v in vars(kind).values() if isinstance(v, str) and v.startswith("{arch}.")}
    names = {re.sub(r"\{dense\}", "dense_2", name.removeprefix("{arch}.")) for name in names}
    folder.mkdir(exist_ok=True)
    write(folder / "transformers.json", found)
    write(folder / "peft.json", peft_facts())
    write(folder / "llama.cpp.json", {"gguf": version("gguf"), "keys": sorted(names)})
    print({name: len(found[name]) for name in listed}, len(names), "of GGUF")


def peft_facts():
    """LoraConfig's keys, and by model_type the modules that PEFT adapts when none are named, joined by commas."""
    maps = {
        "lora": constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
        "ia3": constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
        "ia3_feedforward": constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING,
    }
    joined = {
        name: {kind: ",".join(modules) for kind, modules in sorted(value.items()) if isinstance(modules, list)}
        for name, value in maps.items()
    }
    return {"peft": peft.__version__, "keys": [f.name for f in dataclasses.fields(peft.LoraConfig)]} | joined


def write(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def other_values(key, old):
    if key in GENERATION:
        return [2]
    """Values to try; None stands for null, KeyError for taking the key out."""
    if key in ("layer_types", "mlp_layer_types", "mtp_layer_types"):
        return [["sliding_attention"] * 2, ["full_attention"] * 2, ["full_attention", "sliding_attention"]]
    if key in ("rope_parameters", "rope_scaling"):
        return [None, {}, {"rope_type": "default", "rope_theta": 77.0}, {"rope_theta": 77.0}, {"rope_type": "default"},
                {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4},
                {"type": "dynamic", "factor": 4.0},
                {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
                {"full_attention": {"rope_type": "default", "rope_theta": 77.0}}]  # fmt: skip
    if key in ("hidden_act", "hidden_activation", "activation_function", "activation"):
        return ["gelu_python", "gelu_fast", "gelu_10", "tanh", "mish",
                "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", None]
    if key == "quantization_config":
        return [{"quant_method": "gptq", "bits": 4}]
    if key == "per_layer_config":
        return [{"0": {"intermediate_size": 8}}, {}]
    if isinstance(old, bool):
        return [not old, None, KeyError]
    if isinstance(old, int):
        return [old + 1, max(1, old // 2), 2 * old, 0, None, KeyError]
    if isinstance(old, float):
        return [old * 3, old / 2, 0.0, None, KeyError]
    return [False, True, 3, "sliding", [1]]


def shown(value):
    return "absent" if value is KeyError else json.dumps(value)


def by_transformers(directory, ids):
    try:
        model, info = load(directory)
        if info["missing_keys"] or info["mismatched_keys"]:
            return "misses weights", None
        return "", numbers(model, ids)
    except Exception as error:
        return (str(error) or type(error).__name__).splitlines()[0][:60], None


def by_tuff(tuff, directory, text, scratch):
    """Logits and the ids that they are of; or the refusal."""
    out = scratch / "logits.safetensors"
    command = [tuff, "eval", "--model", directory, "--file", text, "--device", "cpu", "--block-size", "24",
               "--dump-logits", out]  # fmt: skip
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip().splitlines()[-1], None, None
    tensors = load_file(out)
    return "", tensors["logits"].double(), tensors["input_ids"].long()


def pair_by_tuff(tuff, directory, scratch):
    """The loss of a pair, or the refusal; and the ids of its texts, which are equal."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    source = "The river ran past the old mill."
    ids = tokenizer.encode(source).ids
    pair = scratch / "pair.jsonl"
    pair.write_text(json.dumps({"source": source, "target": source}) + "\n")
    command = [tuff, "eval", "--task", "seq2seq", "--model", directory, "--file", pair, "--device", "cpu", "--json"]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip().splitlines()[-1], None, torch.tensor([ids])
    return "", torch.tensor([json.loads(run.stdout)["loss"]], dtype=torch.float64), torch.tensor([ids])


def embed_by_tuff(tuff, directory, text):
    """The mean of a text's states, or the refusal."""
    command = [tuff, "embed", "--model", directory, "--text", text, "--device", "cpu", "--pooling", "mean",
               "--normalize", "no", "--quiet"]  # fmt: skip
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip().splitlines()[-1], None
    return "", torch.tensor(json.loads(run.stdout), dtype=torch.float64)[None]


def judge(theirs, ours, refusal, base):
    """What happened, and whether it is right."""
    if ours is None:
        return f"refused: {refusal.split(': ', 2)[-1][:90]}", True
    if theirs is None:
        return "runs; transformers does not", True
    if theirs.shape != ours.shape or not (theirs - ours).abs().max() <= TOLERANCE * theirs.abs().max():
        return "OTHER LOGITS", False
    return "same change" if (theirs - base).abs().max() > TOLERANCE * base.abs().max() else "no effect", True


def perturb(tuff, only, report):
    known = json.loads((GOLDEN / "keys" / "transformers.json").read_text())
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        text = scratch / "text.txt"
        text.write_text("The river ran past the old mill, and the miller slept. " * 20)
        for model in only or MODELS + ENCODERS + PAIRS:
            config = json.loads((GOLDEN / model / "config.json").read_text())
            directory = scratch / model
            shutil.copytree(GOLDEN / model, directory, ignore=shutil.ignore_patterns("lora", "truth*"))
            if model in ENCODERS:
                words, letters = "ab cad ponk", letter_pieces()
                letters.save(str(directory / "tokenizer.json"))
                ids = torch.tensor([letters.encode(words).ids])
                problem, _ = embed_by_tuff(tuff, directory, words)
            elif model in PAIRS:
                problem, _, ids = pair_by_tuff(tuff, directory, scratch)
            else:
                problem, _, ids = by_tuff(tuff, directory, text, scratch)
            if problem:
                raise SystemExit(f"{model}: {problem}")
            base = by_transformers(directory, ids)[1].double()
            for key in sorted(set(known[model]) | set(config)):
                for value in other_values(key, config.get(key)):
                    if (value is KeyError and key not in config) or (key in config and value == config[key]):
                        continue
                    changed = {k: v for k, v in config.items() if k != key}
                    if value is not KeyError:
                        changed[key] = value
                    (directory / "config.json").write_text(json.dumps(changed))
                    trouble, theirs = by_transformers(directory, ids)
                    if model in ENCODERS:
                        (refusal, ours), found = embed_by_tuff(tuff, directory, words), None
                    elif model in PAIRS:
                        refusal, ours, _ = pair_by_tuff(tuff, directory, scratch)
                        found = None
                    else:
                        refusal, ours, found = by_tuff(tuff, directory, text, scratch)
                    if found is not None and not torch.equal(found, ids):
                        theirs, ours, trouble = None, None, "other ids"
                    verdict, right = judge(None if theirs is None else theirs.double(), ours, refusal, base)
                    wrong += not right
                    rows.append((model, key, shown(value), trouble or "runs", verdict))
                    if not right:
                        print("\t".join(rows[-1]))
    if report:
        report.write_text("".join("\t".join(row) + "\n" for row in rows))
    kinds = {}
    for row in rows:
        kind = row[4].split(":")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
    print(len(rows), "changes:", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="write the lists of keys")
    parser.add_argument("--perturb", type=pathlib.Path, metavar="TUFF", help="compare with this command")
    parser.add_argument("--only", action="append", choices=MODELS + ENCODERS + PAIRS, help="this model only (repeatable)")
    parser.add_argument("--report", type=pathlib.Path, help="write what became of each change here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.list:
        list_keys(options.only)
    return perturb(options.perturb, options.only, options.report) if options.perturb else 0


if __name__ == "__main__":
    sys.exit(main())
