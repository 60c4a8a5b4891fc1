"""Two comparisons that leave one size (pytorch#122307)."""

import torch

EXPECT = {"kind": "constraint-violation", "subject": "L['x'].size()[0]"}


def f(x):
    if x.shape[0] > 5:
        return x.cos()
    if x.shape[0] < 5:  # CAUSE
        return x * 2
    return x.sin()


def call(n):
    x = torch.ones(n, 3)
    torch._dynamo.mark_dynamic(x, 0)
    try:
        torch.compile(f, backend="eager")(x)
    except Exception:
        return


def run():
    torch._dynamo.reset()
    call(5)


def fixed():
    torch._dynamo.reset()
    call(7)
