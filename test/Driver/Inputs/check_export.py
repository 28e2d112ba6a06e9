"""check_export.py SOURCE TRAINED DATA TRAIN_LOG EVAL_LOG: see export.test."""

import json
import sys

import numpy as np
import onnx
import onnxruntime

source, trained = (onnx.load(path) for path in sys.argv[1:3])
onnx.checker.check_model(trained, full_check=True)


def skeleton(model):
    """The model without its numbers."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        for field in ("raw_data", "float_data"):
            tensor.ClearField(field)
    return copy


assert skeleton(source) == skeleton(trained)
names = [t.name for t in source.graph.initializer]
old, new = ({t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer} for m in (source, trained))
assert [n for n in names if np.array_equal(old[n], new[n])] == [], "everything was trained"

data = np.load(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
logits = session.run(None, {session.get_inputs()[0].name: data["x_test"].astype(np.float32)})[0]
independent = float((logits.argmax(1) == data["y_test"]).mean())
last = json.loads(open(sys.argv[4]).readlines()[-1])
again = json.loads(open(sys.argv[5]).read())
assert again["type"] == "eval" and again["samples"] == len(data["y_test"])
assert abs(last["val_accuracy"] - independent) < 1e-9, (last, independent)
assert abs(again["val_accuracy"] - independent) < 1e-9, (again, independent)
assert abs(again["val_loss"] - last["val_loss"]) < 1e-6
