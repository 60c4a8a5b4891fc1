"""A filter drops the guard on an argument (pytorch#139038, #155083)."""

import torch

EXPECT = {"kind": "guard-dropped", "subject": "L['n']"}


def f(x, n):
    return x * n  # CAUSE


def none(guards):
    return [False for _ in guards]


def every(guards):
    return [True for _ in guards]


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager", options={"guard_filter_fn": none})(torch.ones(3), 2)


def fixed():
    torch._dynamo.reset()
    torch.compile(f, backend="eager", options={"guard_filter_fn": every})(torch.ones(3), 2)
