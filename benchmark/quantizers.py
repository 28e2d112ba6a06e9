#!/usr/bin/env python3
"""Speed of the generated quantizers against the memory's bandwidth.

    python benchmark/quantizers.py [--seconds 0.5] [--rounds 3] [--filter TEXT] [--cpu NAME] [--quick]

Runs `nibble-quantizers` (scripts/build nibble-quantizers): each quantizer as a group of its own, as the code generator emits it, on one core.
Twice: on 65,536 elements (256 KB of f32, in the second-level cache) and on 33,554,432 (128 MB, in memory). "Bits made" draws its 16 random bits an
element itself (Philox), "bits there" reads them. Beside each: the rate at which this core reads a buffer of x's size and nothing else
(include/nibble/Target/PeakRate.h, same run), and what share of it the quantizer's reading of x alone is. In a step most of these are parts of
larger groups and read from registers; here each stands alone. Times are processor time of the one thread; medians of the rounds, with least and greatest.
Writes results/quantizers.jsonl and prints a table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import common
import step_time


def measure(a):
    command = [common.tool("nibble-quantizers"), "--seconds", str(a.seconds), "--filter", a.filter, *(["--cpu", a.cpu] if a.cpu else [])]
    runs = {}
    for _ in range(a.rounds):
        done = subprocess.run(step_time.pinned(command, 1), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise common.BenchmarkError(f"{common.shown(command)}\nfailed")
        for record in map(json.loads, done.stdout.splitlines()):
            runs.setdefault((record["quantizer"], record["elements"]), []).append({**record, "command": common.shown(command)})
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="time for each (default 0.5; 0.1 with --quick)")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    parser.add_argument("--filter", default="", help="only quantizers whose name holds this text")
    parser.add_argument("--cpu", help="the processor that the code is made for (default: this one)")
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    a.rounds, a.seconds = a.rounds or (1 if a.quick else 3), a.seconds or (0.1 if a.quick else 0.5)
    store = common.Store("quantizers")
    print(f"{'quantizer':32} {'elements':>10} {'Gelem/s':>8} {'(spread)':>15} {'x read GB/s':>12} {'machine':>8} {'share':>6}")
    for (name, elements), records in measure(a).items():
        rates = sorted(r["gelements"] for r in records)
        middle, read = statistics.median(rates), statistics.median(r["read_gb"] for r in records)
        store.add(f"{name}, {elements} elements", quantizer=name, elements=elements, cpu=records[0]["cpu"], gelements=middle, rounds=rates,
                  best=max(r["best_gelements"] for r in records), read_gb=read, share=4 * middle / read, command=records[0]["command"],
                  load=round(os.getloadavg()[0], 1))
        print(f"{name:32} {elements:10} {middle:8.2f} {f'({rates[0]:.2f}-{rates[-1]:.2f})':>15} {4 * middle:12.1f} {read:8.1f} {4 * middle / read:6.2f}",
              flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except common.BenchmarkError as error:
        sys.exit(f"quantizers.py: {error}")
