#!/usr/bin/env python3
"""A PyTorch training step of the zoo's LeNet on the CPU. Started by step_time.py, which sets the environment.

usage: torch_step.py {f32,bf16} THREADS [SECONDS]

Batch 128, SGD with momentum 0.9, channels last. Prints one JSON line: median and minimum in ms.
"""

import contextlib
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class LeNet(nn.Module):
    """The network `lenet` of nibble.zoo."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(1568, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1)), inplace=True))


def main():
    precision, threads = sys.argv[1], int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 6.0
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = LeNet().to(memory_format=torch.channels_last)
    x = torch.randn(128, 1, 28, 28).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (128,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        bf16 = torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
        with bf16:
            logits = model(x)
        F.cross_entropy(logits.float(), y).backward()
        optimizer.step()
        return time.perf_counter() - start

    for _ in range(10):
        step()
    runs, begin = [], time.perf_counter()
    while len(runs) < 20 or time.perf_counter() - begin < seconds:
        runs.append(step() * 1e3)
    print(json.dumps({"network": "lenet", "precision": precision, "threads": threads, "torch": torch.__version__,
                      "step_ms": round(statistics.median(runs), 3), "min_ms": round(min(runs), 3),
                      "runs": len(runs)}))


if __name__ == "__main__":
    main()
