#!/usr/bin/env python3
"""Which of the GGUFs that Tuff writes llama.cpp loads, beside what Tuff says of it when it writes them.

    python check_llamacpp_loads.py --tuff build/default/tuff [--completion llama-completion] [--prefix "chroot DIR"]
                                   [--work DIR] [--seen DIR] [NAME ...]

Each golden's config as it is, and with one thing changed: the output tied or not, rotary positions scaled in three ways,
biases, wider heads, shared heads. transformers makes a model of it, Tuff converts it, llama.cpp loads it and makes a token. A
file that llama.cpp refuses without Tuff's saying "will not load", or loads although Tuff said so, is an error; so is a
refusal by Tuff of a config that is not refused in words. --prefix runs llama.cpp elsewhere, where --work is seen as --seen.
Exit status 1 on any."""

import argparse
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import warnings

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"
NAMES = """cohere2 falcon gemma gemma2 gemma3_text glm glm4 gpt_neox gpt_oss granite llama mistral mixtral olmo2 olmoe phi phi3
    qwen2 qwen3 qwen3_moe smollm3 stablelm starcoder2""".split()
BIASES = ("attention_bias", "mlp_bias", "use_bias", "bias", "use_qkv_bias")
SCALINGS = {
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
    "linear": {"factor": 2.0},
    "yarn": {"factor": 2.0, "original_max_position_embeddings": 32},
}


def changes(config):
    """Names and keys of what is changed."""
    tied = config.get("tie_word_embeddings", True)
    yield "as it is", {}
    yield "untied" if tied else "tied", {"tie_word_embeddings": not tied}
    theta = config.get("rope_theta") or (config.get("rope_parameters") or {}).get("rope_theta", 10000.0)
    for kind, keys in SCALINGS.items():
        yield kind, {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **keys}, "rope_scaling": None, "rope_theta": None}
    for key in BIASES:
        if key in config:
            yield f"{key} {not config[key]}", {key: not config[key]}
    heads = config.get("num_attention_heads")
    if heads:
        shared = config.get("num_key_value_heads", heads) != heads
        yield "wider heads", {"head_dim": config["hidden_size"] // heads * 2}
        yield "all heads" if shared else "shared heads", {"num_key_value_heads": heads if shared else max(heads // 2, 1)}


def make(golden, keys, directory):
    """A model of the golden's config with these keys; a sentence where transformers makes none."""
    config = json.loads((golden / "config.json").read_text())
    config = {key: value for key, value in {**config, **keys}.items() if value is not None or key not in keys}
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(golden, directory, ignore=shutil.ignore_patterns("*.safetensors", "truth*", "lora*", "*.bin"))
    (directory / "config.json").write_text(json.dumps(config))
    try:
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory)).save_pretrained(directory)
    except Exception as error:
        return f"transformers does not make it: {str(error)[:70]!r}"
    return ""


def check(options, name, what, keys):
    work = pathlib.Path(options.work)
    file = work / "loads.gguf"
    why = make(GOLDEN / name, keys, work / "loads")
    if why:
        return True, why
    run = lambda command: subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    made = run([options.tuff, "convert", work / "loads", "--to", "gguf", "--output", file, "--overwrite"])
    if made.returncode:
        return made.returncode == 1, made.stderr.strip()[:150]
    warned = "it will not load the file" in made.stderr
    command = [*shlex.split(options.prefix), options.completion, "-m", f"{options.seen or work}/{file.name}", "-p", "a"]
    loads = run(command + ["-n", "1", "-c", "32", "-t", "1", "--no-warmup", "-no-cnv"]).returncode == 0
    return loads != warned, f"llama.cpp {'loads' if loads else 'refuses'} it, Tuff {'warned' if warned else 'said nothing'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--completion", default="llama-completion")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--work", default="/tmp")
    parser.add_argument("--seen", default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    bad = 0
    for name in options.names or NAMES:
        for what, keys in changes(json.loads((GOLDEN / name / "config.json").read_text())):
            right, said = check(options, name, what, keys)
            bad += not right
            print(f"{name}, {what}: {said}{'' if right else '  <-- WRONG'}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
