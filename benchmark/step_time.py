#!/usr/bin/env python3
"""Time of one LeNet training step at batch 128: nibble-train against PyTorch's f32, in the same run.

    python benchmark/step_time.py --setup             makes build/bench-venv with torch (75 s, 5.5 GB)
    python benchmark/step_time.py [--recipe luq] [--rounds 3] [--threads 1]

Measures PyTorch and Nibble alternately, `rounds` times each, on the same processors (taskset), and
compares the medians. PyTorch runs as it runs best on a CPU: channels last, OPENBLAS_* unset, AVX-512
where the processor has it, malloc that keeps its pages, huge pages. Prints also time and peak memory of
compiling the network. Absolute times belong to one machine; the ratio of one run is what counts.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import common
from common import BenchmarkError, bar

VENV = common.ROOT / "build" / "bench-venv"
TORCH = "torch==2.15.0"
NEEDED_GB = 8  # 5.5 installed, the rest while pip unpacks
LIMIT = 4.0  # issue 3, item 8: luq takes at most 4 times PyTorch's f32 step


def setup():
    """Makes the environment of the comparison; it is no part of what the README's commands install."""
    if (VENV / "installed").exists():
        return
    free = shutil.disk_usage(common.ROOT).free / 1e9
    if free < NEEDED_GB:
        raise BenchmarkError(f"{TORCH} needs about {NEEDED_GB} GB, {common.ROOT} has {free:.1f} GB left")
    print(f"installing {TORCH} into {VENV} ({free:.0f} GB free)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    subprocess.run([str(VENV / "bin" / "pip"), "install", "-q", TORCH, "numpy"], check=True)
    (VENV / "installed").touch()


def processors(threads):
    return sorted(os.sched_getaffinity(0))[:threads]


def pinned(command, threads):
    return ["taskset", "-c", ",".join(map(str, processors(threads))), *command]


def mkl_library():
    """A library that, loaded first, makes MKL take its AVX-512 code on a processor that is not Intel's; None where that would change
    nothing, or there is no C compiler. PyTorch's f32 matrix products are MKL's, at half their rate there otherwise (115 and 257 GOP/s on a Zen 5)."""
    compiler = shutil.which("cc") or shutil.which("clang-22")
    if "Intel" in common.processor() or "avx512f" not in common.cpu_flags() or not compiler:
        return None
    common.WORK.mkdir(parents=True, exist_ok=True)
    source, library = common.WORK / "mkl_cpu.c", common.WORK / "libmkl_cpu.so"
    source.write_text("int mkl_serv_intel_cpu_true(void) { return 1; }\n")
    linker = ["-fuse-ld=lld"] if "clang" in compiler else []
    subprocess.run([compiler, *linker, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return str(library)


def torch_environment(mkl512=False):
    """What makes PyTorch's CPU step as fast as it gets; with `mkl512` also what it does not do by itself."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    if "avx512f" in common.cpu_flags():
        environment["ATEN_CPU_CAPABILITY"] = "avx512"
    environment["GLIBC_TUNABLES"] = ("glibc.malloc.trim_threshold=8589934592:"
                                     "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.hugetlb=1")
    if mkl512 and (library := mkl_library()):
        environment["LD_PRELOAD"] = library
    return environment


def torch_step(precision, threads):
    """One measurement of PyTorch: the JSON line of torch_step.py."""
    script = Path(__file__).with_name("torch_step.py")
    command = pinned([str(VENV / "bin" / "python"), str(script), precision, str(threads), "6"], threads)
    done = subprocess.run(command, env=torch_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{common.shown(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def nibble_step(recipe, threads):
    """One epoch of MNIST (468 steps); the mean time of a step, which includes making the batch."""
    command = pinned([common.tool("nibble-train")], threads)
    model = common.zoo_model("lenet", 0)
    arguments = ["--data", common.data("mnist"), "--recipe=" + recipe, "--epochs=1", "--batch-size=128",
                 "--optimizer=sgd", "--momentum=0.9", "--lr=0.05", f"--threads={threads}"]
    done = common.train(model, arguments, prefix=command)
    return common.epochs(done)[-1]["ms"], done["command"]


def compile_cost(recipe):
    """Seconds and peak MB of nibble-compile on the same network."""
    command = [common.tool("nibble-compile"), str(common.zoo_model("lenet", 0)), "--recipe=" + recipe,
               "--batch-size=128", "--emit=obj", "-o", str(common.WORK / "lenet.o")]
    done = common.run_tool(command)
    return {"seconds": round(done["seconds"], 2), "peak_mb": round(done["peak_mb"]), "command": common.shown(command)}


def measure(a):
    """Alternates the two, so that a machine that slows down slows both."""
    torch, ours, command = [], {r: [] for r in a.recipe}, {}
    for _ in range(a.rounds):
        torch.append(torch_step("f32", a.threads)["step_ms"])
        for recipe in a.recipe:
            milliseconds, command[recipe] = nibble_step(recipe, a.threads)
            ours[recipe].append(milliseconds)
    return torch, ours, command


def report(a):
    store = common.Store("step-time")
    torch, ours, command = measure(a)
    base = statistics.median(torch)
    print(f"\nLeNet, batch 128, {a.threads} thread(s), {common.processor()}; ms a step, median of {a.rounds}")
    print(f"{'PyTorch f32':<14}{base:8.2f}")
    good = True
    for recipe, values in ours.items():
        value = statistics.median(values)
        print(f"{'nibble ' + recipe:<14}{value:8.2f}{value / base:8.2f} x PyTorch")
        store.add(f"lenet b128 {recipe} threads {a.threads}", recipe=recipe, threads=a.threads, nibble_ms=values,
                  torch_ms=torch, ratio=value / base, command=command[recipe])
    if "luq" in ours:
        ratio = statistics.median(ours["luq"]) / base
        good = bar(ratio <= LIMIT, f"luq takes {ratio:.2f} x PyTorch's f32 step (at most {LIMIT:g})")
    if not a.no_compile:
        for recipe in a.recipe:
            cost = compile_cost(recipe)
            store.add(f"compile lenet {recipe}", **cost)
            print(f"compile lenet {recipe}: {cost['seconds']} s, peak {cost['peak_mb']} MB")
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true", help=f"install {TORCH} into build/bench-venv and exit")
    p.add_argument("--recipe", type=lambda t: t.split(","), default=["f32", "luq"], metavar="f32,luq")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--no-compile", action="store_true", help="do not measure nibble-compile")
    a = p.parse_args()
    try:
        if a.setup:
            setup()
            return
        if not (VENV / "installed").exists():
            raise BenchmarkError("PyTorch is not there: run this script with --setup first (75 s, 5.5 GB)")
        sys.exit(0 if report(a) else 1)
    except BenchmarkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
