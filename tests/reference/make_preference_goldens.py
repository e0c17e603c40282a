#!/usr/bin/env python3
"""Makes assets/golden/preference: records of preferences, and 50 AdamW steps by each loss that PyTorch takes on them with the
LoRA of a tiny GPT-2 and a tiny Llama (assets/golden/gpt2 and llama, their lora/initial).

    python make_preference_goldens.py             writes assets/golden/preference
    python make_preference_goldens.py --check     makes them anew and compares
    python make_preference_goldens.py --trl       trains them with TRL's trainers and compares (needs trl 1.16 and datasets)

steps.safetensors has of each run the losses, the gradients' norms before clipping, the margins of the rewards and by how much
PyTorch's own losses in f32 differ at most (drift); truth.json how the steps are made. All is computed in f64, without dropout. The losses are written out here; --trl
holds them to TRL's, in f32 and in f64, and prints how far those two are from each other."""

import json
import sys
import tempfile

import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from common import load_model, to_double, write_or_check
from make_goldens import ROOT, STEPS, compare_tensors, floats, write_json

GOLDEN = ROOT / "assets" / "golden"
BATCH, COUNT = 4, 50
MODELS = ("gpt2", "llama")
LOSSES = {
    "dpo": {"loss": "dpo", "learning_rate": 1e-3},
    "smoothed": {"loss": "dpo", "label_smoothing": 0.125, "beta": 0.5, "learning_rate": 1e-3},
    "robust": {"loss": "robust", "label_smoothing": 0.125, "beta": 0.25, "learning_rate": 2e-4},
    "ipo": {"loss": "ipo", "learning_rate": 1e-3},
    "hinge": {"loss": "hinge", "learning_rate": 3e-4},
    "orpo": {"loss": "orpo", "learning_rate": 1e-3},
    "kto": {"loss": "kto", "beta": 0.5, "learning_rate": 1e-3},
    "weighted": {"loss": "kto", "desirable_weight": 1.5, "undesirable_weight": 0.5, "learning_rate": 1e-3},
}
BETA = 0.1
PAIRS = [
    ("The river is", " a road to the sea.", " not."),
    ("In the morning", " they said little", " it rained, and rained."),
    ("A stone", " lies.", " is a bridge, is it?"),
    ("How far is it?", " An hour on foot.", " Far."),
    ("Name a tree.", " Oak", " A tree is a tree"),
    ("Are you there?", "Yes.", "No, never."),
    ("Say it twice: la", " la la", " lo lo lo"),
    ("Who came?", " Nobody came.", " Who?"),
    ("One and one", " is two.", " are three and a half"),
    ("Why", "? Because.", "... I do not know"),
]
ANSWERS = [
    ("The river is", " a road to the sea.", True), ("In the morning", " it rained.", False),
    ("A stone", " lies.", True), ("How far is it?", " Far.", False),
    ("Name a tree.", " Oak", True), ("A stone", " is a bridge, is it?", False),
    ("One and one", " are three and a half", False), ("Why", "? Because.", True),
    ("Say it twice: la", " lo lo lo", False), ("Who came?", " Nobody came.", True),
    ("Name a tree.", " A tree is a tree", False),
]  # fmt: skip
WHOLE = [("The sea is wide.", "The sea is wet, they say"), ("Two and two: four", "Two and two: no")]  # with their prompts


def parted(chosen, rejected):
    """The prompt that both begin with, as TRL's extract_prompt finds it, and what is behind it."""
    at = next(i for i, (a, b) in enumerate(zip(chosen, rejected)) if a != b)
    at -= chosen[at - 1] == " "
    return chosen[:at], chosen[at:], rejected[at:]


ALL_PAIRS = PAIRS + [parted(*pair) for pair in WHOLE]


