#!/usr/bin/env python3
"""Speed of the generated products of codes, beside what the processor can multiply in the same run.

    python benchmark/products.py [--filter TEXT] [--seconds 0.5]

Runs `nibble-products` (scripts/build nibble-products), which emits each product as the code generator does
and runs it on one core: packed codes in, decoding, panels, product, float results out. The peaks (u8·s8,
s16·s16, f32; registers only) are measured right before and after each product; the share is that of the
u8·s8 peak, medians decide. Times are processor time of the one thread, medians and best runs; on a machine that is shared,
the best run is what the code can do (others still take cache and memory).
Writes results/products.jsonl, prints a table, and exits with 1 where a bar of issue 5, item 1, is missed.
"""

import argparse
import json
import os
import subprocess
import sys

import common

# Issue 5, item 1: least share of the u8·s8 peak by product (medians).
BARS = [("1024x1024->1024 forward", 0.90), ("1024x1024->1024 dX", 0.90), ("20x650->2600", 0.82), ("3x3", 0.85),
        ("forward", 0.82), ("dX", 0.82), ("dW", 0.75)]


def bar(name):
    """The bar of a product of a full-rate recipe; None for radix 4 and for dW of few rows."""
    if not name.startswith("luq ") or " 20x650" in name and name.endswith("dW") or " 128x" in name and name.endswith("dW"):
        return None
    return next((least for text, least in BARS if text in name), None)


def measure(arguments):
    command = [common.tool("nibble-products"), "--filter", arguments.filter, "--seconds", str(arguments.seconds)]
    core = min(os.sched_getaffinity(0))
    store = common.Store("products")
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        values = json.loads(line)
        yield store.add(values.pop("product"), **values, load=round(os.getloadavg()[0], 1), command=common.shown(command))
    if process.wait() != 0:
        raise common.BenchmarkError("nibble-products failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="only products whose name holds this text")
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each product")
    arguments = parser.parse_args()
    missed = 0
    print(f"{'product':36} {'ms':>8} {'GOP/s':>7} {'share':>6} {'best':>6}   bar")
    for record in measure(arguments):
        least, share, best = bar(record["key"]), record.get("share", 0), record.get("best_share", 0)
        verdict = "" if least is None else f"{least:.2f} {'met' if share >= least else 'MISSED'}"
        missed += "MISSED" in verdict
        print(f"{record['key']:36} {record['ms']:8.3f} {record['gops']:7.0f} {share:6.3f} {best:6.3f}   {verdict}",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except common.BenchmarkError as error:
        sys.exit(f"products.py: {error}")
