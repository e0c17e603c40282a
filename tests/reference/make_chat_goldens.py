#!/usr/bin/env python3
"""Makes assets/golden/conversations: records of every format that `--task sft` reads, what transformers makes of them, and the
losses of 50 AdamW steps that PyTorch has on their answers.

    python make_chat_goldens.py             writes assets/golden/conversations
    python make_chat_goldens.py --check     makes them anew and compares

chat_template.jinja marks what the assistant says; plain.jinja is the same without marks. truth.json has by run the ids of
every record, cut to `length`, and which of them are learned (for the template jinja2's generation marks as transformers'
apply_chat_template gives them, for prompt and completion trl's rule: what is behind the ids of the prompt alone), and "full",
and of conversations "lora": the losses, the gradients' norms (before clipping) of models of assets/golden, of their lora/initial,
and by how much PyTorch's own losses in f32 differ at most (drift). All is computed in f64, a conversation at a time: a
step's loss is the sum over its answers' tokens by their number, as trl and transformers have it with num_items_in_batch."""

import json
import sys

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import AutoTokenizer

from common import load_model, to_double, write_or_check
from make_goldens import MANY_STEPS, ROOT, STEPS, write_json

GOLDEN = ROOT / "assets" / "golden"
BATCH, LENGTH = 4, 40
TEMPLATE = (
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}{{- 'A: ' -}}"
    "{%- generation -%}{{- message.content + eos_token -}}{%- endgeneration -%}{{- '\\n' -}}"
    "{%- else -%}{{- message.role[0] | upper + ': ' + message.content + '\\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'A: ' -}}{%- endif -%}"
)
SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}
CHATS = [
    [("user", "Where is the stone?"), ("assistant", "By the river.")],
    [("system", "Be brief."), ("user", "Is it warm?"), ("assistant", "Yes.")],
    [("user", "the road"), ("assistant", "is long"), ("user", "and"), ("assistant", "it isn't")],
    [("user", "One"), ("assistant", "  two  "), ("user", "three?"), ("assistant", "four\nfive")],
    [("user", "a"), ("assistant", "b")],
    [("user", "Say it at length."), ("assistant", "She said that the stone was warm in the morning, and the longest road was there")],
    [("user", "1, 2"), ("assistant", "3"), ("user", "4")],
    [("user", "ü ß 語"), ("assistant", "日本 é")],
    [("user", "the bridge and the river"), ("assistant", "the river")],
    [("system", "s"), ("user", "x"), ("assistant", "y"), ("user", "z"), ("assistant", "w")],
    [("user", "In the morning"), ("assistant", "it isn't the longest road.")],
]
PAIRS = [
    ("The river and", " the bridge."), ("In the morning", " it isn't the longest road."), ("1 + 1 =", " 2"), ("Q:\n", "yes"),
    ("She said that the stone", " was warm"), ("a", "\n\nb\n"), ("the", " end <|endoftext|>"),
]  # fmt: skip
RUNS = {"llama": ("llama", "messages"), "gpt2": ("gpt2", "messages"), "completion": ("llama", "completion"), "bare": ("gpt2", "completion")}


