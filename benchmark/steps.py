#!/usr/bin/env python3
"""Whole training steps of the benchmark networks against PyTorch, in turn, in the same run.

    python benchmark/steps.py [--networks mlp,resnet18,lstm,gpt] [--recipes luq,int4,ibm,f32] [--peers f32,f32-mkl512,bf16] [--compile]
                              [--threads 1,2] [--rounds 3] [--quick]

Ours: `nibble-compile --profile` of the zoo's network on random data, --first-last=int8. Peers: torch_networks.py in
build/bench-venv (step_time.py --setup makes it), set up as step_time.py says:
  f32          as PyTorch comes
  f32-mkl512   the same, where MKL (its f32 matrix products) is made to use AVX-512 on a processor that is not Intel's: no user's default,
               but what the machine can do in f32
  bf16         autocast
  --compile    each of them as torch.compile makes it too (inductor; needs a C++ compiler and Python's headers)
Each round measures all of them in turn; medians of the rounds are compared, ratios (time of the peer over ours) with their least and greatest.
`share` is the step's product operations over its time and over what the processor's best multiply instruction can do (measured by the
same run). With several numbers of threads a last row compares each program with itself on one. Joules a step are given where the processor's
counters can be read: of a peer over its measured steps, of ours by two runs, one with three times the steps. Absolute times belong to one machine.
Writes results/steps.jsonl.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import common
import energy
import step_time
from common import BenchmarkError

BATCH = {"mlp": 128, "resnet18": 128, "lstm": 20, "gpt": 8}
PEERS = ("f32", "f32-mkl512", "bf16")


def torch_step(network, peer, mode, threads, seconds):
    script = Path(__file__).with_name("torch_networks.py")
    precision, _, special = peer.partition("-")
    command = step_time.pinned([str(step_time.VENV / "bin" / "python"), str(script), network, precision, mode, str(threads),
                                str(seconds)], threads)
    done = subprocess.run(command, env=step_time.torch_environment(special == "mkl512"), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{common.shown(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_ours(network, recipe, threads, steps):
    """The first lines of --profile: time a step, share of products, share of the peak; and joules of the whole process."""
    command = step_time.pinned([common.tool("nibble-compile")], threads)
    command += [str(common.zoo_model(network, 0)), f"--batch-size={BATCH[network]}", f"--recipe={recipe}", f"--threads={threads}",
                "--profile", f"--verify-steps={steps}"]
    if recipe != "f32":
        command.append("--first-last=int8")
    before = energy.read()
    done = common.run_tool(command)
    used = energy.joules(before, energy.read())
    time_line = re.search(r"steps of ([\d.]+) ms .* products ([\d.]+) %", done["text"])
    peak_line = re.search(r"f32 (\d+), 16-bit pairs (\d+), 8-bit quads (\d+).* uses ([\d.]+) %", done["text"])
    if not time_line or not peak_line:
        raise BenchmarkError(f"{common.shown(command)}\nprinted no profile")
    return {"step_ms": float(time_line[1]), "products_percent": float(time_line[2]), "share_percent": float(peak_line[4]),
            "peaks": [int(peak_line[i]) for i in (1, 2, 3)], "peak_mb": round(done["peak_mb"]), "process_joules": used,
            "command": common.shown(command)}


def nibble_step(network, recipe, threads, steps):
    found = run_ours(network, recipe, threads, steps)
    few = found.pop("process_joules")
    many = run_ours(network, recipe, threads, 3 * steps)["process_joules"] if few else None
    return {**found, "joules": (many - few) / (2 * steps) if many else None}


def measure(a, network, threads):
    peers = [(p, m) for p in a.peers for m in (("eager", "compile") if a.compile else ("eager",))]
    runs = {}
    for _ in range(a.rounds):
        for peer, mode in peers:
            runs.setdefault(f"torch {peer} {mode}", []).append(torch_step(network, peer, mode, threads, a.seconds))
        for recipe in a.recipes:
            runs.setdefault(f"nibble {recipe}", []).append(nibble_step(network, recipe, threads, a.steps))
    return runs


def spread(values):
    return f"{min(values):.2f}-{max(values):.2f}"


def compare(times, name, peer):
    """The ratio of a round, its median, least and greatest."""
    each = sorted(t / o for t, o in zip(times[peer], times[name], strict=True))
    return {"ratio": statistics.median(each), "least": each[0], "greatest": each[-1]}


def report(a, network, threads, store):
    runs = measure(a, network, threads)
    times = {name: [r["step_ms"] for r in found] for name, found in runs.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{network}, batch {BATCH[network]}, {threads} thread(s), {common.processor()}: ms a step, median of {a.rounds}")
    peers = [name for name in medians if name.startswith("torch")]
    for name, median in medians.items():
        mine = name.startswith("nibble")
        ratios = {p: compare(times, name, p) for p in peers} if mine else {}
        shown = "".join(f"  {r['ratio']:5.2f} ({r['least']:.2f}-{r['greatest']:.2f}) x {p[6:]}" for p, r in ratios.items())
        share = f"  share {statistics.median(r['share_percent'] for r in runs[name]):5.1f} %" if mine else ""
        joules = [r["joules"] for r in runs[name] if r.get("joules")]
        used = f"  {statistics.median(joules):.3f} J" if joules else ""
        print(f"  {name:<24}{median:9.2f}  ({spread(times[name])}){share}{shown}  {max(r['peak_mb'] for r in runs[name])} MB{used}", flush=True)
        store.add(f"{network} {name} threads {threads}", network=network, program=name, threads=threads, step_ms=times[name],
                  median_ms=median, joules=statistics.median(joules) if joules else None, runs=runs[name], ratios=ratios)
    return medians


def report_threads(network, found):
    """Each program on several threads against itself on the fewest."""
    fewest = min(found)
    for threads in sorted(found)[1:]:
        rows = "  ".join(f"{name} {found[fewest][name] / found[threads][name]:.2f}" for name in found[threads])
        print(f"  {network}: times as fast on {threads} threads as on {fewest}: {rows}", flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")  # noqa: E731
    p.add_argument("--networks", type=names, default=list(BATCH), metavar="NAME,…", help="of " + ", ".join(BATCH))
    p.add_argument("--recipes", type=names, default=["luq", "int4", "ibm", "f32"], metavar="NAME,…")
    p.add_argument("--peers", type=names, default=list(PEERS), metavar="NAME,…", help="of " + ", ".join(PEERS))
    p.add_argument("--compile", action="store_true", help="torch.compile as well")
    p.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    p.add_argument("--steps", type=int, help="steps of ours a round (default 10; 5 with --quick)")
    p.add_argument("--seconds", type=float, help="of a peer a round (default 8; 2 with --quick)")
    p.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[1], metavar="1,2")
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    a.rounds, a.steps, a.seconds = a.rounds or (1 if a.quick else 3), a.steps or (5 if a.quick else 10), a.seconds or (2 if a.quick else 8)
    return a


def main():
    a = arguments()
    try:
        if not (step_time.VENV / "installed").exists():
            raise BenchmarkError("PyTorch is not there: run step_time.py --setup first (75 s, 5.5 GB)")
        if "f32-mkl512" in a.peers and not step_time.mkl_library():
            print("f32-mkl512 is f32 here: an Intel processor, no AVX-512, or no C compiler")
            a.peers.remove("f32-mkl512")
        print(energy.state())
        store = common.Store("steps")
        for network in a.networks:
            report_threads(network, {threads: report(a, network, threads, store) for threads in a.threads})
    except BenchmarkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
