"""A tensor made under inference_mode, then one made outside it (pytorch#148983, #134249, vllm-fork#640)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['x']"}


def f(x):
    return x.sin()  # CAUSE


def made(*, inference):
    with torch.inference_mode(inference):
        return torch.ones(3)


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(made(inference=True))
    g(made(inference=False))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(made(inference=False))
    g(made(inference=False))
