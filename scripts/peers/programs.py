"""The programs that compare.py lets take turns: Tuff, PyTorch, llama.cpp.

A program has `who`, `version`, `note` and `command` for the page, and turn(), which does the work once, warm, and returns tokens
per second by key: its own, and "gemm" or "read" for what the machine allows, measured by Tuff in the same turn."""

import json
import os
import shutil
import signal
import subprocess
import time

import models
from places import CORES, LeftOut, last_json, run

GEMM = "gemm_f32_1024x3072x768"


class Tuff:
    who, key = "Tuff", "tuff"

    def __init__(self, row, places):
        self.row, self.places, self.note = row, places, ""
        self.program, self.environment, self.inside = places.tuff, {}, False
        self.version = run([places.tuff, "--version"]).strip().replace("tuff", "Tuff", 1)
        self.config = places.shapes[row.model]
        self.arguments = self.prepare()
        self.command = places.shown([places.tuff, *self.arguments])

    def run(self, *arguments):
        command = [self.program, *arguments]
        return run(self.places.inside(command, self.environment)) if self.inside else run(command, self.environment)

    def close(self):
        pass


class TuffTrain(Tuff):
    """Steps of `tuff train`, as --dry-run times them: the first one is not counted."""

    def prepare(self):
        row, places = self.row, self.places
        if row.dtype == "bf16" and "--bf16" not in run([places.tuff, "train", "--help"]):
            raise LeftOut("not yet: tuff train has no --bf16")
        arguments = [
            "train", "--model", places.model(row.model), "--train-file", places.text(), "--output-dir", places.work + "/none",
            "--device", "cpu", "--per-device-train-batch-size", str(row.batch), "--block-size", str(row.length),
            "--max-steps", str(row.steps + 1), "--dry-run", "--json", "--quiet",
        ]  # fmt: skip
        if row.lora_rank:
            arguments += ["--lora-rank", str(row.lora_rank), "--lora-target", "all-linear"]
        return arguments + (["--bf16"] if row.dtype == "bf16" else [])

    def turn(self):
        rates = {}
        if "gemm" in self.row.asked:
            bench = json.loads(self.run("bench", "--device", "cpu", "--only", GEMM, "--shape", "none", "--json"))
            gflops = next(result["rate"] for result in bench["results"] if result["name"] == GEMM)
            rates["gemm"] = gflops * 1e9 / (6 * models.product_parameters(self.config))
        rates["tuff"] = last_json(self.run(*self.arguments))["estimate"]["tokens_per_second"]
        return rates


class TuffText(Tuff):
    """Prompts or texts, as `tuff bench` measures them: the first one is not counted."""

    def prepare(self):
        row, places = self.row, self.places
        if row.device == "lavapipe":
            self.environment = places.lavapipe() | {"TUFF_CACHE_DIR": places.work + "/cache"}
            self.inside = bool(places.root)
            if self.inside:
                self.program, folder = places.tuff_inside()
                self.environment["LD_LIBRARY_PATH"] = folder
        model = places.model(row.model) if row.dtype == "f32" else places.gguf(row.model, row.dtype)
        prompt, new = (row.length, 0) if row.work == "prompt" else (0, row.length)
        return [
            "bench", "--device", "llvmpipe" if row.device == "lavapipe" else "cpu", "--only", "fma_f32", "--model", model,
            "--train", "0", "--prompt", str(prompt), "--generate", str(new), "--rounds", "2", "--seconds", "0.1", "--json",
        ]  # fmt: skip

    def turn(self):
        bench = json.loads(self.run(*self.arguments))
        rates = {"tuff": next(r["rate"] for r in bench["results"] if r["name"].startswith(self.row.work))}
        if self.row.device == "lavapipe":
            self.note = bench["driver"]
        if "read" in self.row.asked:
            read = models.bytes_of_token(self.config, self.row.length / 2)
            rates["read"] = bench["peak"]["read_gbps"] * 1e9 / read
        return rates


def limit(key, config, length, rate):
    """What stands behind a rate of "gemm" or "read": (what it is, how it is reckoned)."""
    if key == "gemm":
        weights = models.product_parameters(config)
        return f"limit: products at {rate * 6 * weights / 1e9:.0f} GFLOP/s", f"1024 x 3072 x 768; 6 x {weights / 1e6:.1f} million for a token"
    size = models.bytes_of_token(config, length / 2)
    return f"limit: reading at {rate * size / 1e9:.1f} GB/s", f"the sum of 512 MiB; {size / 1e6:.0f} MB for a token"


def has_avx512():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return "avx512f" in file.read()
    except OSError:
        return False


# Where a virtual machine has AMX but hides the list of its palettes (CPUID leaf 0x1D), PyTorch's kernels for it, oneDNN's, end
# with an illegal instruction. It is then told to do without.
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
PRODUCT = "import torch; x = torch.ones(64, 64, dtype=torch.bfloat16); x @ x"

# What PyTorch's threads are told. Which is best depends on how it was built, and on the work: each is tried.
SETTINGS = {
    "default": {},
    "passive": {"OMP_NUM_THREADS": str(CORES), "OMP_WAIT_POLICY": "passive"},
    "openblas": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": str(CORES)},
}


