#!/usr/bin/env python3
"""Whole training steps of the benchmark networks against PyTorch, in turn, in the same run.

    python benchmark/steps.py [--networks mlp,resnet18] [--recipes luq,ibm,int4,f32] [--peers f32,bf16] [--compile] [--rounds 3]

Ours: `nibble-compile --profile` of the zoo's network on random data, --first-last=int8. Peers: torch_networks.py in
build/bench-venv (step_time.py --setup makes it), set up as step_time.py says. Each round measures all of them in turn; medians of the
rounds are compared. `share` is the step's product operations over its time and over what the processor's best multiply
instruction can do (measured by the same run). Absolute times belong to one machine.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import common
import step_time
from common import BenchmarkError

BATCH = {"mlp": 128, "resnet18": 128, "lstm": 20, "gpt": 8}


def torch_step(network, precision, mode, threads, seconds):
    script = Path(__file__).with_name("torch_networks.py")
    command = step_time.pinned([str(step_time.VENV / "bin" / "python"), str(script), network, precision, mode, str(threads),
                                str(seconds)], threads)
    done = subprocess.run(command, env=step_time.torch_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{common.shown(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def nibble_step(network, recipe, threads, steps):
    """The first lines of --profile: time a step, share of products, share of the peak."""
    command = step_time.pinned([common.tool("nibble-compile")], threads)
    command += [str(common.zoo_model(network, 0)), f"--batch-size={BATCH[network]}", f"--recipe={recipe}", f"--threads={threads}",
                "--profile", f"--verify-steps={steps}"]
    if recipe != "f32":
        command.append("--first-last=int8")
    done = common.run_tool(command)
    time_line = re.search(r"steps of ([\d.]+) ms .* products ([\d.]+) %", done["text"])
    peak_line = re.search(r"f32 (\d+), 16-bit pairs (\d+), 8-bit quads (\d+).* uses ([\d.]+) %", done["text"])
    if not time_line or not peak_line:
        raise BenchmarkError(f"{common.shown(command)}\nprinted no profile")
    return {"step_ms": float(time_line[1]), "products_percent": float(time_line[2]), "share_percent": float(peak_line[4]),
            "peaks": [int(peak_line[i]) for i in (1, 2, 3)], "peak_mb": round(done["peak_mb"]), "command": common.shown(command)}


def measure(a, network):
    peers = [(p, m) for p in a.peers for m in (("eager", "compile") if a.compile else ("eager",))]
    runs = {}
    for _ in range(a.rounds):
        for precision, mode in peers:
            runs.setdefault(f"torch {precision} {mode}", []).append(torch_step(network, precision, mode, a.threads, a.seconds))
        for recipe in a.recipes:
            runs.setdefault(f"nibble {recipe}", []).append(nibble_step(network, recipe, a.threads, a.steps))
    return runs


def spread(values):
    return f"{min(values):.1f}-{max(values):.1f}"


def report(a, network, store):
    runs = measure(a, network)
    times = {name: [r["step_ms"] for r in found] for name, found in runs.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{network}, batch {BATCH[network]}, {a.threads} thread(s), {common.processor()}: ms a step, median of {a.rounds}")
    peers = [name for name in medians if name.startswith("torch")]
    for name, median in medians.items():
        ratios = "".join(f"  {medians[p] / median:5.2f} x {p[6:]}" for p in peers) if name.startswith("nibble") else ""
        share = f"  share {statistics.median(r['share_percent'] for r in runs[name]):5.1f} %" if name.startswith("nibble") else ""
        memory = max(r["peak_mb"] for r in runs[name])
        print(f"  {name:<20}{median:9.2f}  ({spread(times[name])}){share}{ratios}  {memory} MB")
        store.add(f"{network} {name} threads {a.threads}", network=network, program=name, threads=a.threads, step_ms=times[name],
                  median_ms=median, runs=runs[name], ratios={p: medians[p] / median for p in peers})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")  # noqa: E731
    p.add_argument("--networks", type=names, default=["mlp", "resnet18"], metavar="NAME,…", help="of " + ", ".join(BATCH))
    p.add_argument("--recipes", type=names, default=["luq", "int4", "ibm", "f32"], metavar="NAME,…")
    p.add_argument("--peers", type=names, default=["f32", "bf16"], metavar="f32,bf16")
    p.add_argument("--compile", action="store_true", help="torch.compile as well")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=10, help="steps of ours a round (default 10)")
    p.add_argument("--seconds", type=float, default=8, help="of a peer a round (default 8)")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    try:
        if not (step_time.VENV / "installed").exists():
            raise BenchmarkError("PyTorch is not there: run step_time.py --setup first (75 s, 5.5 GB)")
        store = common.Store("steps")
        for network in a.networks:
            report(a, network, store)
    except BenchmarkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
