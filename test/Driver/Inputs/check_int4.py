"""check_int4.py FOLDER DATA SUMMARY: the exported codes, by themselves and in onnxruntime; see export-int4.test."""

import re
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

folder, data, summary = sys.argv[1], np.load(sys.argv[2]), open(sys.argv[3]).read()
model = onnx.load(f"{folder}/model.int4.onnx")
onnx.checker.check_model(model, full_check=True)
floats = onnx.load(f"{folder}/model.onnx")
assert model.opset_import[0].version >= 21
assert [i.type.tensor_type.shape.dim[0].dim_param for i in model.graph.input] == ["batch"]
old, new = ([n.name for n in m.graph.node if n.op_type not in ("QuantizeLinear", "DequantizeLinear", "Clip")]
            for m in (floats, model))
assert old == new

# Weights: codes under the weight's own name, within the level set, each the nearest to the float weight.
tensors = {t.name: t for t in model.graph.initializer}
real = {t.name: numpy_helper.to_array(t) for t in floats.graph.initializer}
kinds = {}
for node in model.graph.node:
    if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
        codes = tensors[node.input[0]]
        top = {onnx.TensorProto.INT4: 7, onnx.TensorProto.INT8: 127}[codes.data_type]
        q = numpy_helper.to_array(codes).astype(np.float32)
        scale = numpy_helper.to_array(tensors[node.input[1]])
        assert scale.shape == () and np.abs(q).max() <= top
        inside = np.abs(real[codes.name]) < top * scale
        assert np.abs(q * scale - real[codes.name])[inside].max() <= 0.5001 * scale
        kinds[codes.name] = top
first, *middle, last = (n.input[1] for n in floats.graph.node if n.op_type in ("Conv", "Gemm"))
assert kinds == {first: 127, last: 127, **{name: 7 for name in middle}}, kinds

# Values: a Clip in front of each 4-bit quantizer, whose grid ends where the clip does.
producer = {output: node for node in model.graph.node for output in node.output}
for node in model.graph.node:
    if node.op_type == "QuantizeLinear" and node.attribute[0].i == onnx.TensorProto.UINT4:
        clip = producer[node.input[0]]
        low, high, scale = (float(numpy_helper.to_array(tensors[name])) for name in (clip.input[1], clip.input[2], node.input[1]))
        assert clip.op_type == "Clip" and low == 0 and abs(high - 15 * scale) < 1e-5 * high

for name, kind in (("model.onnx", "float"), ("model.int4.onnx", "quantized")):
    printed = float(re.search(rf"{name} \({kind}, validation loss [0-9.]+, accuracy ([0-9.]+) %\)", summary)[1])
    session = onnxruntime.InferenceSession(f"{folder}/{name}", providers=["CPUExecutionProvider"])
    scores = session.run(None, {session.get_inputs()[0].name: data["x_test"].astype(np.float32)})[0]
    independent = 100 * float((scores.argmax(1) == data["y_test"]).mean())
    assert abs(printed - independent) <= 0.1, (name, printed, independent)
    print(name, "agrees")
