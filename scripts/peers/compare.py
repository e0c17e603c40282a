#!/usr/bin/env python3
"""The same work on Tuff, PyTorch and llama.cpp, where they are installed, in turn: medians, spreads, ratios.

    python3 scripts/peers/compare.py --list
    python3 scripts/peers/compare.py --python VENV/bin/python --llama-bench PROGRAM
    python3 scripts/peers/compare.py --row train-gpt2 --rounds 9
    python3 scripts/peers/compare.py --page          makes the page anew, measures nothing

Models have random weights and are made here. In each round every program has a turn; what it needs to become warm is not
counted. A row that was measured goes into docs/performance.json, in place of an older one, and docs/performance.md is made of
that. What is not there is left out, with a sentence. Alone on a machine figures mean something; how busy it was is noted.

PyTorch needs transformers too, PEFT for LoRA, and `embed` what embed.py says. --root names the root of another system with programs
of its own (Debian's PyTorch, llama.cpp, a newer Mesa), as debootstrap makes it: each of its programs runs by `unshare` and `chroot`
in it, and nothing is written there."""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import page
import programs
from places import CORES, HERE, LeftOut, Places, last_json, run

REPOSITORY = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(REPOSITORY, "docs", "performance.json")


@dataclasses.dataclass
class Row:
    name: str
    title: str
    work: str  # train, prompt, generate, embed
    model: str
    length: int  # of a training's texts, a prompt, a text that is generated
    peers: tuple
    asked: dict  # how many times a peer's rate Tuff's is to be; "gemm", "read": what the machine allows
    batch: int = 1
    dtype: str = "f32"
    lora_rank: int = 0
    device: str = "cpu"
    steps: int = 3  # of a turn


def train(name, title, model, batch, length, peers, asked, **more):
    return Row(name, title, "train", model, length, peers, asked, batch=batch, **more)


