from __future__ import annotations

import threading

import pytest

import compile_inspector as ci
from compile_inspector.engine.counters import NAMES, CompilationCounter


def test_there_are_the_sixteen_counters():
    """The process's counts have the field's names."""
    assert len(NAMES) == 16
    assert set(ci.compilation_counter.values()) == set(NAMES)


def test_expect_compares_growth():
    """A block that counted as said passes; one that did not names each counter, what was expected and what was."""
    counter = CompilationCounter()
    with counter.expect(num_graphs_seen=2, num_models_seen=0):
        counter.add("num_graphs_seen", 2)
    with (
        pytest.raises(AssertionError, match=r"num_models_seen: expected \+1, was \+0"),
        counter.expect(num_models_seen=1),
    ):
        pass


def test_an_error_in_the_block_is_not_hidden():
    """The block's own exception comes out, not a complaint about counts."""
    with pytest.raises(KeyError), CompilationCounter().expect(num_models_seen=1):
        raise KeyError


def test_an_unknown_counter_is_refused():
    """A misspelt name is no zero."""
    with pytest.raises(ValueError, match="there is no counter 'models'"):
        CompilationCounter().add("models")
    with (
        pytest.raises(ValueError, match="there is no counter 'models'"),
        CompilationCounter().expect(models=1),
    ):
        pass


def test_threads_lose_no_count():
    """Counting from several threads at once adds up."""
    counter = CompilationCounter()
    threads = [
        threading.Thread(target=lambda: [counter.add("num_graphs_seen") for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.num_graphs_seen == 8000
