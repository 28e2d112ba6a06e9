"""quantized.py FOLDER: quantized files of each form, and samples with the answers of ONNX's reference implementation; see quantized.test."""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnx.reference import ReferenceEvaluator

folder = sys.argv[1]
rng = np.random.default_rng(7)


def save(name, nodes, tensors, x=(8, 6), reference=None):
    """Writes NAME.onnx and NAME.npz; `reference` is the model whose output is the answer (default: the file itself)."""
    inputs = [h.make_tensor_value_info("x", T.FLOAT, ["batch", *x[1:]])]
    outputs = [h.make_tensor_value_info("y", T.FLOAT, ["batch", None])]
    model = h.make_model(h.make_graph(nodes, name, inputs, outputs, tensors), opset_imports=[h.make_opsetid("", 23)], ir_version=11)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, os.path.join(folder, name + ".onnx"))
    samples = rng.standard_normal(x).astype(np.float32)
    (answers,) = ReferenceEvaluator(reference or model).run(None, {"x": samples})
    np.savez(os.path.join(folder, name + ".npz"), x=samples, y=answers.astype(np.float32))


def tensor(name, kind, shape, low, high):
    return h.make_tensor(name, kind, shape, rng.integers(low, high, size=int(np.prod(shape)), endpoint=True).tolist())


def real(name, values):
    return nh.from_array(np.asarray(values, np.float32), name)


def dq(*inputs, out="w", **attributes):
    return h.make_node("DequantizeLinear", list(inputs), [out], "dequantize_" + out, **attributes)


matmul = h.make_node("MatMul", ["x", "w"], ["y"], "product")

save("int4", [dq("q", "s"), matmul], [tensor("q", T.INT4, (6, 5), -8, 7), real("s", 0.3)])
save("odd", [dq("q", "s", "z"), matmul],
     [tensor("q", T.UINT4, (6, 3), 0, 15), real("s", 0.25), h.make_tensor("z", T.UINT4, [], [7])], x=(4, 6))
save("axis", [dq("q", "s", "z", axis=1), matmul],
     [tensor("q", T.INT8, (6, 5), -128, 127), real("s", rng.random(5) / 50), tensor("z", T.INT8, (5,), -9, 9)])
save("blocks", [dq("q", "s", axis=0, block_size=2), matmul],
     [tensor("q", T.INT4, (6, 5), -8, 7), real("s", rng.random((3, 5)))])
save("e2m1", [dq("q", "s"), matmul],
     [h.make_tensor("q", T.FLOAT4E2M1, (6, 5), rng.choice([0, .5, -1, 1.5, 2, -3, 4, -6], 30).tolist()), real("s", 0.5)])
save("bias", [dq("q", "s"), dq("b", "t", out="c"), h.make_node("Gemm", ["x", "w", "c"], ["y"], "product")],
     [tensor("q", T.INT8, (6, 5), -127, 127), real("s", 0.01), tensor("b", T.INT32, (5,), -900, 900), real("t", 0.002)])


def activations(clip):
    """x through 4 bits, or clipped to what 4 bits reach."""
    way = ([h.make_node("Clip", ["x", "lo", "hi"], ["r"], "c")] if clip else
           [h.make_node("QuantizeLinear", ["x", "s", "z"], ["p"], "quantize"), dq("p", "s", "z", out="r")])
    tensors = [real("s", 0.1), h.make_tensor("z", T.INT4, [], [2]), real("lo", -1.0), real("hi", 0.5), real("w", np.eye(6))]
    graph = h.make_graph(way + [h.make_node("MatMul", ["r", "w"], ["y"], "product")], "activations",
                         [h.make_tensor_value_info("x", T.FLOAT, ["batch", 6])],
                         [h.make_tensor_value_info("y", T.FLOAT, ["batch", 6])], [t for t in tensors if t.name in
                         (("lo", "hi", "w") if clip else ("s", "z", "w"))])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)


# −8 … 7 with zero point 2 and scale 0.1 reach −1 … 0.5.
quantized = activations(False)
save("activations", list(quantized.graph.node), list(quantized.graph.initializer), reference=activations(True))
weights = real("v", rng.standard_normal((6, 5)))
save("fake", [h.make_node("QuantizeLinear", ["v", "s"], ["q"], "quantize", output_dtype=T.INT8), dq("q", "s"), matmul],
     [weights, real("s", 0.01)],
     reference=h.make_model(h.make_graph([h.make_node("MatMul", ["x", "v"], ["y"])], "f",
                                         [h.make_tensor_value_info("x", T.FLOAT, ["batch", 6])],
                                         [h.make_tensor_value_info("y", T.FLOAT, ["batch", 5])], [weights]),
                            opset_imports=[h.make_opsetid("", 21)]))
stuck = h.make_graph([h.make_node("QuantizeLinear", ["x", "s"], ["q"], "quantize", output_dtype=T.INT8),
                      h.make_node("Cast", ["q"], ["r"], "cast", to=T.FLOAT), h.make_node("MatMul", ["r", "v"], ["y"], "product")],
                     "stuck", [h.make_tensor_value_info("x", T.FLOAT, ["batch", 6])],
                     [h.make_tensor_value_info("y", T.FLOAT, ["batch", 5])], [weights, real("s", 0.01)])
onnx.save(h.make_model(stuck, opset_imports=[h.make_opsetid("", 21)], ir_version=10), os.path.join(folder, "stuck.onnx"))
