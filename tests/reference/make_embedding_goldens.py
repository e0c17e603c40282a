"""Losses of embedding training on small random vectors, with their gradients, as sentence-transformers has them, in f64:
assets/golden/embedding/losses.safetensors.

    python make_embedding_goldens.py [--output DIRECTORY]
"""

import argparse
import os

import torch
from safetensors.torch import save_file
from sentence_transformers.sentence_transformer import losses

ROWS, DIMENSIONS = 6, 12


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


def main():
    parser = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--output", default=os.path.join(here, "../../assets/golden/embedding"))
    output = parser.parse_args().output
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
    os.makedirs(output, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(output, "losses.safetensors"))


if __name__ == "__main__":
    main()
