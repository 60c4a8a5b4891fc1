"""Recompiles for three reasons, a graph break, a failure of tracing and one of the backend, a skipped frame, a limit, a reset."""

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(2))
        self.scale = 2.0

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x)) * self.scale
        return x


def breaks(x):
    y = x + 1
    print("the graph ends here")
    return y * 2


def untraceable(x):
    print("not in one graph")
    return x.sum()


def without_tensors(x):
    return len([1, 2])


def broken(graph, inputs):
    raise RuntimeError("the backend gave up")


def interrupted(graph, inputs):
    raise KeyboardInterrupt


def attempt(call, *args):
    try:
        return call(*args)
    except (Exception, KeyboardInterrupt):
        return None


torch.manual_seed(0)
net = torch.compile(Net(), backend="eager")
for size in (4, 5, 6):
    net(torch.randn(size, 8))
net.scale = 3.0
with torch.no_grad():
    net(torch.randn(4, 8))
torch.compile(breaks, backend="eager")(torch.randn(3))
attempt(torch.compile(untraceable, backend="eager", fullgraph=True), torch.randn(3))
torch.compile(without_tensors, backend="eager")(torch.randn(3))
attempt(torch.compile(lambda x: x + 1, backend=broken), torch.randn(2))
attempt(torch.compile(lambda x: x + 2, backend=interrupted), torch.randn(2))
torch._dynamo.config.recompile_limit = 2
double = torch.compile(lambda x: x * 2, backend="eager", dynamic=False)
for size in range(3, 7):
    double(torch.randn(size))
torch._dynamo.reset()
net(torch.randn(4, 8))
