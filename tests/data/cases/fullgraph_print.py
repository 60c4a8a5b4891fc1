"""With fullgraph=True a print makes the compile fail (pytorch#146525)."""

import torch

EXPECT = {"kind": "graph-break", "subject": "print"}


def f(x):
    print("here")  # CAUSE
    return x + 1


def h(x):
    return x + 1


def call(function):
    try:
        torch.compile(function, backend="eager", fullgraph=True)(torch.ones(3))
    except Exception:
        return


def run():
    torch._dynamo.reset()
    call(f)


def fixed():
    torch._dynamo.reset()
    call(h)
