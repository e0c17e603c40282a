#!/usr/bin/env python3
"""Makes assets/golden/tasks: small files of records, and the losses of 50 AdamW steps that PyTorch has on them with models of
transformers.

    python make_task_goldens.py             writes assets/golden/tasks
    python make_task_goldens.py --check     makes them anew and compares

tokenizer.json and tokenizer_config.json are of all; regression/ is a model of its own, the other tasks train models of assets/golden: bert-mlm,
bert-classes (one label, several), bert-tokens, bert-spans. steps.safetensors has of each run the losses, the gradients' norms
before clipping, and by how much PyTorch's own losses in f32 differ at most (drift): of these tasks, of every other encoder with
each of its heads, of decoders that classify, and of the vectors of all of them. truth.json says how the steps are made, by
task, and of the other models (task, vocabulary, rate) as "steps". Classifiers behind virtual tokens, which PEFT has trained, are
prompts.safetensors, with the adapters in prompts/ and the rest in truth.json as "prompts": the logits of all examples, their
mean loss, 50 steps. LoRA by each task, and by each loss of vectors, is lora.safetensors, with what it begins with in lora/ (the
same by all losses of vectors), and "lora". All is computed in f64, without dropout, an example at a time: a step's loss is the
sum over its examples by the number of their labels. Losses are formed here, because some of transformers' go through f32; they
must be those of transformers."""

import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer import losses as vector_losses
from transformers import AutoModelForSequenceClassification, BertTokenizerFast

from common import to_double, write_or_check
from make_embedding_goldens import Squares
from make_encoder_goldens import LABELS, MODELS, bert, load, randomize, save
from make_goldens import ADAPTER_RATE, MANY_STEPS, ROOT, STEPS, compare_tensors, floats, save_adapter, write_json
from masking import hide, numbers_of

GOLDEN = ROOT / "assets" / "golden"
BATCH, SEED = 4, 65
WINDOW, STRIDE = 14, 3
SHORT = 14  # tokens of an example, of models with few positions
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"w{i}" for i in range(5, 49)]
VOCABULARY = [*SPECIALS, *WORDS, "-"]


def text(random, least, most):
    return " ".join(random.choice(WORDS, random.randint(least, most + 1)))


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines))


def make_data(folder, random):
    """Records of each task; classification's are pairs."""
    data = {}
    data["mlm"] = [text(random, 8, 17) for _ in range(10)]
    write_lines(folder / "mlm.txt", data["mlm"])
    data["classification"] = [(text(random, 2, 8), text(random, 1, 8), random.choice(LABELS["classes"])) for _ in range(11)]
    write_lines(folder / "classification.tsv", ["one\ttwo\tclass", *("\t".join(row) for row in data["classification"])])
    data["several"] = [
        (text(random, 2, 15), [name for name in LABELS["classes"] if random.rand() < 0.5]) for _ in range(9)
    ]
    write_lines(folder / "several.jsonl", [json.dumps({"text": t, "label": names}) for t, names in data["several"]])
    data["regression"] = [(text(random, 2, 15), round(float(random.standard_normal()), 3)) for _ in range(9)]
    write_lines(folder / "regression.csv", ["text,label", *(f"{t},{y}" for t, y in data["regression"])])
    data["tokens"] = []
    for _ in range(9):
        words = list(random.choice([*WORDS, "w7-w9"], random.randint(2, 7)))
        data["tokens"].append((words, [str(random.choice(LABELS["tokens"])) for _ in words]))
    write_lines(
        folder / "tokens.jsonl", [json.dumps({"tokens": words, "labels": labels}) for words, labels in data["tokens"]]
    )
    data["qa"] = []
    for i in range(8):
        context = text(random, 5, 24)
        words = context.split()
        first = random.randint(0, len(words) - 2)
        answer, start = " ".join(words[first : first + 2]), len(" ".join(words[:first])) + (first > 0)
        answers = {"text": [answer], "answer_start": [start]} if i != 3 else {"text": [], "answer_start": []}
        data["qa"].append({"question": text(random, 2, 4), "context": context, "answers": answers})
    write_lines(folder / "qa.jsonl", [json.dumps(record) for record in data["qa"]])
    random = np.random.RandomState(4712)
    data["embedding"] = [(text(random, 2, 15), text(random, 2, 15)) for _ in range(11)]
    write_lines(folder / "embedding.csv", ["sentence1,sentence2", *(",".join(row) for row in data["embedding"])])
    return data | make_vector_data(folder, np.random.RandomState(4715))


