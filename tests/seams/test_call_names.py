"""What stands in the user's call: read where that call is the one of the compiled code, and told where torch wraps it."""

from __future__ import annotations

import functools

import pytest
import torch

import compile_inspector as ci
from compile_inspector.model.compiles import Call
from compile_inspector.torch_seams import calls


def double(x, *, by=2):
    return x * by


def through(function, x):
    return function(x)


def recorded(call) -> ci.Session:
    with ci.record() as recorder:
        call()
    assert recorder.session.losses == ()
    return recorder.session


def test_a_call_is_read_over_its_lines() -> None:
    """The call's source is that of the call alone, within a larger expression and over several lines."""
    compiled = torch.compile(double, backend="eager")
    session = recorded(
        lambda: compiled(
            torch.ones(3),
            by=3,
        ).sum()
    )
    (row,) = session.compiles
    assert row.call is not None
    assert row.call.text.split() == ["compiled(", "torch.ones(3),", "by=3,", ")"]
    assert (row.call.parameters, row.call.module) == (("x",), False)


def test_a_module_knows_that_it_is_one() -> None:
    """Of a module's call the parameters begin with self, and what is called stands for it."""
    module = torch.compile(torch.nn.Sequential(torch.nn.Linear(3, 3)), backend="eager")
    (row,) = recorded(lambda: module(torch.ones(2, 3))).compiles
    assert row.call == Call("module(torch.ones(2, 3))", ("*args",), module=True)


def passed_on(method):
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        return method(*args, **kwargs)

    return wrapper


class Wrapped(torch.nn.Module):
    @passed_on
    def forward(self, x):
        return x * 2

    @passed_on
    def other(self, x):
        return x * 3


def test_a_wrapped_method_knows_that_it_is_bound() -> None:
    """A decorator around a method takes the object among the arguments; one around a function, or torch's own, takes none."""
    module = Wrapped()
    whole, part = torch.compile(module, backend="eager"), torch.compile(module.other, backend="eager")
    free = torch.compile(passed_on(double), backend="eager")
    own = Wrapped()
    own.forward = passed_on(double)
    alone = torch.compile(own, backend="eager")
    calls = []
    for run in (whole, part, free, alone):
        torch._dynamo.reset()
        (row,) = recorded(lambda run=run: run(torch.ones(3))).compiles
        calls.append(row.call)
    assert [call.parameters for call in calls] == [("*args",)] * 4
    assert [call.bound for call in calls] == [True, True, False, False]
    torch._dynamo.reset()
    module.compile(backend="eager")
    (row,) = recorded(lambda: module(torch.ones(3))).compiles
    assert row.call.bound


class Twice(torch.nn.Module):
    @passed_on
    @passed_on
    def forward(self, x):
        torch._dynamo.graph_break()
        return x + 1


def test_decorated_code_has_the_name_of_what_was_decorated() -> None:
    """A finding speaks of the module's method or the function that a decorator stands around, also of one that another frame calls."""
    module = Wrapped()
    named = {
        "Wrapped.forward": (torch.compile(module, backend="eager"), ["Wrapped.forward"]),
        "Wrapped.other": (torch.compile(module.other, backend="eager"), ["Wrapped.other"]),
        "double": (torch.compile(passed_on(double), backend="eager"), ["double"]),
        "plain": (torch.compile(double, backend="eager"), ["double"]),
        "twice": (torch.compile(Twice(), backend="eager"), ["Twice.forward", "Twice.forward", "forward"]),
    }
    for label, (run, expected) in named.items():
        torch._dynamo.reset()
        session = recorded(lambda run=run: run(torch.ones(3)))
        names = [row.function for row in session.compiles if "resume" not in (row.function or "")]
        assert names[-len(expected) :] == expected, label
    assert [row.meant for row in session.compiles][-1] is None


def test_code_that_decorators_share_keeps_its_own_name() -> None:
    """Where one decorator's code was compiled for several functions, a finding about all of them names that code."""
    torch._dynamo.reset()
    first, second = Wrapped(), Twice()
    calls = [torch.compile(one, backend="eager") for one in (first, second)]

    def both() -> None:
        for call in calls:
            call(torch.ones(3))

    session = recorded(both)
    titles = [finding.title for finding in session.findings if finding.kind == "recompile"]
    assert titles
    assert all(title.startswith("wrapper was compiled again") for title in titles)


def with_self(method):
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        return method(self, *args, **kwargs)

    return wrapper


class Bound(torch.nn.Module):
    @with_self
    def forward(self, x):
        return x * 2


