#!/usr/bin/env python3
"""Records gradients and optimizer steps of PyTorch in double: RecordedValues.h, which RecordedTest.cpp compares with.

    build/bench-venv/bin/python test/Unit/Differentiate/record.py > test/Unit/Differentiate/RecordedValues.h

(build/bench-venv: `python benchmark/step_time.py --setup`.) Inputs are formulas, so that both sides have them exactly:
element i of tensor k is sin(1 + 0.7·i + 10·k). Hyper-parameters are exact in f32. PyTorch's Adam adds ε to √v̂ and ours, ONNX's, to
√v; with ε = 1e-12 they agree to all digits compared here.
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def wave(k, *shape):
    n = 1
    for size in shape:
        n *= size
    return torch.sin(1 + 0.7 * torch.arange(n, dtype=torch.float64) + 10 * k).reshape(shape)


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


# --- the convolutional network ---------------------------------------------------------------------------
X = wave(0, 3, 7, 6, 2)
LABELS = torch.tensor([2, 0, 1])


def conv_variables():
    return {
        "conv": wave(1, 4, 3, 2, 1),  # OHWI, two groups
        "scale": 1 + 0.5 * wave(2, 4),
        "shift": 0.5 * wave(3, 4),
        "fc": 0.5 * wave(4, 3, 24),  # stored transposed
        "bias": wave(5, 3),
    }


def conv_loss(v):
    z = F.conv2d(nchw(X), nchw(v["conv"]), stride=(2, 1), padding=(1, 0), groups=2)
    mean, var = z.mean((0, 2, 3)), z.var((0, 2, 3), unbiased=False)
    y = F.batch_norm(z, None, None, v["scale"], v["shift"], training=True, eps=2.0**-10)
    y = F.max_pool2d(F.relu(y), 2, stride=(2, 2), padding=(0, 1))
    y = nhwc(y).reshape(3, -1)
    loss = F.cross_entropy(F.linear(y, v["fc"], v["bias"]), LABELS)
    return loss, mean, var


# --- the network of smooth functions ------------------------------------------------------------------------
def smooth_variables():
    return {"a": wave(1, 5, 4), "b": wave(2, 4), "c": 0.5 * wave(3, 4, 4), "alpha": torch.tensor(0.75), "beta": torch.tensor(0.5)}


def smooth_loss(v):
    h = F.leaky_relu(wave(0, 3, 5) @ v["a"] + v["b"], 0.25)
    h = (h - h.mean(1, keepdim=True)) / torch.sqrt((h * h).mean(1, keepdim=True) + 0.5)  # normalization, spelled out
    h = torch.minimum(torch.maximum(h, -v["alpha"]), v["alpha"])  # PACT, two-sided
    h = torch.tanh(h) * torch.sigmoid(h) + torch.erf(h)
    h = torch.softmax(h @ v["c"], 1)
    h = torch.minimum(torch.relu(h), v["beta"])  # PACT, one-sided
    return F.mse_loss(h, wave(9, 3, 4))


def gradients(variables, loss):
    for value in variables.values():
        value.requires_grad_()
    result = loss(variables)
    result = result[0] if isinstance(result, tuple) else result
    result.backward()
    return result.item(), {name: value.grad for name, value in variables.items()}


def steps(make):
    """The variables after three steps."""
    variables = conv_variables()
    for value in variables.values():
        value.requires_grad_()
    decayed = [variables[n] for n in ("conv", "fc")]
    others = [variables[n] for n in ("scale", "shift", "bias")]
    optimizer = make([{"params": decayed, "weight_decay": 0.0625}, {"params": others, "weight_decay": 0.0}])
    for _ in range(3):
        optimizer.zero_grad()
        conv_loss(variables)[0].backward()
        optimizer.step()
    return {name: value.detach() for name, value in variables.items()}


def show(title, values):
    print(f"inline const Record {title} = {{")
    for name, tensor in values.items():
        numbers = ", ".join(f"{x:.13g}" for x in torch.as_tensor(tensor, dtype=torch.float64).flatten().tolist())
        print(f'    {{"{name}", {{{numbers}}}}},')
    print("};\n")


def main():
    print("//===- RecordedValues.h - made by record.py: do not edit ------------*- C++ -*-===//")
    print("// build/bench-venv/bin/python test/Unit/Differentiate/record.py, PyTorch " + torch.__version__.split("+")[0])
    print("// clang-format off")
    print("#pragma once\n#include <map>\n#include <string>\n#include <vector>\n")
    print("namespace nibble::test {\nusing Record = std::map<std::string, std::vector<double>>;\n")
    loss, grads = gradients(conv_variables(), conv_loss)
    _, mean, var = conv_loss(conv_variables())
    running = {"mean": 0.75 * wave(6, 4) + 0.25 * mean, "variance": 0.75 * (1.5 + wave(7, 4)) + 0.25 * var}
    show("convGradients", {"loss": loss, **grads, **running})
    loss, grads = gradients(smooth_variables(), smooth_loss)
    show("smoothGradients", {"loss": loss, **grads})
    show("sgdSteps", steps(lambda p: torch.optim.SGD(p, lr=0.125, momentum=0.75)))
    show("nesterovSteps", steps(lambda p: torch.optim.SGD(p, lr=0.125, momentum=0.75, nesterov=True)))
    show("adamSteps", steps(lambda p: torch.optim.Adam(p, lr=0.125, betas=(0.75, 0.875), eps=1e-12)))
    show("adamwSteps", steps(lambda p: torch.optim.AdamW(p, lr=0.125, betas=(0.75, 0.875), eps=1e-12)))
    print("} // namespace nibble::test")


main()