def make_vector_data(folder, random):
    """Records of the other losses of vectors: texts, and their score where it has one."""
    texts = [[text(random, 2, 15) for _ in range(3)] for _ in range(11)]
    triplets = [(*row, None) for row in texts]
    scored = [(a, b, round(float(random.rand()), 3)) for a, b, _ in texts]
    together = [(a, b, i % 2) for i, (a, b, _) in enumerate(texts)]
    write_lines(folder / "triplets.csv", ["anchor,positive,negative", *(",".join(row) for row in texts)])
    for name, last, rows in (("scored", "score", scored), ("together", "label", together)):
        write_lines(folder / f"{name}.csv", [f"sentence1,sentence2,{last}", *(f"{a},{b},{y}" for a, b, y in rows)])
    return {"cosine": scored, "triplet": triplets, "contrastive": together, "cosent": scored}


def vocabulary_of(config):
    """As many words as the model has, and the padding where it has it: RoBERTa counts positions by that."""
    words, pad = [*SPECIALS[1:], *WORDS][: config.vocab_size - 2] + ["-"], config.pad_token_id or 0
    return words[:pad] + SPECIALS[:1] + words[pad:]


def make_tokenizer(vocabulary, folder=None):
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "vocab.txt"
        write_lines(file, vocabulary)
        tokenizer = BertTokenizerFast(vocab=str(file))
        tokenizer.save_pretrained(scratch)
        for name in ("tokenizer.json", "tokenizer_config.json") if folder else ():
            write_json(folder / name, json.loads((pathlib.Path(scratch) / name).read_text()))
    return tokenizer


def make_regression(folder, random):
    config = bert()
    config.num_labels = 1
    config.problem_type = "regression"
    model = AutoModelForSequenceClassification.from_config(config).float()
    randomize(model, random)
    save(folder / "regression", model)


