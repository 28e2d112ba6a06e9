#!/usr/bin/env python3
"""Speed of the generated products of codes against oneDNN's in f32, bf16 and int8, and against what the processor can multiply.

    python benchmark/products.py [--filter TEXT] [--seconds 0.5] [--rounds 3] [--peers f32,bf16,int8] [--cpu NAME] [--quick]

Ours: `nibble-products` (scripts/build nibble-products) emits each product as the code generator does and runs it on one core: packed
codes in, decoding, panels, product, float results out. The peaks (u8·s8, s16·s16, bf16, f32; registers only, include/nibble/Target/PeakRate.h)
are measured right before and after each product; the share is that of the u8·s8 peak.
Peers: torch_products.py in build/bench-venv (step_time.py --setup makes it; without it there are none) says which routines it times. They
keep their weights as they are trained, in f32, bf16 or bytes; quantizing is in nobody's time.

Each round measures ours and the peers of a product in turn, on one core; a round's number is the median of its runs, printed are the medians of
the rounds, and ratios (time of the peer over ours) with their least and greatest. Times are processor time of the one thread.
Writes results/products.jsonl, prints a table, and exits with 1 where a bar of issue 5, item 1, is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import common
import step_time

# Issue 5, item 1: least share of the u8·s8 peak by product (medians).
BARS = [("1024x1024->1024 forward", 0.90), ("1024x1024->1024 dX", 0.90), ("20x650->2600", 0.82), ("3x3", 0.85),
        ("forward", 0.82), ("dX", 0.82), ("dW", 0.75)]
QUICK = ("1024x1024->1024", "3x3 16^2x128")


def bar(name):
    """The bar of a product of a full-rate recipe; None for radix 4 and for dW of few rows."""
    if not name.startswith("luq ") or " 20x650" in name and name.endswith("dW") or " 128x" in name and name.endswith("dW"):
        return None
    return next((least for text, least in BARS if text in name), None)


def ours(name, a):
    """The lines of nibble-products for the products whose name holds `name`."""
    command = [common.tool("nibble-products"), "--filter", name, "--seconds", str(a.seconds), *(["--cpu", a.cpu] if a.cpu else [])]
    done = subprocess.run(step_time.pinned(command, 1), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise common.BenchmarkError(f"{common.shown(command)}\nfailed")
    return [{**json.loads(line), "command": common.shown(command)} for line in done.stdout.splitlines()]


class Peers:
    """torch_products.py, kept running: it answers one line with one."""

    def __init__(self, precisions):
        there = (step_time.VENV / "installed").exists()
        self.precisions = precisions if there else []
        if precisions and not there:
            print("no peers: step_time.py --setup installs PyTorch (75 s, 5.5 GB)")
        if not self.precisions:
            return
        command = [str(step_time.VENV / "bin" / "python"), str(Path(__file__).with_name("torch_products.py"))]
        self.process = subprocess.Popen(step_time.pinned(command, 1), env=step_time.torch_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.version = json.loads(self.process.stdout.readline())

    def ask(self, shape, precision, seconds):
        print(f"{shape} {precision} {seconds}", file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise common.BenchmarkError("torch_products.py ended")
        return json.loads(line)

    def close(self):
        if self.precisions:
            self.process.stdin.close()
            self.process.wait()


def measure(shape, peers, a):
    """Rounds of {name: record} of ours, and {precision: milliseconds} of the peers, for one shape and product."""
    mine, theirs, reasons = {}, {}, {}
    for _ in range(a.rounds):
        for record in ours(" " + shape, a):  # the space keeps "128x784" from "2128x784"
            mine.setdefault(record["product"], []).append(record)
        for precision in peers.precisions:
            answer = peers.ask(shape, precision, a.seconds)
            if "times" in answer:
                theirs.setdefault(precision, []).append(statistics.median(answer["times"]) * 1e3)
            reasons[precision] = answer.get("routine") or answer["why"]
    return mine, theirs, reasons


def summary(records, theirs, reasons, version):
    """One product: medians over the rounds, ratios with their spread."""
    middle = {key: statistics.median(r[key] for r in records) for key in records[0] if isinstance(records[0][key], (int, float))}
    ratios = {}
    for precision, times in theirs.items():
        each = sorted(t / r["ms"] for t, r in zip(times, records, strict=True))
        ratios[precision] = {"ratio": statistics.median(each), "least": each[0], "greatest": each[-1], "ms": times,
                             "routine": reasons[precision]}
    return {**{k: records[-1][k] for k in ("case", "cpu", "peaks", "command")}, **middle, "rounds_ms": [r["ms"] for r in records],
            "peers": ratios, "torch": version}


def row(name, record, precisions):
    least, share = bar(name), record.get("share")  # no share: a processor without products of bytes
    verdict = "" if least is None or share is None else f"{least:.2f} {'met' if share >= least else 'MISSED'}"
    found = [record["peers"].get(p) for p in precisions]
    ratios = "".join(f"  {r['ratio']:5.2f} ({r['least']:.2f}-{r['greatest']:.2f})" if r else f"  {'-':>17}" for r in found)
    print(f"{name:36} {record['ms']:8.3f} {record['gops']:7.0f} {share or 0:6.3f} {record.get('best_share', 0):6.3f}{ratios}   {verdict}",
          flush=True)
    return "MISSED" in verdict


def names(a):
    """Names of the wanted products, and their shapes (what follows the recipe), which peers are measured on."""
    listed = subprocess.run([common.tool("nibble-products"), "--list", "--filter", a.filter], stdout=subprocess.PIPE, text=True, check=True)
    found = [line for line in listed.stdout.splitlines() if not a.quick or any(text in line for text in QUICK)]
    shapes = list(dict.fromkeys(line.split(" ", 1)[1] for line in found))
    return found, shapes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="only products whose name holds this text")
    parser.add_argument("--seconds", type=float, help="time for each product a round (default 0.5; 0.2 with --quick)")
    parser.add_argument("--rounds", type=int, help="default 3; 1 with --quick")
    parser.add_argument("--peers", type=lambda t: [p for p in t.split(",") if p], default=["f32", "bf16", "int8"], metavar="f32,…",
                        help="of f32, bf16, int8; empty: none")
    parser.add_argument("--cpu", help="the processor that our code is made for (default: this one)")
    parser.add_argument("--quick", action="store_true", help="two shapes, one round")
    a = parser.parse_args()
    a.rounds, a.seconds = a.rounds or (1 if a.quick else 3), a.seconds or (0.2 if a.quick else 0.5)
    wanted, shapes = names(a)
    store, peers, missed = common.Store("products"), Peers(a.peers), 0
    heads = "".join(f"  {'x oneDNN ' + p:>17}" for p in peers.precisions)
    print(f"{'product':36} {'ms':>8} {'GOP/s':>7} {'share':>6} {'best':>6}{heads}   bar")
    try:
        for shape in shapes:
            mine, theirs, reasons = measure(shape, peers, a)
            for name, records in mine.items():
                if name in wanted:
                    record = summary(records, theirs, reasons, getattr(peers, "version", {}).get("torch"))
                    store.add(name, **record, load=round(os.getloadavg()[0], 1))
                    missed += row(name, record, peers.precisions)
    finally:
        peers.close()
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except common.BenchmarkError as error:
        sys.exit(f"products.py: {error}")
