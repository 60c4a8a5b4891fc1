"""A batch of one after larger ones (pytorch#186893, vllm#38933)."""

import torch

EXPECT = {"kind": "zero-one", "subject": "L['x'].size()[0]"}


def f(x):
    return x.sum(-1)  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=True)
    g(torch.ones(4, 3))
    g(torch.ones(1, 3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=True)
    g(torch.ones(4, 3))
    g(torch.ones(2, 3))
