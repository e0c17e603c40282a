#!/usr/bin/env python3
"""PyTorch's side of a comparison: training steps or prompts on the CPU, eager, with transformers, and PEFT for LoRA.

    echo | python pytorch_work.py --model DIR --train 4x256 [--bf16] [--lora-rank 8] [--steps 3]
    echo | python pytorch_work.py --model DIR --prompt 512

Loads, does some of the work to be warm, and prints {"ready": true} with its versions. Then for each line of standard input it
does `--steps` steps or prompts and prints {"rate": tokens per second}; between them it sleeps. Threads are as the environment
says. A step is forward, cross-entropy, backward, clipping, AdamW (fused, which is several times faster than PyTorch's default);
bf16 is autocast. A prompt computes the logits of its last token and the cache."""

import argparse
import json
import sys
import time

import torch
import transformers


def load(options):
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa")
    if not options.lora_rank:
        return model
    import peft

    conv1d = model.config.model_type == "gpt2"
    targets = ["c_attn", "c_proj", "c_fc"] if conv1d else "all-linear"
    config = peft.LoraConfig(r=options.lora_rank, lora_alpha=16, target_modules=targets, fan_in_fan_out=conv1d)
    return peft.get_peft_model(model, config)


def make_optimizer(trained):
    try:
        return torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0, fused=True)
    except (RuntimeError, ValueError):  # a PyTorch without one for the CPU
        return torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0)


def trainer(model, options):
    """A function that does a step."""
    batch, length = (int(n) for n in options.train.split("x"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = make_optimizer(trained)
    model.train()

    def step():
        ids = torch.randint(0, model.config.vocab_size, (batch, length))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            logits = model(input_ids=ids, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        loss.item()

    return step, batch * length


def reader(model, options):
    """A function that reads a prompt."""
    model.eval()

    def read():
        ids = torch.randint(0, model.config.vocab_size, (1, options.prompt))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            model(input_ids=ids, use_cache=True, logits_to_keep=1)

    return read, options.prompt


def versions(options):
    found = {"PyTorch": torch.__version__, "transformers": transformers.__version__}
    if options.lora_rank:
        import peft

        found["PEFT"] = peft.__version__
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Hugging Face directory")
    parser.add_argument("--train", metavar="BATCHxTOKENS", help="training steps of this size")
    parser.add_argument("--prompt", type=int, help="prompts of so many tokens instead")
    parser.add_argument("--bf16", action="store_true", help="in bf16, by autocast")
    parser.add_argument("--lora-rank", type=int, default=0, help="train LoRA of this rank on all linear layers; 0: everything")
    parser.add_argument("--steps", type=int, default=3, help="that a rate is of")
    options = parser.parse_args()
    if bool(options.train) == bool(options.prompt):
        parser.error("give --train or --prompt")
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model = load(options)
    work, tokens = trainer(model, options) if options.train else reader(model, options)
    work()
    work()
    blas = "mkl" if "BLAS_INFO=mkl" in torch.__config__.show() else "other"
    print(json.dumps({"ready": True, "versions": versions(options), "blas": blas}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for _ in range(options.steps):
            work()
        print(json.dumps({"rate": options.steps * tokens / (time.perf_counter() - begin)}), flush=True)


if __name__ == "__main__":
    main()
