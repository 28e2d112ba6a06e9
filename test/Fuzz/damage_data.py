"""Damage to data sets (IDX, CIFAR, npz, CSV) and checkpoints.

A case is a folder or a file. Each way takes (rng, files), files a dictionary of name -> bytes (None: a named
pipe), changes it and says what it did.
"""

import copy
import gzip
import io
import json
import os
import random
import struct
import warnings
import zipfile
import zlib

import numpy as np

import damage_bytes
import datafiles
from damage_fields import INTEGERS

BYTE_WAYS = [w for w in damage_bytes.WAYS if w.__name__ not in ("length_bomb", "endless_varint", "nested")]


def a_name(rng, files):
    return rng.choice(sorted(n for n in files if files[n] is not None) or sorted(files))


def unpacked(data):
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def bytes_damage(rng, files):
    name = a_name(rng, files)
    data = files[name] or b"x"
    if data[:2] == b"\x1f\x8b" and rng.random() < 0.6:  # below the compression, where checksums would hide it
        plain, detail = rng.choice(BYTE_WAYS)(rng, gzip.decompress(data))
        files[name] = gzip.compress(plain, mtime=0)
        return f"{name}, packed again: {detail}"
    files[name], detail = rng.choice(BYTE_WAYS)(rng, data or b"x")
    return f"{name}: {detail}"


def header_field(rng, files):
    """One to four bytes near an end become a number that somebody may have forgotten."""
    name = a_name(rng, files)
    data = files[name] or b""
    packed = data[:2] == b"\x1f\x8b"
    plain = bytearray(unpacked(data) if packed else data)
    width, order = rng.choice([1, 2, 4, 8]), rng.choice(["<", ">"])
    at = rng.randrange(64) if rng.random() < 0.7 else max(0, len(plain) - rng.randrange(1, 120))
    value = rng.choice(INTEGERS) % 2**(8 * width)
    plain[at:at + width] = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], value)
    files[name] = gzip.compress(bytes(plain), mtime=0) if packed else bytes(plain)
    return f"{name}: {value} at byte {at}"


def missing(rng, files):
    name = rng.choice(sorted(files))
    del files[name]
    return f"{name} is missing"


def pipe(rng, files):
    """A named pipe in place of a file: reading would wait for ever."""
    name = rng.choice(sorted(files))
    files[name] = None
    return f"{name} is a pipe"


def other_file(rng, files):
    """One file's bytes under another's name."""
    names = sorted(files)
    a, b = rng.choice(names), rng.choice(names)
    files[a] = files[b]
    return f"{b} as {a}"


# --- IDX ----------------------------------------------------------------------------------------------


