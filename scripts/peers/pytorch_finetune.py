#!/usr/bin/env python3
"""The speed of a full fine-tuning step in PyTorch eager: forward, backward, clip, AdamW, f32, on the CPU.

    python pytorch_finetune.py --model DIR --batch 4 --length 256 --steps 6 --settings best
    python pytorch_finetune.py --model DIR --lora-rank 8 ...

--settings default   PyTorch as it comes
           openblas  one OpenMP thread, BLAS on all cores with kernels for AVX-512
           passive   OpenMP on all cores, waiting threads asleep
           best      runs openblas and passive and takes the faster (default alone is a straw man on two cores)

Prints one JSON line: {"tokens_per_second": x, "settings": s, "losses": [first, last]}; the rate is of the median step,
without the first two."""

import argparse
import json
import os
import subprocess
import sys
import time

CORES = str(len(os.sched_getaffinity(0)))
SETTINGS = {
    "default": {},
    "openblas": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": CORES, "OPENBLAS_CORETYPE": "SKYLAKEX"},
    "passive": {"OMP_NUM_THREADS": CORES, "OMP_WAIT_POLICY": "passive"},
}


def has_avx512():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return "avx512f" in file.read()
    except OSError:
        return False


def run(settings, arguments):
    """This script again in a fresh process: the variables count only before PyTorch is loaded."""
    environment = {**os.environ, **SETTINGS[settings], "PYTORCH_FINETUNE_CHILD": settings}
    if not has_avx512():
        environment.pop("OPENBLAS_CORETYPE", None)
    output = subprocess.run([sys.executable, __file__, *arguments], env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(output.stdout.decode().strip().splitlines()[-1])


def measure(options):
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa")
    if options.lora_rank:
        from peft import LoraConfig, get_peft_model

        conv1d = model.config.model_type == "gpt2"
        targets = ["c_attn", "c_proj", "c_fc"] if conv1d else "all-linear"
        config = LoraConfig(r=options.lora_rank, lora_alpha=16, target_modules=targets, fan_in_fan_out=conv1d)
        model = get_peft_model(model, config)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=options.fused)
    vocabulary = model.config.vocab_size
    batches = torch.randint(0, vocabulary, (options.steps + 2, options.batch, options.length))
    model.train()
    times, losses = [], []
    for batch in batches:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        logits = model(input_ids=batch, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    times = sorted(times[2:])
    seconds = times[len(times) // 2]
    return {
        "tokens_per_second": round(options.batch * options.length / seconds, 1),
        "settings": os.environ["PYTORCH_FINETUNE_CHILD"],
        "losses": [round(losses[0], 5), round(losses[-1], 5)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Hugging Face directory")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5, help="measured steps, after two that are not")
    parser.add_argument("--lora-rank", type=int, default=0)
    parser.add_argument("--fused", action="store_true", help="AdamW(fused=True)")
    parser.add_argument("--settings", default="best", choices=["best", *SETTINGS])
    options = parser.parse_args()
    if "PYTORCH_FINETUNE_CHILD" in os.environ:
        print(json.dumps(measure(options)))
        return
    names = ["openblas", "passive"] if options.settings == "best" else [options.settings]
    results = [run(name, sys.argv[1:]) for name in names]
    for result in results:
        print(f"{result['settings']}: {result['tokens_per_second']} tokens/s", file=sys.stderr)
    print(json.dumps(max(results, key=lambda result: result["tokens_per_second"])))


if __name__ == "__main__":
    main()
