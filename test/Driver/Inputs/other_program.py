"""other_program.py CHECKPOINT MODEL AGAIN: reads a checkpoint as another program would, compares its weights with the exported model's, and
writes everything again."""

import json
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

checkpoint, model, again = sys.argv[1:]
tensors = load_file(checkpoint)
with safe_open(checkpoint, framework="np") as file:
    metadata = file.metadata()
progress = json.loads(metadata["progress"])
print(metadata["format"], metadata["format_version"], metadata["run.step.optimizer"], metadata["run.recipe.gradients"], "step",
      progress["step"], "of epoch", progress["epochs_done"])
exported = {t.name: numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
for name in ("conv1_weight", "fc_weight"):
    ours, theirs = tensors[name], exported[name]
    if theirs.ndim == 4:
        theirs = theirs.transpose(0, 2, 3, 1)  # Nibble keeps filters as OHWI
    print(f"{name} {ours.dtype} {ours.shape}:", "the exported one" if np.array_equal(ours, theirs) else "another one")
save_file(tensors, again, metadata=metadata)