def idx_shape(rng, files):
    """Dimensions that overflow, are zero or do not fit the bytes."""
    name = a_name(rng, files)
    dims = [rng.choice([0, 1, 2, 4, 6, 255, 2**16, 2**31, 2**32 - 1]) for _ in range(rng.choice([0, 1, 2, 3, 4, 8]))]
    body = bytes(range(96))
    data = bytes([0, 0, rng.choice([8, 8, 8, 9, 13, 255]), len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + body
    files[name] = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    return f"{name} of shape {dims}"


def idx_counts(rng, files):
    name = next((n for n in sorted(files) if "labels" in n), a_name(rng, files))
    count = rng.choice([0, 1, 5, 7, 1000])
    data = datafiles.idx(np.arange(count) % 256)
    files[name] = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    return f"{count} labels"


def gzip_bomb(rng, files):
    """Megabytes of zeros in kilobytes, and a header that claims gigabytes of them."""
    name = next((n for n in sorted(files) if "images" in n), a_name(rng, files))
    size = rng.choice([2**20, 2**25])
    dims = rng.choice([[size // 16, 4, 4], [2**30, 4, 4], [2**16, 2**15, 1], [2**32 - 1, 2**32 - 1, 2**30]])
    data = bytes([0, 0, 8, 3]) + struct.pack(">3I", *dims) + b"\0" * size
    packed = gzip.compress(data, mtime=0)
    del files[name]
    files[name.removesuffix(".gz") + ".gz"] = packed + (packed if rng.random() < 0.3 else b"")
    return f"{len(packed)} bytes of gzip with {size} bytes that claim the shape {dims}"


def gzip_tail(rng, files):
    name = a_name(rng, files)
    packed = gzip.compress(unpacked(files[name]), mtime=0)
    how = rng.choice(["cut", "garbage", "crc", "size"])
    packed = {"cut": packed[:-rng.randrange(1, 20)], "garbage": packed + b"garbage",
              "crc": packed[:-8] + b"\0\0\0\0" + packed[-4:], "size": packed[:-4] + b"\xff\xff\xff\xff"}[how]
    del files[name]
    files[name.removesuffix(".gz") + ".gz"] = packed
    return f"{name} as gzip: {how}"


# --- CIFAR --------------------------------------------------------------------------------------------


def cifar_size(rng, files):
    name = a_name(rng, files)
    size = rng.choice([0, 1, 3072, 3074, 3073 * 2 + 1])
    files[name] = (files[name] * 2)[:size]
    return f"{name} of {size} bytes"


def cifar_labels(rng, files):
    name = a_name(rng, files)
    data = bytearray(files[name])
    data[::3073] = bytes(rng.choice([10, 255, 128]) for _ in data[::3073])
    files[name] = bytes(data)
    return "labels beyond 9"


# --- npz ----------------------------------------------------------------------------------------------


def npy(header, body=b"", version=1, length=None):
    text = header.encode("latin-1", "replace") + b"\n"
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I",
                                                             size % (2**16 if version == 1 else 2**32)) + text + body


def archive(rng, entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as z, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two entries of one name are meant
        for name, data in entries:
            z.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def npy_header(rng, files):
    """Headers of arrays: types, shapes and syntax."""
    shapes = ["(6, 8)", "(6,)", "()", "(0, 8)", "(6, 0)", "(-1, 8)", f"({2**62}, 4)", f"({2**32}, {2**32})", "(6, 8",
              "6", "(6, 8.0)", "(" + "1, " * 70 + ")", f"({2**63}, )", f"({2**64},)", "(6L, 8L)", "(,)", "((6,), 8)", "(6,,8)"]
    types = ["<f4", ">f8", "|u1", "|O", "|S4", "<U2", "<c8", "[('a', '<f4')]", "<f16", "", "x", "<f4 ", "<i8", "|b1", "<M8[s]",
             "f4", "=f4"]
    headers = []
    for shape, kind in (("(6, 8)", "<f4"), ("(6,)", "<i8")):
        fields = {"descr": repr(kind), "fortran_order": "False", "shape": shape}
        if rng.random() < 0.7:
            key, value = rng.choice([("shape", rng.choice(shapes)), ("descr", repr(rng.choice(types))),
                                     ("fortran_order", rng.choice(["True", "None", "0", "'False'"]))])
            fields[key] = value
        text = "{" + ", ".join(f"'{k}': {v}" for k, v in fields.items()) + rng.choice([", }", "}", ", 'more': 1}", "", "} }"])
        headers.append(rng.choice([text, text, text, text[:rng.randrange(len(text))], text.replace("'", '"'), "\0" * 50]))
    bodies = [bytes(rng.choice([192, 191, 193, 0, 48])), bytes(48)]
    version = rng.choice([1, 1, 1, 2, 3, 0, 4])
    length = rng.choice([None, None, None, 0, 65535, 2**31, 10])
    entries = [(n + ".npy", npy(h, b, version, length)) for n, h, b in zip("xy", headers, bodies)]
    files["d.npz"] = archive(rng, entries)
    return f"headers {headers}"


def npz_arrays(rng, files):
    """Valid arrays that are no data set."""
    n = datafiles.SAMPLES
    odd = [np.full((n, 8), np.nan, "f4"), np.full((n, 8), 1e300), np.full((n, 8), np.inf, "f2"), np.zeros((n, 0)), np.zeros((0, 8)),
           np.zeros(()), np.zeros((n + 1, 8)), np.full((n, 8), 2**64 - 1, "u8"), np.zeros((n, 2, 2, 2, 2, 2))]
    answers = [np.full(n, -1), np.full(n, 2**40), np.full(n, np.nan), np.zeros((n, 0)), np.zeros((n, 1, 1)), np.zeros(()),
               np.full(n, 10), np.zeros((n, 5)), np.full((n, 2), np.inf), np.full(n, -2**63), np.zeros((n, 0), "i8"),
               np.full(n, 0.5), np.full(n, 1e30)]
    x = rng.choice(odd) if rng.random() < 0.6 else np.zeros((n, 8), "f4")
    y = rng.choice(answers) if rng.random() < 0.8 else np.arange(n)
    out = io.BytesIO()
    np.savez(out, x=x, y=y)
    files["d.npz"] = out.getvalue()
    return f"x {x.dtype} {x.shape}, y {y.dtype} {y.shape}"


def zip_field(rng, files):
    """A field of a local header, a directory entry or the end record."""
    data = bytearray(files["d.npz"])
    marks = [i for i in range(len(data) - 3) if data[i:i + 4] in (b"PK\1\2", b"PK\3\4", b"PK\5\6")]
    detail = []
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.choice(marks) + 4 + 2 * rng.randrange(21)
        width = rng.choice([2, 4])
        value = rng.choice(INTEGERS + [0xFFFF, 0xFFFFFFFF]) % 2**(8 * width)
        data[at:at + width] = value.to_bytes(width, "little")
        detail.append(f"{value} at byte {at}")
    files["d.npz"] = bytes(data)
    return ", ".join(detail)


def zip64(rng, files):
    """Sizes that are all ones, with a zip64 field that says more, less or nothing."""
    body = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 8)}", bytes(192))
    numbers = [rng.choice([len(body), 0, 2**32, 2**62, 2**63, 2**64 - 1]) for _ in range(rng.choice([0, 1, 2, 3]))]
    extra = struct.pack("<HH", 1, rng.choice([8 * len(numbers), 24, 65535, 3])) + struct.pack(f"<{len(numbers)}Q", *numbers)
    ones = 0xFFFFFFFF
    crc = zlib.crc32(body)
    sizes = rng.choice([(ones, ones), (len(body), ones), (ones, len(body))])
    local = struct.pack("<IHHHHHIIIHH", 0x04034b50, 45, 0, 0, 0, 0, crc, *sizes, 5, 0) + b"x.npy" + body
    offset = rng.choice([0, ones])
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 0, 0, 0, 0, crc, *sizes, 5, len(extra), 0, 0, 0, 0, offset)
    directory = entry + b"x.npy" + extra
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 1, rng.choice([1, 2**62]),
                        rng.choice([len(directory), 2**63]), rng.choice([len(local), 2**64 - 1]))
    locator = struct.pack("<IIQI", 0x07064b50, 0, rng.choice([len(local) + len(directory), 2**64 - 10, 0]), 1)
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 1, rng.choice([1, 0xFFFF]), len(directory), rng.choice([len(local), ones]), 0)
    files["d.npz"] = local + directory + end64 + locator + end
    return f"zip64 with {numbers}"


