#!/usr/bin/env python3
"""Feeds damaged ONNX files to the tools; fails if one aborts, hangs, or fails without a word.

    python test/Fuzz/run.py [--bin build/release/bin] [--seed 1] [--count 100] [--keep FOLDER] [--tool NAME]

The law: whatever the file, a tool ends by itself within the time limit, with exit code 0, or with a
small exit code and a line that says `error`. A signal, an assertion, an uncaught exception, LLVM's
"please submit a bug report", more than the memory limit or an empty answer is a failure. The file of
each failure is named together with the command that shows it again.
"""

import argparse
import concurrent.futures
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import damage  # noqa: E402

MEMORY = 6 << 30  # bytes of address space; a tool that asks for more was talked into it by the file
SYMPTOMS = ("Assertion", "LLVM ERROR", "UNREACHABLE", "PLEASE submit a bug report", "Stack dump",
            "terminate called", "Sanitizer", "runtime error:", "bad_alloc", "what():")


def commands(tool, binary, file, scratch):
    """How each tool is asked to read one file."""
    if tool == "nibble-translate":
        return [binary, "--import-onnx", file, "-o", os.devnull]
    return [binary, file, "--batch-size", "4", "--recipe", "ibm", "--emit=quantized", "-o", scratch + ".mlir"]


def limit():
    if "ASAN_OPTIONS" not in os.environ:  # AddressSanitizer reserves terabytes of address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(command, seconds):
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


def run(arguments, folder):
    """Runs every tool on every file; returns the list of failures and the number of runs."""
    manifest = damage.write(arguments.seed, arguments.count, folder)
    jobs = []
    for tool in arguments.tool or ["nibble-translate", "nibble-compile"]:
        binary = shutil.which(tool, path=arguments.bin)
        if not binary:
            sys.exit(f"{tool} is not in {arguments.bin or 'PATH'}")
        for entry in manifest:
            file = str(folder / entry["file"])
            jobs.append((entry, commands(tool, binary, file, file)))
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        verdicts = list(pool.map(lambda job: judge(job[1], arguments.seconds), jobs))
    return [(e, c, v) for (e, c), v in zip(jobs, verdicts) if v], len(jobs)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", help="folder with the tools (default: PATH)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--seconds", type=float, default=10, help="time limit of one run (default: 10)")
    p.add_argument("--jobs", type=int, default=2, help="runs at the same time (default: 2)")
    p.add_argument("--tool", action="append", help="only this tool (may be repeated)")
    p.add_argument("--keep", type=Path, help="write the files here and leave them")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        failures, total = run(a, a.keep or Path(temporary))
    for entry, command, verdict in failures:
        print(f"FAIL {entry['file']} ({entry['detail']!r}): {verdict}\n     {' '.join(command)}")
    print(f"{total} runs, {len(failures)} failures (seed {a.seed})")
    if failures:
        print(f"see again: python test/Fuzz/damage.py {a.seed} {a.count} FOLDER, then the command above")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
