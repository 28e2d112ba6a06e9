"""What the benchmark scripts share: where things are, which machine this is, running nibble-train, results.

A result is one JSON line in `benchmark/results/NAME.jsonl` (or that of the folder `NIBBLE_RESULTS`): what was asked (`key`), the exact command,
machine, processor, revision, date, and what came out. A script that finds its key there does not run
again, so a campaign can be stopped and resumed; delete the line or the file to measure afresh.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(os.environ.get("NIBBLE_RESULTS", ROOT / "benchmark" / "results"))
BIN = Path(os.environ.get("NIBBLE_BIN", ROOT / "build" / "release" / "bin"))
DATA = Path(os.environ.get("NIBBLE_DATA", ROOT.parent / "shared" / "data"))
WORK = Path(os.environ.get("NIBBLE_WORK", ROOT / "build" / "benchmark"))  # models and converted data

sys.path.insert(0, str(ROOT / "python"))


class BenchmarkError(Exception):
    """Something that the person who runs the benchmark can put right."""


def tool(name):
    path = BIN / name
    if not path.exists():
        raise BenchmarkError(f"{path} does not exist: build it (make), or set NIBBLE_BIN")
    return str(path)


def data(*parts):
    path = DATA.joinpath(*parts)
    if not path.exists():
        raise BenchmarkError(f"{path} does not exist: set NIBBLE_DATA to the folder of data sets")
    return path


def zoo_model(name, seed):
    """A zoo network with the weights of `seed`, written once."""
    from nibble import zoo
    from nibble.graph import to_bytes

    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{name}-seed{seed}.onnx"
    content = to_bytes(zoo.build(name, seed=seed))
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
    return path


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_flags():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())


def machine():
    flags = cpu_flags()
    shown = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if f in flags]
    return {"system": f"{platform.system()} {platform.release()}", "cpu": processor(), "cores": os.cpu_count(),
            "features": shown}


def revision():
    """The commit, with '+' if the tree that was built differs from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True,
                              check=False).stdout.strip()

    dirty = git("status", "--porcelain", "--untracked-files=no", "--", "lib", "include", "tools")
    return git("rev-parse", "--short", "HEAD") + ("+" if dirty else "")


def shown(command):
    """The command as a reader would type it, from the project's root."""
    text = " ".join(str(c) if " " not in str(c) else f"'{c}'" for c in command)
    return text.replace(str(ROOT) + "/", "").replace(str(DATA), "$NIBBLE_DATA")


class Store:
    """The results of one script, one JSON object a line."""

    def __init__(self, name):
        self.path = RESULTS / f"{name}.jsonl"
        self.records = []
        if self.path.exists():
            self.records = [json.loads(line) for line in self.path.read_text().splitlines() if line.strip()]

    def find(self, key):
        """The newest record of that key, or None."""
        return next((r for r in reversed(self.records) if r["key"] == key), None)

    def add(self, key, **values):
        record = {"key": key, **values, "machine": machine(), "revision": revision(),
                  "date": time.strftime("%Y-%m-%d %H:%M:%S")}
        RESULTS.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.records.append(record)
        return record


def log_records(path):
    """The records of a --log file; an unfinished last line is ignored."""
    records = []
    for line in Path(path).read_text().splitlines() if Path(path).exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            pass
    return records


def run_tool(command):
    """Runs a tool; returns its output, wall seconds and peak memory in MB. Raises with the tail of its words."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    if process.returncode:
        tail = "\n".join(text.splitlines()[-15:])
        raise BenchmarkError(f"{shown(command)}\nended with code {process.returncode}:\n{tail}")
    return {"text": text, "seconds": time.perf_counter() - start, "peak_mb": usage.ru_maxrss / 1024}


def train(model, arguments, prefix=None):
    """Runs nibble-train with a log; returns the log's records and what run_tool returns.

    `arguments` are all but the model, --out and --log, which go to a temporary folder. `prefix` replaces
    the program's name (to start it through taskset).
    """
    command = [*(prefix or [tool("nibble-train")]), str(model), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        done = run_tool(command + ["--out", folder + "/out", "--log", folder + "/log.jsonl"])
        done["records"] = log_records(folder + "/log.jsonl")
    done["command"] = shown(command)
    return done


def epochs(done):
    """The records of finished epochs, in order."""
    found = [r for r in done["records"] if r.get("type") == "epoch"]
    if not found:
        raise BenchmarkError(f"{done['command']}\nwrote no epoch records to its log")
    return found


def bar(ok, text):
    """Prints a bar with its verdict and returns the verdict."""
    print(f"  {'pass' if ok else 'FAIL'}  {text}")
    return ok
