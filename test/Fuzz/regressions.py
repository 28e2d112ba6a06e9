"""Files that once brought a reader down: those in regressions/, and those that are easier made than kept.

regressions/README.md says what each showed.
"""

import os
import random
import shutil
from pathlib import Path

import damage_bombs
import damage_bytes
import damage_data
import seed_networks

KEPT = Path(__file__).resolve().parent / "regressions"


def made(folder):
    """Large files, from few lines; returns their names."""
    rng, files = random.Random(0), {"d.safetensors": b""}
    while not damage_data.checkpoint_many(rng, files).startswith("60000 "):
        pass
    (folder / "many-tensors.safetensors").write_bytes(files["d.safetensors"])
    # 12 million empty nodes: two bytes each in the file, two hundred in memory.
    nodes = b"\x0a\x00" * 12_000_000
    (folder / "empty-nodes.onnx").write_bytes(b"\x08\x0a\x3a" + damage_bytes.varint(len(nodes)) + nodes)
    for name in ("pipe.csv", "pipe.npz", "pipe.onnx", "pipe.safetensors", "pipe.bin"):
        if not (folder / name).exists():
            os.mkfifo(folder / name)
    for way in (damage_bombs.folding_bomb, damage_bombs.function_bomb, damage_bombs.same_names, damage_bombs.many_dimensions,
                damage_bombs.shared_statistics, damage_bombs.quantized_chain):
        model = seed_networks.from_text(seed_networks.TEXTS["tiny"])
        way(rng, model)
        (folder / f"{way.__name__}.onnx").write_bytes(model.SerializeToString())


def collect(folder):
    """All of them in `folder`, and a manifest as damage.py writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT.iterdir():
        if file.suffix != ".md":
            shutil.copy(file, folder)
    made(folder)
    kinds = {".onnx": "model", ".safetensors": "checkpoint"}
    return [{"file": f.name, "kind": kinds.get(f.suffix, "data"), "way": "regression", "detail": f.stem}
            for f in sorted(folder.iterdir()) if not f.is_dir()]
