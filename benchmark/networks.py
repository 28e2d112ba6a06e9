#!/usr/bin/env python3
"""Networks that others made: imported with their own weights, trained on, compared.

    python benchmark/networks.py mnist      four MNIST networks: score with their own weights, then fine-tuned in 4 bits
    python benchmark/networks.py exports    PyTorch exports: evaluation against the recorded output, training in luq
    python benchmark/networks.py ort        ONNX Runtime's recorded training step: two losses
    python benchmark/networks.py all

Reads $NIBBLE_DATA/{networks,pytorch-exports,ort-training-api,mnist,cifar10-part}. What each file needs
(scaling of the input, names, layouts) is in benchmark/README.md. Results go to
benchmark/results/networks.jsonl; what is stored there is not run again (--again does).
"""

import argparse
import gzip
import math
import sys
from dataclasses import dataclass

import numpy as np

import common
from common import BenchmarkError, bar

STORE = common.Store("networks")
AGAIN = False


def measured(key, function):
    """The stored record of `key`, or what `function` returns, stored."""
    found = None if AGAIN else STORE.find(key)
    return found or STORE.add(key, **function())


# --- MNIST networks -------------------------------------------------------------------------------


@dataclass(frozen=True)
class MnistNetwork:
    """A file, the scaling its makers trained with, and its score on the first 1,000 test images."""

    file: str
    normalize: str
    expected: float
    lr: float = 0.05


STANDARD = "0.1307,0.3081"  # MNIST's mean and standard deviation, after division by 255
MNIST = [
    MnistNetwork("burn__mnist.onnx", STANDARD, 99.0),
    MnistNetwork("onnxruntime-qnn__cnn_mnist_pytorch.onnx", STANDARD, 98.7),
    MnistNetwork("onnx-mlir__mnist.onnx", STANDARD, 91.2),
    MnistNetwork("onnxruntime-qnn__mnist.onnx", "unit", 98.4),
]


def idx_bytes(array):
    """An IDX file of unsigned bytes: magic 0x000008 and the rank, sizes big-endian, data."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + np.ascontiguousarray(array, np.uint8).tobytes()


def read_idx(path):
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def first_thousand():
    """A folder in MNIST's layout that holds the first 1,000 test images as its test part."""
    folder = common.WORK / "mnist-first-1000"
    folder.mkdir(parents=True, exist_ok=True)
    for part, source in (("images-idx3", "t10k-images-idx3-ubyte.gz"), ("labels-idx1", "t10k-labels-idx1-ubyte.gz")):
        path = folder / f"t10k-{part}-ubyte"
        if not path.exists():
            path.write_bytes(idx_bytes(read_idx(common.data("mnist", source))[:1000]))
    return folder


def evaluate(network):
    """Validation accuracy in % of the file as it is, in float."""
    arguments = ["--data", first_thousand(), "--val", first_thousand(), "--recipe=f32", "--eval-only",
                 "--batch-size=100", "--normalize=" + network.normalize]
    done = common.train(common.data("networks", network.file), arguments)
    return {"accuracy": 100 * score(done)["val_accuracy"], "command": done["command"]}


def fine_tune(network, recipe):
    """Three epochs on MNIST with every product in 4 bits, the first and last layer's too."""
    arguments = ["--data", common.data("mnist"), "--val", first_thousand(), "--recipe=" + recipe,
                 "--first-last=int4", "--batch-size=128", "--epochs=3", f"--lr={network.lr}", "--optimizer=sgd",
                 "--momentum=0.9", "--schedule=cosine", "--seed=0", "--normalize=" + network.normalize]
    done = common.train(common.data("networks", network.file), arguments)
    return {"accuracy": 100 * common.epochs(done)[-1]["val_accuracy"], "command": done["command"]}


def score(done):
    """The last record of a log that scores the validation data."""
    found = [r for r in done["records"] if "val_accuracy" in r or "val_loss" in r]
    if not found:
        raise BenchmarkError(f"{done['command']}\nwrote no validation score to its log")
    return found[-1]


def mnist(recipes):
    """Scores equal what an independent runtime gets, and fine-tuning costs at most 0.5 points."""
    print("MNIST networks, first 1,000 test images")
    good = []
    for n in MNIST:
        own = measured(f"mnist eval {n.file}", lambda n=n: evaluate(n))["accuracy"]
        good.append(bar(abs(own - n.expected) < 0.051, f"{n.file} ({n.normalize}): {own:.1f} % (elsewhere {n.expected})"))
        for recipe in recipes:
            tuned = measured(f"mnist tune {recipe} {n.file} lr {n.lr}", lambda n=n, r=recipe: fine_tune(n, r))["accuracy"]
            good.append(bar(own - tuned <= 0.5 + 1e-9, f"{n.file} fine-tuned in {recipe}, every layer 4-bit: {tuned:.1f} %"))
    return all(good)


# --- PyTorch exports ------------------------------------------------------------------------------

