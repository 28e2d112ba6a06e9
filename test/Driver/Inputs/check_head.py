"""check_head.py SOURCE TRAINED: see export.test."""

import sys

import numpy as np
import onnx

source, trained = (onnx.load(path) for path in sys.argv[1:3])
onnx.checker.check_model(trained, full_check=True)
old, new = ({t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer} for m in (source, trained))
assert new["fc.weight"].shape == (12, 128) and new["fc.bias"].shape == (12,)
assert trained.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 12
assert all(np.array_equal(old[n], new[n]) for n in old if n.startswith("conv"))
assert not np.array_equal(old["norm1.weight"], new["norm1.weight"])
