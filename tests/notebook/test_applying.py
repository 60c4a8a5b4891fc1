"""``%support_torch_compile``: a live module compiles from its next call on, and is what it was again."""

from __future__ import annotations

import gc

import pytest
from IPython.core.error import UsageError

SETUP = """
import torch
import compile_inspector as ci
class Twice(torch.nn.Module):
    def forward(self, x, y=None):
        return x * 2
class Annotated(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x * 2
model = torch.nn.Sequential(Twice(), Twice())
"""


@pytest.fixture
def ready(shell, run):
    """A shell with a model of two modules. Their compiled code goes before the shell does: it keeps names of its own in the namespace."""
    assert run(SETUP).error is None
    yield shell
    for name in ("model", "plain", "_session"):
        shell.user_ns.pop(name, None)
    gc.collect()


def test_a_module_is_applied_and_undone(ready, run) -> None:
    """The module of the expression compiles once for every size, the other stays as it is, and undo brings back the class."""
    ran = run("%support_torch_compile model[0] x=0 --backend eager")
    assert ran.error is None
    assert (
        ran.text == "model[N] (Twice) compiles at its next call: PIECEWISE_COMPILE with eager, dynamic x=0\n"
    )
    run("%%inspect\nfor size in (3, 4, 5):\n    model(torch.ones(size))")
    session = ready.user_ns["_session"]
    rows = [row for row in session.applied if row.module == "model[0]"]
    assert [(row.class_name, row.dynamic_dims, len(row.compile_ids)) for row in rows] == [
        ("__main__.Twice", ("x: 0",), 1)
    ]
    assert len(session.compiles) == 1
    assert run("%support_torch_compile model[0] --undo").text == "model[N] (Twice) is what it was before\n"
    assert type(ready.user_ns["model"][0]) is ready.user_ns["Twice"]
    assert run("%support_torch_compile model[0] --undo").text == "nothing was applied to model[N] (Twice)\n"


def test_every_option_reaches_the_configuration(ready, run) -> None:
    """Mode, kind of sizes, policy and operators to split at are those of the row that a session has."""
    line = "--mode DYNAMO_TRACE_ONCE --backend eager --dynamic-shapes unbacked --dropped-guards raise --split a::b --split c::d"
    run(f"%%inspect\n%support_torch_compile model[1] x=0,-1 {line}")
    (row,) = [row for row in ready.user_ns["_session"].applied if row.module == "model[1]"]
    assert (
        row.mode,
        row.backend,
        row.dynamic_shapes,
        row.dropped_guards,
        row.splitting_ops,
        row.dynamic_dims,
    ) == (
        "DYNAMO_TRACE_ONCE",
        "eager",
        "UNBACKED",
        "raise",
        ("a::b", "c::d"),
        ("x: 0, -1",),
    )


def test_dims_are_inferred_where_none_are_given(ready, run) -> None:
    """Annotations say which arguments are tensors; without any the error asks for dims."""
    run("plain = Annotated()")
    assert "dynamic x=0\n" in run("%support_torch_compile plain --backend eager").text
    ran = run("%support_torch_compile model[0]")
    assert isinstance(ran.error, UsageError)
    assert "Please provide dynamic_arg_dims explicitly" in str(ran.error)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model[0] x", "NAME=DIM"),
        ("model[0] x=a", "NAME=DIM"),
        ("model[0] =0", "NAME=DIM"),
        ("model[0] x=0 x=1", "twice"),
        ("model[0] z=0", "Argument z not found"),
        ("model[0] x=0 --backend nonesuch", "nonesuch"),
        ("model[0] x=0 --mode FASTER", "invalid choice"),
        ("model[0] x=0 --undo", "nothing but the module"),
        ("model[0] --undo --backend eager", "nothing but the module"),
        ("torch x=0", "takes a torch.nn.Module"),
        ("", "required"),
    ],
)
def test_what_cannot_be_right_is_a_usage_error(ready, run, line: str, said: str) -> None:
    """Each wrong use is refused in a line that says what is wrong, and the module is untouched."""
    ran = run(f"%support_torch_compile {line}".rstrip())
    if "nonesuch" in line:
        ran = run("model[0](torch.ones(3))") if ran.error is None else ran
    assert isinstance(ran.error, UsageError) or "nonesuch" in line
    assert said in str(ran.error) + ran.text


def test_an_unknown_name_is_the_users_error(ready, run) -> None:
    """A name that does not exist raises NameError, as it would in a cell."""
    assert isinstance(run("%support_torch_compile nowhere x=0").error, NameError)


def test_the_views_of_the_decorator_are_offered(ready, run) -> None:
    """``--view`` shows each of the decorator's tables as text."""
    run("%support_torch_compile model[0] x=0 --backend eager")
    for view, word in (
        ("applied", "Twice"),
        ("ranges", "1 to 8192"),
        ("partitions", "whole graph"),
        ("violations", "none"),
    ):
        ran = run(f"%%inspect --view {view}\n_ = model(torch.ones(3))")
        (shown,) = [data["text/plain"] for data in ran.displayed]
        assert word in shown
