#!/usr/bin/env python3
"""Bytes kept between forward and backward by --residuals, and how true the printed peak of the process is.

    python benchmark/memory.py                      zoo resnet18, batch 128, recipe luq
    python benchmark/memory.py --network gpt        another one of the zoo (mlp, lstm and gpt have batch sizes of their own)
    python benchmark/memory.py --no-training        the table of bytes alone

The table is read off the program (`nibble-opt --print-precision-table`). Training takes two steps of random data with each
choice; the peak that nibble-train prints before the first step is compared with the process's real one.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import common
from common import BenchmarkError, bar

CHOICES = ("f32", "bf16", "int8", "int4", "recompute")
BATCH = {"lstm": 20, "gpt": 8}
BARS = {"bf16": 203, "int8": 125, "int4": 85}  # MB of resnet18, batch 128, without weights


def kept(model, batch, recipe, choice):
    """Bytes by kind, codes of weights apart."""
    with tempfile.TemporaryDirectory() as folder:
        planned = str(Path(folder) / "quantized.mlir")
        common.run_tool([common.tool("nibble-compile"), str(model), f"--batch-size={batch}", f"--recipe={recipe}",
                         f"--residuals={choice}", "--emit=quantized", "-o", planned])
        text = common.run_tool([common.tool("nibble-opt"), planned, "--print-precision-table", "-o", "/dev/null"])["text"]
    total = re.search(r"(\d+) B  in all(?:, of them (\d+) B codes of weights)?", text)
    kinds = dict(re.findall(r"[:,] (\w+(?:<\d>)?) (\d+) B", text.split("by what they are")[1]))
    return {"weights": int(total[2] or 0), "all": int(total[1]), **{k: int(v) for k, v in kinds.items()}}


def random_data(path, name, count):
    """As many samples as `count`, of noise, and as many to validate with."""
    import numpy as np
    from nibble import zoo

    network, rng = zoo.NETWORKS[name], np.random.default_rng(0)
    shape = (2 * count, *network.input_shape)
    x = rng.integers(0, network.classes, shape) if network.tokens else rng.standard_normal(shape, dtype=np.float32)
    y = rng.integers(0, network.classes, shape if network.tokens else shape[:1]).astype(np.int32)
    np.savez(path, x_train=x[:count], y_train=y[:count], x_test=x[count:], y_test=y[count:])


def peak(model, batch, recipe, choice, data):
    """Megabytes: as printed before the first step, and as they were."""
    done = common.train(model, ["--data", data, f"--batch-size={batch}", f"--recipe={recipe}", "--epochs=1", "--no-cache",
                                *([f"--residuals={choice}"] if recipe != "f32" else [])])
    printed = re.search(r"process: .* (\d+(?:\.\d+)?) MB at the peak", done["text"])
    return float(printed[1]), done["peak_mb"] * 1.048576


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--network", default="resnet18")
    p.add_argument("--batch-size", type=int, help="if not that of issue and steps.py")
    p.add_argument("--recipe", default="luq")
    p.add_argument("--no-training", action="store_true")
    a = p.parse_args()
    a.batch_size = a.batch_size or BATCH.get(a.network, 128)
    model = common.zoo_model(a.network, 0)
    print(f"kept between forward and backward, {a.network}, batch {a.batch_size}, {a.recipe}, MB (10^6 bytes)")
    good = True
    for choice in CHOICES:
        bytes_of = kept(model, a.batch_size, a.recipe, choice)
        own = bytes_of["all"] - bytes_of["weights"]
        parts = ", ".join(f"{k} {v / 1e6:.1f}" for k, v in bytes_of.items() if k not in ("all", "weights") and v > 1e5)
        print(f"  {choice:<10}{own / 1e6:8.1f}  ({parts}); codes of weights {bytes_of['weights'] / 1e6:.1f}")
        if choice in BARS and (a.network, a.batch_size) == ("resnet18", 128):
            good &= bar(own <= BARS[choice] * 1e6, f"at most {BARS[choice]} MB")
    if not a.no_training:
        with tempfile.TemporaryDirectory() as folder:
            data = str(Path(folder) / "random.npz")
            random_data(data, a.network, 2 * a.batch_size)
            print("peak of the process, MB")
            for choice in CHOICES:
                told, real = peak(model, a.batch_size, a.recipe, choice, data)
                good &= bar(abs(told / real - 1) <= 0.1, f"{choice}: printed {told:.0f}, real {real:.0f}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(str(error))
