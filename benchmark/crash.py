#!/usr/bin/env python3
"""Ends runs of nibble-train at random moments, resumes them, and compares with the run that was left alone.

    python benchmark/crash.py [--kills 200] [--terms 20] [--seed 0] [--table]

A run of the digits network, with a checkpoint after every second step, is started with --resume and killed (SIGKILL, or ended by
SIGTERM) after a random part of the time that the undisturbed run takes, again and again until it reaches its end. Then every file that
it left must have the bytes of the undisturbed run's: checkpoints, best, last, model.onnx, model.int4.onnx; the log must have the same
records but for times. Last, runs meet a disk that is full at each kind of write (needs root, for a small tmpfs).

Results go to benchmark/results/crash.jsonl, one line for each signal and one for each kind of write; a campaign that was stopped goes on.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import common
from common import BenchmarkError

OPTIONS = ["--batch-size=64", "--epochs=6", "--lr=0.05", "--optimizer=adam", "--recipe=ibm", "--seed=3", "--threads=1", "--checkpoint-every=2"]
FOLDER = common.WORK / "crash"


def prepare():
    from nibble import data

    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "digits.npz").exists():
        data.save(str(FOLDER / "digits.npz"), data.digits())
    return common.zoo_model("digits", 0)


def command(model, name, *more):
    return [common.tool("nibble-train"), str(model), "--data", str(FOLDER / "digits.npz"), *OPTIONS, "--out", str(FOLDER / name), "--log",
            str(FOLDER / (name + ".jsonl")), *more]


def log(name):
    drop = ("ms", "command", "compile_seconds")
    return [{k: v for k, v in r.items() if k not in drop} for r in common.log_records(FOLDER / (name + ".jsonl")) if r["type"] != "model"]


def differences(name):
    """Files and records that are not those of the undisturbed run."""
    def files(top):
        return {str(p.relative_to(top)): p.read_bytes() for p in Path(top).rglob("*") if p.is_file() and p.name != ".lock"}

    whole, found = files(FOLDER / "whole"), files(FOLDER / name)
    wrong = [file for file in sorted(whole.keys() | found.keys()) if whole.get(file) != found.get(file)]
    return wrong + ([] if log("whole") == log(name) else ["log"])


def clean(name):
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    (FOLDER / (name + ".jsonl")).unlink(missing_ok=True)


def step_of(path):
    """The step of a checkpoint, None where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["progress"])["step"]


def whole_runs(model):
    """The undisturbed runs, interpreted and compiled; the seconds that they took."""
    clean("whole")
    seconds = [common.run_tool(command(model, "whole", "--interpret"))["seconds"]]
    clean("compiled")
    seconds.append(common.run_tool(command(model, "compiled"))["seconds"])
    if wrong := differences("compiled"):
        raise BenchmarkError(f"compiled and interpreted runs left different files: {wrong}")
    return seconds


