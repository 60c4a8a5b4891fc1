"""A global number that changes between calls (pytorch#109458 is the same of a global default)."""

import torch

EXPECT = {"kind": "recompile", "subject": "G['RATE']"}


RATE = 2


def f(x):
    return x * RATE  # CAUSE


def set_rate(value):
    global RATE
    RATE = value


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    set_rate(2)
    g(torch.ones(3))
    set_rate(3)
    g(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    set_rate(2)
    g(torch.ones(3))
    g(torch.ones(3))
