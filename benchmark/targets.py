#!/usr/bin/env python3
"""The same bits everywhere: LeNet and resnet8 in luq and ibm, on each processor that code is made for, against the interpreter; and how fast each is.

    python benchmark/targets.py            run what is missing, print the tables, check that all are equal
    python benchmark/targets.py --table    print what is there
    python benchmark/targets.py --rates    measure only the rates [--seconds 0.5] [--rounds 3] [--quick]

Three ways: `nibble-compile --verify` on every x86-64 variant this machine executes, at 1, 2 and 4 threads (each step: every
parameter, moment, scale, running statistic, loss and report); a library in a C program on this machine, whose object must be the JIT's;
libraries in the same program under QEMU's user emulation (2 threads on x86-64, 1 on AArch64): every loss and the saved state. The networks have
their own input sizes; batches are small (8 and 4), since the interpreter and QEMU are slow. Tools needed: cc, qemu-user, libc6-dev-arm64-cross.

Rates: a matrix product and a 3x3 convolution, luq's three products of each, by `nibble-products --cpu TARGET` (scripts/build nibble-products) on one
core for every x86-64 target this machine executes: GOP/s, share of what the target's own instructions for bytes reach in registers, and of what
the machine's best do, in the same run. Emulated targets have no rate.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import step_time
from common import BenchmarkError, bar

AOT = common.ROOT / "test" / "AOT" / "Inputs" / "aot.py"
NETWORKS = {"lenet": ("1x28x28", 8, 4), "resnet8": ("3x32x32", 4, 3)}  # input, batch, steps
RECIPES = ("luq", "ibm")
VARIANTS = {"avx512vnni": "avx512_vnni", "avx512": "avx512f", "avxvnni": "avx_vnni", "avx2": "avx2", "generic": None, "x86-64": None}  # what /proc/cpuinfo calls it
EMULATED = [("x86-64", "qemu64", 2), ("generic", "Nehalem", 2), ("avx2", "Haswell", 2), ("aarch64", "cortex-a53", 1), ("cortex-a76", "cortex-a76", 1),
            ("dotprod", "cortex-a76", 1)]
PRODUCTS = ("luq 1024x1024->1024", "luq 3x3 16^2x128 b128")


def llvm():
    folder = Path("/usr/lib/llvm-22/bin")
    return str(folder) if folder.exists() else ""


ENVIRONMENT = {**os.environ, "PATH": f"{common.BIN}:{llvm()}:{os.environ['PATH']}", "PYTHONPATH": str(common.ROOT / "python")}


def run(*command):
    done = subprocess.run([str(c) for c in command], env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{common.shown(command)}\nended with code {done.returncode}:\n{(done.stdout + done.stderr)[-1500:]}")
    return done.stdout + done.stderr


def aot(*arguments):
    return run(sys.executable, AOT, *arguments)


def here():
    """The variants that this machine executes."""
    flags = common.cpu_flags()
    return [name for name, flag in VARIANTS.items() if flag is None or flag in flags]


def verify(network, recipe):
    """All variants in one process; the interpreter runs once for each of them."""
    variants = here()
    shape, batch, steps = NETWORKS[network]
    command = [common.tool("nibble-compile"), common.zoo_model(network, 0), f"--batch-size={batch}", f"--recipe={recipe}", "--verify",
               f"--verify-steps={steps}", "--threads=1,2,4", "--mcpu=" + ",".join(variants)]
    text = run(*command)
    equal = re.findall(rf"^(\S+), (\d) threads?: {steps} steps, every bit equals the interpreter's", text, re.M)
    if len(equal) != 3 * len(variants):
        raise BenchmarkError(f"{common.shown(command)}\nsays:\n{text}")
    return {"command": common.shown(command), "steps": steps, "variants": variants, "threads": [1, 2, 4], "equal": len(equal)}


def libraries(network, recipe, folder):
    """(key, values) of the native library and the emulated ones; the interpreter's run is what they are compared with."""
    shape, batch, steps = NETWORKS[network]
    model = common.zoo_model(network, 0)
    data, batches = f"{folder}/data.npz", f"{folder}/batches"
    aot("data", data, shape, 10, batch * steps)
    run(common.tool("aot-batches"), data, f"{batch}x{shape}", 10, 0, 1, batches)
    run(common.tool("nibble-train"), model, "--data", data, "--recipe", recipe, "--epochs=1", f"--batch-size={batch}", "--lr=0.02",
        "--schedule=constant", "--seed=0", "--interpret", "--out", f"{folder}/run", "--log", f"{folder}/run.jsonl")
    for mcpu, cpu, threads in [("native", None, 2), *EMULATED]:
        out, start = f"{folder}/{mcpu}", time.perf_counter()
        aot("build", out, model, mcpu, recipe, threads, batch)
        if cpu:
            aot("run", out, batches, cpu)
        else:
            text = run(f"{out}/train", batches, f"{out}/state.safetensors", "2")
            Path(out, "out.txt").write_text(text)
        losses = int(aot("losses", f"{out}/out.txt", f"{folder}/run.jsonl").split()[0])
        tensors = int(aot("states", f"{out}/state.safetensors", f"{folder}/run/last.safetensors").split()[0])
        values = {"command": f"test/AOT/Inputs/aot.py build LIB {network}.onnx {mcpu} {recipe} {threads} {batch}; run LIB BATCHES {cpu or '(no emulator)'}",
                  "steps": steps, "threads": threads, "losses_equal": losses, "tensors_equal": tensors,
                  "seconds": round(time.perf_counter() - start, 1)}
        if not cpu:
            values["sections_equal"] = same_object(out, model, recipe, threads, batch)
        else:
            values["emulated"] = cpu
        yield f"{network} {recipe} library {mcpu}", values


