"""A learning rate that a scheduler changes is a float of the optimizer (pytorch#107076, #120934)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['self'].param_groups[0]['lr']"}


def stepping(rates):
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.SGD([weight], lr=rates[0])

    def step():
        optimizer.step()  # CAUSE

    g = torch.compile(step, backend="eager")
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        g()


def run():
    torch._dynamo.reset()
    stepping([0.1, 0.2, 0.3])


def fixed():
    torch._dynamo.reset()
    stepping([torch.tensor(0.1), torch.tensor(0.2), torch.tensor(0.3)])