def write_data(folder):
    records = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in PAIRS]
    records += [{"chosen": c, "rejected": r} for c, r in WHOLE]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    records = [{"prompt": p, "completion": c, "label": good} for p, c, good in ANSWERS]
    (folder / "answers.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def tokenize(tokenizer, prompt, answer):
    """As TRL does: the answer is what is not in the prompt's own tokens."""
    ids = tokenizer(prompt + answer + tokenizer.eos_token)["input_ids"]
    own = tokenizer(prompt)["input_ids"]
    shared = 0
    while shared < len(own) and own[shared] == ids[shared]:
        shared += 1
    return ids[:shared], ids[shared:]


def examples_of(tokenizer, loss):
    """Of each example both sequences as a prompt and an answer, and whether the first is good."""
    if loss != "kto":
        return [(tokenize(tokenizer, p, c), tokenize(tokenizer, p, r), True) for p, c, r in ALL_PAIRS]
    own = [tokenize(tokenizer, p, c) for p, c, _ in ANSWERS]
    others = []
    for begin in range(0, len(own), BATCH):  # answers turn by one place in each batch
        group = own[begin : begin + BATCH]
        others += [(prompt, group[i - 1][1]) for i, (prompt, _) in enumerate(group)]
    return [(a, b, good) for a, b, (_, _, good) in zip(own, others, ANSWERS)]


def logps(model, examples):
    """Of both sequences of each example the logarithms of the probabilities of all tokens but the first, and which of them
    are the answer's. What is put behind a sequence no token of it sees."""
    sequences = [sequence for example in examples for sequence in example[:2]]
    longest = max(len(prompt + answer) for prompt, answer in sequences)
    ids = torch.tensor([(prompt + answer + [0] * longest)[:longest] for prompt, answer in sequences])
    values = model(input_ids=ids, use_cache=False).logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    found = []
    for row, (prompt, answer) in zip(values, sequences):
        places = torch.arange(1, len(prompt + answer))
        found.append((row[: len(places)], places >= len(prompt)))
    return list(zip(found[::2], found[1::2]))


def loss_of(how, batch, model, references):
    """The mean loss of a batch, and the rewards of what is good and what is not."""
    kind, beta, smoothing = how["loss"], how.get("beta", BETA), how.get("label_smoothing", 0.0)
    found = logps(model, batch)
    sums = torch.stack([torch.stack([values[own].sum() for values, own in pair]) for pair in found])
    sizes = torch.tensor([[own.sum().item() for _, own in pair] for pair in found], dtype=sums.dtype)
    if kind == "orpo":
        means = sums / sizes
        odds = means - torch.log(-torch.expm1(means))
        likelihood = -torch.cat([pair[0][0] for pair in found]).mean()
        loss = likelihood - beta * F.logsigmoid(odds[:, 0] - odds[:, 1]).mean()
        return loss, beta * means[:, 0], beta * means[:, 1]
    ratios = sums - torch.tensor(references, dtype=sums.dtype)
    if kind == "kto":
        good = torch.tensor([example[2] for example in batch])
        zero = ratios[:, 1].mean().clamp(min=0).detach()
        weights = torch.where(good, how.get("desirable_weight", 1.0), how.get("undesirable_weight", 1.0))
        sign = torch.where(good, 1.0, -1.0)
        loss = (weights * (1 - torch.sigmoid(beta * sign * (ratios[:, 0] - zero)))).mean()
        return loss, beta * ratios[good, 0], beta * ratios[~good, 0]
    margin = beta * (ratios[:, 0] - ratios[:, 1])
    if kind == "ipo":
        means = ratios / sizes
        loss = (means[:, 0] - means[:, 1] - 1 / (2 * beta)) ** 2
    elif kind == "hinge":
        loss = torch.relu(1 - margin)
    elif kind == "robust":
        loss = -(1 - smoothing) * F.logsigmoid(margin) + smoothing * F.logsigmoid(-margin)
        loss = loss / (1 - 2 * smoothing)
    else:
        loss = -(1 - smoothing) * F.logsigmoid(margin) - smoothing * F.logsigmoid(-margin)
    return loss.mean(), beta * ratios[:, 0], beta * ratios[:, 1]


def open_model(folder, double):
    model = PeftModel.from_pretrained(load_model(folder), folder / "lora" / "initial", is_trainable=True)
    if double:
        to_double(model)
    return model


def optimizer_of(model, rate):
    trained = [p for p in model.parameters() if p.requires_grad]
    return trained, torch.optim.AdamW(
        trained, lr=rate, betas=STEPS["betas"], eps=STEPS["eps"], weight_decay=STEPS["weight_decay"]
    )


def train(folder, how, double=True):
    """The losses, the norms, the margins of all steps."""
    model = open_model(folder, double)
    examples = examples_of(AutoTokenizer.from_pretrained(folder), how["loss"])
    with torch.no_grad(), model.disable_adapter():
        references = [[values[own].sum().item() for values, own in pair] for pair in logps(model, examples)]
    trained, optimizer = optimizer_of(model, how["learning_rate"])
    losses, norms, margins = [], [], []
    batches = -(-len(examples) // BATCH)
    for step in range(COUNT):
        part = slice(step % batches * BATCH, (step % batches + 1) * BATCH)
        loss, good, bad = loss_of(how, examples[part], model, references[part])
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, STEPS["clip"]).item())
        optimizer.step()
        losses.append(loss.item())
        margins.append((good.mean() - bad.mean()).item())
    return losses, norms, margins


def make(output):
    folder = output / "preference"
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    tensors = {}
    for name in MODELS:
        for loss, how in LOSSES.items():
            losses, norms, margins = train(GOLDEN / name, how)
            near, _, _ = train(GOLDEN / name, how, double=False)
            worst = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(losses, near))
            for what, values in (("losses", losses), ("norms", norms), ("margins", margins)):
                tensors[f"{name}.{loss}.{what}"] = floats(values)
            tensors[f"{name}.{loss}.drift"] = floats(worst)
            print(f"{name:6} {loss:9} loss {losses[0]:.6f} to {losses[-1]:.6f}, margin {margins[-1]:+.4f}; f32 is {worst:.1e} off")
    save_file(tensors, folder / "steps.safetensors")
    write_json(folder / "truth.json", {"adamw": STEPS | {"steps": COUNT}, "batch": BATCH, "beta": BETA, "losses": LOSSES})


