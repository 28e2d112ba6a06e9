"""Interrupts runs of nibble-train and compares what is left with the run that was not interrupted.

    runs.py sweep FOLDER      every recipe and optimizer: from a checkpoint within an epoch, by other code, to the same bytes
    runs.py signals FOLDER    SIGTERM, SIGINT and SIGKILL at some moment; a second process in the folder
    runs.py dropout FOLDER    a network with Dropout, which draws its masks from the same counter
    runs.py disk FOLDER       a disk that is full at each kind of write; needs a mount namespace of its own (unshare -m)

FOLDER holds tiny.onnx and bars.npz of the tour.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np

BASE = ["nibble-train", "tiny.onnx", "--data", "bars.npz", "--lr", "0.02", "--seed", "5"]
BATCH = ["--batch-size", "16"]
RECIPES = ["f32", "w4a4", "ibm", "ibm+", "luq", "int4", "luq,activations=dynamic", "ibm,activations=minmax"]
OPTIMIZERS = [["--optimizer", "sgd", "--nesterov"], ["--optimizer", "adam"], ["--optimizer", "adamw", "--weight-decay", "0.01"]]
# 16 updates an epoch all the same.
MICRO_BATCHES = [["--optimizer", "adam", "--batch-size", "4", "--accumulate", "4"]]


def run(*arguments, expect=0, prefix=()):
    """Runs nibble-train; returns its words. Fails unless it ends with the expected code."""
    command = [*prefix, *BASE, *([] if "--batch-size" in arguments else BATCH), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    words = done.stdout + done.stderr
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}, expected {expect}:\n{words}")
    return words


def log(path):
    """The records without the time that steps took and without the command."""
    records = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "ms"} for record in records if record["type"] != "model"]


def equal(a, b, *names):
    for name in names:
        if pathlib.Path(a, name).read_bytes() != pathlib.Path(b, name).read_bytes():
            sys.exit(f"{a}/{name} and {b}/{name} differ")


def check(good, text):
    if not good:
        sys.exit("failed: " + text)


def interrupted(recipe, optimizer):
    """Compiled code runs through; the interpreter (for sgd compiled code as well) goes on from step 21, in the second of three epochs."""
    options = [*optimizer, "--recipe", recipe, "--epochs", "3", "--checkpoint-every", "7", "--keep-checkpoints", "0"]
    run(*options, "--out", "whole", "--log", "whole.jsonl", "--overwrite")
    for name, code in [("interpreted", ["--interpret"]), *([("compiled", ["--threads", "1"])] if "sgd" in optimizer else [])]:
        shutil.copy("whole.jsonl", name + ".jsonl")
        run(*options, *code, "--resume=whole/checkpoints/step-000021.safetensors", "--out", name, "--log", name + ".jsonl", "--overwrite")
        equal("whole", name, "last.safetensors", "checkpoints/step-000028.safetensors", "model.onnx")
        check(log("whole.jsonl") == log(name + ".jsonl"), f"logs of {recipe} {optimizer} {name}")
    print(recipe, *optimizer, "resumed = uninterrupted")


def sweep():
    for recipe in RECIPES:
        for optimizer in OPTIMIZERS + MICRO_BATCHES * (recipe in ("ibm", "luq")):
            interrupted(recipe, optimizer)


def dropout():
    import onnx

    model = onnx.load("tiny.onnx")
    last = next(node for node in model.graph.node if node.op_type == "Gemm")
    dropped = onnx.helper.make_node("Dropout", [last.input[0], "ratio", "training"], ["dropped"], name="dropout")
    model.graph.initializer.extend([onnx.numpy_helper.from_array(value, name) for name, value in
                                    (("ratio", np.array(0.4, np.float32)), ("training", np.array(False)))])  # fmt: skip
    last.input[0] = "dropped"
    model.graph.node.insert(list(model.graph.node).index(last), dropped)
    onnx.checker.check_model(model, full_check=True)
    run("--recipe", "f32", "--epochs", "3", "--out", "kept")
    onnx.save(model, "tiny.onnx")
    run("--recipe", "f32", "--epochs", "3", "--out", "dropped")
    weights = [pathlib.Path(name, "checkpoints", "step-000016.safetensors").read_bytes() for name in ("kept", "dropped")]
    check(weights[0] != weights[1], "Dropout dropped nothing")
    for recipe in ("f32", "ibm", "luq"):
        for optimizer in (OPTIMIZERS[0], MICRO_BATCHES[0]):
            interrupted(recipe, optimizer)


LONG = ["--recipe", "ibm", "--epochs", "60", "--interpret"]


def start(folder):
    """Starts a long run and returns it when its second checkpoint is there."""
    # Background jobs of a shell ignore SIGINT, and nibble-train would go on ignoring it.
    process = subprocess.Popen([*BASE, *BATCH, *LONG, "--out", folder, "--log", folder + ".jsonl"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    first = pathlib.Path(folder, "checkpoints", "step-000016.safetensors")
    while not first.exists():
        check(process.poll() is None, f"the run ended early with {process.returncode}")
        time.sleep(0.01)
    return process


def signals():
    run(*LONG, "--out", "whole", "--log", "whole.jsonl")
    for number, code in [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]:
        folder = signal.Signals(number).name
        process = start(folder)
        if number == signal.SIGTERM:
            words = run(*LONG, "--out", folder, "--resume", expect=1)
            check(f"{folder}: another run is using this folder: process {process.pid}" in words, words)
        process.send_signal(number)
        words = process.communicate(timeout=60)[1]
        check(process.returncode == code, f"{folder}: ended with {process.returncode}: {words}")
        if number != signal.SIGKILL:
            check(f"stopped by {folder} after step" in words and "--resume goes on from there" in words, words)
        check(not pathlib.Path(folder, "model.onnx").exists(), "a model of an interrupted run")
        run(*LONG, "--out", folder, "--log", folder + ".jsonl", "--resume")
        equal("whole", folder, "last.safetensors", "best.safetensors", "model.onnx")
        check(log("whole.jsonl") == log(folder + ".jsonl"), "log of " + folder)
        print(folder, "resumed = uninterrupted")


def disk():
    """Leaves ever more room on a small disk until the run succeeds: each kind of write meets the full disk once."""
    os.mkdir("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", "disk"], check=True)
    run("--epochs", "1", "--out", "disk/run", "--schedule", "constant")
    good = pathlib.Path("disk/run/last.safetensors").read_bytes()
    options, reasons = ["--epochs", "2", "--schedule", "constant", "--out", "disk/run", "--log", "disk/log.jsonl", "--resume"], set()
    for room in range(0, 400, 4):
        pathlib.Path("disk/filler").unlink(missing_ok=True)
        free = os.statvfs("disk").f_bavail * os.statvfs("disk").f_frsize
        pathlib.Path("disk/filler").write_bytes(bytes(max(0, free - room * 1024)))
        done = subprocess.run([*BASE, *BATCH, *options], capture_output=True, text=True)
        if done.returncode == 0:
            break
        check(done.returncode == 1 and "No space left on device" in done.stderr, done.stdout + done.stderr)
        word = [line for line in done.stderr.splitlines() if "No space left" in line][0]
        reasons.add(word.split(": ")[1])
        last = pathlib.Path("disk/run/last.safetensors").read_bytes()
        check(last == good or "model" in word, "last.safetensors changed: " + word)
        run("--eval-only", "--checkpoint", "disk/run/last.safetensors")
    print("full disk:", *sorted(reasons), sep="\n  ")
    check(done.returncode == 0 and len(reasons) >= 3, "too few kinds of writes met the full disk")
    run("--epochs", "1", "--out", "plain", "--schedule", "constant")
    run("--epochs", "2", "--out", "plain", "--schedule", "constant", "--log", "plain.jsonl", "--resume")
    equal("plain", "disk/run", "last.safetensors", "best.safetensors", "model.onnx")


def readonly():
    """A folder that cannot be written to: a word before anything is computed, and what is in it stays as it is."""
    os.mkdir("fixed")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "fixed"], check=True)
    run("--epochs", "1", "--out", "fixed/run", "--schedule", "constant")
    before = {path: path.read_bytes() for path in pathlib.Path("fixed").rglob("*") if path.is_file()}
    subprocess.run(["mount", "-o", "remount,ro", "fixed"], check=True)
    for options in (["--out", "fixed/run", "--resume"], ["--out", "fixed/run", "--overwrite"], ["--out", "fixed/new"],
                    ["--out", "elsewhere", "--log", "fixed/log.jsonl"]):
        words = run("--epochs", "2", "--schedule", "constant", *options, expect=1)
        check(words.count("Read-only file system") == 1 and "fixed/" in words and "epoch" not in words, words)
        check(before == {path: path.read_bytes() for path in pathlib.Path("fixed").rglob("*") if path.is_file()}, "files changed")
    run("--eval-only", "--checkpoint", "fixed/run/last.safetensors")
    subprocess.run(["mount", "-o", "remount,rw", "fixed"], check=True)
    run("--epochs", "2", "--out", "fixed/run", "--schedule", "constant", "--resume")
    print("read-only folder: refused, then resumed")


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    {"sweep": sweep, "dropout": dropout, "signals": signals, "disk": disk, "readonly": readonly}[sys.argv[1]]()
