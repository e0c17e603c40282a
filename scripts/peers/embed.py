#!/usr/bin/env python3
"""Embedding speed of Tuff, sentence-transformers and ONNX Runtime on the CPU, f32, taking turns in one run.

    python embed.py --model all-MiniLM-L6-v2 --library build/default/libtuff.so [--texts docs.jsonl] [--rounds 5] [--json]

Two works: 32 sequences of 128 tokens, from ids, and, with --texts (JSON lines with a field "text"), all of its texts from
text, mixed lengths. Each peer runs in a process of its own and sleeps while another one runs. Peers at their best: PyTorch
with the better of two settings of its threads, sentence-transformers with its own sorting by length and the best of three
batch sizes; ONNX Runtime with the graph that its BERT optimizer makes, batches sorted by length, the best of three sizes.

Prints sequences per second of every round, the medians, and Tuff's ratio to each; with --json one line, as compare.py takes it,
of each peer at its best. Needs sentence-transformers; onnx and onnxruntime, without which that one is left out."""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CORES = str(len(os.sched_getaffinity(0)))
PEERS = {
    "tuff": {"TUFF_DEVICE": "cpu"},
    "st-openblas": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": CORES, "OPENBLAS_CORETYPE": "SKYLAKEX"},
    "st-passive": {"OMP_NUM_THREADS": CORES, "OMP_WAIT_POLICY": "passive"},
    "onnxruntime": {"OMP_NUM_THREADS": CORES, "OMP_WAIT_POLICY": "passive"},
}
SIZES = (8, 32, 64)


def block_of_ids(vocabulary):
    """32 x 128 ids, the same for all."""
    state, rows = 12345, []
    for _ in range(32):
        row = []
        for _ in range(128):
            state = (state * 1103515245 + 12345) % (1 << 31)
            row.append(1000 + state % (vocabulary - 1000))
        rows.append(row)
    return rows


def sorted_batches(lengths, size):
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[i : i + size] for i in range(0, len(order), size)]


class Tuff:
    def __init__(self, options):
        self.lib = lib = ctypes.CDLL(options.library)
        lib.tuff_error_message.restype = ctypes.c_char_p
        self.device, self.model, self.embedder = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        lib.tuff_version.restype = ctypes.c_char_p
        self.version = lib.tuff_version().decode()
        self.check(lib.tuff_device_open(None, ctypes.byref(self.device)))
        self.check(lib.tuff_model_load(options.model.encode(), ctypes.byref(self.model)))
        self.check(lib.tuff_embedder_create(self.model, self.device, None, ctypes.byref(self.embedder)))
        lib.tuff_embedder_dimensions.restype = ctypes.c_int64
        lib.tuff_embedder_dimensions.argtypes = [ctypes.c_void_p]
        self.dimensions = lib.tuff_embedder_dimensions(self.embedder)

    def check(self, status):
        if status:
            raise SystemExit(self.lib.tuff_error_message().decode())

    def variants(self, texts):
        return [None]

    def ids(self, rows, _):
        n = len(rows)
        arrays = [(ctypes.c_int32 * len(row))(*row) for row in rows]
        pointers = (ctypes.c_void_p * n)(*[ctypes.addressof(a) for a in arrays])
        counts = (ctypes.c_size_t * n)(*[len(row) for row in rows])
        out = (ctypes.c_float * (n * self.dimensions))()
        start = time.perf_counter()
        self.check(self.lib.tuff_embed_ids(self.embedder, pointers, counts, ctypes.c_size_t(n), None, out))
        return time.perf_counter() - start, out[:3]

    def texts(self, texts, _):
        n = len(texts)
        array = (ctypes.c_char_p * n)(*[t.encode() for t in texts])
        out = (ctypes.c_float * (n * self.dimensions))()
        start = time.perf_counter()
        self.check(self.lib.tuff_embed(self.embedder, array, None, ctypes.c_size_t(n), None, out, None))
        return time.perf_counter() - start, out[:3]


class SentenceTransformers:
    def __init__(self, options):
        import torch
        from sentence_transformers import SentenceTransformer, __version__

        self.torch, self.version = torch, f"{__version__}, PyTorch {torch.__version__}"
        self.model = SentenceTransformer(options.model, device="cpu")
        self.model.eval()

    def variants(self, texts):
        return SIZES if texts else [32]

    def ids(self, rows, _):
        ids = self.torch.tensor(rows)
        inputs = {"input_ids": ids, "attention_mask": self.torch.ones_like(ids), "token_type_ids": self.torch.zeros_like(ids)}
        start = time.perf_counter()
        with self.torch.inference_mode():
            out = self.model(inputs)["sentence_embedding"]
        return time.perf_counter() - start, out[0, :3].tolist()

    def texts(self, texts, size):
        start = time.perf_counter()
        out = self.model.encode(texts, batch_size=size, show_progress_bar=False)
        return time.perf_counter() - start, out[0, :3].tolist()


