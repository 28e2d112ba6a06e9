#!/usr/bin/env python3
"""Everything that is about speed, on this machine: products, quantizers, targets, whole steps, each beside its peers and the machine's limits.

    python benchmark/run.py [--quick] [--setup] [--only products,quantizers,targets,steps]        (make benchmark; make benchmark QUICK=1)

Builds nibble-products and nibble-quantizers, then runs the scripts one after the other with their defaults: whole steps of four networks on one and
two threads against PyTorch, eager and compiled. Takes hours; --quick, one short round of few shapes, minutes. --setup first makes build/bench-venv with
PyTorch (75 s, 5.5 GB); without it there are no peers and no steps. Run it on an idle machine. Results go to benchmark/results (NIBBLE_RESULTS: another folder).
Exit code 1 where a script failed or missed a bar.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import common
import step_time

FOLDER = Path(__file__).parent
SCRIPTS = {
    "products": ["products.py"],
    "quantizers": ["quantizers.py"],
    "targets": ["targets.py", "--rates"],
    "steps": ["steps.py", "--compile", "--threads", ",".join(str(n) for n in (1, 2) if n <= (os.cpu_count() or 1))],
}
QUICK = {"steps": ["steps.py", "--networks", "mlp,gpt", "--recipes", "luq", "--threads", "1"]}


def run(name, quick):
    """One script, its output passed through; its exit code and the seconds it took."""
    command = [*(QUICK.get(name, SCRIPTS[name]) if quick else SCRIPTS[name]), *(["--quick"] if quick else [])]
    print(f"\n== {name}: python benchmark/{' '.join(command)}  (load {os.getloadavg()[0]:.1f})", flush=True)
    start = time.monotonic()
    code = subprocess.run([sys.executable, FOLDER / command[0], *command[1:]], check=False).returncode
    return code, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of few shapes")
    parser.add_argument("--setup", action="store_true", help="install PyTorch for the peers first, where it is not there")
    parser.add_argument("--only", type=lambda t: t.split(","), default=list(SCRIPTS), metavar="NAME,…", help="of " + ", ".join(SCRIPTS))
    a = parser.parse_args()
    if unknown := [name for name in a.only if name not in SCRIPTS]:
        parser.error(f"--only: of {', '.join(SCRIPTS)} expected, found '{unknown[0]}'")
    try:
        if a.setup:
            step_time.setup()
    except common.BenchmarkError as error:
        sys.exit(f"run.py: {error}")
    if "NIBBLE_BIN" not in os.environ:
        subprocess.run([common.ROOT / "scripts" / "build", "nibble-compile", "nibble-products", "nibble-quantizers"], check=True)
    if not (step_time.VENV / "installed").exists() and "steps" in a.only:
        print("no PyTorch (--setup installs it): products have no peers, steps are left out")
        a.only.remove("steps")
    ended = {name: run(name, a.quick) for name in a.only}
    print("\n" + "\n".join(f"{name:12} {'ok' if code == 0 else f'ended with {code}':14} {seconds:6.0f} s" for name, (code, seconds) in ended.items()))
    return 1 if any(code for code, _ in ended.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
