"""Each module passed as an argument compiles (pytorch#134954)."""

import torch

EXPECT = {"kind": "recompile", "subject": "L['net'].shift"}


class Shifted(torch.nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return x.sin() + self.shift  # CAUSE


def apply(net, x):
    return net(x).sum()


def run():
    torch._dynamo.reset()
    g = torch.compile(apply, backend="eager")
    g(Shifted(1), torch.ones(3))
    g(Shifted(2), torch.ones(3))


def fixed():
    torch._dynamo.reset()
    g = torch.compile(apply, backend="eager")
    g(Shifted(1), torch.ones(3))
    g(Shifted(1), torch.ones(3))
