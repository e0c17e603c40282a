#!/usr/bin/env python3
"""Trains a small model whose widths are multiples of 256, writes it in every type, and measures what that costs; then trains
LoRA on the blocks of each type and on the numbers that they stand for. Needs the command only, no library.

    python check_quantized_loss.py --tuff build/default/tuff [--text FILE] [--work DIR]
    python check_quantized_loss.py --devices cpu,lavapipe --lora-steps 50 --lora-types q4_k_m,mxfp4

The text is that of the bundled model, by a grammar, unless --text gives another, of which the last twentieth is held out.
The second column of what is printed is the type of most matrices; the others are as the mix has them. MXFP4 is for experts,
so its model is a mixture of four.
Exit status 1 when the model is not a trained one (half the entropy of single tokens), when q8_0, q6_k or q4_k_m move the
held-out loss by more than 0.1, 0.5 or 4 %, or when a loss of LoRA differs by more than 1e-4 of it."""

import argparse
import array
import collections
import json
import math
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

STORIES = pathlib.Path(__file__).resolve().parents[2] / "assets/stories"
VOCABULARY, WIDTH, FFN, HEADS, KV_HEADS, CONTEXT, EXPERTS = 1024, 256, 768, 4, 2, 256, 4
BOUNDS = {"q8_0": 0.1, "q6_k": 0.5, "q4_k_m": 4.0}  # percent of the loss
LORA_TOLERANCE = 1e-4  # of each loss
MIXES = (
    "f16 bf16 q8_0 q6_k q5_k_m q5_k_s q4_k_m q4_k_s q3_k_l q3_k_m q3_k_s q2_k q5_1 q5_0 q4_1 q4_0 iq4_nl"
).split()  # fmt: skip
LORA_MIXES = "q8_0 q6_k q5_k_m q4_k_m q3_k_m q2_k q5_1 q5_0 q4_1 q4_0 iq4_nl mxfp4".split()


def shapes_of(layers, experts):
    """Names and shapes of all tensors of a Llama, or of a Mixtral where there are experts."""
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for i in range(layers):
        layer = f"model.layers.{i}."
        keys = WIDTH // HEADS * KV_HEADS
        for name, rows in (("q", WIDTH), ("k", keys), ("v", keys), ("o", WIDTH)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows, WIDTH)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{name}.weight", (WIDTH,)
        if experts:
            yield f"{layer}block_sparse_moe.gate.weight", (experts, WIDTH)
        names = ("w1", "w3", "w2") if experts else ("gate_proj", "up_proj", "down_proj")
        for e in range(max(experts, 1)):
            at = f"{layer}block_sparse_moe.experts.{e}." if experts else f"{layer}mlp."
            for name, shape in zip(names, ((FFN, WIDTH), (FFN, WIDTH), (WIDTH, FFN))):
                yield f"{at}{name}.weight", shape
    yield "model.norm.weight", (WIDTH,)


