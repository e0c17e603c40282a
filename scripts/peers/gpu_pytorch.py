#!/usr/bin/env python3
"""What PyTorch does on this machine's GPU with the work of `tuff bench`: a copy, products, GPT-2 124M drawn at random.

Prints one JSON object: rates in GB/s, TFLOP/s and tokens/s, medians; peak memory in bytes."""

import json
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def gpu():
    if torch.cuda.is_available():
        return torch.device("cuda"), torch.cuda
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        return torch.device("xpu"), torch.xpu
    raise SystemExit("PyTorch sees no GPU")


def median(run, synchronize, rounds=7, inner=1):
    run()
    run()
    times = []
    for _ in range(rounds):
        synchronize()
        begin = time.perf_counter()
        for _ in range(inner):
            run()
        synchronize()
        times.append((time.perf_counter() - begin) / inner)
    return sorted(times)[len(times) // 2]


def train(device, library, low):
    torch.manual_seed(0)
    config = GPT2Config(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    model = GPT2LMHeadModel(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(0, config.vocab_size, (4, 256), device=device)

    def step():
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    library.reset_peak_memory_stats()
    seconds = median(step, library.synchronize)
    return 4 * 256 / seconds, library.max_memory_allocated()


def generate(device, library):
    model = GPT2LMHeadModel(GPT2Config()).to(device).eval()
    ids = torch.randint(0, 50000, (1, 512), device=device)
    with torch.inference_mode():
        prompt = median(lambda: model(input_ids=ids), library.synchronize)
        both = median(lambda: model.generate(ids, max_new_tokens=64, min_new_tokens=64, do_sample=False, pad_token_id=0),
                      library.synchronize, rounds=3)
    return 512 / prompt, 64 / (both - prompt)


def main():
    device, library = gpu()
    result = {"device": library.get_device_name(), "torch": torch.__version__}
    torch.backends.cuda.matmul.allow_tf32 = False
    a = torch.rand(64 << 20, device=device)
    b = torch.empty_like(a)
    result["copy_gbps"] = 2 * a.numel() * 4 / median(lambda: b.copy_(a), library.synchronize, inner=5) / 1e9
    for name, dtype in ("f32", torch.float32), ("bf16", torch.bfloat16):
        for n in 1024, 4096, 8192:
            x = torch.rand(n, n, device=device, dtype=dtype)
            seconds = median(lambda x=x: x @ x, library.synchronize, inner=50 if n == 1024 else 3)
            result[f"gemm_{name}_{n}_tflops"] = 2 * n**3 / seconds / 1e12
    del a, b, x
    for name, low in ("f32", False), ("bf16", True):
        result[f"train_{name}_tokens"], result[f"train_{name}_peak_bytes"] = train(device, library, low)
    result["prompt_tokens"], result["generate_tokens"] = generate(device, library)
    print(json.dumps(result, indent=1))


main()
