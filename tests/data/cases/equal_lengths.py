"""Query and key of one length, and then of two (pytorch#137527)."""

import torch

EXPECT = {"kind": "duck-shape", "subjects": ["L['q'].size()[0]", "L['k'].size()[0]"]}


def f(q, k):
    return q @ k.t()  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=True)
    g(torch.ones(6, 4), torch.ones(6, 4))
    g(torch.ones(6, 4), torch.ones(7, 4))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager", dynamic=True)
    g(torch.ones(5, 4), torch.ones(6, 4))
    g(torch.ones(6, 4), torch.ones(7, 4))