def zip_bomb(rng, files):
    """Megabytes of zeros in kilobytes, and entries that claim more than deflate can hold."""
    size = rng.choice([2**20, 2**24])
    header = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 16)}" % rng.choice([size // 16, 2**40]))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x.npy", header + b"\0" * size)
        z.writestr("y.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (%d,)}" % (size // 16)) + b"\0" * (size // 16))
    data = out.getvalue()
    if rng.random() < 0.5:
        data = data.replace(struct.pack("<I", len(header) + size), struct.pack("<I", rng.choice([2**31, 2**32 - 2])))
    files["d.npz"] = data
    return f"{len(data)} bytes of zip for {size} of zeros"


def zip_names(rng, files):
    entries = [(rng.choice(["x.npy", "y.npy", "X.NPY", "../x.npy", "x", "", "x_train.npy", "y_test.npy", "\u202e.npy"]),
                npy("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", bytes(24))) for _ in range(rng.choice([0, 1, 2, 40]))]
    files["d.npz"] = archive(rng, entries)
    return f"entries {[n for n, _ in entries][:5]}"


# --- CSV ----------------------------------------------------------------------------------------------


def csv_cell(rng, files):
    lines = files["d.csv"].split(b"\n")
    line = rng.randrange(len(lines))
    cells = lines[line].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(
        [b"", b"nan", b"inf", b"-inf", b"1e400", b"1e-400", b"9" * 400, b"0x10", b"1,2", b'"1', b'"a""b"', b"\0", b"\xff\xfe",
         b"x" * 100000, b"-1", b"2147483648", b"1.5", b" 1 ", b"+1", b"1_000", b"'1'", b"=cmd"])
    lines[line] = b",".join(cells)
    files["d.csv"] = b"\n".join(lines)
    return f"line {line}: {lines[line][:60]!r}"


def csv_shape(rng, files):
    data = files["d.csv"]
    how = rng.choice(["ragged", "one column", "no newline", "only header", "empty lines", "wide", "carriage returns", "quote", "bom",
                      "semicolons", "many commas"])
    header = data.split(b"\n")[0]
    files["d.csv"] = {
        "ragged": data + b"1,2\n", "one column": b"a\n1\n2\n", "no newline": data.rstrip(b"\n"), "only header": b"a,b,label\n",
        "empty lines": data.replace(b"\n", b"\n\n"), "wide": b",".join([b"1"] * 200000) + b"\n", "quote": data + b'"1,2,3,4\n' + data,
        "carriage returns": data.replace(b"\n", b"\r"), "bom": b"\xef\xbb\xbf" + data, "semicolons": data.replace(b",", b";"),
        "many commas": b"," * 10**6}[how] or header
    return how


# --- checkpoints --------------------------------------------------------------------------------------

ODD_JSON = [None, True, -1, 0, 1, 2**62, 2**63, 2**64, 1e308, -0.0, "", "x", "nan", "inf", [], {}, [[[[]]]], [0], [0, 2**62], [2**62, 4],
            [2**32, 2**32], ["a"], {"a": 1}, "F32", "U8", "I64", "BF16", [0.5], [-1, 3]]


def places(value, path=()):
    """Every place in a JSON value, as a path."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value, path, new):
    for key in path[:-1]:
        value = value[key]
    if new is KeyError:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def json_damage(rng, value):
    """Changes a place or two of a JSON value, not its root."""
    for _ in range(rng.choice([1, 1, 2])):
        path = rng.choice([p for p in places(value) if p] or [()])
        if path:
            put(value, path, copy.deepcopy(rng.choice(ODD_JSON + [KeyError] * 4)))  # a copy: it may be changed, too
    return path


def checkpoint_header(rng, files):
    """Types, shapes, offsets and texts of the table; most with the checksum that fits."""
    table, data = datafiles.checkpoint_table()
    where = rng.choice(["table", "progress", "normalization"])
    if where == "table":
        path = json_damage(rng, table)
    else:
        inner = json.loads(table["__metadata__"][where])
        path = json_damage(rng, inner)
        table["__metadata__"][where] = json.dumps(inner)
    if rng.random() < 0.8:
        datafiles.with_checksum(table, data)
    files["d.safetensors"] = datafiles.safetensors(table, data)
    return f"{where}: {path}"


def checkpoint_length(rng, files):
    data = files["d.safetensors"]
    files["d.safetensors"] = struct.pack("<Q", rng.choice(INTEGERS) % 2**64) + data[8:]
    return "the header claims another length"


def checkpoint_text(rng, files):
    """JSON that is deep, long, doubled, or no JSON."""
    table, data = datafiles.checkpoint_table()
    datafiles.with_checksum(table, data)
    good = json.dumps(table)
    text = rng.choice(["[" * 10**6, '{"a":' * 10**5, good[:-1] + "," + good[1:], good.replace(":", "="), '"' + "x" * 10**6 + '"',
                       good + good, "{}", "[]", "null", good.replace("F32", "f32"), '{"__metadata__":' + "{" * 2000,
                       good.replace('"', '"\\ud800'), good.replace("nibble", "\udcff")])
    raw = text.encode("utf-8", "surrogateescape")
    files["d.safetensors"] = struct.pack("<Q", len(raw)) + raw + data
    return f"header {text[:40]!r}"


def checkpoint_many(rng, files):
    """Thousands of tensors without elements."""
    table, data = datafiles.checkpoint_table()
    count = rng.choice([10, 1000, 3000] * 3 + [60000])
    for i in range(count):
        table[f"t{i}"] = {"dtype": "U8", "shape": [0], "data_offsets": [len(data), len(data)]}
    files["d.safetensors"] = datafiles.safetensors(table, data)
    return f"{count} empty tensors"


COMMON = [bytes_damage, bytes_damage, header_field, header_field]
FOLDER = [missing, pipe, other_file]
KINDS = {
    "idx": (datafiles.idx_folder, COMMON + FOLDER + [idx_shape, idx_shape, idx_counts, gzip_bomb, gzip_tail]),
    "cifar": (datafiles.cifar_folder, COMMON + FOLDER + [cifar_size, cifar_labels]),
    "npz": (lambda rng: {"d.npz": datafiles.npz(rng)},
            COMMON + [npy_header] * 4 + [npz_arrays] * 3 + [zip_field] * 4 + [zip64, zip64, zip_bomb, zip_names, pipe]),
    "csv": (lambda rng: {"d.csv": datafiles.csv(rng)}, COMMON + [csv_cell, csv_cell, csv_shape, pipe]),
    "checkpoint": (lambda rng: {"d.safetensors": datafiles.checkpoint()},
                   COMMON + [checkpoint_header] * 6 + [checkpoint_length, checkpoint_text, checkpoint_many, pipe]),
}


def write_case(rng, kind, way, folder, index):
    """Writes one case; returns its line of the manifest."""
    make, _ = KINDS[kind]
    files = make(rng)
    detail = way(rng, files)
    case = folder / f"{index:05d}-{kind}-{way.__name__.replace('_', '-')}"
    case.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        if data is None:
            os.mkfifo(case / name)
        else:
            (case / name).write_bytes(data)
    file = case if kind in ("idx", "cifar") else case / {"npz": "d.npz", "csv": "d.csv", "checkpoint": "d.safetensors"}[kind]
    return {"file": str(file.relative_to(folder.parent)), "kind": kind, "way": way.__name__, "detail": detail[:300]}


def write(seed, count, folder, kinds=None):
    """Writes `count` damaged cases, kinds in turn, into `folder`/data; returns the manifest's entries."""
    rng = random.Random(seed)
    orders = {kind: rng.sample(ways, len(ways)) for kind, (_, ways) in KINDS.items()}
    kinds = kinds or sorted(KINDS)
    manifest = []
    for index in range(count):
        kind = kinds[index % len(kinds)]
        ways = orders[kind]
        manifest.append(write_case(rng, kind, ways[index // len(kinds) % len(ways)], folder / "data", index))
    return manifest