GPT2, LLAMA = "GPT-2 124M", "Llama 135M"
ROWS = [
    train("train-gpt2", f"full fine-tune, {GPT2}, 4 x 256, f32", "gpt2", 4, 256, ("pytorch", "pytorch-root"),
          {"pytorch": 1.6, "pytorch-root": 1.6, "gemm": 0.95}),
    train("train-gpt2-bf16", f"full fine-tune, {GPT2}, 4 x 256, bf16", "gpt2", 4, 256, ("pytorch",), {"pytorch": 1.3}, dtype="bf16"),
    train("lora-llama", f"LoRA r=8 of all linear layers, {LLAMA}, 4 x 256, f32", "llama", 4, 256, ("pytorch",), {"pytorch": 1.8},
          lora_rank=8),
    train("lora-llama-128", f"LoRA r=8 of all linear layers, {LLAMA}, 1 x 128, f32", "llama", 1, 128, ("pytorch",), {"pytorch": 2.5},
          lora_rank=8, steps=5),
    train("lora-llama-bf16", f"LoRA r=8 of all linear layers, {LLAMA}, 4 x 256, bf16", "llama", 4, 256, ("pytorch",), {"pytorch": 1.3},
          dtype="bf16", lora_rank=8),
    Row("prompt-gpt2", f"prompt of 512, {GPT2}, f32", "prompt", "gpt2", 512, ("pytorch", "llama"), {"pytorch": 1.25, "llama": 3}),
    Row("prompt-llama", f"prompt of 512, {LLAMA}, f32", "prompt", "llama", 512, ("pytorch", "llama"), {"pytorch": 1.25, "llama": 3}),
    Row("prompt-gpt2-q8_0", f"prompt of 512, {GPT2}, Q8_0", "prompt", "gpt2", 512, ("llama",), {"llama": 2}, dtype="q8_0"),
    Row("prompt-gpt2-q4_k_m", f"prompt of 512, {GPT2}, Q4_K_M", "prompt", "gpt2", 512, ("llama",), {"llama": 1.2}, dtype="q4_k_m"),
    Row("generate-gpt2", f"generate 64, {GPT2}, f32", "generate", "gpt2", 64, ("llama",), {"read": 0.9}),
    Row("generate-llama", f"generate 64, {LLAMA}, f32", "generate", "llama", 64, ("llama",), {"read": 0.9}),
    Row("generate-gpt2-q8_0", f"generate 64, {GPT2}, Q8_0", "generate", "gpt2", 64, ("llama",), {"llama": 1.2}, dtype="q8_0"),
    Row("generate-gpt2-q4_k_m", f"generate 64, {GPT2}, Q4_K_M", "generate", "gpt2", 64, ("llama",), {"llama": 1.1}, dtype="q4_k_m"),
    Row("lavapipe-prompt", f"prompt of 128, {GPT2}, f32, lavapipe", "prompt", "gpt2", 128, ("llama",), {"llama": 2}, device="lavapipe"),
    Row("lavapipe-generate", f"generate 16, {GPT2}, f32, lavapipe", "generate", "gpt2", 16, ("llama",), {"llama": 1}, device="lavapipe"),
    Row("embed", "embed 32 texts of 128 tokens, f32", "embed", "--embedding-model", 128, (), {}),
]  # fmt: skip


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- the machine


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def machine():
    wanted = "avx2 fma avx_vnni avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 asimd bf16 i8mm sve".split()
    facts = dict(line.split(":", 1) for line in read("/proc/cpuinfo").split("\n\n")[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    system = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "processor": facts.get("model name", os.uname().machine),
        "threads": CORES,
        "flags": " ".join(flag for flag in wanted if flag in flags),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": system.get("PRETTY_NAME", os.uname().sysname).strip('"'),
    }


def busy(seconds=1.0):
    """The share of the processors that other programs take."""

    def times():
        numbers = [int(n) for n in read("/proc/stat").split("\n")[0].split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4] if numbers else 0

    begin = times()
    time.sleep(seconds)
    all_of_them, idle = (b - a for a, b in zip(begin, times()))
    return round(1 - idle / all_of_them, 3) if all_of_them else 0


def commit():
    git = ["git", "-C", REPOSITORY]
    try:
        changed = run([*git, "status", "--porcelain", "--untracked-files=no", "src", "shaders", "include", "CMakeLists.txt"])
        return run([*git, "rev-parse", "--short=12", "HEAD"]).strip() + (" with changes" if changed else "")
    except LeftOut:
        return "unknown"


# ---- a row


def take_turns(row, contenders, rounds, left_out):
    """The rates of each key, one for each round; who fails is left out from then on."""
    rates = {}
    for number in range(rounds):
        for program in list(contenders):
            try:
                got = program.turn()
            except (LeftOut, KeyError, ValueError, StopIteration) as error:
                left_out.append(f"{program.who}: {error if isinstance(error, LeftOut) else repr(error)}")
                contenders.remove(program)
                rates.pop(program.key, None)
                program.close()
                continue
            for key, rate in got.items():
                rates.setdefault(key, []).append(round(rate, 3))
            say(f"  {number + 1}/{rounds} " + ", ".join(f"{key} {rate:.1f}" for key, rate in got.items()))
    return rates


def measure(row, places, rounds):
    contenders, left_out, measured = [], [], []
    for kind in programs.all_of(row):
        try:
            contenders.append(kind(row, places))
        except LeftOut as error:
            left_out.append(f"{kind.who}: {error}")
    programs_of = {program.key: program for program in contenders}
    try:
        rates = take_turns(row, contenders, rounds, left_out)
    finally:
        for program in contenders:
            program.close()
    for key, values in sorted(rates.items(), key=lambda item: item[0] not in programs_of):
        program = programs_of.get(key)
        if program:
            parts = {"who": program.who, "version": program.version, "note": program.note, "command": program.command}
        else:
            who, note = programs.limit(key, places.shapes[row.model], row.length, statistics.median(values))
            parts = {"who": who, "version": "", "note": note, "command": ""}
        measured.append({"key": key, **parts, "values": values})
    return measured, [places.shown([sentence]) for sentence in left_out]


def measure_embedding(options, places, rounds):
    """embed.py has turns of its own."""
    if not options.embedding_model:
        raise LeftOut("there is no --embedding-model, a directory of sentence-transformers")
    if not options.python:
        raise LeftOut("there is no --python")
    library = os.path.join(os.path.dirname(places.tuff), "libtuff.so")
    command = [options.python, os.path.join(HERE, "embed.py"), "--library", library, "--rounds", str(rounds), "--json", "--model"]
    told = last_json(run([*command, options.embedding_model]))
    shown = "python3 scripts/peers/embed.py --library libtuff.so --model MODEL --rounds " + str(rounds)
    measured = []
    for name, peer in told["ids"].items():
        parts = {"who": peer["who"], "version": peer["version"], "note": peer["note"], "command": shown}
        measured.append({"key": name, **parts, "values": [round(rate * 128, 3) for rate in peer["rates"]]})
    return measured, told["left_out"]


def measure_row(row, places, options):
    begin = time.time()
    say(f"{row.name}: {row.title}")
    record = {
        "title": row.title,
        "asked": row.asked,
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "rounds": options.rounds,
        "tiny": options.tiny,
        "machine": machine(),
        "busy": busy(),
    }
    try:
        embed = row.work == "embed"
        record["measured"], record["left_out"] = (
            measure_embedding(options, places, options.rounds) if embed else measure(row, places, options.rounds)
        )
    except LeftOut as error:
        record["measured"], record["left_out"] = [], [str(error)]
    for sentence in record["left_out"]:
        say(f"  left out: {sentence}")
    for line in page.lines(record):
        say("  " + line)
    say(f"  {time.time() - begin:.0f} s")
    return record


# ---- results


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"rows": {}}
    except ValueError as error:
        raise SystemExit(f"compare.py: {path} is no JSON: {error}") from None