def windows(tokenizer, records):
    """As run_qa.py makes them, but each as long as it is."""
    examples = []
    for record in records:
        encoded = tokenizer(
            record["question"], record["context"], truncation="only_second", max_length=WINDOW, stride=STRIDE,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        for i, ids in enumerate(encoded["input_ids"]):
            offsets, first, last = encoded["offset_mapping"][i], 0, 0
            places = [k for k, which in enumerate(encoded.sequence_ids(i)) if which == 1]
            if record["answers"]["text"]:
                begin = record["answers"]["answer_start"][0]
                end = begin + len(record["answers"]["text"][0])
                if offsets[places[0]][0] <= begin and offsets[places[-1]][1] >= end:
                    first = max(k for k in places if offsets[k][0] <= begin)
                    last = min(k for k in places if offsets[k][1] >= end)
            examples.append((ids, encoded["token_type_ids"][i], first, last))
    return examples


def word_labels(tokenizer, words, labels, cut):
    encoded = tokenizer(words, is_split_into_words=True, **cut)
    numbers, before = [], None
    for word in encoded.word_ids():
        fresh = word is not None and word != before
        numbers.append(LABELS["tokens"].index(labels[word]) if fresh else -100)
        before = word
    return encoded["input_ids"], numbers


def logits_of(task, output):
    """Rows, and what a row's loss is by its labels."""
    if task == "qa":
        return torch.stack((output.start_logits[0], output.end_logits[0]))
    return output.logits[0] if task in ("mlm", "tokens") else output.logits


def loss_of(task, logits, labels):
    """The sum of the losses."""
    if task == "several":
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    if task == "regression":
        return F.mse_loss(logits[:, 0], labels, reduction="sum")
    return F.cross_entropy(logits, labels, reduction="sum")


def losses_of(task, tokenizer, data, model, length=None, seen=None):
    """What gives the mean loss of examples, by their numbers in the endless sequence; how many examples there are. Logits
    are added to the list `seen`."""
    classes = list(model.config.id2label.values())
    types_known = getattr(model.config, "type_vocab_size", 0) > 1
    cut = {"truncation": True, "max_length": length} if length else {}
    before = VIRTUAL if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning else 0
    # PEFT's own wrapper of questions leaves token types out
    called = model.get_base_model() if isinstance(model, PeftModel) and not before else model
    kind = next(model.parameters()).dtype

    def run(ids, types, labels, count):
        inputs = {"input_ids": torch.tensor([ids])}
        if types_known:
            inputs["token_type_ids"] = torch.tensor([types])
        wanted = {"labels": labels} if task in ("classification", "several", "regression") else {"labels": labels[None]}
        if task == "tokens":  # PEFT gives logits of virtual tokens, too, and leaves it to its user to give labels for them
            wanted = {"labels": F.pad(labels[None], (before, 0), value=-100)}
        if task == "qa":
            wanted = {"start_positions": labels[:1], "end_positions": labels[1:]}
        if not count:
            return torch.zeros((), dtype=kind), 0
        output = called(**inputs, **wanted)
        logits = logits_of(task, output)
        logits = logits[before:] if task == "tokens" else logits
        if seen is not None:
            seen.append(logits.detach())
        loss = loss_of(task, logits, labels)
        if abs(output.loss.item() * count - loss.item()) > 1e-5 * loss.item():
            raise SystemExit(f"{task}: the loss is {loss.item() / count}, that of transformers {output.loss.item()}")
        return loss, count

    every = windows(tokenizer, data) if task == "qa" else data

    def example(i):
        at = i % len(every)
        if task == "mlm":
            e = tokenizer(data[at], **cut)
            seen, labels = hide(tokenizer, e["input_ids"], i, SEED)
            return seen, e["token_type_ids"], torch.tensor(labels), sum(label >= 0 for label in labels)
        if task == "classification":
            a, b, c = data[at]
            e = tokenizer(a, b, **cut)
            return e["input_ids"], e["token_type_ids"], torch.tensor([classes.index(c)]), 1
        if task == "several":
            e = tokenizer(data[at][0], **cut)
            labels = torch.tensor([[float(c in data[at][1]) for c in classes]], dtype=kind)
            return e["input_ids"], e["token_type_ids"], labels, len(classes)
        if task == "regression":
            e = tokenizer(data[at][0], **cut)
            return e["input_ids"], e["token_type_ids"], torch.tensor([data[at][1]], dtype=torch.float32).to(kind), 1
        if task == "tokens":
            ids, labels = word_labels(tokenizer, *data[at], cut)
            return ids, [0] * len(ids), torch.tensor(labels), sum(label >= 0 for label in labels)
        ids, types, first, last = every[at]
        return ids, types, torch.tensor([first, last]), 2

    def mean(numbers):
        parts = [run(*example(i)) for i in numbers]
        return sum(part for part, _ in parts) / sum(count for _, count in parts)

    return mean, len(every)


def vector_loss(task, tokenizer, data, model, last):
    """A loss of texts' vectors: the mean of a text's states, or the last one, of length 1."""
    kind = next(model.parameters()).dtype
    loss = VECTOR_LOSSES[task](None)
    if task == "cosine" and kind == torch.float64:
        loss.loss_fct = Squares()
    rows = [(*row, None) for row in data] if task == "embedding" else data  # texts, and a score

    def vector(text):
        ids = tokenizer(text, truncation=True, max_length=SHORT)["input_ids"]
        states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        return F.normalize(states[-1] if last else states.mean(0), dim=0)

    def mean(numbers):
        batch = [rows[i % len(rows)] for i in numbers]
        *texts, scores = zip(*batch)
        vectors = [torch.stack([vector(text) for text in column]) for column in texts]
        scores = [score or 0.0 for score in scores]
        return loss.compute_loss_from_embeddings(vectors, torch.tensor(scores, dtype=torch.float32).to(kind))

    return mean, len(rows)


TASKS = {
    "mlm": "bert-mlm", "classification": "bert-classes", "several": "bert-classes", "regression": "tasks/regression",
    "tokens": "bert-tokens", "qa": "bert-spans",
}  # fmt: skip
TASK_OF_HEAD = {"mlm": "mlm", "classes": "classification", "tokens": "tokens", "spans": "qa", "": "embedding"}
VECTOR_LOSSES = {
    "embedding": vector_losses.MultipleNegativesRankingLoss, "cosine": vector_losses.CosineSimilarityLoss,
    "triplet": vector_losses.TripletLoss, "contrastive": vector_losses.ContrastiveLoss, "cosent": vector_losses.CoSENTLoss,
}  # fmt: skip
DECODERS = ("llama-tied", "gpt2")  # of make_goldens.py
PROMPTS = {
    "bert-classes": "SEQ_CLS", "bert-tokens": "TOKEN_CLS", "roberta-classes": "SEQ_CLS", "xlm-roberta-tokens": "TOKEN_CLS",
    "distilbert-classes": "SEQ_CLS", "nomic_bert-tokens": "TOKEN_CLS", "modernbert-classes": "SEQ_CLS",
    "modernbert-biased": "SEQ_CLS", "mpnet-tokens": "TOKEN_CLS", "llama-classes": "SEQ_CLS", "gpt2-classes": "SEQ_CLS",
}  # fmt: skip
VIRTUAL = 3
NEW_HEADS = {"classification": "single_label_classification", "several": "multi_label_classification", "regression": "regression"}
LORA = {"bert-mlm.mlm": None, "bert-tokens.tokens": "TOKEN_CLS", "bert-spans.qa": "QUESTION_ANS"}
LORA |= {f"{name}.{task}": "SEQ_CLS" for name in ("gpt2", "llama") for task in NEW_HEADS}
LORA |= {f"{name}.{task}": "FEATURE_EXTRACTION" for task in VECTOR_LOSSES for name in ("gpt2", "llama")}
SLOWLY = 3e-5  # how vectors are trained: at 1e-3 PyTorch in f32 is as much as 1e-4 from f64
RATES = {"regression": 3e-4, "cosine": 3e-4}  # at 1e-3 losses come near zero, where PyTorch in f32 is far from f64, of regression 2e-4


def train(model, loss, examples, rate):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=STEPS["betas"], eps=STEPS["eps"], weight_decay=STEPS["weight_decay"])
    losses, norms = [], []
    for step in range(MANY_STEPS):
        total = loss(numbers_of(step, examples, BATCH))
        optimizer.zero_grad()
        total.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, STEPS["clip"]).item())
        optimizer.step()
        losses.append(total.item())
    return losses, norms


