"""A marked batch meets a tensor of fixed size (pytorch#102814, #141034)."""

import torch

EXPECT = {"kind": "constraint-violation", "subject": "L['x'].size()[0]"}


def f(x, y):
    return x + y  # CAUSE


def call(*, both):
    x, y = torch.ones(4, 3), torch.ones(4, 3)
    torch._dynamo.mark_dynamic(x, 0)
    if both:
        torch._dynamo.mark_dynamic(y, 0)
    try:
        torch.compile(f, backend="eager")(x, y)
    except Exception:
        return


def run():
    torch._dynamo.reset()
    call(both=False)


def fixed():
    torch._dynamo.reset()
    call(both=True)