def store(path, results):
    """Whole or not at all, in the order of ROWS."""
    order = [row.name for row in ROWS]
    rows = sorted(results["rows"].items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"rows": dict(rows)}, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def write_page(path, results):
    target = os.path.splitext(path)[0] + ".md"
    with open(target, "w", encoding="utf-8") as file:
        file.write(page.make(results, [row.name for row in ROWS]))
    say(target)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", metavar="NAME", help="only this row; again for further ones")
    parser.add_argument("--list", action="store_true", help="list the rows, measure nothing")
    parser.add_argument("--page", action="store_true", help="make the page of the results, measure nothing")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program (5)")
    parser.add_argument("--results", default=RESULTS, metavar="FILE", help="where results are kept (docs/performance.json); the page lies beside it")
    parser.add_argument("--tuff", default=os.path.join(REPOSITORY, "build", "default", "tuff"), help="the program (build/default/tuff)")
    parser.add_argument("--python", default="", help="a Python with torch and transformers")
    parser.add_argument("--llama-bench", default="", help="the program (that of the PATH, else the root's)")
    parser.add_argument("--root", default="", metavar="DIRECTORY", help="the root of another system, with programs of its own")
    parser.add_argument("--embedding-model", default="", metavar="DIRECTORY", help="of `embed`")
    parser.add_argument("--work", default="", metavar="DIRECTORY", help="where models are made, and kept (a temporary one)")
    parser.add_argument("--tiny", action="store_true", help="models of two layers: to try whether all is there; the figures mean nothing")
    return parser, parser.parse_args()


def main():
    parser, options = arguments()
    names = [row.name for row in ROWS]
    options.root = options.root.rstrip("/")
    for name in options.row or []:
        if name not in names:
            parser.error(f"there is no row {name}; they are {', '.join(names)}")
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    if options.list:
        for row in ROWS:
            print(f"{row.name:<22} {row.title}" + (f"; asked: {page.asked_text(row.asked)}" if row.asked else ""))
        return 0
    if options.page:
        write_page(options.results, load(options.results))
        return 0
    whole = True
    with tempfile.TemporaryDirectory() as temporary:
        if options.work:
            os.makedirs(options.work, exist_ok=True)
        places = Places(options, options.work or temporary)
        for row in ROWS:
            if options.row and row.name not in options.row:
                continue
            record = measure_row(row, places, options)
            if not any(m["key"] == "tuff" for m in record["measured"]) and not page.is_to_come(record):
                whole = False
                continue
            results = load(options.results)
            results["rows"][row.name] = record
            store(options.results, results)
            write_page(options.results, results)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
