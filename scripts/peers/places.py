"""Where the programs are that compare.py runs, and what they share: models, a text, a work directory."""

import json
import os
import shutil
import subprocess

import models

HERE = os.path.dirname(os.path.abspath(__file__))
CORES = len(os.sched_getaffinity(0))
LONGEST = 1800  # seconds that a program may take
LIBRARIES = "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"
DRIVERS = "usr/share/vulkan/icd.d"


class LeftOut(Exception):
    """Why a program is not compared."""


def run(command, environment=None, errors=False):
    """Its standard output, with `errors` standard error too; LeftOut, with the last thing that it said, where it fails."""
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=LONGEST)
    except OSError as error:
        raise LeftOut(f"{name} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise LeftOut(f"{name} was not done in {LONGEST} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LeftOut(f"{name} ended with {done.returncode}: {said[-1] if said else 'it said nothing'}")
    return done.stdout + (done.stderr if errors else "")


def last_json(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise LeftOut("it printed no JSON")


# A root is entered with mounts that only the command sees: the work directory is its /srv.
ENTER = """
mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/srv" || exit 1
root=$1
shift 2
exec chroot "$root" env HOME=/srv TMPDIR=/srv HF_HUB_OFFLINE=1 PATH=/usr/bin:/bin "$@"
"""


class Places:
    def __init__(self, options, work):
        self.tuff, self.python, self.root = os.path.abspath(options.tuff), options.python, options.root
        self.llama_bench, self.work = options.llama_bench, os.path.abspath(work)
        self.shapes = models.TINY if options.tiny else models.SHAPES
        if not os.access(self.tuff, os.X_OK):
            raise SystemExit(f"compare.py: {options.tuff} is not there: build Tuff, or name it with --tuff")
        if self.root and not os.path.isdir(self.root + "/usr/bin"):
            raise SystemExit(f"compare.py: --root {self.root} is no root of a system: it has no usr/bin")

    def inside(self, command, environment):
        """The command that runs this one in the other root; for who is not root, by a namespace of its own."""
        parts = [f"{name}={value}" for name, value in environment.items()] + command
        users = [] if os.geteuid() == 0 else ["--map-root-user"]
        parts = [part.replace(self.work, "/srv") for part in parts]
        return ["unshare", "--mount", *users, "sh", "-c", ENTER, "sh", self.root, self.work, *parts]

    def script(self, name):
        """A script of this folder where both systems see it."""
        return shutil.copy(os.path.join(HERE, name), self.work)

    def shown(self, command):
        """A command for people, without the paths of a machine."""
        for path, name in (self.tuff, "tuff"), (self.python, "python3"), (self.work, "WORK"), (self.root, "ROOT"):
            command = [part.replace(path, name) if path else part for part in command]
        return " ".join(command).replace("WORK/pytorch_work.py", "scripts/peers/pytorch_work.py")

    def model(self, name):
        directory = os.path.join(self.work, name)
        models.make(directory, self.shapes[name])
        return directory

    def gguf(self, name, dtype):
        path = os.path.join(self.work, f"{name}-{dtype}.gguf")
        if not os.path.exists(path):
            run([self.tuff, "convert", self.model(name), "--to", "gguf", "--dtype", dtype, "--output", path, "--quiet"])
        return path

    def text(self):
        path = os.path.join(self.work, "text.txt")
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(models.texts(40000))
        return path

    def tuff_inside(self):
        """Tuff for the other root, and the folder of those libraries of this system that are not in it."""
        folder = os.path.join(self.work, "inside")
        os.makedirs(folder, exist_ok=True)
        for line in run(["ldd", self.tuff]).splitlines():
            name, _, found = line.strip().partition(" => ")
            if found and not any(os.path.exists(os.path.join(self.root, place, name)) for place in LIBRARIES):
                shutil.copy(found.split(" (")[0], os.path.join(folder, name))
        return shutil.copy(self.tuff, folder), folder

    def lavapipe(self):
        """The environment in which lavapipe is the only Vulkan driver, of the other root where there is one."""
        where = os.path.join(self.root or "/", DRIVERS)
        found = [name for name in sorted(os.listdir(where)) if name.startswith("lvp_icd")] if os.path.isdir(where) else []
        if not found:
            raise LeftOut("there is no lavapipe" + (" in the root" if self.root else ""))
        return {name: f"/{DRIVERS}/{found[0]}" for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")}
