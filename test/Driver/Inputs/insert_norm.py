"""insert_norm.py model FILE | same SOURCE FILE DATA | score FOLDER DATA SUMMARY: see insert-norm.test."""

import re
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper


def model():
    """Two convolutions without normalization, and one that has it."""
    rng = np.random.default_rng(0)

    def tensor(name, *shape):
        return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)

    nodes = [h.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
             h.make_node("Relu", ["c1"], ["r1"], "relu1"),
             h.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
             h.make_node("BatchNormalization", ["c2", "one", "zero", "zero2", "one2"], ["n2"], "norm2"),
             h.make_node("Relu", ["n2"], ["r2"], "relu2"),
             h.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "conv3", strides=[2, 2]),
             h.make_node("Relu", ["c3"], ["r3"], "relu3"),
             h.make_node("Flatten", ["r3"], ["f"], "flatten"),
             h.make_node("Gemm", ["f", "w4", "b4"], ["y"], "fc", transB=1)]
    ones = [numpy_helper.from_array(np.full(16, v, np.float32), n) for n, v in (("one", 1), ("zero", 0), ("zero2", 0), ("one2", 1))]
    weights = [tensor("w1", 16, 1, 3, 3), tensor("w2", 16, 16, 3, 3), tensor("w3", 16, 16, 3, 3), tensor("w4", 10, 144), tensor("b1", 16),
               tensor("b3", 16), tensor("b4", 10)]
    graph = h.make_graph(nodes, "plain", [h.make_tensor_value_info("x", T.FLOAT, ["batch", 1, 8, 8])],
                         [h.make_tensor_value_info("y", T.FLOAT, ["batch", 10])], weights + ones)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def outputs(path, x):
    import onnxruntime

    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.astype(np.float32)})[0]


if sys.argv[1] == "model":
    onnx.save(model(), sys.argv[2])
elif sys.argv[1] == "same":
    x = np.load(sys.argv[4])["x_test"]
    before, after = outputs(sys.argv[2], x), outputs(sys.argv[3], x)
    assert sum(n.op_type == "BatchNormalization" for n in onnx.load(sys.argv[3]).graph.node) == 3
    assert np.abs(before - after).max() < 1e-4 * np.abs(before).max(), np.abs(before - after).max()
else:
    folder, data, summary = sys.argv[2], np.load(sys.argv[3]), open(sys.argv[4]).read()
    for name, kind in (("model.onnx", "float"), ("model.int4.onnx", "quantized")):
        printed = float(re.search(rf"{name} \({kind}, validation loss [0-9.]+, accuracy ([0-9.]+) %\)", summary)[1])
        right = outputs(f"{folder}/{name}", data["x_test"]).argmax(1) == data["y_test"]
        assert abs(printed - 100 * right.mean()) <= 0.1, (name, printed, right.mean())
        print(name, "agrees")
