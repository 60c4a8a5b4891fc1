"""Another number of threads compiles again (pytorch#167416)."""

import torch

EXPECT = {"kind": "recompile", "subject": "num_threads"}


def f(x):
    return x + 1  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    before = torch.get_num_threads()
    g(torch.ones(3))
    try:
        torch.set_num_threads(before + 1)
        g(torch.ones(3))
    finally:
        torch.set_num_threads(before)


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.ones(3))
    g(torch.ones(3))
