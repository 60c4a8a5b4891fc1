"""Each text that is passed is compiled into the code (pytorch#100455)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['text']"}


def predict(x, text):
    return x * len(text)  # CAUSE


def run():
    torch._dynamo.reset()
    g = torch.compile(predict, backend="eager")
    g(torch.ones(3), "ab")
    g(torch.ones(3), "abc")


def fixed():
    torch._dynamo.reset()
    g = torch.compile(predict, backend="eager")
    g(torch.ones(3), "ab")
    g(torch.ones(3), "ab")
