#!/usr/bin/env python3
"""What a network is as a library, and what the compile cache saves.

    python benchmark/library.py            run what is missing, print the tables, check the bars
    python benchmark/library.py --table    print what is there

For LeNet and resnet8 in luq and ibm (batch 128, 2 threads): sizes of library, header, object and of the C program of
docs/howto/use-the-library-from-c.md, and what `ldd` says of it. Then one LeNet step by nibble-train, started with an
empty compile cache and started again: wall and processor time, median of --rounds pairs. Bars: the program needs
libc, libm and libomp at most; the second start takes less than half the processor time of the first.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from common import BenchmarkError, bar

RUNS = [(network, recipe) for network in ("lenet", "resnet8") for recipe in ("luq", "ibm")]
SHAPES = {"lenet": (1, 28, 28), "resnet8": (3, 32, 32)}
MAY_NEED = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libomp.so.5", "ld-linux-x86-64.so.2", "libtiny.so"}
PROGRAM = common.ROOT / "test" / "AOT" / "train.c"


def sizes(network, recipe):
    model = common.zoo_model(network, 0)
    with tempfile.TemporaryDirectory() as folder:
        command = [common.tool("nibble-compile"), str(model), "--batch-size=128", "--recipe=" + recipe, "--threads=2", "--emit=lib", "--lib-name=tiny",
                   "-o", folder]
        common.run_tool(command)
        shared = ["cc", "-O2", str(PROGRAM), f"-I{folder}", f"-L{folder}", "-ltiny", f"-Wl,-rpath,{folder}", "-s", "-o", f"{folder}/train"]
        subprocess.run(shared, check=True)
        ldd = subprocess.run(["ldd", f"{folder}/train"], check=True, capture_output=True, text=True).stdout
        needs = sorted({os.path.basename(line.split()[0]) for line in ldd.splitlines() if line.strip()})
        paths = {name: re.sub(r"\(0x[0-9a-f]+\)", "", line.split("=>")[-1]).strip() for line in ldd.splitlines()
                 if (name := os.path.basename(line.split()[0])) not in ("libtiny.so", "linux-vdso.so.1")}
        bytes_of = lambda name: Path(folder, name).stat().st_size  # noqa: E731
        defines = dict(re.findall(r"#define TINY_(\w+) (\d+)", Path(folder, "tiny.h").read_text()))
        return {"command": common.shown(command).replace(folder, "LIB"), "program_command": common.shown(shared).replace(folder, "LIB"),
                "program_lines": len(PROGRAM.read_text().splitlines()), "program": bytes_of("train"), "library": bytes_of("libtiny.so"),
                "static": bytes_of("libtiny.a"), "artifact": bytes_of("tiny.nibble"), "header_lines": len(Path(folder, "tiny.h").read_text().splitlines()),
                "model": model.stat().st_size, "needs": needs, "paths": paths, "defines": defines}


def start_once(command):
    """Wall and processor seconds, and what was said about compiling."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        text = out.read().decode()
    if os.waitstatus_to_exitcode(status):
        raise BenchmarkError(f"{common.shown(command)}\n{text[-1000:]}")
    said = re.search(r"(compiled|loaded) in [0-9.]+ \w+", text)
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, said[0] if said else ""


def starts(network, recipe, rounds):
    import numpy as np

    model = common.zoo_model(network, 0)
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.RandomState(0)
        np.savez(f"{folder}/one.npz", x=random.standard_normal((128, *SHAPES[network])).astype(np.float32), y=np.arange(128) % 10)
        command = [common.tool("nibble-train"), str(model), "--data", f"{folder}/one.npz", "--batch-size=128", "--recipe=" + recipe, "--epochs=1",
                   "--threads=2", "--cache-dir", f"{folder}/cache", "--out", f"{folder}/out", "--overwrite"]
        pairs = []
        for _ in range(rounds):
            shutil.rmtree(f"{folder}/cache", ignore_errors=True)
            pairs.append((start_once(command), start_once(command)))
            if not pairs[-1][0][2].startswith("compiled") or not pairs[-1][1][2].startswith("loaded"):
                raise BenchmarkError(f"{common.shown(command)}\nsaid {pairs[-1]}")
        middle = lambda which, what: round(statistics.median(pair[which][what] for pair in pairs), 3)  # noqa: E731
        return {"command": common.shown(command).replace(folder, "TMP"), "rounds": rounds, "load": os.getloadavg()[0],
                "first": {"wall": middle(0, 0), "processor": middle(0, 1)}, "second": {"wall": middle(1, 0), "processor": middle(1, 1)},
                "cache_bytes": sum(p.stat().st_size for p in Path(folder, "cache").rglob("*") if p.is_file())}


def table(store):
    good = True
    print("| network | recipe | `.so` | `.a` | program | model.onnx | needs |\n|---|---|---|---|---|---|---|")
    for network, recipe in RUNS:
        if r := store.find(f"{network} {recipe} library"):
            others = [name for name in r["needs"] if name not in ("linux-vdso.so.1", "libtiny.so", "ld-linux-x86-64.so.2")]
            print(f"| {network} | {recipe} | {r['library']:,} | {r['static']:,} | {r['program']:,} | {r['model']:,} | {', '.join(others)} |")
            good &= set(r["needs"]) <= MAY_NEED
    bar(good, "a program with a library in it needs libc, libm and libomp at most")
    print("\n| network | recipe | first start, s wall (processor) | second | in the cache |\n|---|---|---|---|---|")
    for network, recipe in RUNS:
        if r := store.find(f"{network} {recipe} start"):
            print(f"| {network} | {recipe} | {r['first']['wall']:.2f} ({r['first']['processor']:.2f}) | {r['second']['wall']:.2f} "
                  f"({r['second']['processor']:.2f}) | {r['cache_bytes']:,} |")
            good &= bar(r["second"]["processor"] < r["first"]["processor"] / 2, f"{network} {recipe}: the second start takes less than half")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    arguments = parser.parse_args()
    store = common.Store("library")
    for network, recipe in RUNS if not arguments.table else ():
        if not store.find(f"{network} {recipe} library"):
            store.add(f"{network} {recipe} library", **sizes(network, recipe))
        if not store.find(f"{network} {recipe} start"):
            store.add(f"{network} {recipe} start", **starts(network, recipe, arguments.rounds))
    return 0 if table(store) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"library.py: {error}")
