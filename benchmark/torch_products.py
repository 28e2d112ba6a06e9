#!/usr/bin/env python3
"""oneDNN's products through PyTorch, one at a time on request. Started by products.py in build/bench-venv.

Reads lines "NAME PRECISION SECONDS" (a shape as nibble-products writes it, such as "1024x1024->1024 forward" or "3x3 32^2x64 b128 dX",
then f32, bf16 or int8), answers each with a JSON line: sorted processor times of this thread in seconds, and the routine; or why there is none.

What is timed, operands in memory as a framework keeps them, result written:
  f32, bf16   forward and dX of a matrix: mkldnn's inner product (PyTorch's own f32 matmul goes to MKL, which on other makers'
              processors is slower by half); dW: the same on transposed views; convolutions: conv2d and its backward, channels last
  int8        matrix: torch._int_mm, u8 · s8 to 32-bit integers for forward, s8 · s8 for dX and dW; convolution: onednn.qconv_pointwise
              of u8 · s8 to f32 with weights reordered beforehand (as for inference) for forward, and for dX, which at stride 1 is a
              convolution of the same size; there is no dW in int8
"""

import json
import re
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(0)


def bytes_of(shape, unsigned=False):
    return torch.randint(0, 255, shape, dtype=torch.uint8) if unsigned else torch.randint(-127, 127, shape, dtype=torch.int8)


def matrix(rows, inner, outer, product, precision):
    """A call of no arguments, and what it is. Forward: X (rows, in) · W' (in, out); dX: dY · W; dW: dY' · X."""
    shapes = {"forward": ((rows, inner), (outer, inner)), "dX": ((rows, outer), (outer, inner)), "dW": ((rows, outer), (rows, inner))}
    left, right = shapes[product]
    if precision == "int8":
        a, b = bytes_of(left, product == "forward"), bytes_of(right)
        a, b = (a.t() if product == "dW" else a), (b.t() if product == "forward" else b)
        return lambda: torch._int_mm(a, b), "torch._int_mm"
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    a, b = torch.randn(left).to(dtype), torch.randn(right).to(dtype)
    # The routine takes its second operand as (out, in).
    x, w = (a.t() if product == "dW" else a), (b if product == "forward" else b.t())
    return lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], ""), "mkldnn inner product"


def quantized_convolution(batch, size, channels):
    x = bytes_of((batch, channels, size, size), unsigned=True).to(memory_format=torch.channels_last)
    scales, zeros = torch.ones(channels), torch.zeros(channels, dtype=torch.int64)
    geometry = [1, 1], [1, 1], [1, 1], 1  # stride, padding, dilation, groups
    w = torch.ops.onednn.qconv_prepack(bytes_of((channels, channels, 3, 3)), scales, 1.0, 0, *geometry, list(x.shape))
    return lambda: torch.ops.onednn.qconv_pointwise(x, 1.0, 0, w, scales, zeros, None, *geometry, 1.0, 0, torch.float32, "none", [], "")


def convolution(batch, size, channels, product, precision):
    if precision == "int8":
        if product == "dW":
            return None, "no weight gradient in int8"
        return quantized_convolution(batch, size, channels), "onednn.qconv_pointwise"
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]

    def maps():
        return torch.randn(batch, channels, size, size).to(dtype).to(memory_format=torch.channels_last)

    x, w = maps(), torch.randn(channels, channels, 3, 3).to(dtype).to(memory_format=torch.channels_last)
    if product == "forward":
        return lambda: F.conv2d(x, w, padding=1), "conv2d"
    y, wanted = maps(), [product == "dX", product == "dW", False]
    return lambda: torch.ops.aten.convolution_backward(y, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted), "convolution_backward"


def routine(shape, precision):
    if found := re.fullmatch(r"(\d+)x(\d+)->(\d+) (\w+)", shape):
        return matrix(*map(int, found.groups()[:3]), found[4], precision)
    if found := re.fullmatch(r"3x3 (\d+)\^2x(\d+) b(\d+) (\w+)", shape):
        size, channels, batch = map(int, found.groups()[:3])
        return convolution(batch, size, channels, found[4], precision)
    return None, f"no shape {shape}"


def times(call, seconds):
    """Two calls first; then as many as fit, five at least."""
    call(), call()
    found, begin = [], time.thread_time()
    while len(found) < 5 or time.thread_time() - begin < seconds:
        start = time.thread_time()
        call()
        found.append(time.thread_time() - start)
    return sorted(found)


def main():
    print(json.dumps({"torch": torch.__version__, "onednn": torch.backends.mkldnn.is_available()}), flush=True)
    for line in sys.stdin:
        shape, precision, seconds = line.rstrip("\n").rsplit(" ", 2)
        with torch.no_grad():
            try:
                call, name = routine(shape, precision)
                answer = {"times": times(call, float(seconds)), "routine": name} if call else {"why": name}
            except (RuntimeError, NotImplementedError) as error:
                answer = {"why": str(error).splitlines()[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
