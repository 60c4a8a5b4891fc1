"""Inputs of many lengths, first a number, then a symbol (pytorch#105279)."""

import torch

EXPECT = {"kind": "static-first", "subject": "L['audio'].size()[0]"}


def f(audio):
    return audio.tanh()  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for n in (146, 149, 151):
        g(torch.ones(n, 4))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    for n in (146, 149, 151):
        x = torch.ones(n, 4)
        torch._dynamo.mark_dynamic(x, 0)
        g(x)