FLAVOURS = ("default", "plain", "opset24", "old-eval", "old-train")
FOLDED = ("default", "opset24", "old-eval")  # batch norm went into the convolutions
NOTE = "nothing normalizes"  # what the note about such networks says, in part
TOLERANCE = 1e-4


def export_error(model, name):
    """Largest possible |y - recorded y|: the log's mean squared error bounds it, sqrt(n * mse)."""
    recorded = common.data("pytorch-exports", name + ".npz")
    with np.load(recorded) as z:
        count, samples = z["y"].size, len(z["y"])
    arguments = ["--data", recorded, "--val", recorded, "--recipe=f32", "--eval-only", "--loss=mse",
                 f"--batch-size={samples}"]
    done = common.train(model, arguments)
    return {"error_bound": math.sqrt(count * score(done)["val_loss"]), "command": done["command"]}


def export_training(model, name):
    """Two epochs of luq on real images; the loss of each epoch, and whether the note was printed."""
    source = common.data("cifar10-part") if name == "resnet" else mnist_part()
    arguments = ["--data", source, "--recipe=luq", "--batch-size=64", "--epochs=2", "--lr=0.02", "--seed=0",
                 "--optimizer=sgd", "--momentum=0.9", "--normalize=auto"]
    done = common.train(model, arguments)
    return {"losses": [r["loss"] for r in common.epochs(done)], "note": NOTE in done["text"], "command": done["command"]}


def mnist_part():
    """The first 4,096 training images as an IDX folder."""
    folder = common.WORK / "mnist-4096"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("images-idx3", "labels-idx1"):
        for prefix, count in (("train", 4096), ("t10k", 1000)):
            path = folder / f"{prefix}-{part}-ubyte"
            if not path.exists():
                path.write_bytes(idx_bytes(read_idx(common.data("mnist", path.name + ".gz"))[:count]))
    return folder


def exports():
    """Every flavour imports, evaluates as recorded (but -old-train), and trains in luq."""
    print("PyTorch exports: largest difference to the recorded output, luq loss of two epochs, note")
    good = []
    for name in ("resnet", "digits"):
        for flavour in FLAVOURS:
            model = common.data("pytorch-exports", f"{name}-{flavour}.onnx")
            if flavour != "old-train":
                e = measured(f"export eval {model.name}", lambda m=model, n=name: export_error(m, n))["error_bound"]
                good.append(bar(e <= TOLERANCE, f"{model.name}: outputs differ by at most {e:.1e}"))
            t = measured(f"export train {model.name}", lambda m=model, n=name: export_training(m, n))
            first, last = t["losses"][0], t["losses"][-1]
            good.append(bar(last < first, f"{model.name}: luq loss {first:.3f} -> {last:.3f}"))
            good.append(bar(t["note"] == (flavour in FOLDED),
                            f"{model.name}: note about missing normalization {'printed' if t['note'] else 'not printed'}"))
    return all(good)


# --- ONNX Runtime's training case -----------------------------------------------------------------

ORT_LOSSES = (2.1786249, 0.36050943)


def ort_case():
    """Two AdamW steps on one batch of two: an epoch each, so that the epochs' losses are the steps'."""
    recorded = common.data("ort-training-api", "case.npz")
    common.WORK.mkdir(parents=True, exist_ok=True)
    batch = common.WORK / "ort-batch.npz"
    with np.load(recorded) as z:
        np.savez(batch, x=z["x"], y=z["y"])
    arguments = ["--data", batch, "--recipe=f32", "--batch-size=2", "--epochs=2", "--optimizer=adamw", "--lr=0.001",
                 "--beta1=0.9", "--beta2=0.999", "--adam-eps=1e-6", "--weight-decay=0", "--schedule=constant"]
    done = common.train(common.data("ort-training-api", "mlp.onnx"), arguments)
    return {"losses": [r["loss"] for r in common.epochs(done)], "command": done["command"]}


def ort():
    """Both losses within 1e-5, relative."""
    print("ONNX Runtime's recorded training step (AdamW, f32)")
    losses = measured("ort training case", ort_case)["losses"]
    good = [bar(abs(a / b - 1) <= 1e-5, f"loss {a:.8f}, recorded {b} (relative {abs(a / b - 1):.1e})")
            for a, b in zip(losses, ORT_LOSSES)]
    return all(good) and len(good) == 2


def main():
    global AGAIN
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["mnist", "exports", "ort", "all"])
    p.add_argument("--recipes", type=lambda t: t.split(","), default=["ibm", "luq"], metavar="ibm,luq",
                   help="recipes of the fine-tuning (default: ibm,luq)")
    p.add_argument("--again", action="store_true", help="measure again what is stored")
    a = p.parse_args()
    AGAIN = a.again
    checks = {"mnist": lambda: mnist(a.recipes), "exports": exports, "ort": ort}
    good = True
    for name in checks if a.what == "all" else [a.what]:
        try:
            good &= checks[name]()
        except BenchmarkError as error:
            print(f"error: {error}", file=sys.stderr)
            good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