def put(tensors, run, opened, losses_of_model, rate):
    """The steps of a run in f64, and how far losses in f32 are from them. `opened` gives the model, in f64 or in f32."""
    made = []
    for double in (True, False):
        model = opened(double)
        made.append(train(model, *losses_of_model(model), rate))
    (losses, norms), (single, _) = made
    if not max(losses) - min(losses) > 1e-2 * max(losses):
        raise SystemExit(f"{run}: the losses are all alike")
    drift = max(abs(a / b - 1) for a, b in zip(single, losses))
    tensors[run + ".losses"], tensors[run + ".norms"], tensors[run + ".drift"] = floats(losses), floats(norms), floats(drift)
    print(f"{run:22} loss {losses[0]:.6f} to {losses[-1]:.6f}, in f32 off by {drift:.1e}", flush=True)


def by_task(task, tokenizer, data, length=None, last=False, seen=None):
    """What makes of a model the losses of its task."""
    if task in VECTOR_LOSSES:
        return lambda model: vector_loss(task, tokenizer, data[task], model, last)
    return lambda model: losses_of(task, tokenizer, data[task], model, length, seen)


def make_tasks(folder, data, tokenizer, tensors):
    """Each task by a BERT with its head."""
    tasks = {}
    for task, name in TASKS.items():

        def opened(double):
            path = folder / "regression" if task == "regression" else GOLDEN / name  # noqa: B023
            head = {"regression": "classes", "several": "classes"}.get(task) or MODELS[name][1]  # noqa: B023
            model = load(path, "bert", head, double)
            if task == "several":  # noqa: B023
                model.config.problem_type = "multi_label_classification"
            return model

        rate = RATES.get(task, STEPS["learning_rate"])
        put(tensors, task, opened, by_task(task, tokenizer, data), rate)
        tasks[task] = {"model": name, "learning_rate": rate}
    return tasks


