"""``%capture_graphs``: what is typed, what is captured, and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from IPython.core.error import UsageError

import compile_inspector as ci
from compile_inspector.engine.static_graph import FakeStaticGraph, static_graphs
from compile_inspector.notebook.capturing import bar, sizes_of


@pytest.fixture
def model(shell: Any) -> Iterator[torch.nn.Module]:
    """An applied module, called once, in the user's namespace; graphs are fake ones."""
    module = torch.nn.Linear(4, 4)
    shell.user_ns["model"] = module
    with static_graphs(FakeStaticGraph), torch.no_grad():
        config = ci.InspectorConfig({"backend": "eager"})
        with ci.apply(module, dynamic_arg_dims={"input": 0}, vllm_config=config):
            module(torch.randn(4, 4))
            yield module


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4", [4]),
        ("1,2,4", [1, 2, 4]),
        ("1,8:32:8", [1, 8, 16, 24, 32]),
        ("2:4", [2, 3, 4]),
        ("1, 2 4", [1, 2, 4]),
    ],
)
def test_sizes_as_they_are_typed(text: str, sizes: list[int]) -> None:
    """Single sizes and ranges, the last size included."""
    assert list(sizes_of(text)) == sizes


@pytest.mark.parametrize("text", ["", "a", "1,,2", "1:2:3:4", "8:2", "1:4:0", "1.5", "sizes"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With the form that is expected."""
    with pytest.raises(
        UsageError, match=r"sizes are written 1,2,4 or FIRST:LAST:STEP.*ci\.capture_graphs\(model, sizes\)"
    ):
        sizes_of(text)


def test_the_report_is_printed_and_the_session_kept(shell: Any, model: Any, capsys: Any) -> None:
    """What was captured is said in lines, and shown as a session with the view of captures."""
    shell.run_line_magic("capture_graphs", "model 1, 2 4 --mode full --name graphs")
    said = capsys.readouterr().out
    assert "3 of 3 captured in " in said
    numbers = {row.size for row in shell.user_ns["graphs"].captures if row.event == "captured"}
    assert {1, 2, 4} <= numbers
    model(torch.randn(3, 4))
    shell.run_line_magic("capture_graphs", "--undo model")
    assert capsys.readouterr().out.endswith("the graphs of model are freed\n")
    shell.run_line_magic("capture_graphs", "--undo model")
    assert capsys.readouterr().out.endswith("nothing was captured of model\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("model", "which batch sizes"),
        ("model 0", "sizes must be whole numbers of 1 or more"),
        ("model 1:1000000000000", "sizes must be 10,000 at most"),
        ("model 1,2 --undo", "--undo takes nothing but the module"),
        ("model 1 --mode PIECEWISE", "piecewise graphs were not asked for"),
        ("other 1", "apply it first"),
        ("model 1 --max-seconds -1", "must be a number of 0 or more"),
    ],
)
def test_what_cannot_be_captured_is_said(shell: Any, model: Any, line: str, says: str) -> None:
    """One line, as of every magic."""
    shell.user_ns["other"] = torch.nn.Linear(4, 4)
    with pytest.raises(UsageError, match=says):
        shell.run_line_magic("capture_graphs", line)


def test_a_terminal_shows_no_bar(shell: Any) -> None:
    """Nor does a notebook that wants none."""
    with bar(shell, wanted=True) as follow:
        assert follow is None
