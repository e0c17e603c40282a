#!/usr/bin/env python3
"""Runs the GGUFs that Tuff writes of the goldens in llama.cpp: its greedy continuation must be the golden's.

    python check_llamacpp.py --tuff build/default/tuff [--server llama-server] [--completion llama-completion]
                             [--prefix "chroot DIR"] [--work DIR] [NAME ...]

The names are directories of assets/golden that hold a decoder or an encoder-decoder, whose texts are compared with those
that Tuff makes of the file, since llama.cpp's server runs no encoders; without a name, all that have a truth.json are
tried. With --adapter lora the golden's PEFT adapter of that folder goes along as a GGUF adapter (--lora), and what PEFT makes of
both is what is wanted. Those that GGUF has no architecture for are listed as such. Where Tuff warns that llama.cpp runs or loads the file otherwise,
a difference is expected. --prefix runs the server elsewhere, where --work is seen as --seen.
Exit status 1 when a continuation differs or llama.cpp refuses a file."""

import argparse
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from safetensors.torch import load_file

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "assets/golden"


def ask(port, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def with_peft(options, name, prompt, count):
    """The greedy continuation of a golden with its adapter, as PEFT has it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(GOLDEN / name), GOLDEN / name / options.adapter)
    model = model.double().eval()
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def continuation(options, file, prompt, count, lora=None):
    """The ids that llama.cpp says follow, or a sentence that says why there are none."""
    command = [*shlex.split(options.prefix), options.server, "-m", f"{options.seen or options.work}/{file.name}", "--port"]
    command += [str(options.port), "-c", "128", "-np", "1", "-ngl", "0", "-t", "1", "--no-warmup", "-fa", "off", "-ctk", "f32", "-ctv", "f32"]
    if lora:
        command += ["--lora", f"{options.seen or options.work}/{lora.name}"]
    with open(file.with_suffix(".log"), "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            if server.poll() is not None:
                lines = file.with_suffix(".log").read_text(errors="replace").splitlines()
                said = [line for line in lines if "error" in line.lower()]
                return (said or lines or ["it said nothing"])[0]
            try:
                ask(options.port, "/health")
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        wanted = {"prompt": prompt, "n_predict": count, "temperature": 0, "top_k": 1, "return_tokens": True}
        wanted.update(cache_prompt=False, ignore_eos=True, samplers=["top_k"])
        return ask(options.port, "/completion", wanted)["tokens"]
    finally:
        server.terminate()
        server.wait()


def answer(options, file, name, count):
    """The texts that Tuff and llama.cpp answer the golden's source with, as bytes."""
    source = json.loads((GOLDEN / name / "truth.json").read_text())["source"]
    ours = subprocess.run([options.tuff, "generate", "--model", str(file), "--prompt", source, "--max-new-tokens", str(count),
                           "--device", "cpu", "--ignore-eos"], capture_output=True)  # fmt: skip
    command = [*shlex.split(options.prefix), options.completion, "-m", f"{options.seen or options.work}/{file.name}", "-p", source]
    command += ["-n", str(count), "--temp", "0", "--top-k", "1", "-no-cnv", "--no-warmup", "-t", "1", "-ngl", "0", "--ignore-eos"]
    want = ours.stdout.strip()
    for _ in range(4):
        theirs = subprocess.run(command, capture_output=True)
        said = [line for line in theirs.stderr.decode(errors="replace").splitlines() if "error" in line.lower()]
        found = theirs.stdout.strip() if theirs.returncode == 0 else said
        if theirs.returncode or found == want or not want.startswith(found):
            break  # else it has ended before all of its text was written, as happens
    return want, found


def check(options, name):
    truth = load_file(GOLDEN / name / "truth.safetensors")
    want = truth["greedy_ids"].tolist()
    file, model = pathlib.Path(options.work) / f"{name}.gguf", pathlib.Path(options.work) / "model"
    # llama.cpp has rules for tokens of models whose names say phi-3, which these small vocabularies do not have
    beside = shutil.ignore_patterns("truth*", "lora", "ia3", "prompt", "dora", "rslora")
    shutil.copytree(GOLDEN / name, model, dirs_exist_ok=True, ignore=beside)
    made = subprocess.run([options.tuff, "convert", str(model), "--to", "gguf", "--output", str(file)],
                          capture_output=True, text=True)
    shutil.rmtree(model)
    if made.returncode != 0:
        return "not written", made.stderr.strip().splitlines()[-1]
    if options.adapter:
        lora, prompt = pathlib.Path(options.work) / f"{name}-lora.gguf", truth["prompt_ids"].tolist()
        subprocess.run([options.tuff, "convert", str(GOLDEN / name / options.adapter), "--base", str(GOLDEN / name), "--to",
                        "gguf", "--output", str(lora)], check=True)  # fmt: skip
        alone, want = want, with_peft(options, name, prompt, len(want))
        found = continuation(options, file, prompt, len(want), lora)
        lora.unlink()
        if want == alone:
            return "FAILED", "the adapter changes nothing"
    elif "source_ids" in truth:
        want, found = answer(options, file, name, len(want))
    else:
        found = continuation(options, file, truth["prompt_ids"].tolist(), len(want))
    file.unlink()
    if found == want:
        return "ok", "the same"
    warned = [line for line in made.stderr.splitlines() if "llama.cpp" in line]
    if warned:
        return "warned", warned[0].split("warning: ")[-1]
    return "FAILED", f"wanted {want}, got {found}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuff", required=True)
    parser.add_argument("--server", default="llama-server")
    parser.add_argument("--completion", default="llama-completion")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--work", default="/tmp")
    parser.add_argument("--seen", default="")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--adapter", default="")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or sorted(p.parent.name for p in GOLDEN.glob("*/truth.safetensors"))
    failed = 0
    for name in names:
        if "greedy_ids" not in load_file(GOLDEN / name / "truth.safetensors"):
            continue
        verdict, text = check(options, name)
        failed += verdict == "FAILED"
        print(f"{name:20} {verdict}: {text}", flush=True)
    sys.exit(1 if failed else 0)


main()
