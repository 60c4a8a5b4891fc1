"""A training step that breaks its graph and reads its learning rate after it (pytorch#107076)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['lr']"}


def stepping(rates):
    weight = torch.ones(3)

    def step(x, lr):
        loss = (weight * x).sum()
        torch._dynamo.graph_break()
        return loss * lr  # CAUSE

    g = torch.compile(step, backend="eager")
    for rate in rates:
        g(torch.ones(3), rate)


def run():
    torch._dynamo.reset()
    stepping([0.1, 0.2, 0.3])


def fixed():
    torch._dynamo.reset()
    stepping([torch.tensor(0.1), torch.tensor(0.2), torch.tensor(0.3)])