def lines(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def make_data(folder):
    turns = [[{"role": role, "content": text} for role, text in chat] for chat in CHATS]
    lines(folder / "messages.jsonl", [{"messages": chat} for chat in turns])
    lines(folder / "sharegpt.jsonl", [{"conversations": [{"from": SPEAKERS[r], "value": t} for r, t in chat]} for chat in CHATS])
    parts = [[dict(turn, content=[{"type": "text", "text": turn["content"]}]) for turn in chat] for chat in turns]
    (folder / "parts.json").write_text(json.dumps([{"messages": chat} for chat in parts], indent=1) + "\n")
    lines(folder / "completion.jsonl", [{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS])
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "plain.jinja").write_text(TEMPLATE.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", ""))
    return turns


def marked(tokenizer, chat):
    """The ids of a conversation, and the tokens that jinja2's marks reach."""
    encoded = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    return encoded["input_ids"], encoded["assistant_masks"]


def completed(tokenizer, prompt, completion):
    """As trl's SFTTrainer: the end is added where it is missing, and what the prompt alone does not have is learned."""
    end = tokenizer.eos_token
    text = prompt + completion + ("" if completion.endswith(end) else end)
    before, ids = tokenizer(prompt)["input_ids"], tokenizer(text)["input_ids"]
    if ids[: len(before)] != before:
        raise SystemExit(f"a token of {text!r} belongs to prompt and completion: choose other texts")
    return ids, [0] * len(before) + [1] * (len(ids) - len(before))


def answers_of(tokenizer, turns, kind):
    rows = [marked(tokenizer, chat) for chat in turns] if kind == "messages" else [completed(tokenizer, *pair) for pair in PAIRS]
    rows = [(list(ids)[:LENGTH], list(learned)[:LENGTH]) for ids, learned in rows]
    return [row for row in rows if any(row[1][1:])]


def steps_of(model, rows):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=STEPS["learning_rate"], betas=STEPS["betas"], eps=STEPS["eps"], weight_decay=STEPS["weight_decay"]
    )
    losses, norms = [], []
    for step in range(MANY_STEPS):
        at = step % -(-len(rows) // BATCH) * BATCH  # an epoch's last is what is left
        total, count = 0.0, 0
        for ids, learned in rows[at : at + BATCH]:
            labels = torch.tensor([token if used else -100 for token, used in zip(ids, learned)])
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
            total = total + F.cross_entropy(logits[:-1], labels[1:], reduction="sum", ignore_index=-100)
            count += sum(learned[1:])
        loss = total / count
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, STEPS["clip"]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def train(folder, lora, rows):
    """The steps of a model, or of a LoRA of it, in f64, and how far losses in f32 are from them."""
    made = []
    for double in (True, False):
        model = load_model(folder, double and not lora)
        if lora:
            model = PeftModel.from_pretrained(model, folder / "lora" / "initial", is_trainable=True)
        if lora and double:
            to_double(model)
        made.append(steps_of(model, rows))
    (losses, norms), (single, _) = made
    return {"losses": losses, "norms": norms, "drift": max(abs(a / b - 1) for a, b in zip(single, losses))}


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    turns = make_data(folder)
    truth = {"adamw": STEPS | {"steps": MANY_STEPS}, "batch": BATCH, "length": LENGTH, "runs": {}}
    for run, (name, kind) in RUNS.items():
        tokenizer = AutoTokenizer.from_pretrained(GOLDEN / name, local_files_only=True)
        tokenizer.chat_template = TEMPLATE
        rows = answers_of(tokenizer, turns, kind)
        made = {"model": name, "file": kind + ".jsonl", "ids": [ids for ids, _ in rows], "learned": [used for _, used in rows]}
        print(f"{run:12} {len(rows)} conversations, {sum(sum(used) for _, used in rows)} tokens learned")
        for how in ("full", "lora") if kind == "messages" else ("full",):
            made[how] = part = train(GOLDEN / name, how == "lora", rows)
            print(f"{run:12} {how} loss {part['losses'][0]:.6f} to {part['losses'][-1]:.6f}, in f32 off by {part['drift']:.1e}")
        truth["runs"][run] = made
    write_json(folder / "truth.json", truth)


def check(old, new):
    """The number of differences between two folders: losses may differ by rounding, what else there is not at all."""
    truths, wrong = [json.loads((folder / "truth.json").read_text()) for folder in (old, new)], []
    for run, items in truths[0]["runs"].items():
        for how in [key for key in ("full", "lora") if key in items]:
            left, right = items.pop(how), truths[1]["runs"][run].pop(how)
            pairs = zip(left["losses"] + left["norms"], right["losses"] + right["norms"], strict=True)
            worst = max(abs(a - b) / abs(a) for a, b in pairs)
            wrong += [] if worst <= 1e-9 else [f"{run}: the steps ({how}) differ by {worst:.1e}"]
    wrong += [] if truths[0] == truths[1] else ["truth.json: ids or what is learned differs"]
    for path in sorted(new.iterdir()):
        if path.name != "truth.json" and path.read_bytes() != (old / path.name).read_bytes():
            wrong.append(f"{path.name}: differs")
    for line in wrong:
        print(line)
    return len(wrong)


def main():
    return write_or_check(__doc__, GOLDEN, "conversations", lambda folder: make(folder / "conversations"), check)


if __name__ == "__main__":
    sys.exit(main())
