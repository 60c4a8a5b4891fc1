"""Python's search for cycles, put off while a graph is read."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collection_put_off() -> Generator[None]:
    """Puts off Python's search for cycles, where it is on: in a process with torch one takes longer than reading a graph of 10,000 nodes."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
