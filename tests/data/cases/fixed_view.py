"""A view with a number for a marked dimension (pytorch#151356)."""

import torch

EXPECT = {"kind": "constraint-violation", "subject": "L['query'].size()[1]"}


def f(query):
    return query.view(2, 22, 2, 2)  # CAUSE


def h(query):
    return query.view(2, -1, 2, 2)


def call(function):
    query = torch.ones(2, 22, 4)
    torch._dynamo.mark_dynamic(query, 1)
    try:
        torch.compile(function, backend="eager")(query)
    except Exception:
        return


def run():
    torch._dynamo.reset()
    call(f)


def fixed():
    torch._dynamo.reset()
    call(h)