def check(old, new):
    wrong = list(compare_tensors(*(load_file(f / "steps.safetensors") for f in (old, new))))
    for name in ("pairs.jsonl", "answers.jsonl", "truth.json"):
        wrong += [] if (old / name).read_bytes() == (new / name).read_bytes() else [f"{name}: differs"]
    for line in wrong:
        print(line)
    return len(wrong)


# ---- TRL


def train_with_trl(folder, how, double, scratch):
    import datasets
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    kind = how["loss"]
    trainer_of, config_of = {"kto": (KTOTrainer, KTOConfig), "orpo": (ORPOTrainer, ORPOConfig)}.get(kind, (DPOTrainer, DPOConfig))
    more = {"beta": how.get("beta", BETA)}
    if kind == "kto":
        more |= {key: how[key] for key in ("desirable_weight", "undesirable_weight") if key in how}
    elif kind != "orpo":
        more |= {"loss_type": "sigmoid" if kind == "dpo" else kind, "label_smoothing": how.get("label_smoothing", 0.0)}
    config = config_of(
        output_dir=scratch, per_device_train_batch_size=BATCH, max_steps=COUNT, learning_rate=how["learning_rate"],
        lr_scheduler_type="constant", adam_beta1=STEPS["betas"][0], adam_beta2=STEPS["betas"][1], adam_epsilon=STEPS["eps"],
        weight_decay=STEPS["weight_decay"], max_grad_norm=STEPS["clip"], bf16=False, gradient_checkpointing=False,
        report_to="none", logging_steps=1, save_strategy="no", use_cpu=True, disable_tqdm=True, optim="adamw_torch",
        train_sampling_strategy="sequential", dataloader_pin_memory=False, **more,
    )  # fmt: skip
    rows = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in ALL_PAIRS]
    if kind == "kto":
        rows = [{"prompt": p, "completion": c, "label": good} for p, c, good in ANSWERS]
    losses, margins = [], []

    class Watched(trainer_of):
        def compute_loss(self, *args, **kwargs):
            out = super().compute_loss(*args, **kwargs)
            losses.append((out[0] if isinstance(out, tuple) else out).item())
            return out

        def log(self, logs, *args, **kwargs):
            metrics = getattr(self, "_metrics", None) or getattr(self, "_stored_metrics")
            if metrics["train"].get("rewards/margins"):
                margins.append(float(metrics["train"]["rewards/margins"][-1]))
            super().log(logs, *args, **kwargs)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    begin = tokenizer("a")["input_ids"][0]
    if kind == "orpo" and begin in tokenizer.all_special_ids + [1]:  # it begins sequences with this token, not by the template
        tokenizer.bos_token = tokenizer.convert_ids_to_tokens(begin)
    trainer = Watched(model=open_model(folder, double), args=config, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    return losses, margins


def compare_with_trl(only):
    wrong = 0
    made = load_file(GOLDEN / "preference" / "steps.safetensors")
    for name in MODELS:
        for loss, how in LOSSES.items():
            if loss == "smoothed" or only not in ("", f"{name}.{loss}"):  # which TRL no longer has for dpo
                continue
            with tempfile.TemporaryDirectory() as scratch:
                runs = [train_with_trl(GOLDEN / name, how, double, scratch) for double in (False, True)]
            losses, _, margins = train(GOLDEN / name, how)
            far = [max(abs(a - b) / abs(a) for a, b in zip(losses, run[0])) for run in runs]
            apart = [max(abs(a - b) for a, b in zip(margins, run[1])) for run in runs]
            bound = max(1e-5, 3 * made[f"{name}.{loss}.drift"].item())  # as the tests have it
            wrong += far[0] > bound or apart[0] > 1e-4 or any(len(part) != COUNT for run in runs for part in run)
            print(
                f"{name:6} {loss:9} losses: TRL in f32 {far[0]:.1e}, in f64 {far[1]:.1e} off; margins {apart[0]:.1e}, {apart[1]:.1e}",
                flush=True,
            )
    return wrong


def options(parser):
    parser.add_argument("--trl", action="store_true", help="compare with TRL instead of writing")
    parser.add_argument("--run", default="", metavar="NAME", help="with --trl: this one alone, such as llama.orpo")


def first(arguments):
    return (1 if compare_with_trl(arguments.run) else 0) if arguments.trl else None


def main():
    return write_or_check(__doc__, GOLDEN, "preference", make, check, options, first)


if __name__ == "__main__":
    sys.exit(main())
