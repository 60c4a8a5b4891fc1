"""Inductor's cache of graphs: a miss, a hit after a reset, a miss for another size."""

import torch

torch.manual_seed(0)
double = torch.compile(lambda x: torch.relu(x) * 2, dynamic=False)
double(torch.randn(8, 8))
torch._dynamo.reset()
double(torch.randn(8, 8))
double(torch.randn(9, 8))
