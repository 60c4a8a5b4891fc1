"""A learning rate that a scheduler changes is a float of the optimizer (pytorch#107076, #120934)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['self'].param_groups[0]['lr']"}


def stepping(rate):
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.SGD([weight], lr=rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def step():
        optimizer.step()  # CAUSE

    g = torch.compile(step, backend="eager")
    for _ in range(3):
        g()
        scheduler.step()


def run():
    torch._dynamo.reset()
    stepping(0.1)


def fixed():
    torch._dynamo.reset()
    stepping(torch.tensor(0.1))
