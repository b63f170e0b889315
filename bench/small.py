#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The step of bench/small.c with PyTorch on one thread: small.py [bce|mse] [BATCH]"""
import sys
import time

import torch
from torch import nn

ROUNDS, STEPS = 30, 10


def main():
    loss, n = sys.argv[1] if len(sys.argv) > 1 else "bce", int(sys.argv[2]) if len(sys.argv) > 2 else 128
    torch.set_num_threads(1)
    net = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 784), nn.Sigmoid())
    optimizer, criterion = torch.optim.Adam(net.parameters(), 1e-3), nn.BCELoss() if loss == "bce" else nn.MSELoss()
    x, best = (torch.arange(n * 784) * 7919 % 1000 / 1000).view(n, 784), 1e9
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(STEPS):
            optimizer.zero_grad()
            criterion(net(x), x).backward()
            optimizer.step()
        best = min(best, (time.process_time() - start) / STEPS)
    print("%s, batch %d: %.0f samples a CPU second, %.3f ms a step" % (loss, n, n / best, best * 1e3))


main()
