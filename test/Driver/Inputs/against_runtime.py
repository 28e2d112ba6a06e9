"""A network against onnxruntime: written, scored by nibble-train with onnxruntime's outputs as targets, verified bit for bit."""

import subprocess

import numpy as np
import onnx
import onnxruntime


def check(name, model, x, out):
    onnx.checker.check_model(model)
    onnx.save(model, out / f"{name}.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.savez(out / f"{name}.npz", x=x, y=session.run(None, {"x": x})[0])
    for tool in (["nibble-train", "--data", out / f"{name}.npz", "--recipe=f32", "--loss=mse", "--eval-only"],
                 ["nibble-compile", "--recipe=luq", "--verify", "--verify-steps=2", "--threads=2"]):
        command = [tool[0], out / f"{name}.onnx", f"--batch-size={len(x)}", *tool[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name}: {(done.stdout + done.stderr).splitlines()[-1]}", flush=True)