def test_a_decorator_that_takes_self_counts_the_arguments_behind_it() -> None:
    """Behind ``self`` the first of ``*args`` is the user's first argument, in the sentence and in the fix."""
    module = torch.compile(Bound(), backend="eager")

    def grow() -> None:
        for size in (3, 4): module(torch.ones(size))  # fmt: skip  # noqa: E701

    (finding,) = recorded(grow).findings
    assert finding.title.startswith("Bound.forward was compiled again")
    assert "dimension 0 of the first argument of module" in finding.title
    assert finding.fix.code == "torch._dynamo.mark_dynamic(x, 0)"
    assert "where x is the first argument of module" in finding.fix.note


def test_each_argument_without_a_name_has_its_own_in_a_fix() -> None:
    """Where no line can be rewritten, two arguments that only a decorator's ``*args`` holds get two names, each told."""
    run = torch.compile(passed_on(lambda a, b: a.sum() + b.sum()), backend="eager")

    def grow() -> None:
        for size in (3, 4): run(torch.ones(size), torch.ones(size + 7))  # fmt: skip  # noqa: E701

    (finding,) = recorded(grow).findings
    marks = "torch._dynamo.mark_dynamic(x, 0)\ntorch._dynamo.mark_dynamic(x1, 0)"
    assert finding.fix.code == marks
    assert "x is the first argument of run and x1 is the second argument of run" in finding.fix.note


def test_a_wrapped_methods_argument_is_counted_as_the_user_does() -> None:
    """Of a module whose method a decorator wraps, a finding names the user's argument and lines that can be pasted."""
    module = torch.compile(Wrapped(), backend="eager")

    def grow() -> None:
        for size in (3, 4):
            module(torch.ones(size))

    (finding,) = recorded(grow).findings
    assert "dimension 0 of the first argument of module" in finding.title


def test_a_call_that_torch_makes_is_not_the_users() -> None:
    """Compiled code that a module of torch's own calls has no call of the user's: what the user passes is passed to that module."""
    inner = torch.compile(torch.nn.Linear(3, 3), backend="eager")
    outer = torch.nn.Sequential(inner)
    (row,) = recorded(lambda: outer(torch.ones(2, 3))).compiles
    assert row.call is None
    assert row.trigger.code == "(row,) = recorded(lambda: outer(torch.ones(2, 3))).compiles"


def test_the_innermost_call_counts() -> None:
    """Where the user's own function passes it on, that function's line is the call."""
    compiled = torch.compile(double, backend="eager")
    (row,) = recorded(lambda: through(compiled, torch.ones(3))).compiles
    assert (row.call.text, row.trigger.code) == ("function(x)", "return function(x)")


def test_what_torch_wraps_is_told_by_the_users_call(tmp_path) -> None:
    """A Sequential's input is no ``args[0]`` to the user: the finding speaks of the call's argument, at its line, with its name."""
    net = torch.compile(torch.nn.Sequential(torch.nn.Linear(3, 3)), backend="eager")

    def growing():
        batch = torch.ones(2, 3)
        net(batch)
        batch = torch.ones(4, 3)
        net(batch)

    session = recorded(growing)
    (found,) = session.findings
    assert found.kind == "static-first"
    assert found.title.startswith(
        "net was compiled again (once) because dimension 0 of the first argument of net changed"
    )
    assert found.fix.code == "torch._dynamo.mark_dynamic(batch, 0)"
    assert found.cause.code == "net(batch)"
    assert session.try_fix(found, growing).works
    assert ci.load(session.save(tmp_path / "trace.log")).findings == session.findings


def test_a_call_in_code_that_dynamo_made_is_read_from_its_line() -> None:
    """After a graph break the user's frame runs code of Dynamo's, which knows lines only."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # puts a wrapper of its own around the optimizer's step

    @torch.compile(backend="eager")
    def step():
        optimizer.step()

    def steps() -> None:
        for rate in (0.1, 0.2):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
            step()

    (finding,) = (one for one in recorded(steps).findings if one.kind == "recompile")
    assert finding.fix.code == (
        "for group in optimizer.param_groups:\n    group['lr'] = torch.as_tensor(group['lr'])"
    )


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("    optimizer.step()\n", "optimizer.step()"),
        ("y = net(x)  # net(y)", "net(x)"),
        ("y = net(other(x))", None),
        ("for x in data: net(x)", "net(x)"),
        ("net(x", None),
        ("x + y", None),
        ("", None),
        ("f(" * 2000, None),
    ],
)
def test_a_line_with_one_call_has_that_call(line: str, call: str | None) -> None:
    """Where there are several, or none that can be read, nothing is guessed."""
    assert calls._only_call(line) == call
