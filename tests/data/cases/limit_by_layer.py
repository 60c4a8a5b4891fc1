"""Layers that differ in a number share one limit (pytorch#128071, #114511)."""

import torch

EXPECT = {"kind": "recompile-limit", "subject": "L['self'].layer_idx"}


class Layer(torch.nn.Module):
    def __init__(self, layer_idx):
        super().__init__()
        self.layer_idx = layer_idx

    def forward(self, x):
        return x * (self.layer_idx + 1)  # CAUSE


def run():
    torch._dynamo.reset()
    x = torch.ones(3)
    for i in range(12):
        x = torch.compile(Layer(i), backend="eager")(x)


def fixed():
    torch._dynamo.reset()
    x = torch.ones(3)
    for _ in range(12):
        x = torch.compile(Layer(1), backend="eager")(x)
