#!/usr/bin/env python3
"""A PyTorch training step of one of the benchmark networks on the CPU. Started by steps.py, which sets the environment.

usage: torch_networks.py {mlp,resnet18,lstm,gpt} {f32,bf16} {eager,compile} THREADS [SECONDS]

SGD with momentum 0.9, no dropout. Convolutions channels last. Prints one JSON line: median and minimum in ms, peak memory.
"""

import contextlib
import json
import resource
import statistics
import sys
import time

import energy
import torch
from torch import nn
from torch.nn import functional as F


def mlp():
    """784-1024-1024-10, batch 128."""
    model = nn.Sequential(nn.Linear(784, 1024), nn.ReLU(True), nn.Linear(1024, 1024), nn.ReLU(True), nn.Linear(1024, 10))
    return model, torch.randn(128, 784), torch.randint(10, (128,))


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, and a 1x1 shortcut where the shape changes."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True))
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x), True)


def resnet18():
    """ResNet-18 for 32x32 images, batch 128."""
    layers, width = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True)], 64
    for i, channels in enumerate((64, 128, 256, 512)):
        layers += [Residual(width, channels, 2 if i else 1), Residual(channels, channels, 1)]
        width = channels
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    return model, torch.randn(128, 3, 32, 32).to(memory_format=torch.channels_last), torch.randint(10, (128,))


class WordModel(nn.Module):
    """Embedding, two LSTM layers of 650, a head over 10,000 words."""

    def __init__(self, words=10000, width=650):
        super().__init__()
        self.embedding, self.recurrent, self.head = nn.Embedding(words, width), nn.LSTM(width, width, 2), nn.Linear(width, words)

    def forward(self, tokens):
        return self.head(self.recurrent(self.embedding(tokens))[0].flatten(0, 1))


def lstm():
    """Batch 20, 35 steps of time."""
    return WordModel(), torch.randint(10000, (35, 20)), torch.randint(10000, (700,))


class Layer(nn.Module):
    """Pre-norm transformer layer with causal attention spelled out, as exported files have it."""

    def __init__(self, width, heads, context):
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.register_buffer("future", torch.ones(context, context, dtype=torch.bool).triu(1))

    def forward(self, x):
        b, t, w = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (w // self.heads) ** -0.5).masked_fill(self.future, -torch.inf).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, w))
        return x + self.mlp(self.before_mlp(x))


class Gpt(nn.Module):
    def __init__(self, vocabulary=65, width=384, layers=6, heads=6, context=256):
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Parameter(torch.zeros(context, width))
        self.layers = nn.Sequential(*(Layer(width, heads, context) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.layers(self.token(tokens) + self.place))).flatten(0, 1)


def gpt():
    """6 layers of 384, 6 heads, context 256, vocabulary 65, batch 8."""
    return Gpt(), torch.randint(65, (8, 256)), torch.randint(65, (2048,))


def main():
    network, precision, mode, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 8.0
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, x, y = {"mlp": mlp, "resnet18": resnet18, "lstm": lstm, "gpt": gpt}[network]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    forward = torch.compile(model) if mode == "compile" else model

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext():
            logits = forward(x)
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()
        return (time.perf_counter() - start) * 1e3

    for _ in range(3):
        step()
    runs, begin, before = [], time.perf_counter(), energy.read()
    while len(runs) < 5 or (time.perf_counter() - begin < seconds and len(runs) < 300):
        runs.append(step())
    used = energy.joules(before, energy.read())
    print(json.dumps({"network": network, "precision": precision, "mode": mode, "threads": threads, "torch": torch.__version__,
                      "step_ms": round(statistics.median(runs), 3), "min_ms": round(min(runs), 3), "runs": len(runs),
                      "joules": used / len(runs) if used else None,
                      "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
