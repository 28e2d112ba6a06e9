#!/usr/bin/env python3
"""Writes damaged ONNX files: what a compiler must answer with an error, never with an abort.

    python test/Fuzz/damage.py SEED COUNT FOLDER

Takes the zoo's networks (and one with external data and one with folded shape arithmetic), and
damages each copy in one way: bytes (flips, cuts, length bombs), structure (cycles, missing inputs,
doubled names), types and shapes (sizes that overflow, raw data of another length), attributes,
versions, external data that leaves the folder. The ways take turns, so COUNT >= 70 or so uses each
at least once; the seed decides the network and the details. FOLDER/manifest.json says what was done
to which file. Some damaged files are still valid ONNX: the law is only that nothing aborts.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from nibble import zoo  # noqa: E402
from nibble.graph import to_bytes  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import damage_bytes  # noqa: E402
import damage_model  # noqa: E402
import damage_nodes  # noqa: E402


def shape_chain_model():
    """A classifier whose Reshape reads Shape/Gather/Concat/Expand of its own input."""
    f = TensorProto.FLOAT
    make = helper.make_node
    rng = np.random.RandomState(0)
    weights = [
        numpy_helper.from_array(rng.randn(10, 16).astype(np.float32), "fc.weight"),
        numpy_helper.from_array(np.zeros(10, np.float32), "fc.bias"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([16], np.int64), "features"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [
        make("Shape", ["x"], ["shape"], "shape"),
        make("Gather", ["shape", "zero"], ["n"], "gather", axis=0),
        make("Expand", ["features", "one"], ["wide"], "expand"),
        make("Concat", ["n", "wide"], ["target"], "concat", axis=0),
        make("Reshape", ["x", "target"], ["flat"], "reshape"),
        make("Slice", ["flat", "zero", "features", "one"], ["cut"], "slice"),
        make("Gemm", ["cut", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
    ]
    graph = helper.make_graph(nodes, "shape-chain", [helper.make_tensor_value_info("x", f, ["batch", 1, 4, 4])],
                              [helper.make_tensor_value_info("logits", f, ["batch", 10])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def originals():
    """name -> model; the large mlp stays out, it only makes the files large."""
    models = {name: zoo.build(name) for name in ("digits", "lenet", "deep-mlp", "resnet8")}
    models["shape-chain"] = shape_chain_model()
    return models


def damaged(rng, way, models):
    """The bytes of one damaged copy; tries again where the damage happened to change nothing."""
    kind, function = way
    while True:
        name = rng.choice(sorted(models))
        original = to_bytes(models[name])
        if kind == "bytes":
            data, detail = function(rng, original)
        else:
            model = onnx.ModelProto()
            model.CopyFrom(models[name])
            detail = function(rng, model)
            data = to_bytes(model)
        if data != original:
            return data, {"from": name, "way": function.__name__, "detail": detail}


def damage_one(rng, way, models, folder, index):
    """Writes one file; returns its line of the manifest."""
    data, entry = damaged(rng, way, models)
    name = f"{index:04d}-{entry['way'].replace('_', '-')}-{entry['from']}.onnx"
    (folder / name).write_bytes(data)
    return {"file": name, **entry}


def write(seed, count, folder):
    """Writes `count` damaged files into `folder`; returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    ways = [("bytes", f) for f in damage_bytes.WAYS] + [
        ("model", f) for f in damage_model.WAYS + damage_nodes.WAYS]
    rng, models, manifest = random.Random(seed), originals(), []
    order = rng.sample(ways, len(ways))
    for index in range(count):
        manifest.append(damage_one(rng, order[index % len(order)], models, folder, index))
    (folder / "manifest.json").write_text(json.dumps({"seed": seed, "files": manifest}, indent=1) + "\n")
    return manifest


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("seed", type=int, metavar="SEED", help="decides everything that is random")
    p.add_argument("count", type=int, metavar="COUNT", help="how many files")
    p.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them")
    a = p.parse_args()
    manifest = write(a.seed, a.count, a.folder)
    print(f"{a.folder}: {len(manifest)} damaged files, {len({m['way'] for m in manifest})} ways")


if __name__ == "__main__":
    main()
