#!/usr/bin/env python3
"""Makes the goldens of bottleneck adapters, beside make_goldens.py's models: folders as the package `adapters` saves them, with
their truth.safetensors (logits, loss, gradients, 50 steps of AdamW that begin as the folder is), computed by it in f64. Masked
language models have 50 steps on the records of make_task_goldens.py, with its words and settings, in assets/golden/bottleneck.

    python make_bottleneck_goldens.py            writes assets/golden/{gpt2,llama}/{bottleneck,houlsby,bottleneck-scaled} and
                                                 assets/golden/bottleneck
    python make_bottleneck_goldens.py --check    makes them anew in a temporary folder and compares
    python make_bottleneck_goldens.py --load DIR --model DIR --ids 1,2,3    the logits behind an adapter that Tuff saved
    python make_bottleneck_goldens.py --encoders TUFF    BERT and DistilBERT with adapters of the package's and of Tuff's making:
                                                         what `tuff fill-mask` says behind them beside the package

The package is for an older transformers than the other scripts: it needs an environment of its own,
    python3 -m venv venv-adapters && venv-adapters/bin/pip install adapters==1.3.0 torch numpy"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import adapters
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, BertTokenizerFast
from transformers.models.llama import modeling_llama

from masking import hide, numbers_of

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
RATE, BETAS, EPS, DECAY, CLIP = 1e-3, (0.9, 0.999), 1e-8, 0.01, 1.0  # as STEPS of make_goldens.py
NAME, STEPS = "adapter", 50
NAMED = f".adapters.{NAME}."  # what its parameters have in their names
# Pfeiffer's place, after the feed-forward; Houlsby's, after attention too, as a pickle; with settings that Tuff only reads.
KINDS = {
    "bottleneck": (adapters.SeqBnConfig(reduction_factor=4), True),
    "houlsby": (adapters.DoubleSeqBnConfig(reduction_factor=6.4), False),
    "bottleneck-scaled": (
        adapters.SeqBnConfig(reduction_factor=8, scaling=0.5, residual_before_ln=False, non_linearity="gelu_new", leave_out=[0]), True,
    ),
}  # fmt: skip


def norm(self, x):
    """transformers' own goes through f32."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def angles(self, x, position_ids):
    """The same."""
    dim = self.config.hidden_size // self.config.num_attention_heads
    frequency = float(self.config.rope_theta) ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = position_ids[..., None].to(torch.float64) * frequency
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


modeling_llama.LlamaRMSNorm.forward = norm
modeling_llama.LlamaRotaryEmbedding.forward = angles


