"""Makes an ONNX file from text: python make.py MODEL.txt OUT.onnx [--external FILE] [--no-check]

MODEL.txt is ONNX's own text syntax (onnx.parser). Lines before it fill initializers that would be long to write:

    fill NAME SHAPE [TYPE]      elements 0, 1/16, 2/16 ... (integers count), TYPE float unless said
    alias INPUT                 declares the initializer INPUT as a graph input as well

--external moves the initializers to FILE beside the model, as PyTorch's exporter does.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def filled(name, shape, kind):
    dims = [int(d) for d in shape.split("x")] if shape != "scalar" else []
    values = np.arange(int(np.prod(dims, dtype=np.int64)))
    values = values if kind.startswith("int") else values / 16
    dtype = {"float": np.float32, "half": np.float16, "double": np.float64}.get(kind, kind)
    return numpy_helper.from_array(values.astype(dtype).reshape(dims), name)


def build(text):
    lines = text.splitlines()
    fills, aliases, rest = [], [], []
    for line in lines:
        words = line.split()
        if words[:1] == ["fill"]:
            fills.append(filled(words[1], words[2], words[3] if len(words) > 3 else "float"))
        elif words[:1] == ["alias"]:
            aliases.append(words[1])
        elif not line.startswith(("RUN:", "CHECK", "#")):
            rest.append(line)
    model = onnx.parser.parse_model("\n".join(rest))
    model.graph.initializer.extend(fills)
    for tensor in model.graph.initializer:
        if tensor.name in aliases:
            model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--external", metavar="FILE")
    p.add_argument("--location", help="what the file says of the external data's place, if not FILE")
    a = p.parse_args()
    model = build(a.model.read_text())
    if a.external:
        onnx.save(model, a.out, save_as_external_data=True, location=a.external, size_threshold=0)
    else:
        onnx.save(model, a.out)
    if a.location:
        # The same bytes with another location of the same length, so that nothing else changes.
        data = a.out.read_bytes()
        assert len(a.location) == len(a.external)
        a.out.write_bytes(re.sub(re.escape(a.external.encode()), a.location.encode(), data))


if __name__ == "__main__":
    sys.exit(main())
