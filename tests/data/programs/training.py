"""A step of training through AOTAutograd, and one with compiled autograd."""

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(8, 8)
        self.outer = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x)))


torch.manual_seed(0)
net = torch.compile(Net(), backend="aot_eager")
for size in (4, 6):
    net(torch.randn(size, 8)).sum().backward()
torch._dynamo.reset()
with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
    net(torch.randn(4, 8)).sum().backward()
