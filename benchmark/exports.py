#!/usr/bin/env python3
"""Exported files against what nibble-train printed of them: LeNet on MNIST, resnet8 on cifar10-part, recipes luq and ibm.

    python benchmark/exports.py            run what is missing, print the table, check the bars
    python benchmark/exports.py --table    print what is there

Each run trains, then: ONNX's full checker and onnxruntime on model.onnx and model.int4.onnx; the score of the codes
file read back in float; one more epoch from it. Bars: accuracy in onnxruntime within 0.1 point of the printed one; the
codes file smaller than a quarter of the float file; what is read back trains on, its quantized accuracy within 2 points of before.
"""

import argparse
import gzip
import re
import sys
from dataclasses import dataclass

import common
from common import BenchmarkError, bar

RECIPES = ("luq", "ibm")


@dataclass(frozen=True)
class Task:
    network: str
    data: tuple
    epochs: int
    again: float  # learning rate of the epoch after reading back
    samples: object  # a function that returns x (float32, as --normalize unit has it) and y of the test part


def mnist():
    import numpy as np

    def read(name, header):
        path = common.data("mnist", name + ".gz") if (common.DATA / "mnist" / (name + ".gz")).exists() else common.data("mnist", name)
        content = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
        return np.frombuffer(content, np.uint8, offset=header)

    return (read("t10k-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255),
            read("t10k-labels-idx1-ubyte", 8))


def cifar():
    import numpy as np

    rows = np.frombuffer(common.data("cifar10-part", "test_batch.bin").read_bytes(), np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255), rows[:, 0]


TASKS = {"mnist-lenet": Task("lenet", ("mnist",), 2, 0.01, mnist), "cifar-resnet8": Task("resnet8", ("cifar10-part",), 10, 0.01, cifar)}


def printed(text, name):
    """The accuracies, in %, that the lines 'written: DIR/NAME (…, accuracy A %)' say."""
    found = re.search(rf"written: \S*{re.escape(name)} \(\w+, validation loss [0-9.]+, accuracy ([0-9.]+) %\)", text)
    if not found:
        raise BenchmarkError(f"nibble-train did not say the accuracy of {name}:\n{text[-600:]}")
    return float(found[1])


def independent(path, task):
    """Accuracy in onnxruntime, in %, of a file that ONNX's full checker accepts."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    x, y = task.samples()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    right = sum(int((session.run(None, {name: x[i:i + 500]})[0].argmax(1) == y[i:i + 500]).sum()) for i in range(0, len(x), 500))
    return 100 * right / len(x)


def measure(task, recipe):
    model = common.zoo_model(task.network, 0)  # its batch is symbolic
    out, again = (common.WORK / f"exports-{task.network}-{recipe}{suffix}" for suffix in ("", "-again"))
    options = ["--data", str(common.data(*task.data)), "--batch-size=128", "--recipe=" + recipe]
    command = [common.tool("nibble-train"), str(model), *options, f"--epochs={task.epochs}", "--lr=0.05", "--overwrite", "--out", str(out)]
    text = common.run_tool(command)["text"]
    values = {"command": common.shown(command)}
    for name, key in (("model.onnx", "float"), ("model.int4.onnx", "int4")):
        values[key] = {"printed": printed(text, name), "onnxruntime": independent(out / name, task), "bytes": (out / name).stat().st_size}
    back = common.run_tool([common.tool("nibble-train"), str(out / "model.int4.onnx"), *options[:3], "--recipe=f32", "--eval-only"])["text"]
    values["read_back_in_float"] = float(re.search(r"accuracy ([0-9.]+) %", back)[1])
    command = [common.tool("nibble-train"), str(out / "model.int4.onnx"), *options, "--epochs=1", f"--lr={task.again}", "--overwrite", "--out", str(again)]
    values["again_command"] = common.shown(command)
    text = common.run_tool(command)["text"]
    values["again"] = {"printed": printed(text, "model.int4.onnx"), "onnxruntime": independent(again / "model.int4.onnx", task)}
    return values


def table(store):
    good = True
    print("| network | recipe | file | printed % | onnxruntime % | bytes |\n|---|---|---|---|---|---|")
    rows = [(t, r, store.find(f"{t} {r}")) for t in TASKS for r in RECIPES]
    for task, recipe, record in rows:
        for key, name in (("float", "model.onnx"), ("int4", "model.int4.onnx")) if record else ():
            print(f"| {task} | {recipe} | {name} | {record[key]['printed']:.2f} | {record[key]['onnxruntime']:.2f} | {record[key]['bytes']} |")
    print()
    for task, recipe, record in rows:
        if not record:
            continue
        worst = max(abs(record[key]["printed"] - record[key]["onnxruntime"]) for key in ("float", "int4", "again"))
        good &= bar(worst <= 0.1, f"{task} {recipe}: onnxruntime within 0.1 point (worst {worst:.3f})")
        share = record["int4"]["bytes"] / record["float"]["bytes"]
        good &= bar(share < 0.25, f"{task} {recipe}: codes file is {100 * share:.1f} % of the float file, below a quarter")
        change = record["again"]["printed"] - record["int4"]["printed"]
        good &= bar(change > -2, f"{task} {recipe}: read back ({record['read_back_in_float']:.2f} % in float), one more epoch: {change:+.2f} "
                    "points, above -2")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    arguments = parser.parse_args()
    store = common.Store("exports")
    for name, task in TASKS.items():
        for recipe in RECIPES:
            if not arguments.table and not store.find(f"{name} {recipe}"):
                store.add(f"{name} {recipe}", **measure(task, recipe))
    return 0 if table(store) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"exports.py: {error}")