class OnnxRuntime:
    def __init__(self, options):
        import numpy
        import onnxruntime
        import torch
        from onnxruntime.transformers import optimizer
        from transformers import AutoModel, AutoTokenizer

        class Plain(torch.nn.Module):  # what the exporter understands: tensors in, a tensor out
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, ids, mask, types):
                return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

        self.np, self.version = numpy, onnxruntime.__version__
        self.tokenizer = AutoTokenizer.from_pretrained(options.model)
        model = AutoModel.from_pretrained(options.model, attn_implementation="eager").eval()
        with tempfile.TemporaryDirectory() as folder:
            plain, fused = os.path.join(folder, "plain.onnx"), os.path.join(folder, "fused.onnx")
            ids = torch.ones(2, 8, dtype=torch.long)
            names = ["input_ids", "attention_mask", "token_type_ids"]
            torch.onnx.export(Plain(model), (ids, ids, ids * 0), plain, input_names=names, output_names=["hidden"], dynamo=False,
                              dynamic_axes={name: {0: "b", 1: "t"} for name in [*names, "hidden"]}, opset_version=17)
            heads, width = model.config.num_attention_heads, model.config.hidden_size
            better = optimizer.optimize_model(plain, model_type="bert", num_heads=heads, hidden_size=width, opt_level=1)
            print("fused:", better.get_fused_operator_statistics(), file=sys.stderr)
            better.save_model_to_file(fused)
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads = int(CORES)
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            self.session = onnxruntime.InferenceSession(fused, settings, providers=["CPUExecutionProvider"])

    def variants(self, texts):
        return SIZES if texts else [32]

    def run(self, ids, mask):
        np = self.np
        hidden = self.session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]
        weight = mask[:, :, None].astype(np.float32)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def ids(self, rows, _):
        ids = self.np.array(rows, dtype=self.np.int64)
        start = time.perf_counter()
        out = self.run(ids, self.np.ones_like(ids))
        return time.perf_counter() - start, out[0, :3].tolist()

    def texts(self, texts, size):
        np = self.np
        start = time.perf_counter()
        tokens = self.tokenizer._tokenizer.encode_batch(texts)
        out = None
        for batch in sorted_batches([sum(t.attention_mask) for t in tokens], size):
            longest = max(sum(tokens[i].attention_mask) for i in batch)
            ids = np.zeros((len(batch), longest), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                n = sum(tokens[i].attention_mask)
                ids[row, :n] = tokens[i].ids[:n]
                mask[row, :n] = 1
            vectors = self.run(ids, mask)
            if out is None:
                out = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
            out[batch] = vectors
        return time.perf_counter() - start, out[0, :3].tolist()


def serve(options):
    """A peer: answers requests, a line each."""
    kind = {"tuff": Tuff, "onnxruntime": OnnxRuntime}.get(options.serve, SentenceTransformers)
    try:
        peer = kind(options)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    with open(os.path.join(options.model, "config.json"), encoding="utf-8") as file:
        rows = block_of_ids(json.load(file)["vocab_size"])
    texts = load_texts(options)
    works = {"ids": peer.variants(False), "texts": peer.variants(True)}
    print(json.dumps({"ready": True, "version": peer.version, **works}), flush=True)
    for line in sys.stdin:
        work, variant = json.loads(line)
        seconds, head = peer.ids(rows, variant) if work == "ids" else peer.texts(texts, variant)
        print(json.dumps({"rate": (len(rows) if work == "ids" else len(texts)) / seconds, "head": head}), flush=True)


def load_texts(options):
    if not options.texts:
        return []
    with open(options.texts, encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file if line.strip()]


class Peer:
    def __init__(self, name, arguments):
        environment = {**os.environ, **PEERS[name], "TOKENIZERS_PARALLELISM": "true"}
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            if "avx512f" not in file.read():
                environment.pop("OPENBLAS_CORETYPE", None)
        self.name = name
        self.process = subprocess.Popen([sys.executable, __file__, *arguments, "--serve", name], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.works = self.answer()

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.name} ended")

    def ask(self, work, variant):
        print(json.dumps([work, variant]), file=self.process.stdin, flush=True)
        return self.answer()


WHO = {"tuff": "Tuff", "st-openblas": "sentence-transformers", "st-passive": "sentence-transformers", "onnxruntime": "ONNX Runtime"}


def best_of(peers, rates):
    """By program, the rates of its fastest way."""
    best = {}
    for (name, variant), values in rates.items():
        way = ", ".join(str(part) for part in (name.partition("-")[2], f"batches of {variant}" if variant else "") if part)
        found = {"who": WHO[name], "version": peers[name].works["version"], "note": way, "rates": values}
        key = name.partition("-")[0]
        if key not in best or statistics.median(values) > statistics.median(best[key]["rates"]):
            best[key] = found
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return
    peers = {name: Peer(name, sys.argv[1:]) for name in PEERS}
    left_out = [f"{WHO[name]}: {peer.works['missing']}" for name, peer in peers.items() if "missing" in peer.works]
    for sentence in left_out:
        print(f"left out: {sentence}", file=sys.stderr)
    peers = {name: peer for name, peer in peers.items() if "missing" not in peer.works}
    told = {"left_out": left_out}
    for work in ["ids", "texts"] if options.texts else ["ids"]:
        rates = measure(peers, work, options)
        told[work] = best_of(peers, rates)
        if not options.json:
            show(work, rates)
    if options.json:
        print(json.dumps(told))


def measure(peers, work, options):
    """The rates of each peer in each way, one for each round."""
    ways = [(peer, variant) for peer in peers.values() for variant in peer.works[work]]
    for peer, variant in ways:  # warm: plans, kernels, allocators
        peer.ask(work, variant)
        head = peer.ask(work, variant)["head"]
        print(f"{work} {peer.name} {variant or ''}: {head}", file=sys.stderr)
    rates = {}
    for _ in range(options.rounds):
        for peer, variant in ways:
            time.sleep(0.3)  # threads of the last one stop spinning
            rates.setdefault((peer.name, variant), []).append(peer.ask(work, variant)["rate"])
    return rates


def show(work, rates):
    tuff = statistics.median(rates[("tuff", None)])
    for (name, variant), values in rates.items():
        rounds = " ".join(f"{value:.1f}" for value in values)
        median = statistics.median(values)
        print(f"{work} {name} {variant or ''}: {median:.1f}/s, tuff is {tuff / median:.3f} x  [{rounds}]")


if __name__ == "__main__":
    main()
