"""Two inputs that grow together (fms#353: a cache that grows a token a step)."""

import torch

EXPECT = {"kind": "static-first", "subjects": ["L['key'].size()[1]", "L['value'].size()[1]"]}


def attend(query, key, value):
    return (query @ key.transpose(-1, -2)) @ value  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(attend, backend="eager")
    for n in (5, 6, 7):
        g(torch.ones(2, 1, 4), torch.ones(2, n, 4), torch.ones(2, n, 4))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(attend, backend="eager")
    for n in (5, 6, 7):
        key, value = torch.ones(2, n, 4), torch.ones(2, n, 4)
        torch._dynamo.mark_dynamic(key, 1)
        torch._dynamo.mark_dynamic(value, 1)
        g(torch.ones(2, 1, 4), key, value)
