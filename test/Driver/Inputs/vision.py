"""Operators of vision networks that become ordinary ops, against onnxruntime: python vision.py OUT

Each network is a 3x3 convolution, the operator, and a 3x3 convolution (so that gradients pass through it), averaged.
"""

import sys
from pathlib import Path

import against_runtime
import numpy as np
from onnx import TensorProto, helper, numpy_helper

SAMPLES, CHANNELS, SIZE = 4, 8, 6


def values(shape, seed):
    return np.random.RandomState(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


# name: operator, its constants (input 0 is the feature map), attributes, channels behind it
OPERATORS = {
    "instance-norm": ("InstanceNormalization", [values(8, 1), values(8, 2)], {"epsilon": 1e-3}, 8),
    "group-norm": ("GroupNormalization", [values(8, 3), values(8, 4)], {"num_groups": 2}, 8),
    "prelu-channels": ("PRelu", [values((8, 1, 1), 5)], {}, 8),
    "prelu-one": ("PRelu", [values((1,), 6)], {}, 8),
    "depth-to-space": ("DepthToSpace", [], {"blocksize": 2}, 2),
    "depth-to-space-crd": ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}, 2),
    "space-to-depth": ("SpaceToDepth", [], {"blocksize": 2}, 32),
    "transposed": ("ConvTranspose", [values((8, 6, 3, 3), 10), values(6, 11)], {"strides": [2, 2], "pads": [1, 1, 0, 1], "output_padding": [1, 0]}, 6),
    "transposed-groups": ("ConvTranspose", [values((8, 2, 2, 2), 12)], {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 1]}, 8),
    "resize-asymmetric": ("Resize", [None, np.array([1, 1, 2, 3], np.float32)],
                          {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, 8),
    "resize-half-pixel": ("Resize", [None, None, np.array([4, 8, 12, 12], np.int64)], {"mode": "nearest"}, 8),
}


def build(op, constants, attributes, channels):
    initializers = [constant("w1", values((CHANNELS, 3, 3, 3), 7)), constant("w2", values((5, channels, 3, 3), 8))]
    names = []
    for i, array in enumerate(constants):
        names.append("" if array is None else f"c{i}")
        if array is not None:
            initializers.append(constant(f"c{i}", array))
    nodes = [helper.make_node("Conv", ["x", "w1"], ["a"], name="before", pads=[1, 1, 1, 1]),
             helper.make_node(op, ["a", *names], ["b"], name="tested", **attributes),
             helper.make_node("Conv", ["b", "w2"], ["c"], name="behind", pads=[1, 1, 1, 1]),
             helper.make_node("GlobalAveragePool", ["c"], ["d"]), helper.make_node("Flatten", ["d"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def main(out):
    x = np.random.RandomState(9).standard_normal((SAMPLES, 3, SIZE, SIZE)).astype(np.float32)
    for name, spec in OPERATORS.items():
        against_runtime.check(name, build(*spec), x, out)


main(Path(sys.argv[1]))
