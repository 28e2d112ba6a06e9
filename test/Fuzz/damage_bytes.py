"""Ways to damage the bytes of a file without knowing what they mean. Each: (rng, bytes) -> (bytes, text)."""


def flip_bits(rng, data):
    data, count = bytearray(data), rng.choice([1, 4, 16, 256])
    for _ in range(count):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data), f"{count} bits flipped anywhere"


def flip_bits_at_the_ends(rng, data):
    """Weights fill the middle; the structure lies at both ends."""
    data, count = bytearray(data), rng.choice([1, 2, 8, 32])
    for _ in range(count):
        at = rng.randrange(min(1500, len(data)))
        data[at if rng.random() < 0.8 else -1 - at] ^= 1 << rng.randrange(8)
    return bytes(data), f"{count} bits flipped within 1,500 bytes of an end"


def cut(rng, data):
    at = rng.randrange(len(data))
    return data[:at], f"cut after {at} of {len(data)} bytes"


def cut_early(rng, data):
    at = rng.randrange(min(400, len(data)))
    return data[:at], f"cut after {at} bytes"


def empty(rng, data):
    return b"", "an empty file"


def noise(rng, data):
    return rng.randbytes(rng.randrange(1, 5000)), "random bytes"


def text(rng, data):
    return b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n", "an HTML page"


def zero_range(rng, data):
    at, n = rng.randrange(len(data)), rng.randrange(1, 2000)
    return data[:at] + b"\0" * min(n, len(data) - at) + data[at + n:], f"{n} bytes zeroed at {at}"


def insert(rng, data):
    at, n = rng.randrange(min(3000, len(data))), rng.randrange(1, 40)
    return data[:at] + rng.randbytes(n) + data[at:], f"{n} random bytes inserted at {at}"


def repeat(rng, data):
    return data + data, "the file twice: every field merged with itself"


def length_bomb(rng, data):
    """Field 7 of a ModelProto is the graph: claim 2^62 bytes for it."""
    return b"\x3a" + b"\xff" * 8 + b"\x3f" + data, "a graph that claims 2^62 bytes"


def endless_varint(rng, data):
    return b"\x08" + b"\xff" * 40 + data, "a varint of 40 bytes"


def nested(rng, data):
    """graph { node { attribute { g { node ... 2,000 levels: past protobuf's recursion limit."""
    inner = b""
    for _ in range(2000):
        for tag in (0x32, 0x2A, 0x0A):  # AttributeProto.g = 6, NodeProto.attribute = 5, GraphProto.node = 1
            inner = bytes([tag]) + varint(len(inner)) + inner
    return b"\x08\x0a\x3a" + varint(len(inner)) + inner, "graphs nested 2,000 deep"


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


WAYS = [flip_bits, flip_bits_at_the_ends, cut, cut_early, empty, noise, text, zero_range, insert, repeat,
        length_bomb, endless_varint, nested]
