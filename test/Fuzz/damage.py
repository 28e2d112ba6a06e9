#!/usr/bin/env python3
"""Writes damaged files: what a tool must answer with an error, never with an abort.

    python test/Fuzz/damage.py SEED COUNT FOLDER            # ONNX files
    python test/Fuzz/damage.py SEED COUNT FOLDER --data     # IDX, CIFAR, npz, CSV and checkpoint files

ONNX files are copies of small networks (seed_networks.py), each damaged in one way or a few: bytes (flips, cuts,
length bombs), any protobuf field, structure (cycles, missing inputs, doubled names), types and shapes (sizes
that overflow, raw data of another length), attributes, versions, little that asks for much, external data
that leaves the folder. The ways take turns, so COUNT >= 150 uses each at least once; the seed decides the
network and the details. FOLDER/manifest.json says what was done to which file and whether protobuf can still
parse it. Some damaged files are still valid ONNX: the law is that nothing aborts, hangs or grows.
"""

import argparse
import json
import os
import random
import sys
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

sys.path.insert(0, str(Path(__file__).resolve().parent))
import damage_bombs  # noqa: E402
import damage_bytes  # noqa: E402
import damage_data  # noqa: E402
import damage_fields  # noqa: E402
import damage_model  # noqa: E402
import damage_nodes  # noqa: E402
import seed_networks  # noqa: E402

# Half of the turns go to fields, where most of what a stranger's file can say is said.
FIELD_TURNS = 12


def ways():
    """(kind, function), in no order."""
    model = damage_model.WAYS + damage_nodes.WAYS + damage_bombs.WAYS + damage_fields.WAYS * FIELD_TURNS
    return [("bytes", f) for f in damage_bytes.WAYS] + [("model", f) for f in model]


def apply(rng, function, model):
    """What was done; a way that does not fit this model (it was damaged before) says so."""
    try:
        return function(rng, model)
    except Exception as e:  # onnx's helpers raise much; the file is then damaged less
        return f"(not applicable: {type(e).__name__})"


def damaged(rng, way, models):
    """The bytes of one damaged copy; tries again where the damage happened to change nothing."""
    kind, function = way
    while True:
        # The two large ones rarely: they are here because they are whole networks.
        name = rng.choice(sorted(models) * 4 + ["digits", "resnet8"] if rng.random() < 0.3 else
                          sorted(set(models) - {"digits", "resnet8"}))
        original = models[name].SerializeToString()
        if kind == "bytes":
            data, detail = function(rng, original)
        else:
            model = onnx.ModelProto()
            model.CopyFrom(models[name])
            detail = apply(rng, function, model)
            if rng.random() < 0.2:
                second = rng.choice(damage_fields.WAYS)
                detail += "; then " + apply(rng, second, model)
            data = model.SerializeToString()
        if data != original:
            return data, {"from": name, "way": function.__name__, "detail": detail}


def parses(data):
    try:
        onnx.ModelProto.FromString(data)
        return True
    except DecodeError:
        return False


def link(path, target):
    if not path.is_symlink():
        path.symlink_to(target)


def surroundings(folder, weights):
    """FOLDER/models with what external data may name, FOLDER/outside with what it may not."""
    models, outside = folder / "models", folder / "outside"
    for each in (models / "sub", outside):
        each.mkdir(parents=True, exist_ok=True)
    # More bytes than any damaged copy needs, so that nothing but the place is wrong.
    (models / "weights.bin").write_bytes((weights * 100)[:1 << 17])
    (outside / "secret.bin").write_bytes((weights * 1000)[:1 << 20])
    link(models / "link.bin", "../outside/secret.bin")
    link(models / "linkdir", "../outside")
    link(models / "linkloop", "linkloop")
    if not (models / "pipe").exists():
        os.mkfifo(models / "pipe")
    link(models / "linkpipe", "pipe")
    return models


def write_models(seed, count, folder):
    """Writes `count` damaged ONNX files into `folder`/models; returns the manifest's entries."""
    models, weights = seed_networks.originals()
    place = surroundings(folder, weights)
    rng, manifest = random.Random(seed), []
    every = ways()
    order = rng.sample(every, len(every))
    for index in range(count):
        data, entry = damaged(rng, order[index % len(order)], models)
        name = f"models/{index:05d}-{entry['way'].replace('_', '-')}-{entry['from']}.onnx"
        (folder / name).write_bytes(data)
        manifest.append({"file": name, "kind": "model", **entry, "parses": parses(data),
                         "must_refuse": entry["way"] in damage_bombs.ESCAPES and "not applicable" not in entry["detail"]})
    return manifest


def write(seed, count, folder, data=False, kinds=None):
    """Writes `count` damaged files into `folder`; returns the manifest. `data`: of all `kinds` but networks."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = damage_data.write(seed, count, folder, kinds) if data else write_models(seed, count, folder)
    (folder / "manifest.json").write_text(json.dumps({"seed": seed, "files": manifest}, indent=1) + "\n")
    return manifest


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("seed", type=int, metavar="SEED", help="decides everything that is random")
    p.add_argument("count", type=int, metavar="COUNT", help="how many files")
    p.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them")
    p.add_argument("--data", action="store_true", help="data sets and checkpoints in place of networks")
    a = p.parse_args()
    manifest = write(a.seed, a.count, a.folder, a.data)
    parsed = sum(m.get("parses", False) for m in manifest)
    text = "" if a.data else f", {parsed} ({100 * parsed / max(len(manifest), 1):.0f} %) still parse"
    print(f"{a.folder}: {len(manifest)} damaged files, {len({m['way'] for m in manifest})} ways{text}")


if __name__ == "__main__":
    main()
