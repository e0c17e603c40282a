"""The loss of every step of a Tuff run with --task embedding --no-shuffle against sentence-transformers with the same model,
batches and settings, without dropout; how well the vectors follow a file of scored pairs at the end.

    python check_embedding_training.py --model M --train-file F --loss cosine --log LOG --learning-rate 5e-5 \\
        [--scheduler linear --total STEPS] [--steps 50] [--batch-size 16] [--dev DEV.csv] [--tolerance 1e-5]
"""

import argparse
import csv
import json

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

from common import learning_rate_at

LOSSES = {
    "mnrl": losses.MultipleNegativesRankingLoss,
    "cosine": losses.CosineSimilarityLoss,
    "triplet": losses.TripletLoss,
    "contrastive": losses.ContrastiveLoss,
    "cosent": losses.CoSENTLoss,
}


def read_rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [json.loads(line) for line in file if line.strip()] if path.endswith("l") else list(csv.DictReader(file))


def columns_of(rows):
    names = list(rows[0])
    if "anchor" in names:
        return ["anchor", "positive"] + [n for n in names if n == "negative" or n.startswith("negative_")], None
    return ["sentence1", "sentence2"], "score" if "score" in names else None


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "train-file", "loss", "log"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--scheduler", default="linear")
    parser.add_argument("--total", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--dev")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()

    logged = [entry["loss"] for entry in map(json.loads, open(args.log)) if "loss" in entry]
    steps, total = args.steps or len(logged), args.total or len(logged)
    rows = read_rows(args.train_file)
    columns, score = columns_of(rows)
    model = SentenceTransformer(args.model, device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    loss_of = LOSSES[args.loss](model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.learning_rate, weight_decay=0.0)
    worst, place = 0.0, 0
    for step in range(steps):
        first = step % -(-len(rows) // args.batch_size) * args.batch_size  # an epoch's last batch is what is left
        batch = rows[first : first + args.batch_size]
        features = [model.preprocess([row[name] for row in batch]) for name in columns]
        labels = torch.tensor([float(row[score]) if score else 0.0 for row in batch])
        loss = loss_of(features, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.param_groups[0]["lr"] = learning_rate_at(step, args.learning_rate, args.scheduler, 0, total)
        optimizer.step()
        off = abs(loss.item() - logged[step]) / max(abs(loss.item()), 1e-6)
        if off > worst:
            worst, place = off, step + 1
        if step < 3 or (step + 1) % 25 == 0:
            print(f"step {step + 1}: {loss.item():.9f}, Tuff {logged[step]:.9f}, worst so far {worst:.2e}", flush=True)
    print(f"largest relative difference of {steps} losses: {worst:.2e} at step {place}")
    if args.dev:
        model.eval()
        dev = read_rows(args.dev)
        evaluator = EmbeddingSimilarityEvaluator(
            [r["sentence1"] for r in dev], [r["sentence2"] for r in dev], [float(r["score"]) for r in dev], write_csv=False
        )
        print({k: round(float(v), 6) for k, v in evaluator(model).items()})
    raise SystemExit(0 if worst <= args.tolerance else 1)


if __name__ == "__main__":
    main()
