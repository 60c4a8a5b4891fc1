"""A device as a context is a mode of torch functions (pytorch#173115)."""

import torch

EXPECT = {"kind": "recompile", "subject": "torch_function_mode_stack"}


def f(x):
    return x + torch.ones(3)  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.zeros(3))
    with torch.device("cpu"):
        g(torch.zeros(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(f, backend="eager")
    g(torch.zeros(3))
    g(torch.zeros(3))