def disturbed(model, code, seconds, number, generator):
    """One run, ended by `number` until it is through. Returns what happened at each signal, and what differs in the end."""
    clean("run")
    events = []
    while True:
        delay = generator.uniform(0, seconds)
        process = subprocess.Popen(command(model, "run", "--resume", *code), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            words = process.communicate(timeout=delay)[0]
            if process.returncode:
                raise BenchmarkError(f"after {events}: --resume ended with {process.returncode}:\n{words[-2000:]}")
            return events, differences("run")
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            words = process.communicate()[0]
        if process.returncode == 0:  # it was through before the signal came
            return events, differences("run")
        # Before training begins there is nothing to save, and SIGTERM ends the process as usual.
        if process.returncode not in {-number, 128 + number} or (number == signal.SIGKILL and process.returncode != -number):
            raise BenchmarkError(f"after {events}: ended with {process.returncode}:\n{words[-2000:]}")
        parts = [p.name for p in (FOLDER / "run").rglob("*.part")] if (FOLDER / "run").exists() else []
        events.append({"after_s": round(delay, 3), "code": process.returncode, "last_step": step_of(FOLDER / "run" / "last.safetensors"),
                       "half_written": parts})


def signals(store, model, number, wanted, generator):
    """Until so many signals are recorded."""
    name = signal.Signals(number).name
    done = sum(len(r["events"]) for r in store.records if r["key"] == name)
    if done >= wanted:
        return
    seconds = whole_runs(model)
    for turn in itertools.count():
        if done >= wanted:
            break
        code = ["--interpret"] if turn % 2 == 0 else []
        events, wrong = disturbed(model, code, seconds[turn % 2], number, generator)
        if events:
            store.add(name, command=common.shown(command(model, "run", "--resume", *code)), seconds_undisturbed=round(seconds[turn % 2], 2),
                      events=events, differences=wrong)
        done += len(events)
        print(f"{name}: {done} of {wanted}" + (f"  DIFFERENT: {wrong}" if wrong else ""), flush=True)


def full_disk(store, model):
    """Gives a run ever more room on a small disk, until it comes to its end; runs in a mount namespace of its own."""
    disk = FOLDER / "disk"
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    common.run_tool(command(model, "disk/run"))  # all of it has room
    last = disk / "run" / "last.safetensors"
    for name in ("model.onnx", "model.int4.onnx"):
        (disk / "run" / name).unlink()
    start = disk / "start"
    shutil.copytree(disk / "run" / "checkpoints", start)
    before = None
    for room in [*range(0, 24, 4), *range(24, 2048, 24)]:
        filler = disk / "filler"
        filler.unlink(missing_ok=True)
        clean("disk/run")
        shutil.copy(sorted(start.iterdir())[1], disk / "from.safetensors")
        stat = os.statvfs(disk)
        filler.write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - room * 1024)))
        done = subprocess.run(command(model, "disk/run", f"--resume={disk / 'from.safetensors'}"), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        word = next((line for line in done.stderr.splitlines() if line.startswith("error: ")), done.stderr[-500:])
        step = step_of(last)
        scored = step is None or subprocess.run([*command(model, "disk/run")[:4], "--batch-size=64", "--eval-only", "--checkpoint", str(last)],
                                                capture_output=True, check=False).returncode == 0
        if word != before:
            store.add("full disk", room_kb=room, code=done.returncode, word=word.replace(str(FOLDER), "…"), last_step=step, last_is_good=scored)
            print(f"full disk, {room} kB: {word}", flush=True)
        before = word


def table(store):
    good = True
    for number, wanted in ((signal.SIGKILL, 200), (signal.SIGTERM, 20)):
        name = signal.Signals(number).name
        runs = [r for r in store.records if r["key"] == name]
        events = [e for r in runs for e in r["events"]]
        places = Counter("before the first checkpoint" if e["last_step"] is None else "later" for e in events)
        halves = sum(bool(e["half_written"]) for e in events)
        wrong = [r for r in runs if r["differences"]]
        text = (f"{name}: {len(events)} times in {len(runs)} runs ({dict(places)}; within a write {halves}); every resume succeeded, "
                f"{len(runs) - len(wrong)} of {len(runs)} runs ended with the undisturbed run's bytes")
        good &= common.bar(len(events) >= wanted and not wrong, text)
    writes = [r for r in store.records if r["key"] == "full disk"]
    for r in writes:
        print(f"        {r['room_kb']:4} kB  {r['word']}")
    right = all(r["code"] == 1 and "No space left on device" in r["word"] and r["last_is_good"] for r in writes)
    return common.bar(bool(writes) and right, f"full disk: {len(writes)} kinds of words, code 1, last good checkpoint intact") and good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    parser.add_argument("--disk-only", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    store = common.Store("crash")
    if not a.table:
        model = prepare()
        if a.disk_only:
            full_disk(store, model)
            return True
        generator = random.Random(a.seed + len(store.records))
        signals(store, model, signal.SIGKILL, a.kills, generator)
        signals(store, model, signal.SIGTERM, a.terms, generator)
        if not store.find("full disk"):
            subprocess.run(["unshare", "-m", sys.executable, __file__, "--disk-only"], check=True)
            store = common.Store("crash")
    return table(store)


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
