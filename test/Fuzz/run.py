#!/usr/bin/env python3
"""Feeds damaged files to the readers; fails if one aborts, hangs, grows or fails without a word.

    python test/Fuzz/run.py [--bin build/release/bin] [--seed 1] [--count 1000] [--data 500] [--tools 20] [--keep FOLDER]

`--count` damaged ONNX files go through all rooms to the planned module (one of 100 to an object file) and
`--data` data sets and checkpoints through their readers, in one process that is watched
(targets/nibble-read-files.cpp). The files in regressions/ go first, always. `--tools` files go through
nibble-translate and nibble-compile as well, to see exit codes and the word `error`.

The law: whatever the file, a reader ends by itself within 10 s of processor time and 2 GB, with success or with
a message; never by a signal, an assertion, a sanitizer's report or in silence; external data outside the
model's folder are never read.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import damage  # noqa: E402
import harness  # noqa: E402
import regressions  # noqa: E402

MEMORY = 6 << 30  # bytes of address space of a tool; one that asks for more was talked into it by the file
SYMPTOMS = ("Assertion", "LLVM ERROR", "UNREACHABLE", "PLEASE submit a bug report", "Stack dump",
            "terminate called", "Sanitizer", "runtime error:", "bad_alloc", "what():")


def commands(binaries, file, scratch):
    """How each tool is asked to read one file."""
    translate, compile_ = binaries
    return [[translate, "--import-onnx", file, "-o", os.devnull],
            [compile_, file, "--batch-size", "4", "--recipe", "ibm", "--emit=quantized", "-o", scratch]]


def limit():
    if "ASAN_OPTIONS" not in os.environ:  # AddressSanitizer reserves terabytes of address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(command, seconds=60):
    """None if the tool behaved, else a sentence."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                              preexec_fn=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds} s"
    text = (done.stderr + done.stdout).decode("utf-8", "replace")
    for symptom in SYMPTOMS:
        if symptom in text:
            return f"printed '{symptom}'"
    if done.returncode < 0 or done.returncode >= 126:
        return f"ended with code {done.returncode} (a negative code is a signal)"
    if done.returncode and "error" not in text:
        return f"failed with code {done.returncode} and no error message"
    return None


def find(name, path):
    binary = shutil.which(name, path=path)
    if not binary:
        sys.exit(f"{name} is not in {path or 'PATH'}")
    return binary


def read(a, folder):
    """Everything through nibble-read-files; returns the results."""
    reader, results = find("nibble-read-files", a.bin), []
    kept = folder / "regressions"
    results += harness.read_files(reader, kept, regressions.collect(kept))
    if a.count:
        manifest = damage.write(a.seed, a.count, folder / "onnx")
        results += harness.read_files(reader, folder / "onnx", manifest, a.object_every, folder / "onnx" / "outside")
    if a.data:
        manifest = damage.write(a.seed, a.data, folder / "data", data=True)
        results += harness.read_files(reader, folder / "data", manifest)
    return results


def run_tools(a, folder, results):
    """Every n-th ONNX file through the tools; returns (runs, sentences about failures)."""
    files = [r["path"] for r in results if r["entry"]["kind"] == "model"]
    files = files[::max(1, len(files) // a.tools)][:a.tools] if a.tools else []
    binaries = [find(name, a.bin) for name in ("nibble-translate", "nibble-compile")] if files else []
    wrong = []
    for file in files:
        for command in commands(binaries, file, str(folder / "out.mlir")):
            if verdict := judge(command):
                wrong.append(f"FAIL {' '.join(command)}: {verdict}")
    return 2 * len(files), wrong


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", help="folder with the tools (default: PATH)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=1000, help="ONNX files (default: 1000)")
    p.add_argument("--data", type=int, default=500, help="data sets and checkpoints (default: 500)")
    p.add_argument("--tools", type=int, default=20, help="ONNX files that go through the tools, too (default: 20)")
    p.add_argument("--object-every", type=int, default=100, help="ONNX files of which one becomes an object (default: 100)")
    p.add_argument("--keep", type=Path, help="write the files here and leave them")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or Path(temporary)
        results = read(a, folder)
        runs, wrong = run_tools(a, folder, results)
    for failure in harness.failures(results):
        print(harness.describe(failure))
    print("\n".join(wrong))
    row = harness.summary(results)
    models = sum(r["entry"]["kind"] == "model" for r in results)
    print(f"{row['files']} files, {models} of them ONNX ({100 * row.get('past_protobuf', 0) / max(models, 1):.0f} % past protobuf), "
          f"{row['accepted']} accepted; at most {row['most_megabytes']} MB and {row['most_seconds']} s; {runs} runs of tools; "
          f"{row['failures'] + len(wrong)} failures (seed {a.seed})")
    if row["failures"] or wrong:
        print(f"see again: python test/Fuzz/run.py --seed {a.seed} --count {a.count} --data {a.data} --keep FOLDER")
    elif models and row["past_protobuf"] < models / 2:
        sys.exit("too few of the damaged ONNX files still parse: they test protobuf, not Nibble")
    sys.exit(1 if row["failures"] or wrong else 0)


if __name__ == "__main__":
    main()
