#!/usr/bin/env python3
"""What sentence-transformers makes of texts with a small decoder of assets/golden as its model, the last token's state for
the text's vector: assets/golden/sentence/qwen2.json, with the files that it saves beside the model.

    python make_sentence_goldens.py            writes it
    python make_sentence_goldens.py --check    makes it anew and compares"""

import argparse
import json
import pathlib
import sys
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets" / "golden"
FILE = GOLDEN / "sentence" / "qwen2.json"
KEPT = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "tokenizer_config.json",
        "1_Pooling/config.json")  # fmt: skip
LONGEST = 24  # so that the second text is cut
TEXTS = ["the ship", "a bell rang over the water in the night and the old miller slept", "x", "Straße é 12,345"]
PROMPTS = {"query": "Find: ", "document": ""}


def make():
    transformer = Transformer(str(GOLDEN / "qwen2"), max_seq_length=LONGEST, model_kwargs={"dtype": torch.float32})
    modules = [transformer, Pooling(40, pooling_mode="lasttoken"), Normalize()]
    model = SentenceTransformer(modules=modules, prompts=PROMPTS, device="cpu")
    with tempfile.TemporaryDirectory() as name:
        model.save(name, create_model_card=False)
        folder = pathlib.Path(name)
        files = {path: (folder / path).read_text() for path in KEPT if (folder / path).exists()}
        model = SentenceTransformer(name, device="cpu")
    runs = []
    for prompt in ("document", "query"):
        vectors = model.encode(TEXTS, prompt_name=prompt).astype(float).tolist()
        runs.append({"prompt": prompt, "texts": TEXTS, "vectors": [[round(x, 8) for x in vector] for vector in vectors]})
    return {"files": files, "runs": runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is there")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    made = make()
    if check:
        there = json.loads(FILE.read_text())
        far = max(
            abs(x - y)
            for a, b in zip(there["runs"], made["runs"])
            for u, v in zip(a["vectors"], b["vectors"])
            for x, y in zip(u, v)
        )
        print(f"the largest difference is {far:.1e}")
        return 0 if far < 1e-6 else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(made, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
