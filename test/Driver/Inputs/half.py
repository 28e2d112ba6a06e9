"""Networks whose weights are stored in 16 bits (half.test).

    half.py make SOURCE.onnx TYPE WHAT TARGET.onnx    TYPE: half, bfloat16; WHAT: weights (each behind a Cast to float), all (the whole network)
    half.py check SOURCE.onnx FOLDER DATA.npz SUMMARY.txt    FOLDER: what nibble-train wrote, SUMMARY: what it said
"""

import re
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

TYPES = {"half": (TensorProto.FLOAT16, np.float16), "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}


def make(source, kind, what, target):
    model, (number, dtype) = onnx.load(source), TYPES[kind]
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        narrow = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name)
        assert narrow.data_type == number
        if what == "weights":
            casts.append(helper.make_node("Cast", [tensor.name], [tensor.name + "/wide"], name=tensor.name + "/cast", to=TensorProto.FLOAT))
            for node in model.graph.node:
                node.input[:] = [name + "/wide" if name == tensor.name else name for name in node.input]
        tensor.CopyFrom(narrow)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    if what == "all":
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = number
        del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def check_floats(source, model, checkpoint):
    """Same nodes, same types, and the checkpoint's numbers, each rounded to the nearest."""
    assert [n.SerializeToString() for n in source.graph.node] == [n.SerializeToString() for n in model.graph.node]
    types = [[(t.name, t.data_type, list(t.dims)) for t in m.graph.initializer] for m in (source, model)]
    assert types[0] == types[1]
    assert [v.type.SerializeToString() for v in source.graph.input] == [v.type.SerializeToString() for v in model.graph.input]
    narrow = 0
    for tensor in model.graph.initializer:
        if tensor.name not in checkpoint:
            continue
        value, wide = numpy_helper.to_array(tensor), checkpoint[tensor.name]
        assert wide.dtype == np.float32
        orders = [wide.transpose(0, 3, 1, 2)] if wide.ndim == 4 else [wide, wide.T]
        assert any(order.shape == value.shape and np.array_equal(order.astype(value.dtype), value) for order in orders), tensor.name
        narrow += value.dtype.itemsize == 2 and not np.array_equal(wide, wide.astype(value.dtype).astype(np.float32))
    assert narrow > 4, "weights that were trained in 32 bits and written in 16"


def check(source, folder, data, summary):
    data, words = np.load(data), open(summary).read()
    check_floats(onnx.load(source), onnx.load(f"{folder}/model.onnx"), load_file(f"{folder}/last.safetensors"))
    for name, kind in (("model.onnx", "float"), ("model.int4.onnx", "quantized")):
        onnx.checker.check_model(f"{folder}/{name}", full_check=True)
        printed = float(re.search(rf"{name} \({kind}, validation loss [0-9.]+, accuracy ([0-9.]+) %\)", words)[1])
        session = onnxruntime.InferenceSession(f"{folder}/{name}", providers=["CPUExecutionProvider"])
        entry = session.get_inputs()[0]
        x = data["x_test"].astype(np.float16 if "float16" in entry.type else np.float32)
        scores = session.run(None, {entry.name: x})[0].astype(np.float32)
        independent = 100 * float((scores.argmax(1) == data["y_test"]).mean())
        # Weights of 8 or 11 binary digits: samples at the edge may fall the other way.
        assert abs(printed - independent) <= 100 * 1.01 / len(scores), (name, printed, independent)
        print(name, "agrees")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