def load_model(folder, kind=AutoModelForCausalLM):
    model = kind.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    adapters.init(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def with_adapter(model_folder, folder, safetensors, double=True, kind=AutoModelForCausalLM):
    model = load_model(model_folder, kind)
    name = model.load_adapter(str(folder), use_safetensors=safetensors, with_head=False)
    model.train_adapter(name)
    return model.double() if double else model


def causal_loss(logits, ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def floats(values):
    return torch.as_tensor(values, dtype=torch.float32).reshape(-1)


def gradients(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits
    loss = causal_loss(logits, ids)
    loss.backward()
    truth = {"logits": logits.detach().to(torch.float32).contiguous(), "loss": floats(loss.item())}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            truth["grad." + name] = parameter.grad.to(torch.float32).contiguous()
    return truth


def losses(model, batches, rate=RATE):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=BETAS, eps=EPS, weight_decay=DECAY)
    model.train()
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        ids = torch.as_tensor(batch, dtype=torch.long)
        loss = causal_loss(model(input_ids=ids, use_cache=False).logits, ids)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        yield loss.item(), length.item()


def training(model, batches, ids):
    steps = list(losses(model, batches))
    model.eval()
    with torch.no_grad():
        final = causal_loss(model(input_ids=ids, use_cache=False).logits, ids)
    return {
        "adamw_losses": floats([loss for loss, _ in steps]),
        "adamw_grad_norms": floats([length for _, length in steps]),
        "final_loss": floats(final.item()),
    }


def save_begin(model, folder, kind, random):
    """A new adapter with numbers of its own, saved."""
    config, safetensors = KINDS[kind]
    model.add_adapter(NAME, config=config)
    model.train_adapter(NAME)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if NAMED in name:
                noise = torch.as_tensor(random.standard_normal(tuple(parameter.shape)), dtype=torch.float32)
                parameter.copy_((0.15 if name.endswith("weight") else 0.1) * noise)
    source = pathlib.Path(model.config._name_or_path).name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_adapter(str(folder), NAME, use_safetensors=safetensors, with_head=False)
    config = folder / "adapter_config.json"
    config.write_text(re.sub(r'"model_name": ".*"', f'"model_name": "{source}"', config.read_text()))
    for path in folder.iterdir():
        path.chmod(0o644)


def make(source, output, kind, seed):
    safetensors = KINDS[kind][1]
    random = np.random.RandomState(seed)
    folder = output / kind
    model = load_model(source)
    save_begin(model, folder, kind, random)
    base = load_file(source / "truth.safetensors")
    ids, batches = base["input_ids"].to(torch.long), base["batch_ids"].numpy()
    batches = np.resize(batches, (STEPS, *batches.shape[1:]))  # they come again
    truth = gradients(with_adapter(source, folder, safetensors), ids)
    truth.update(training(with_adapter(source, folder, safetensors), batches, ids))
    save_file(truth, folder / "truth.safetensors")
    single = [loss for loss, _ in losses(with_adapter(source, folder, safetensors, double=False), batches)]
    drift = max(abs(a - b) / b for a, b in zip(single, truth["adamw_losses"].tolist(), strict=True))
    print(f"{source.name:6} {kind}: loss {truth['adamw_losses'][0]:.3f} -> {truth['adamw_losses'][-1]:.3f}, f32 is {drift:.1e} off")


# ---- masked language models

MASKED = {"bert-mlm": 906, "distilbert-mlm": 908}  # seeds


def masked_steps(model, tokenizer, texts, how):
    """Losses and norms, an example at a time; the sum over a batch by the number of its labels. Heads, which the package trains
    beside an adapter, stay."""
    trained = [p for name, p in model.named_parameters() if NAMED in name]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY)
    model.eval()  # there is no dropout
    for step in range(STEPS):
        total, count = 0.0, 0
        for i in numbers_of(step, len(texts), how["batch"]):
            ids = tokenizer(texts[i % len(texts)], truncation=True, max_length=how["short"])["input_ids"]
            seen, labels = hide(tokenizer, ids, i, how["seed"])
            logits = model(input_ids=torch.tensor([seen])).logits[0]
            total = total + F.cross_entropy(logits, torch.tensor(labels), reduction="sum")
            count += sum(label >= 0 for label in labels)
        loss = total / count
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        yield loss.item(), length.item()


def make_masked(output):
    how = json.loads((GOLDEN / "tasks" / "truth.json").read_text())
    texts = (GOLDEN / "tasks" / "mlm.txt").read_text().splitlines()
    vocabularies = how["steps"] | {"bert-mlm": how["lora"]["bert-mlm.mlm"]}
    tensors, runs = {}, {}
    for name, seed in MASKED.items():
        words = vocabularies[name]["vocabulary"]
        with tempfile.TemporaryDirectory() as scratch:
            file = pathlib.Path(scratch) / "vocab.txt"
            file.write_text("".join(word + "\n" for word in how["vocabularies"][words].split()))
            tokenizer = BertTokenizerFast(vocab_file=str(file))
        for i, kind in enumerate(("bottleneck", "houlsby")):
            config, safetensors = KINDS[kind]
            run = f"{name}.{kind}"
            save_begin(load_model(GOLDEN / name, AutoModelForMaskedLM), output / run, kind, np.random.RandomState(seed + i))
            made = []
            for double in (True, False):
                model = with_adapter(GOLDEN / name, output / run, safetensors, double, AutoModelForMaskedLM)
                made.append(list(masked_steps(model, tokenizer, texts, how)))
            drift = max(abs(a / b - 1) for (a, _), (b, _) in zip(made[1], made[0], strict=True))
            tensors[run + ".losses"], tensors[run + ".norms"] = (floats(column) for column in zip(*made[0], strict=True))
            tensors[run + ".drift"] = floats(drift)
            preset = "seq_bn" if kind == "bottleneck" else "double_seq_bn"
            runs[run] = {"model": name, "task": "mlm", "vocabulary": words, "learning_rate": RATE, "config": preset,
                         "reduction_factor": config["reduction_factor"]}  # fmt: skip
            print(f"{run}: loss {made[0][0][0]:.6f} -> {made[0][-1][0]:.6f}, f32 is {drift:.1e} off")
    save_file(tensors, output / "steps.safetensors")
    (output / "truth.json").write_text(json.dumps(runs, indent=2) + "\n")


# ---- Tuff's commands


def with_words(source, folder):
    """A copy of a masked language model with words to call its tokens by, and a text of them with a mask."""
    shutil.copytree(source, folder)
    count = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(5, count))]
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in words))
    (folder / "text.txt").write_text("".join(f"w{7 + i % 40} w{9 + i % 31} w{11 + i % 23}\n" for i in range(200)))
    return words, [2, 8, 9, 4, 12, 30, 3]


