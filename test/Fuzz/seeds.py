#!/usr/bin/env python3
"""Writes the seed corpora of the fuzz targets: python test/Fuzz/seeds.py FOLDER -> FOLDER/onnx, FOLDER/npz …

Undamaged small files, and a damaged one of each way, from which libFuzzer goes on.
"""

import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import damage  # noqa: E402
import damage_data  # noqa: E402
import datafiles  # noqa: E402
import seed_networks  # noqa: E402


def put(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def models(folder):
    originals, _ = seed_networks.originals()
    for name, model in originals.items():
        if name not in ("digits", "resnet8"):
            put(folder, name, model.SerializeToString())
    rng = random.Random(0)
    for index, way in enumerate(damage.ways()):
        data, _ = damage.damaged(rng, way, originals)
        if len(data) < 20000:
            put(folder, f"{way[1].__name__}-{index}", data)


def idx(files):
    """Labels and images as FuzzTarget.cpp splits them."""
    labels = next((d for n, d in sorted(files.items()) if "labels" in n), None) or b""
    images = next((d for n, d in sorted(files.items()) if "images" in n), None) or b""
    return struct.pack("<H", len(labels) % 65536) + labels + images


def data(folder):
    rng = random.Random(0)
    for kind, (make, ways) in damage_data.KINDS.items():
        for index in range(8 + len(ways)):
            files = make(rng)
            if index >= 8:
                ways[index - 8](rng, files)
            content = idx(files) if kind == "idx" else next((d for d in files.values() if d), b"")
            if len(content) < 20000:
                put(folder / kind, f"{kind}-{index}", content)
    put(folder / "checkpoint", "valid", datafiles.checkpoint())


if __name__ == "__main__":
    models(Path(sys.argv[1]) / "onnx")
    data(Path(sys.argv[1]))