def words_of(config, vocabularies):
    """The tokenizer of a model, and how its words are called in `vocabularies`."""
    vocabulary = vocabulary_of(config)
    words = f"{len(vocabulary)}, padding {vocabulary.index(SPECIALS[0])}"
    vocabularies[words] = " ".join(vocabulary)
    return make_tokenizer(vocabulary), words


def make_steps(data, vocabularies, tensors):
    """The other models: the task that their head is for; of those without one, and of decoders, vectors."""
    runs = {name: pair for name, pair in MODELS.items() if not name.startswith("bert-")}
    runs |= {name: (name, "") for name in DECODERS}
    how = {}
    for run, (name, head) in runs.items():
        opened = lambda double: load(GOLDEN / run, name, head, double)  # noqa: B023, E731
        tokenizer, words = words_of(opened(True).config, vocabularies)
        task, rate = TASK_OF_HEAD[head], STEPS["learning_rate"] if head else SLOWLY
        put(tensors, run, opened, by_task(task, tokenizer, data, SHORT, run in DECODERS), rate)
        how[run] = {"task": task, "vocabulary": words, "learning_rate": rate}
    return how


def save_begin(model, folder, random, scale_of):
    """Draws what is trained and saves it."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.as_tensor(scale_of(key) * random.standard_normal(tuple(parameter.shape))))
    save_adapter(model.float(), folder)


def open_begin(base, folder, double):
    """It, to be trained: which PEFT does not do by itself for virtual tokens that it reads."""
    fresh = PeftModel.from_pretrained(base, folder)
    for key, parameter in fresh.named_parameters():
        parameter.requires_grad_(any(part in key for part in ("prompt_encoder.", ".modules_to_save.", ".lora_")))
    return fresh.double() if double else fresh


def load_base(run, double):
    """The model of a LoRA; a classifier is new, with labels in the order of their names."""
    name, task = run.split(".")
    if task not in NEW_HEADS:
        return load(GOLDEN / name, *MODELS.get(name, (name, "")), double)
    labels = ["LABEL_0"] if task == "regression" else sorted(LABELS["classes"])
    model = AutoModelForSequenceClassification.from_pretrained(
        GOLDEN / name, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True, id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)}, problem_type=NEW_HEADS[task],
    )  # fmt: skip
    if double:
        to_double(model)
    return model.eval()


def make_lora(folder, data, vocabularies, random):
    """LoRA by each task, with the heads that PEFT trains beside it."""
    tensors, how = {}, {}
    for run, kind in LORA.items():
        name, task = run.split(".")
        part = lambda key: 0.3 if ".modules_to_save." in key else 0.15 if "lora_A" in key else 0.1  # noqa: E731
        begin = f"{name}.embedding" if task in VECTOR_LOSSES else run
        if begin == run:
            model = get_peft_model(load_base(run, False), LoraConfig(task_type=kind, r=4, lora_alpha=8))
            save_begin(model, folder / "lora" / run, random, part)
        opened = lambda double: open_begin(load_base(run, double), folder / "lora" / begin, double)  # noqa: B023, E731
        tokenizer, words = words_of(load_base(run, False).config, vocabularies)
        rate = RATES.get(task, STEPS["learning_rate"])
        put(tensors, run, opened, by_task(task, tokenizer, data, SHORT, last=name in ("gpt2", "llama")), rate)
        how[run] = {"model": name, "task": task, "adapter": begin, "vocabulary": words, "learning_rate": rate}
    save_file(tensors, folder / "lora.safetensors")
    return how


def make_prompts(folder, data, vocabularies, random):
    """Virtual tokens before texts that are classified, and the head beside them."""
    tensors, how = {}, {"virtual_tokens": VIRTUAL, "length": SHORT - VIRTUAL, "learning_rate": ADAPTER_RATE, "runs": {}}
    for run, kind in PROMPTS.items():
        name, head = MODELS[run]
        task = TASK_OF_HEAD[head]
        base = load(GOLDEN / run, name, head)
        sizes = {"token_dim": base.config.hidden_size, "num_attention_heads": base.config.num_attention_heads}
        sizes = sizes if name == "distilbert" else {}  # whose names PEFT does not know
        model = get_peft_model(
            base, PromptTuningConfig(task_type=kind, num_virtual_tokens=VIRTUAL, num_layers=base.config.num_hidden_layers, **sizes)
        )
        save_begin(model, folder / "prompts" / run, random, lambda key: 0.6 if key.startswith("prompt_encoder.") else 0.3)
        opened = lambda double: open_begin(load(GOLDEN / run, name, head, double), folder / "prompts" / run, double)  # noqa: B023, E731
        (tokenizer, words), seen = words_of(base.config, vocabularies), []
        made_of = by_task(task, tokenizer, data, SHORT - VIRTUAL)
        with torch.no_grad():
            loss, examples = by_task(task, tokenizer, data, SHORT - VIRTUAL, seen=seen)(opened(True))
            tensors[run + ".loss"] = floats(loss(range(examples)))
            plain = made_of(load(GOLDEN / run, name, head))[0](range(examples))
        tensors[run + ".logits"] = torch.cat(seen).float()
        put(tensors, run, opened, made_of, ADAPTER_RATE)
        how["runs"][run] = {"task": task, "vocabulary": words}
        print(f"{run:22} {kind} {VIRTUAL} virtual tokens: loss {tensors[run + '.loss'].item():.6f}, {plain.item():.6f} without")
    save_file(tensors, folder / "prompts.safetensors")
    return how


def make(output):
    folder = output / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(4711)
    data = make_data(folder, random)
    make_regression(folder, random)
    tokenizer, tensors, vocabularies = make_tokenizer(VOCABULARY, folder), {}, {}
    truth = {"adamw": STEPS | {"steps": MANY_STEPS}, "batch": BATCH, "seed": SEED, "window": WINDOW, "stride": STRIDE, "short": SHORT}
    truth["tasks"] = make_tasks(folder, data, tokenizer, tensors)
    truth["steps"] = make_steps(data, vocabularies, tensors)
    save_file(tensors, folder / "steps.safetensors")
    truth["lora"] = make_lora(folder, data, vocabularies, np.random.RandomState(4714))
    truth["prompts"] = make_prompts(folder, data, vocabularies, np.random.RandomState(4713))
    truth["vocabularies"] = vocabularies
    write_json(folder / "truth.json", truth)


def check(old, new):
    """The number of differences between two folders."""
    wrong = []
    for name in ("steps.safetensors", "prompts.safetensors", "lora.safetensors"):
        left, right = ({key: value for key, value in load_file(f / name).items() if not key.endswith(".drift")} for f in (old, new))
        wrong += [f"{name}: {text}" for text in compare_tensors(left, right)]
    names = {path.relative_to(folder) for folder in (old, new) for path in folder.rglob("*.*") if path.is_file()}
    for name in sorted(names):
        same = all((folder / name).is_file() for folder in (old, new))
        if same and name.suffix != ".safetensors":
            same = (old / name).read_bytes() == (new / name).read_bytes()
        wrong += [] if same else [f"{name}: differs"]
    for line in wrong:
        print(line)
    return len(wrong)


def main():
    return write_or_check(__doc__, GOLDEN, "tasks", make, check)


if __name__ == "__main__":
    sys.exit(main())
