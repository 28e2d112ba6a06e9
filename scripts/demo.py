"""Trains one network twice, in float and in 4 bits, and prints a table. scripts/demo is the way to call it."""

import argparse
import json
import pathlib
import re
import subprocess
import sys

OUT = pathlib.Path("build/demo")
TRAINING = ["--epochs", "8", "--batch-size", "32", "--lr", "0.05", "--optimizer", "sgd", "--momentum", "0.9",
            "--schedule", "cosine", "--seed", "0", "--threads", "1"]


def prepare():
    """The network as an ONNX file and the data as npz."""
    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "nibble.zoo", "digits", "-o", OUT / "digits.onnx"], check=True)
    subprocess.run([sys.executable, "-m", "nibble.data", "digits", "-o", OUT / "digits.npz"], check=True)


def train(tools, recipe):
    """Runs nibble-train, shows what it prints, and returns the figures of the table."""
    log = OUT / f"{recipe}.jsonl"
    command = [str(pathlib.Path(tools) / "nibble-train"), str(OUT / "digits.onnx"), "--data", str(OUT / "digits.npz"),
               "--recipe", recipe, *TRAINING, "--out", str(OUT / recipe), "--log", str(log)]
    if "--overwrite" in subprocess.run([command[0], "--help"], capture_output=True, text=True, check=True).stdout:
        command.append("--overwrite")
    print("\n$ " + " ".join(command), flush=True)
    shown = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        for line in run.stdout:
            print("  " + line, end="", flush=True)
            shown.append(line)
    if run.returncode:
        sys.exit(f"demo: nibble-train ended with code {run.returncode}")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    last = [r for r in records if r["type"] == "epoch"][-1]
    steps = sorted(r["ms"] for r in records if r["type"] == "step")
    text = "".join(shown)
    saved = re.search(r"\((\d+)\) live from forward into backward", text)
    weights = re.search(r"\((\d+)\) as the forward products read them", text)
    return {"test accuracy": f"{100 * last['val_accuracy']:.2f} %",
            "training loss": f"{last['loss']:.4f}",
            "time a step (median)": f"{steps[len(steps) // 2]:.2f} ms",
            "kept from forward to backward": f"{int(saved[1]) / 1e3:.1f} kB",
            "weights as the products read them": f"{int(weights[1]) / 1e3:.1f} kB"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="ibm", help="the 4-bit recipe (w4a4, ibm, ibm+, luq, int4)")
    parser.add_argument("--bin", default="build/release/bin", help="folder of nibble-train")
    options = parser.parse_args()
    prepare()
    table = {"float (f32)": train(options.bin, "f32"), f"4 bits ({options.recipe})": train(options.bin, options.recipe)}
    columns = list(table)
    print(f"\n{'1,442 handwritten digits, 8 epochs':36}" + "".join(f"{c:>16}" for c in columns))
    for row in table[columns[0]]:
        print(f"{row:36}" + "".join(f"{table[c][row]:>16}" for c in columns))
    print(f"\ntrained networks: {OUT}/f32/model.onnx and {OUT}/{options.recipe}/model.onnx")


if __name__ == "__main__":
    main()
