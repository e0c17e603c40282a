"""Embedding training as sentence-transformers has it, in f64, into assets/golden/embedding: losses on small random
vectors with their gradients (losses.safetensors); a tiny random BERT with its tokenizer, rows of texts, and the losses of
50 steps by each, with how far PyTorch's losses in f32 are from them (steps.safetensors).

    python make_embedding_goldens.py [--output DIRECTORY]
"""

import argparse
import csv
import json
import os
import random

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

ROWS, DIMENSIONS = 6, 12
STEPS, BATCH, RATE = 50, 4, 1e-3
WORDS = "the a old new ship bell rope sea lamp wind crew mast storm land captain sails night harbour sings breaks".split()


def cases():
    """Name, loss, columns, labels."""
    scores = torch.tensor([0.9, 0.2, 0.55, 0.2, 0.0, 1.0], dtype=torch.float64)
    together = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    yield "mnrl", losses.MultipleNegativesRankingLoss(None), 2, None
    yield "mnrl_hard", losses.MultipleNegativesRankingLoss(None), 4, None
    yield "cosine", losses.CosineSimilarityLoss(None, Squares()), 2, scores
    yield "triplet", losses.TripletLoss(None), 3, None
    yield "contrastive", losses.ContrastiveLoss(None), 2, together
    yield "cosent", losses.CoSENTLoss(None), 2, scores


class Squares(torch.nn.Module):
    """The loss gives labels in f32, which its own squares cannot mix with f64."""

    def forward(self, found, wanted):
        return (found - wanted.double()).square().mean()


def write_losses(output):
    generator = torch.Generator().manual_seed(7)
    tensors = {}
    for name, loss, columns, labels in cases():
        # positives and negatives near their anchors, so that no loss is all of one row's
        anchors = torch.randn(ROWS, DIMENSIONS, generator=generator)
        parts = [anchors] + [
            0.4 * anchors + torch.randn(ROWS, DIMENSIONS, generator=generator) for _ in range(columns - 1)
        ]
        vectors = torch.cat(parts)
        if labels is not None:
            labels = labels.float().double()  # as the losses take them
            tensors[f"{name}.scores"] = labels.float()
        x = vectors.double().requires_grad_()
        given = torch.zeros(ROWS) if labels is None else labels
        value = loss.compute_loss_from_embeddings(list(x.split(ROWS)), given)
        value.backward()
        assert value.item() > 1e-2 and x.grad.abs().max() > 1e-3, name
        tensors[f"{name}.vectors"] = vectors
        tensors[f"{name}.loss"] = value.detach().reshape(1).float()
        tensors[f"{name}.gradient"] = x.grad.float()
        print(f"{name:12} {value.item():.9f}  largest gradient {x.grad.abs().max().item():.4f}")
    save(tensors, os.path.join(output, "losses.safetensors"))


def save(tensors, path):
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


# ---- 50 steps


def write_model(output):
    directory = os.path.join(output, "bert")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "vocab.txt"), "w") as file:
        file.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS + ["##s", ",", "."]) + "\n")
    tokenizer = BertTokenizerFast(vocab=os.path.join(directory, "vocab.txt"), model_max_length=16)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(11)
    model = BertModel(config, add_pooling_layer=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    for name, parameter in model.named_parameters():
        if name.endswith("LayerNorm.weight"):
            parameter.data += 1
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    whole = SentenceTransformer(modules=[Transformer(directory), Pooling(16, "mean"), Normalize()], device="cpu")
    whole.max_seq_length = 12
    whole.save_pretrained(directory, create_model_card=False)
    return directory


def sentence(chance):
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 14)))


def write_texts(output):
    """Scored pairs, and anchors with a positive and two negatives; more than the batches of an epoch take."""
    chance = random.Random(5)
    pairs = [(sentence(chance), sentence(chance), round(chance.random(), 3)) for _ in range(30)]
    with open(os.path.join(output, "pairs.csv"), "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("sentence1", "sentence2", "score")] + pairs)
    together = [(a, b, i % 2) for i, (a, b, _) in enumerate(pairs)]
    with open(os.path.join(output, "together.csv"), "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("sentence1", "sentence2", "label")] + together)
    names = ("anchor", "positive", "negative_1", "negative_2")
    ranked = [{name: sentence(chance) for name in names} for _ in range(30)]
    with open(os.path.join(output, "ranked.jsonl"), "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in ranked)
    triplets = [{"anchor": r["anchor"], "positive": r["positive"], "negative": r["negative_1"]} for r in ranked]
    with open(os.path.join(output, "triplets.jsonl"), "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in triplets)
    return {
        "cosine": ([list(p[:2]) for p in pairs], [p[2] for p in pairs]),
        "cosent": ([list(p[:2]) for p in pairs], [p[2] for p in pairs]),
        "contrastive": ([list(p[:2]) for p in together], [p[2] for p in together]),
        "mnrl": ([[r[n] for n in names] for r in ranked], None),
        "triplet": ([list(t.values()) for t in triplets], None),
    }


def train(directory, loss_class, texts, scores, kind):
    model = SentenceTransformer(directory, device="cpu").to(kind)
    model.train()
    loss_of = loss_class(model)
    if kind == torch.float64 and isinstance(loss_of, losses.CosineSimilarityLoss):
        loss_of.loss_fct = Squares()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    found, norms = [], []
    for step in range(STEPS):
        first = step % -(-len(texts) // BATCH) * BATCH  # an epoch's last batch is what is left
        rows = range(len(texts))[first : first + BATCH]
        features = [model.preprocess([texts[r][c] for r in rows]) for c in range(len(texts[0]))]
        labels = torch.tensor([scores[r] if scores else 0.0 for r in rows], dtype=torch.float32).to(kind)
        loss = loss_of(features, labels)
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        found.append(loss.item())
    return found, norms


def write_steps(output):
    directory = write_model(output)
    classes = {
        "mnrl": losses.MultipleNegativesRankingLoss,
        "cosine": losses.CosineSimilarityLoss,
        "triplet": losses.TripletLoss,
        "contrastive": losses.ContrastiveLoss,
        "cosent": losses.CoSENTLoss,
    }
    tensors = {}
    for name, (texts, scores) in write_texts(output).items():
        (found, norms), (single, _) = (train(directory, classes[name], texts, scores, kind) for kind in (torch.float64, torch.float32))
        assert max(found) - min(found) > 1e-3 * max(found), name
        drift = max(abs(a / b - 1) for a, b in zip(single, found))
        tensors[name + ".losses"] = torch.tensor(found, dtype=torch.float32)
        tensors[name + ".norms"] = torch.tensor(norms, dtype=torch.float32)
        tensors[name + ".drift"] = torch.tensor([drift], dtype=torch.float32)
        print(f"{name:12} {found[0]:.6f} ... {found[-1]:.6f}, in f32 off by {drift:.1e}")
    save(tensors, os.path.join(output, "steps.safetensors"))


def main():
    parser = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--output", default=os.path.join(here, "../../assets/golden/embedding"))
    output = parser.parse_args().output
    os.makedirs(output, exist_ok=True)
    write_losses(output)
    write_steps(output)


if __name__ == "__main__":
    main()
