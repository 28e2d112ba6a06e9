"""Small valid files of each kind that nibble-train reads besides networks, to be damaged or to seed a fuzzer."""

import gzip
import io
import json
import struct

import numpy as np

SAMPLES = 6


def idx(array):
    """An IDX file of unsigned bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def idx_folder(rng):
    """File name -> bytes, like MNIST's."""
    images = np.arange(SAMPLES * 16).reshape(SAMPLES, 4, 4) % 256
    labels = np.arange(SAMPLES) % 10
    files = {}
    for part in rng.choice([["train"], ["train", "t10k"], ["t10k"]]):
        packed = rng.random() < 0.4
        pack, end = (lambda b: gzip.compress(b, mtime=0), ".gz") if packed else (lambda b: b, "")
        files[f"{part}-images-idx3-ubyte{end}"] = pack(idx(images))
        files[f"{part}-labels-idx1-ubyte{end}"] = pack(idx(labels))
    return files


def cifar_rows(count=3):
    rows = np.arange(count * 3073).reshape(count, 3073) % 251
    rows[:, 0] = np.arange(count) % 10
    return rows.astype(np.uint8).tobytes()


def cifar_folder(rng):
    files = {"data_batch_1.bin": cifar_rows(), "test_batch.bin": cifar_rows(2)}
    if rng.random() < 0.3:
        files["data_batch_2.bin"] = cifar_rows(1)
    return files


def npz(rng):
    """x and y of some shapes and types."""
    x = np.arange(SAMPLES * 8).reshape(SAMPLES, 8).astype(rng.choice(["u1", "f4", "f8", "f2", "i2", ">f4", "u8", "?"]))
    y = rng.choice([np.arange(SAMPLES), np.arange(SAMPLES)[:, None], np.ones((SAMPLES, 3)) / 2,
                    np.arange(SAMPLES).astype("f4")])
    if rng.random() < 0.3:
        x = np.asfortranarray(x)
    arrays = rng.choice([{"x": x, "y": y}, {"x_train": x, "y_train": y, "x_test": x, "y_test": y}])
    out = io.BytesIO()
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(out, **arrays)
    return out.getvalue()


def csv(rng):
    rows = ["a,b,c,label"] if rng.random() < 0.7 else []
    rows += [f"{i}.5,{-i},1e{i},{i % 3}" for i in range(SAMPLES)]
    return ("\r\n" if rng.random() < 0.3 else "\n").join(rows).encode() + b"\n"


# --- checkpoints --------------------------------------------------------------------------------------

TYPES = ["U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64"]  # in the order of DType


class Hash:
    """lib/Runtime/Hash.h."""

    def __init__(self):
        self.value = 0x6E6962626C650A01

    def word(self, w):
        h = self.value
        h = ((h << 23 | h >> 41) & (2**64 - 1)) ^ (w & (2**64 - 1))
        h = h * 0x9E3779B97F4A7C15 & (2**64 - 1)
        self.value = h ^ h >> 32

    def bytes(self, data):
        self.word(len(data))
        for at in range(0, len(data), 8):
            self.word(int.from_bytes(data[at:at + 8], "little"))


def checksum(metadata, tensors):
    """Of metadata but the checksum, and of (name, type, shape, bytes), sorted by name."""
    h = Hash()
    for key, value in sorted((k.encode(), v.encode()) for k, v in metadata.items()):
        if key != b"checksum":
            h.bytes(key)
            h.bytes(value)
    for name, kind, shape, data in tensors:
        h.bytes(name.encode())
        for word in (TYPES.index(kind), len(shape), *shape):
            h.word(word)
        h.bytes(data)
    return f"{h.value:016x}"


def checkpoint_table():
    """Header (a table, without the checksum) and data of a checkpoint."""
    progress = {"step": 12, "epochs_done": 1, "sampler_epoch": 1, "sampler_offset": 8, "epoch_steps": 6, "epoch_loss": 9.5,
                "epoch_correct": 40, "validation": {"loss": 0.5, "accuracy": 0.75, "samples": 20}, "best": None,
                "best_step": 0, "last_rate": 0.05, "log_records": 13,
                "layers": [{"name": "fc", "saturation": 0.0, "underflow": 0.5, "scale": 1.0}]}
    metadata = {"format": "nibble-checkpoint", "format_version": "1", "tool": "nibble 0.1", "run.recipe": "ibm",
                "run.seed": "1", "run.program": "00112233", "option.lr": "0.05", "progress": json.dumps(progress),
                "normalization": json.dumps({"divisor": 255.0, "mean": [0.5], "deviation": [0.25]})}
    tensors = [("fc.weight", "F32", [2, 3]), ("fc.bias", "F32", [2]), ("fc.weight/momentum", "F32", [2, 3]),
               ("count", "I32", []), ("codes", "U8", [5])]
    table, data = {"__metadata__": metadata}, b""
    for name, kind, shape in tensors:
        size = int(np.prod(shape, dtype=int)) * int(kind[1:]) // 8
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += bytes(i % 64 for i in range(size))
    return table, data


def with_checksum(table, data):
    """Puts in the checksum that fits, where there is a table to put it in; the file may be damaged otherwise."""
    try:
        tensors = [(name, e["dtype"], e["shape"], data[e["data_offsets"][0]:e["data_offsets"][1]])
                   for name, e in table.items() if name != "__metadata__"]
        tensors.sort(key=lambda t: t[0].encode())
        table["__metadata__"]["checksum"] = checksum(table["__metadata__"], tensors)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        pass


def safetensors(table, data):
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def checkpoint():
    table, data = checkpoint_table()
    with_checksum(table, data)
    return safetensors(table, data)
