"""Validated under no_grad, then served under inference_mode: only the tensors' dispatch keys tell (pytorch#135892)."""

import torch

EXPECT = {"kind": "recompile", "subject": "inference_mode"}


def f(x, w):
    return x @ w  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    x, w = torch.ones(3, 3), torch.ones(3, 3)
    with torch.no_grad():
        g(x, w)
    with torch.inference_mode():
        g(x, w)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    x, w = torch.ones(3, 3), torch.ones(3, 3)
    for _ in range(2):
        with torch.no_grad():
            g(x, w)