def check_encoder(tuff, folder, adapter, words, ids):
    """The largest difference of the ten most probable words behind an adapter."""
    text = " ".join(words[i] for i in ids[1:-1])
    command = [tuff, "fill-mask", "--model", folder, "--adapter", adapter, "--text", text, "--top-k", "10", "--device", "cpu", "--json"]
    guesses = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["masks"][0]
    safetensors = (adapter / "adapter.safetensors").exists()
    model = with_adapter(folder, adapter, safetensors, kind=AutoModelForMaskedLM).eval()
    with torch.no_grad():
        truth = torch.softmax(model(input_ids=torch.tensor([ids])).logits[0, ids.index(4)], dim=-1)
        without = torch.softmax(load_model(folder, AutoModelForMaskedLM).eval()(input_ids=torch.tensor([ids])).logits[0, ids.index(4)], dim=-1)
    assert (truth - without).abs().max() > 1e-4, "the adapter changes nothing"
    return max(abs(guess["score"] / truth[guess["token"]].item() - 1) for guess in guesses)


def check_encoders(tuff):
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for source in ("bert-mlm", "distilbert-mlm"):
            folder = pathlib.Path(scratch) / source
            words, ids = with_words(GOLDEN / source, folder)
            for kind, (config, safetensors) in KINDS.items():
                made, learned = folder / kind, folder / f"{kind}-tuff"
                model = load_model(folder, AutoModelForMaskedLM)
                model.add_adapter(NAME, config=config)
                model.train_adapter(NAME)
                torch.manual_seed(5)
                with torch.no_grad():
                    for parameter in model.parameters():
                        if parameter.requires_grad:
                            parameter.copy_(0.2 * torch.randn_like(parameter))
                model.save_adapter(str(made), NAME, use_safetensors=safetensors, with_head=False)
                found = [check_encoder(tuff, folder, made, words, ids)]
                if kind != "bottleneck-scaled":  # no new one is so
                    name = {"bottleneck": "seq_bn", "houlsby": "double_seq_bn"}[kind]
                    train = [tuff, "train", "--task", "mlm", "--model", folder, "--train-file", folder / "text.txt", "--output-dir", learned]
                    train += ["--method", "adapter", "--adapter-config", name, "--reduction-factor", "4", "--learning-rate", "0.05"]
                    subprocess.run([*train, "--max-steps", "20", "--device", "cpu", "--quiet"], check=True)
                    found.append(check_encoder(tuff, folder, learned, words, ids))
                print(f"{source} {kind}: probabilities {', '.join(f'{x:.1e}' for x in found)} off")
                worst = max(worst, *found)
    return 0 if worst < 1e-4 else 1


def same(left, right):
    if left.suffix == ".safetensors":
        a, b = load_file(left), load_file(right)
        return set(a) == set(b) and all(
            k.endswith(".drift") or (a[k] - b[k]).abs().max() <= 2e-7 * a[k].abs().max() for k in a
        )
    if left.suffix == ".bin":
        a, b = (torch.load(path, weights_only=True) for path in (left, right))
        return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)
    return left.read_bytes() == right.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed instead of writing it")
    parser.add_argument("--load", type=pathlib.Path, help="an adapter that Tuff saved")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--ids", help="numbers between commas")
    parser.add_argument("--encoders", type=pathlib.Path, help="the command, to check encoders with")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.encoders:
        return check_encoders(arguments.encoders.resolve())
    if arguments.load:
        model = with_adapter(arguments.model, arguments.load, True).eval()
        ids = torch.tensor([[int(i) for i in arguments.ids.split(",")]])
        with torch.no_grad():
            print("\n".join(f"{x:.9g}" for x in model(input_ids=ids).logits[0, -1].tolist()))
        return 0
    wrong, made = 0, []
    with tempfile.TemporaryDirectory() as scratch:
        for i, (name, kind) in enumerate((name, kind) for name in ("gpt2", "llama") for kind in KINDS):
            output = pathlib.Path(scratch) / name if arguments.check else GOLDEN / name
            make(GOLDEN / name, output, kind, 900 + i)
            made += [(path, GOLDEN / name / kind / path.name) for path in (output / kind).iterdir()]
        output = pathlib.Path(scratch) / "bottleneck" if arguments.check else GOLDEN / "bottleneck"
        make_masked(output)
        made += [(path, GOLDEN / "bottleneck" / path.relative_to(output)) for path in output.rglob("*") if path.is_file()]
        for path, committed in made if arguments.check else ():
            if not same(path, committed):
                print(f"{committed.relative_to(GOLDEN)} differs")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