def same_object(out, model, recipe, threads, batch):
    """The library's step and what the JIT loads: sections that are equal, byte for byte."""
    run(common.tool("nibble-compile"), model, f"--batch-size={batch}", f"--recipe={recipe}", f"--threads={threads}", "--least-work=1", "--emit=obj",
        "-o", f"{out}/jit.o")
    run("llvm-ar", "x", "--output", out, f"{out}/libtiny.a", "tiny.step.o")
    return int(aot("objects", f"{out}/tiny.step.o", f"{out}/jit.o").split()[0])


def table(store):
    good, runs = True, [(n, r) for n in NETWORKS for r in RECIPES]
    print("| network | recipe | this machine, 1 = 2 = 4 threads | library = JIT | emulated |\n|---|---|---|---|---|")
    for network, recipe in runs:
        native = store.find(f"{network} {recipe} verify")
        own = store.find(f"{network} {recipe} library native")
        others = [record for mcpu, _, _ in EMULATED if (record := store.find(f"{network} {recipe} library {mcpu}"))]
        if native:
            good &= native["equal"] == 3 * len(native["variants"])
        good &= bool(native and own) and len(others) == len(EMULATED)
        print(f"| {network} | {recipe} | {', '.join(native['variants']) if native else ''} | "
              f"{own['sections_equal'] if own else '–'} sections, {own['tensors_equal'] if own else '–'} tensors | "
              f"{', '.join('`' + r['key'].split()[-1] + '` as ' + r['emulated'] for r in others)} |")
    print()
    return bar(good, "every variant of every network and recipe is the interpreter, bit for bit")


def rates(store, a):
    """Each target's products in turn, a round at a time."""
    runs = {}
    for _ in range(a.rounds):
        for target in (name for name in here() if name != "x86-64"):
            for product in PRODUCTS:
                command = [common.tool("nibble-products"), "--cpu", target, "--filter", product, "--seconds", str(a.seconds)]
                for record in map(json.loads, run(*step_time.pinned(command, 1)).splitlines()):
                    runs.setdefault((target, record["product"]), []).append({**record, "command": common.shown(command)})
    print("| target | product | GOP/s | spread | of the target's peak | of the machine's peak |\n|---|---|---|---|---|---|")
    for (target, product), records in runs.items():
        middle = {key: statistics.median(r.get(key, 0) for r in records) for key in ("gops", "share", "own_share")}
        each = sorted(r["gops"] for r in records)
        store.add(f"rate {target} {product}", **middle, rounds=each, peaks=records[-1]["peaks"], command=records[-1]["command"],
                  load=round(os.getloadavg()[0], 1))
        own = f"{middle['own_share']:.2f}" if middle["own_share"] else "–"
        print(f"| {target} | {product} | {middle['gops']:.0f} | {each[0]:.0f}–{each[-1]:.0f} | {own} | {middle['share']:.2f} |", flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    parser.add_argument("--rates", action="store_true", help="measure the rates, and nothing else")
    parser.add_argument("--rounds", type=int, help="of the rates: default 3; 1 with --quick")
    parser.add_argument("--seconds", type=float, help="for each rate (default 0.5; 0.1 with --quick)")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (0.1 if arguments.quick else 0.5)
    store = common.Store("targets")
    if not arguments.table and (arguments.rates or (common.BIN / "nibble-products").exists()):
        rates(store, arguments)
    if arguments.rates:
        return 0
    for network in NETWORKS if not arguments.table else ():
        for recipe in RECIPES:
            if not store.find(f"{network} {recipe} verify"):
                store.add(f"{network} {recipe} verify", **verify(network, recipe))
            if not all(store.find(f"{network} {recipe} library {mcpu}") for mcpu in ["native", *(m for m, _, _ in EMULATED)]):
                with tempfile.TemporaryDirectory() as folder:
                    for key, values in libraries(network, recipe, folder):
                        if not store.find(key):
                            store.add(key, **values)
    return 0 if table(store) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"targets.py: {error}")
