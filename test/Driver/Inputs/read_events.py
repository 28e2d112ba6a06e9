"""read_events.py FOLDER LOG: reads TensorBoard's event files and compares their scalars with a log's records."""

import json
import pathlib
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        size, check = struct.unpack_from("<QI", data, at)
        body = data[at + 12 : at + 12 + size]
        assert check == masked(data[at : at + 8]), "checksum of a length"
        assert struct.unpack_from("<I", data, at + 12 + size)[0] == masked(body), "checksum of a record"
        yield body
        at += 16 + size


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """(number, value) of each field: whole numbers, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        yield key >> 3, value


folder, log = sys.argv[1:]
scalars, starts = {}, []
files = sorted(pathlib.Path(folder).glob("events.out.tfevents.*"))
for number, path in enumerate(files):
    for place, record in enumerate(records(path.read_bytes())):
        event = dict(fields(record))
        assert struct.unpack("<d", event[1])[0] > 1e9, "wall time"
        if place == 0:
            assert event[3] == b"brain.Event:2"
        elif 7 in event:
            starts.append(event[2])
            scalars = {key: value for key, value in scalars.items() if key[1] < event[2]}
        else:
            for _, value in fields(event[5]):
                value = dict(fields(value))
                scalars[value[1].decode(), event[2]] = struct.unpack("<f", value[2])[0]

counts = {"step": 0, "epoch": 0}
near = lambda a, b: abs(a - b) <= 1e-6 * max(1, abs(b))
for record in map(json.loads, open(log)):
    if record["type"] == "step":
        assert near(scalars["loss/train", record["step"]], record["loss"]), record
        assert near(scalars["rate/learning_rate", record["step"]], record["lr"]), record
        for layer in record.get("layers", []):
            assert near(scalars["underflow/" + layer["name"], record["step"]], layer["underflow"]), record
    elif record["type"] == "epoch":
        assert near(scalars["accuracy/validation", record["step"]], record["val_accuracy"]), record
    if record["type"] in counts:
        counts[record["type"]] += 1
steps = [step for tag, step in scalars if tag == "loss/train"]
assert len(steps) == counts["step"], "a step too many"
print(
    f"{len(files)} file{'s' * (len(files) > 1)}, start at step {' and '.join(map(str, starts))}, "
    f"{counts['step']} steps, {counts['epoch']} epochs, as the log says"
)
print(*sorted({tag for tag, _ in scalars}))
