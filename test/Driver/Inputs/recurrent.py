"""Recurrent networks against onnxruntime: python recurrent.py OUT"""

import sys
from pathlib import Path

import against_runtime
import numpy as np
from onnx import TensorProto, helper, numpy_helper

STEPS, FEATURES, HIDDEN, CLASSES, SAMPLES = 7, 3, 5, 4, 32
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# name: operator, layers, attributes, whether initial states are given
NETWORKS = {
    "lstm": ("LSTM", 1, {}, False),
    "lstm-bidirectional": ("LSTM", 2, {"direction": "bidirectional"}, False),
    "lstm-reverse-initial": ("LSTM", 1, {"direction": "reverse"}, True),
    "gru-early-reset": ("GRU", 2, {"linear_before_reset": 0}, False),
    "gru-late-reset": ("GRU", 1, {"linear_before_reset": 1, "direction": "bidirectional"}, True),
    "rnn-relu": ("RNN", 2, {"activations": ["Relu"]}, False),
}


class Builder:
    def __init__(self, seed):
        self.random, self.nodes, self.initializers = np.random.RandomState(seed), [], []

    def constant(self, name, shape, scale=0.5):
        values = self.random.uniform(-scale, scale, shape).astype(np.float32)
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def integers(self, name, values):
        self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(self, op, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]


def build(op, layers, attributes, initial):
    b = Builder(1)
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    x, width = b.node("Transpose", ["x"], ["time_first"], perm=[1, 0, 2]), FEATURES
    for i in range(layers):
        rows = GATES[op] * HIDDEN
        inputs = [x, b.constant(f"W{i}", (directions, rows, width)), b.constant(f"R{i}", (directions, rows, HIDDEN)),
                  b.constant(f"B{i}", (directions, 2 * rows))]
        if initial:
            inputs += ["", b.constant(f"h{i}", (directions, SAMPLES, HIDDEN))]
            if op == "LSTM":
                inputs.append(b.constant(f"c{i}", (directions, SAMPLES, HIDDEN)))
        b.node(op, inputs, [f"y{i}", f"last{i}"], hidden_size=HIDDEN, **attributes)
        turned, width = b.node("Transpose", [f"y{i}"], [f"turned{i}"], perm=[0, 2, 1, 3]), directions * HIDDEN
        x = b.node("Reshape", [turned, b.integers(f"shape{i}", [0, 0, -1])], [f"rows{i}"])
    # Both the whole sequence and the last state take part.
    mean = b.node("Squeeze", [b.node("ReduceMean", [x, b.integers("zero", [0])], ["mean"]), "zero"], ["flat"])
    last = b.node("Flatten", [b.node("Transpose", [f"last{layers - 1}"], ["last"], perm=[1, 0, 2])], ["state"])
    joined = b.node("Concat", [mean, last], ["joined"], axis=1)
    b.node("Gemm", [joined, b.constant("fc", (CLASSES, 2 * width))], ["logits"], transB=1)
    graph = helper.make_graph(b.nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", STEPS, FEATURES])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])], b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model


def main(out):
    x = np.random.RandomState(2).standard_normal((SAMPLES, STEPS, FEATURES)).astype(np.float32)
    for name, spec in NETWORKS.items():
        against_runtime.check(name, build(*spec), x, out)


main(Path(sys.argv[1]))
