"""accumulate.py LARGE SMALL: a run of large batches and one of as many samples in micro-batches agree up to rounding (accumulate.test)."""

import json
import sys

import numpy as np
import onnx

large, small = ([json.loads(line) for line in open(name + ".jsonl")] for name in sys.argv[1:3])
steps = [[record for record in log if record["type"] == "step"] for log in (large, small)]
assert len(steps[0]) == len(steps[1]) > 20
assert [r["lr"] for r in steps[0]] == [r["lr"] for r in steps[1]]
print("updates equal:", len(steps[0]))
for key in ("loss", "train_accuracy"):
    np.testing.assert_allclose(*([r[key] for r in log] for log in steps), rtol=1e-5, err_msg=key)
weights = [{t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(name + "/model.onnx").graph.initializer} for name in sys.argv[1:3]]
equal = 0
for name, array in weights[0].items():
    distance = np.linalg.norm(array - weights[1][name]) / np.linalg.norm(array)
    assert distance < 1e-5, (name, distance)
    equal += np.array_equal(array, weights[1][name])
assert equal < len(weights[0]), "nothing was accumulated"
print("losses, rates and parameters agree")