class Server:
    """A process that answers lines with lines, and sleeps in between."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "w", encoding="utf-8") as errors:
            try:
                self.process = subprocess.Popen(command, env={**os.environ, **environment}, text=True, stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, stderr=errors)  # fmt: skip
            except OSError as error:
                raise LeftOut(f"{os.path.basename(command[0])} cannot be run: {error.strerror}") from None

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.close()
        with open(self.log, encoding="utf-8") as log:
            said = [line for line in log.read().splitlines() if line.strip()]
        raise LeftOut(said[-1] if said else "it ended and said nothing")

    def ask(self):
        try:
            print(file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # answer() says why
        return self.answer()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()


class PyTorch:
    """Stays loaded, and sleeps while others have their turn."""

    who, key, inside = "PyTorch", "pytorch", False

    def __init__(self, row, places):
        self.row, self.places = row, places
        work = ["--train", f"{row.batch}x{row.length}"] if row.work == "train" else ["--prompt", str(row.length)]
        work += ["--bf16"] if row.dtype == "bf16" else []
        work += ["--lora-rank", str(row.lora_rank)] if row.lora_rank else []
        self.arguments = ["--model", places.model(row.model), *work, "--steps", str(row.steps)]
        self.more = WITHOUT_AMX if row.dtype == "bf16" and not self.inside and self.dies_by_amx() else {}
        self.choose()

    def dies_by_amx(self):
        return subprocess.run([self.python(), "-c", PRODUCT], capture_output=True).returncode == -signal.SIGILL

    def python(self):
        if not self.places.python:
            raise LeftOut("there is no --python")
        return self.places.python

    def start(self, name):
        """Loads and is warm; what it says of itself."""
        settings = SETTINGS[name] | self.more
        if name != "default" and has_avx512():
            settings["OPENBLAS_CORETYPE"] = "SKYLAKEX"
        command = [self.python(), self.places.script("pytorch_work.py"), *self.arguments]
        self.command = self.places.shown([*(f"{k}={v}" for k, v in settings.items()), *command])
        if self.inside:
            command = self.places.inside(command, settings)
        self.process = Server(command, {} if self.inside else settings, self.places.work + f"/{self.key}.log")
        return self.process.answer()

    def choose(self):
        """Tries the settings, and keeps the process of the best."""
        rates, best, names = {}, None, ["passive"]
        while names:
            name = names.pop()
            ready = self.start(name)
            rates[name] = self.process.ask()["rate"]
            if best is None:
                self.version = ", ".join(f"{part} {version}" for part, version in ready["versions"].items())
                names = ["default"] if ready["blas"] == "mkl" else ["openblas"]
            elif rates[name] > rates[best[0]]:
                best[1].close()
            else:
                self.process.close()
                continue
            best = name, self.process, self.command
        name, self.process, self.command = best
        self.note = f"threads: {name}; tried were " + ", ".join(f"{other} {rate:.0f}" for other, rate in rates.items())
        self.note += "; without AMX, with which it ends on an illegal instruction" if self.more else ""

    def turn(self):
        time.sleep(0.3)  # threads of the last one stop spinning
        return {self.key: self.process.ask()["rate"]}

    def close(self):
        self.process.close()


class PyTorchInside(PyTorch):
    who, key, inside = "PyTorch of the root", "pytorch-root", True

    def python(self):
        if not self.places.root:
            raise LeftOut("there is no --root")
        return "python3"


class Llama:
    """llama-bench, which does some of the work to be warm before it measures."""

    who, key = "llama.cpp", "llama"

    def __init__(self, row, places):
        self.places, self.note = places, ""
        program = places.llama_bench or shutil.which("llama-bench")
        self.inside = bool(places.root) and (row.device == "lavapipe" or not program)
        if self.inside and not os.path.exists(places.root + "/usr/bin/llama-bench"):
            raise LeftOut("there is no llama-bench in the root")
        if not self.inside and not program:
            raise LeftOut("there is no llama-bench: give --llama-bench, or --root")
        self.environment, device = {}, ["-dev", "none"]
        if row.device == "lavapipe":
            self.environment = places.lavapipe() | {"GGML_VK_VISIBLE_DEVICES": "0"}
            device = ["-dev", "Vulkan0", "-ngl", "99"]
        tokens = ["-p", str(row.length), "-n", "0"] if row.work == "prompt" else ["-p", "0", "-n", str(row.length)]
        self.program = "llama-bench" if self.inside else program
        self.arguments = ["-m", places.gguf(row.model, row.dtype), *tokens, "-r", "2", "-t", str(CORES), *device, "-o", "jsonl"]
        self.command = places.shown(["llama-bench", *self.arguments])
        said = [line for line in self.run("--version", errors=True).splitlines() if line.startswith("version:")]
        self.version = said[0].replace("version:", "llama.cpp", 1) if said else "llama.cpp"

    def run(self, *arguments, errors=False):
        command, environment = [self.program, *arguments], self.environment
        if self.inside:
            command, environment = self.places.inside(command, environment), {}
        return run(command, environment, errors)

    def turn(self):
        told = last_json(self.run(*self.arguments))
        self.note = told["gpu_info"]
        rates = sorted(told["samples_ts"])
        return {self.key: (rates[(len(rates) - 1) // 2] + rates[len(rates) // 2]) / 2}

    def close(self):
        pass


PEERS = {"pytorch": PyTorch, "pytorch-root": PyTorchInside, "llama": Llama}


def all_of(row):
    """The classes of a row's programs, Tuff's first."""
    return [TuffTrain if row.work == "train" else TuffText, *(PEERS[name] for name in row.peers)]
