"""Nibble's Python side: networks to train (`nibble.zoo`) and data to train them on (`nibble.data`).

Both are command-line modules, `python -m nibble.zoo --help` and `python -m nibble.data --help`, and
need only numpy, plus the `onnx` package (zoo) or scikit-learn (data, for `digits` alone). The
compiler and the trainer themselves are the C++ tools `nibble-train`, `nibble-compile`, `nibble-opt`
and `nibble-translate`.
"""

from nibble.errors import NibbleError

__all__ = ["NibbleError"]
