"""A logger's call ends the graph (pytorch#108650, #132635)."""

import logging

import torch

EXPECT = {"kind": "graph-break", "subject": "info"}
LOG = logging.getLogger(__name__)


def f(x):
    x = x + 1
    LOG.info("the input has %s rows", x.shape[0])  # CAUSE
    return x * 2


def h(x):
    return (x + 1) * 2


def run():
    torch._dynamo.reset()
    torch.compile(f, backend="eager")(torch.ones(3))


def fixed():
    torch._dynamo.reset()
    torch.compile(h, backend="eager")(torch.ones(3))