def write_initial(directory, layers, experts=0, seed=1):
    """A Hugging Face directory of random weights: 1 in norms, else normal with a standard deviation of 0.04."""
    directory.mkdir(parents=True)
    draw, header, data = random.Random(seed), {}, bytearray()
    for name, shape in shapes_of(layers, experts):
        count = math.prod(shape)
        values = [1.0] * count if len(shape) == 1 else [draw.gauss(0, 0.04) for _ in range(count)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (len(data), len(data) + 4 * count)}
        data += array.array("f", values).tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    config = {
        "architectures": ["MixtralForCausalLM" if experts else "LlamaForCausalLM"],
        "model_type": "mixtral" if experts else "llama",
        "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": FFN, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "max_position_embeddings": CONTEXT, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    if experts:
        config |= {"num_local_experts": experts, "num_experts_per_tok": 2, "sliding_window": None}
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    shutil.copy(STORIES / "tokenizer.json", directory)


def run(options, *arguments):
    command = [str(options.tuff), *map(str, arguments), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def make_texts(options, work):
    """Paths of what is trained on, and of what is held out."""
    train, held_out = work / "train.txt", work / "held-out.txt"
    if options.text:
        text = options.text.read_text(encoding="utf-8")
        cut = text.rindex("\n", 0, len(text) * 19 // 20) + 1
        train.write_text(text[:cut], encoding="utf-8")
        held_out.write_text(text[cut:], encoding="utf-8")
        return train, held_out
    for path, seed, size in ((train, 1, 4_000_000), (held_out, 2, 100_000)):
        command = [sys.executable, STORIES / "make_stories.py", "--characters", str(size), "--output", path]
        subprocess.run([*command] + (["--seed", str(seed)] if seed != 1 else []), check=True, stdout=subprocess.DEVNULL)
    return train, held_out


def train(options, model, text, out, *settings):
    """The loss of each step."""
    log = out.with_suffix(".jsonl")
    run(options, "train", "--model", model, "--train-file", text, "--output-dir", out, "--log-file", log, *settings)
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def entropy(batches):
    """Of single tokens, in nats; `batches` is what --dump-batches wrote."""
    data = batches.read_bytes()
    ids = array.array("i", data[10 + struct.unpack("<H", data[8:10])[0] :])
    return -sum(n / len(ids) * math.log(n / len(ids)) for n in collections.Counter(ids).values())


def train_whole(options, model, text, work, steps):
    initial, out, batches = work / f"{model}-initial", work / model, work / f"{model}.npy"
    write_initial(initial, options.layers, EXPERTS if model == "experts" else 0)
    settings = ["--device", "cpu", "--max-steps", steps, "--per-device-train-batch-size", 8, "--block-size", 128]
    settings += ["--learning-rate", "2e-3", "--lr-scheduler-type", "cosine", "--warmup-steps", steps // 20]
    losses = train(options, initial, text, out, *settings, "--weight-decay", 0.1, "--dump-batches", batches)
    return out, losses, entropy(batches)


def loss_of(options, model, text):
    said = run(options, "eval", "--model", model, "--file", text, "--device", "cpu", "--block-size", 128, "--json")
    return json.loads(said)["loss"]


def convert(options, model, to, dtype, out):
    run(options, "convert", model, "--to", to, "--dtype", dtype, "--output", out, "--overwrite")
    return out


def type_of(options, file):
    """That of most matrices."""
    types = json.loads(run(options, "inspect", file, "--json"))["tensors"]["types"]
    return max((t for t in types if t != "F32" or len(types) == 1), key=lambda t: types[t]["tensors"])


def check_losses(options, model, text, work):
    whole, failed = loss_of(options, model, text), False
    print(f"\n{'':8}{'':6}{'bytes':>10}{'loss':>10}      off\n{'f32':22}{'':2}{whole:10.5f}")
    for mix in MIXES:
        file = convert(options, model, "gguf", mix, work / f"{mix}.gguf")
        loss = loss_of(options, file, text)
        off = 100 * (loss / whole - 1)
        bad = mix in BOUNDS and not abs(off) <= BOUNDS[mix]
        bound = f" of {BOUNDS[mix]:g} %{' FAILS' if bad else ''}" if mix in BOUNDS else ""
        print(f"{mix:8}{type_of(options, file):6}{file.stat().st_size:10}{loss:10.5f}{off:+9.3f} %{bound}")
        failed |= bad
    return failed


def check_lora(options, models, text, work):
    failed = False
    print(f"\nLoRA, losses of {options.lora_steps} steps on blocks and on their numbers as f32, the largest difference")
    for mix in options.lora_types.split(","):
        file = convert(options, models["experts" if mix == "mxfp4" else "plain"], "gguf", mix, work / f"{mix}.gguf")
        whole = work / f"{mix}-whole"
        shutil.rmtree(whole, ignore_errors=True)
        convert(options, file, "hf", "f32", whole)
        for device in options.devices.split(","):
            settings = ["--device", device, "--max-steps", options.lora_steps, "--per-device-train-batch-size", 4]
            settings += ["--block-size", 64, "--lora-rank", 8, "--lora-target", "all-linear", "--learning-rate", "2e-3"]
            settings += ["--overwrite-output-dir"]
            a, b = (train(options, m, text, work / "adapter", *settings) for m in (file, whole))
            off = max(abs(x / y - 1) for x, y in zip(a, b, strict=True))
            bad = not off <= LORA_TOLERANCE or len(a) != options.lora_steps or a[0] == a[-1]
            print(f"{mix:8}{device:10}{a[0]:8.4f} to {a[-1]:.4f}, off by {off:.1e}{' FAILS' if bad else ''}")
            failed |= bad
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", type=pathlib.Path, default="build/default/tuff")
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--lora-text", type=pathlib.Path, default=STORIES / "style.txt")
    parser.add_argument("--work", type=pathlib.Path, help="an empty or new folder")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--devices", default="cpu", help="of LoRA: cpu,lavapipe")
    parser.add_argument("--lora-steps", type=int, default=50)
    parser.add_argument("--lora-types", default=",".join(LORA_MIXES))
    options = parser.parse_args()
    work = options.work or pathlib.Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    text, held_out = make_texts(options, work)
    plain, losses, single = train_whole(options, "plain", text, work, options.steps)
    trained = loss_of(options, plain, held_out)
    print(f"{options.steps} steps: loss {losses[0]:.3f} to {losses[-1]:.3f}, held out {trained:.4f}; of single tokens {single:.3f}")
    failed = not trained < single / 2
    failed |= check_losses(options, plain, held_out, work)
    models = {"plain": plain}
    if "mxfp4" in options.lora_types.split(","):
        models["experts"] = train_whole(options, "experts", text, work, options.steps // 6)[0]
    failed |= check_lora(options, models, options.lora_text, work)
    print("FAILS" if failed else "all within their bounds")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
