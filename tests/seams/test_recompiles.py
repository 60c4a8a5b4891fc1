"""Recompiles, live: every failing guard of every earlier entry, and nobody's code run to find them."""

from __future__ import annotations

import enum
import importlib.util
import inspect
import logging
import weakref
from collections import namedtuple
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import compile_inspector as ci
from compile_inspector.torch_seams import guard_evaluation, recompiles
from compile_inspector.torch_seams.probe import Faults

CASES = Path(__file__).parents[3] / "shared" / "cases"
RECOMPILING = (
    "all_failing_guards",
    "attribute_change",
    "dtype_change",
    "grad_mode",
    "duck_shape",
    "recompile_limit",
    "zero_one",
)
Pair = namedtuple("Pair", "left right")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def compiled(function, **options):
    torch._dynamo.reset()
    return torch.compile(function, backend=options.pop("backend", "eager"), **options)


def recorded(function, *calls, **options) -> ci.Session:
    """A session of one function called once with each tuple of arguments."""
    f = compiled(function, **options)
    with ci.record() as recorder:
        for call in calls:
            f(*call)
    return recorder.session


def last_entry(session: ci.Session):
    """The newest earlier entry of the last recompile."""
    return session.recompiles[-1].entries[0]


def changes(function, *calls, **options) -> list[tuple[str, str | None, str | None]]:
    """What failed at the last recompile, as source, expected and actual."""
    entry = last_entry(recorded(function, *calls, **options))
    assert entry.complete
    return [(failing.source, failing.expected, failing.actual) for failing in entry.failing]


def run_of(name: str):
    path = CASES / f"{name}.py"
    if not path.exists():
        pytest.skip(f"the folder of cases is not here: {path.name}")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lines = path.read_text().splitlines()
    return module, next(number for number, line in enumerate(lines, 1) if "# CAUSE" in line)


@pytest.mark.parametrize("name", RECOMPILING)
def test_a_case_gives_its_subjects_and_its_line(name: str) -> None:
    """Each recompiling case names what it expects, at the line marked as the cause, called from where it was called."""
    module, cause = run_of(name)
    with ci.record() as recorder:
        module.run()
    session = recorder.session
    expected = set(module.EXPECT.get("subjects") or [module.EXPECT["subject"]])
    for row in session.recompiles:
        for entry in row.entries:
            found = {subject for failing in entry.failing for subject in failing.subjects}
            assert found - {"L['x'].stride()[0]"} == expected
            assert {(one.location.file, one.location.line) for one in entry.failing} == {
                (module.__file__, cause)
            }
            assert entry.complete
            assert entry.torch_reason
        assert (row.trigger.file, row.trigger.function) == (module.__file__, "run")
    assert len(session.recompiles) == (8 if name == "recompile_limit" else 1)
    assert session.losses == ()


def test_every_argument_that_changed_is_named() -> None:
    """Four arguments change at once, and each side of each is a row of its own."""

    def combine(x, scale, mode, flag):
        x = x * scale
        return x + 1 if flag and mode == "up" else x

    found = changes(
        combine, (torch.ones(2, 3), 2, "up", True), (torch.ones(4, 5), 7, "down", False), dynamic=False
    )
    assert sorted(found) == [
        ("L['flag']", "True", "False"),
        ("L['mode']", "'up'", "'down'"),
        ("L['scale']", "2", "7"),
        ("L['x'].size()[0]", "2", "4"),
        ("L['x'].size()[1]", "3", "5"),
    ]


def test_each_side_of_a_tensor_is_told_apart() -> None:
    """A tensor that differs in dtype, gradient and rank gives three rows, strides none where they follow from the sizes."""
    wide = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    assert changes(lambda x: x * 2, (torch.ones(4),), (wide,)) == [
        ("L['x']", "dtype float32", "dtype float64"),
        ("L['x']", "requires_grad False", "requires_grad True"),
        ("L['x']", "1 dimension", "2 dimensions"),
    ]
    transposed = changes(lambda x: x * 2, (torch.ones(4, 5),), (torch.ones(5, 4).t(),))
    assert transposed == [("L['x'].stride()[0]", "5", "1"), ("L['x'].stride()[1]", "1", "4")]


def test_a_ragged_tensor_is_told_by_its_sizes() -> None:
    """A nested tensor has no strides to hold against those of the compile: what is told are its sizes, and nothing is lost."""
    first, second = (
        torch.nested.nested_tensor([torch.ones(n + 1, 2) for n in range(count)], layout=torch.jagged)
        for count in (3, 4)
    )
    session = recorded(lambda x: x * 2, (first,), (second,))
    assert session.losses == ()
    assert ("L['x'].size()[0]", "3", "4") in {
        (guard.source, guard.expected, guard.actual) for guard in last_entry(session).failing
    }


def test_a_shape_relation_gives_every_size_that_it_reads() -> None:
    """A check of two sizes names both, with both values."""

    def f(x, y):
        return x.sum() + y.sum() if x.shape[0] * 2 == y.shape[0] else x.sum()

    entry = last_entry(
        recorded(f, (torch.ones(3), torch.ones(6)), (torch.ones(3), torch.ones(7)), dynamic=True)
    )
    (failing,) = entry.failing
    assert failing.subjects == ("L['y'].size()[0]", "L['x'].size()[0]")
    assert failing.actual == "L['y'].size()[0] = 7, L['x'].size()[0] = 3"
    assert failing.location.code.startswith("return x.sum()")


def test_a_range_says_which_end_was_left() -> None:
    """A bound that a branch put on a size is said as a bound."""
    found = changes(
        lambda x: x * 2 if x.shape[0] > 3 else x * 3, (torch.ones(6),), (torch.ones(2),), dynamic=True
    )
    assert found == [("L['x'].size()[0]", ">= 4", "2")]


def windowed(x, window=8):
    y = x + 1
    if y.shape[0] >= window:
        return y.sum()
    return y[-window + 2 :]


def pinned_by_window(x, window=8):
    y = x + 1
    if y.shape[0] >= window:
        return y.sum()
    return y[-window + 1 :]


def test_each_end_of_a_range_has_its_own_line() -> None:
    """Of a range whose bounds two lines set, the line is that of the bound which a call goes past, in the finding too."""
    session = recorded(windowed, *((torch.ones(size),) for size in (3, 4, 6, 9, 5)))
    left = [one.nearest.failing[0] for one in session.recompiles[1:]]
    assert [(one.expected, one.actual) for one in left] == [("<= 5", "6"), ("<= 7", "9")]
    assert [one.location.code for one in left] == ["return y[-window + 2 :]", "if y.shape[0] >= window:"]
    causes = {one.cause.code for one in session.findings if one.kind == "recompile"}
    assert causes == {"return y[-window + 2 :]", "if y.shape[0] >= window:"}


def test_a_size_between_two_bounds_is_not_said_to_be_needed_as_a_number() -> None:
    """Where comparisons leave one value, each range compiles once, as the fix says: a call within one of them compiles nothing."""
    sizes = (3, 4, 7, 9, 5, 12, 20)
    session = recorded(pinned_by_window, *((torch.ones(size),) for size in sizes))
    (found,) = (one for one in session.findings if one.kind == "specialization")
    assert "for each range of L['x'].size()[0] (twice)" in found.title
    assert "each range is compiled once" in found.fix.note
    assert [one.bound is None for one in session.specializations] == [False]
    assert len(session.compiles) == 4
    within = recorded(pinned_by_window, *((torch.ones(size),) for size in (9, 10, 12, 20)))
    assert [one.kind for one in within.findings] == ["static-first"]


def test_guards_behind_a_length_or_a_type_are_not_judged() -> None:
    """A list that grew and an argument of another type hide the guards on what is inside, with the reason."""
    entry = last_entry(
        recorded(lambda x, pair: x * pair[0] * pair[1], (torch.ones(2), [1, 2]), (torch.ones(2), [1, 2, 3]))
    )
    assert [(one.source, one.expected, one.actual) for one in entry.failing] == [
        ("L['pair']", "length 2", "length 3")
    ]
    assert {(one.source, one.reason) for one in entry.unevaluated} == {
        ("L['pair'][0]", "the length of L['pair'] differs"),
        ("L['pair'][1]", "the length of L['pair'] differs"),
    }
    entry = last_entry(
        recorded(
            lambda x, p: x * p.left,
            (torch.ones(2), Pair(1, 2)),
            (torch.ones(2), type("Other", (), {"left": 1})()),
        )
    )
    first = entry.failing[0]
    assert (first.kind, first.expected, first.actual) == ("TYPE_MATCH", full_name(Pair), f"{__name__}.Other")
    assert "the type of L['p'] differs" in {one.reason for one in entry.unevaluated}


def test_dicts_are_judged_by_length_key_and_value() -> None:
    """A dict that grew, one with another key and one with another value each say so."""

    def total(x, d):
        return x * sum(d.values())

    x = torch.ones(2)
    assert changes(total, (x, {"a": 1}), (x, {"a": 1, "b": 2})) == [("L['d']", "length 1", "length 2")]
    assert changes(total, (x, {"a": 1}), (x, {"b": 1})) == [("list(dict.keys(L['d']))[0]", "'a'", "'b'")]
    assert changes(total, (x, {"a": 1}), (x, {"a": 2})) == [("L['d']['a']", "1", "2")]


def test_a_dict_with_some_keys_guarded_has_the_length_that_it_had() -> None:
    """Where torch guards the first keys only, an unchanged dict is not said to have grown; one that grew is, from its own length."""
    held = {int: 1, str: 2, list: 3, dict: 4}

    def pick(x):
        return x + 1 if held.get(str) else x

    assert changes(pick, (torch.ones(2),), (torch.ones(3),)) == [("L['x'].size()[0]", "2", "3")]
    f = compiled(pick, dynamic=False)
    with ci.record() as recorder:
        f(torch.ones(2))
        held[set] = 5
        f(torch.ones(3))
    failing = [(one.expected, one.actual) for one in last_entry(recorder.session).failing]
    assert sorted(failing) == [("2", "3"), ("length 4", "length 5")]


def test_identities_have_names() -> None:
    """Objects compared by identity are named: a member of an enumeration, a class, a function's code."""

    def choose(x, what):
        return x * 2 if what is Colour.RED or what is int else x * 3

    x, colour = torch.ones(2), full_name(Colour)
    assert changes(choose, (x, Colour.RED), (x, Colour.BLUE)) == [
        ("L['what']", f"{colour}.RED", f"{colour}.BLUE")
    ]

    def call(x, function):
        return function(x)

    ((source, expected, actual),) = changes(call, (x, lambda t: t + 1), (x, lambda t: t + 2))
    assert source == "L['function'].__code__"
    assert expected.startswith("test_identities_have_names.<locals>.<lambda> at ")
    assert expected != actual
    assert str(Path(__file__)) in actual


def full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def test_settings_of_torch_are_spelt_out() -> None:
    """Autocast, default dtype, deterministic algorithms and the default device are named with both values."""
    f = compiled(lambda x: x * 2)
    x = torch.ones(2)
    with ci.record() as recorder:
        f(x)
        with torch.autocast("cpu"):
            f(x)
        torch.set_default_dtype(torch.float64)
        try:
            f(x)
        finally:
            torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(True)
        try:
            f(x)
        finally:
            torch.use_deterministic_algorithms(False)
        torch.set_default_device("cpu")
        try:
            f(x)
        finally:
            torch.set_default_device(None)
    against_first = [row.entries[-1] for row in recorder.session.recompiles]
    found = [[(one.source, one.expected, one.actual) for one in entry.failing] for entry in against_first]
    assert found[0][0] == ("autocast(cpu)_enabled", "False", "True")
    assert found[1] == [("default_dtype", "float32", "float64")]
    assert found[2] == [("deterministic_algorithms", "False", "True")]
    assert ("default_device", "None", "device(type='cpu')") in found[3]
    assert all(
        one.location is not None and one.location.file == __file__
        for entry in against_first
        for one in entry.failing
    )


def test_tensors_that_became_one_are_named() -> None:
    """Two arguments that are now the same tensor, and two that no longer are."""
    x, y = torch.ones(2), torch.ones(2)
    session = recorded(lambda x, y: x * y, (x, y), (x, x))
    (failing,) = last_entry(session).failing
    assert (failing.subjects, failing.expected) == (("L['x']", "L['y']"), "different tensors")
    session = recorded(lambda x, y: x * y, (x, x), (x, y))
    (failing,) = last_entry(session).failing
    assert (failing.subjects, failing.actual) == (("L['x']", "L['y']"), "different objects")


def test_another_backend_is_a_reason() -> None:
    """With all guards met, the backend is named as what differs."""

    def f(x):
        return x * 2

    with ci.record() as recorder:
        compiled(f)(torch.ones(2))
        torch.compile(f, backend="aot_eager")(torch.ones(2))
    (failing,) = last_entry(recorder.session).failing
    assert (failing.source, failing.kind) == ("backend", "BACKEND_MATCH")
    assert (failing.expected, failing.actual) == ("backend 'eager'", "backend 'aot_eager'")


def test_marks_on_dimensions_are_a_reason() -> None:
    """A tensor marked dynamic after a call without marks names the mark."""
    marked = torch.ones(4)
    torch._dynamo.mark_dynamic(marked, 0)
    ((source, expected, actual),) = changes(lambda x: x * 2, (torch.ones(4),), (marked,))
    assert source == "L['x']"
    assert expected.startswith("no ")
    assert expected.endswith("_dynamo_dynamic_indices")
    assert "_dynamo_dynamic_indices" in actual
    assert not actual.startswith("no ")


class Spy:
    """Counts every call of its code."""

    calls: ClassVar[list[str]] = []

    def __init__(self, n: int) -> None:
        self.__dict__["n"] = n

    @property
    def twice(self) -> int:
        self.calls.append("twice")
        return 2 * self.n

    def __eq__(self, other: object) -> bool:
        self.calls.append("__eq__")
        raise RuntimeError("compared")

    def __hash__(self) -> int:
        self.calls.append("__hash__")
        return 1

    def __len__(self) -> int:
        self.calls.append("__len__")
        return 2

    def __repr__(self) -> str:
        self.calls.append("__repr__")
        return "spy"

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        raise AttributeError(name)


def twice_of(x, o):
    return x * o.twice


def number_of(x, o):
    return x * o.n


def scaled(x, o):
    return x * o if isinstance(o, int) else x * 3


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [(twice_of, Spy(2), Spy(3)), (number_of, Spy(2), Spy(3)), (scaled, 2, Spy(3)), (scaled, [2], Spy(3))],
)
def test_no_code_of_an_object_is_run(monkeypatch: pytest.MonkeyPatch, function, first, second) -> None:
    """Properties, ``__eq__``, ``__hash__``, ``__len__``, ``__repr__`` and ``__getattr__`` of what a call brings are never called."""
    during = watch(monkeypatch, Spy.calls)
    session = recorded(function, (torch.ones(2), first), (torch.ones(2), second))
    assert last_entry(session).failing
    assert during == []
    assert session.losses == ()


def watch(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> list[str]:
    """What is added to ``calls`` while the seam observes."""
    during: list[str] = []
    observe = recompiles._observe

    def watched(*args) -> None:
        before = len(calls)
        observe(*args)
        during.extend(calls[before:])

    monkeypatch.setattr(recompiles, "_observe", watched)
    return during


def test_a_torch_function_mode_of_the_user_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors are read with every torch function mode switched off, and the mode itself is a reason."""
    seen: list[str] = []

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, kinds, args=(), kwargs=None):
            note(getattr(function, "__name__", "?"))
            return function(*args, **(kwargs or {}))

    @torch._dynamo.disable
    def note(name: str) -> None:
        seen.append(name)

    during = watch(monkeypatch, seen)
    f = compiled(twice)
    wide = torch.ones(4)
    with ci.record() as recorder:
        f(torch.ones(3))
        with Mode():
            f(wide)
    assert during == []
    found = {one.source: one.actual for one in last_entry(recorder.session).failing}
    assert found["L['x'].size()[0]"] == "4"
    assert found["torch_function_mode_stack"].endswith("Mode")


def test_a_tensor_class_of_the_user_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor class with a ``__torch_function__`` of its own is read without it."""
    seen: list[str] = []

    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, kinds, args=(), kwargs=None):
            seen.append(getattr(function, "__name__", "?"))
            return super().__torch_function__(function, kinds, args, kwargs or {})

    during = watch(monkeypatch, seen)
    calls = [(torch.ones(n).as_subclass(Loud),) for n in (3, 4)]
    assert ("L['x'].size()[0]", "3", "4") in changes(twice, *calls)
    assert during == []


def test_a_call_that_changes_nothing_fails_no_guard() -> None:
    """Held against the very call it was compiled for, an entry of a module with containers has no failing guard."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(3))
            self.register_buffer("bias", torch.ones(4))
            self.config = {"scale": 2, "sizes": [1, 2]}
            self.pair = Pair(1, 2)
            self.part = torch.nn.Sequential(torch.nn.ReLU())

        def forward(self, x, *, k="a", items=(1, 2)):
            for layer in self.layers:
                x = layer(x)
            return self.part(x) * self.config["sizes"][1] * self.pair.left * len(k) * items[0] + self.bias

    net, x = Net(), torch.ones(2, 4)
    compiled(net)(x)
    (held,) = torch._dynamo.eval_frame._debug_get_cache_entry_list(Net.forward.__code__)
    given = {"self": net, "x": x, "k": "a", "items": (1, 2)}
    evaluation = guard_evaluation.Evaluation(held.guard_manager, given, globals())
    evaluation.run()
    assert (evaluation.failing, evaluation.unevaluated) == ([], [])
    net.config["scale"], net.config["sizes"] = 3, [1, 5]
    again = guard_evaluation.Evaluation(held.guard_manager, {**given, "x": torch.ones(3, 4)}, globals())
    again.run()
    assert {(one.source, one.actual) for one in again.failing} == {
        ("L['x'].size()[0]", "3"),
        ("L['self'].config['sizes'][1]", "5"),
    }


class Plain:
    """Has an attribute or has it not."""


def test_an_attribute_that_came_or_went_is_named() -> None:
    """A guard on the absence of an attribute, and one on its presence, each say so."""

    def f(x, o):
        return x * 2 if hasattr(o, "extra") else x * 3

    without, having = Plain(), Plain()
    having.extra = 1
    x = torch.ones(2)
    assert changes(f, (x, without), (x, having)) == [("L['o']", "no attribute extra", "attribute extra")]
    assert changes(f, (x, having), (x, without)) == [("L['o'].extra", "there", "missing")]


def test_a_weak_reference_that_died_is_named() -> None:
    """An object that was reached by a weak reference and is gone fails with the words alive and gone."""

    def f(x, reference):
        o = reference()
        return x * 2 if o is None else x * o.extra

    held = Plain()
    held.extra = 4
    reference = weakref.ref(held)
    g = compiled(f)
    with ci.record() as recorder:
        g(torch.ones(2), reference)
        del held
        g(torch.ones(2), reference)
    found = [
        (one.source, one.actual) for row in recorder.session.recompiles for one in row.entries[0].failing
    ]
    assert any(source.startswith("L['reference']") for source, _ in found)


def test_nothing_of_the_call_is_kept() -> None:
    """A tensor that made code recompile is freed as soon as the user lets go of it."""
    f = compiled(twice)
    with ci.record():
        f(torch.ones(3))
        tensor = torch.ones(4, dtype=torch.float64)
        f(tensor)
        gone = weakref.ref(tensor)
        del tensor
        assert gone() is None


def test_only_the_newest_entries_are_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap an entry keeps torch's first reason, says that it was not evaluated, and is not taken for the nearest."""
    monkeypatch.setattr(recompiles, "EVALUATED", 2)
    session = recorded(lambda x, k: x * len(k), *((torch.ones(2), "a" * n) for n in range(1, 5)))
    row = session.recompiles[-1]
    assert [entry.entry_id for entry in row.entries] == ["0/2", "0/1", "0/0"]
    assert [entry.complete for entry in row.entries] == [True, True, False]
    assert row.entries[-1].failing[0].source == "L['k']"
    assert row.entries[-1].unevaluated[0].reason == "only the newest 2 entries are evaluated"
    assert row.nearest is row.entries[0]


def test_entries_from_before_the_recorder_are_evaluated() -> None:
    """A recompile against code compiled before the recording began has that code's failing guards."""
    f = compiled(lambda x: x * 2)
    f(torch.ones(3))
    with ci.record() as recorder:
        f(torch.ones(3, dtype=torch.float64))
    (entry,) = recorder.session.recompiles[-1].entries
    assert (entry.entry_id, entry.complete) == ("0/0", True)
    assert [(one.source, one.actual) for one in entry.failing] == [("L['x']", "dtype float64")]


def test_an_id_used_again_after_a_reset_means_the_newer_compile() -> None:
    """After a reset torch counts from 0/0 again: the entry is the newer of the two compiles."""
    with ci.record() as recorder:
        for _ in range(2):
            f = compiled(lambda x: x * 2)
            f(torch.ones(3))
            f(torch.ones(4))
    session = recorder.session
    assert [row.compile_id for row in session.recompiles] == ["0/1", "0/1#2"]
    assert [row.entries[0].entry_id for row in session.recompiles] == ["0/0", "0/0#2"]


def test_an_error_on_recompile_is_the_same_error_and_is_explained() -> None:
    """With ``error_on_recompile`` the user gets torch's error, and the session still has every failing guard."""
    f = compiled(lambda x, k: x * k)
    with torch._dynamo.config.patch(error_on_recompile=True):
        with ci.record() as recorder:
            f(torch.ones(3), 2)
            with pytest.raises(torch._dynamo.exc.RecompileError) as told:
                f(torch.ones(3, dtype=torch.float64), 2.5)
        with pytest.raises(torch._dynamo.exc.RecompileError) as bare:
            f(torch.ones(3, dtype=torch.float64), 2.5)
    assert str(told.value) == str(bare.value)
    (row,) = recorder.session.recompiles
    assert {one.source for one in row.entries[0].failing} == {"L['x']", "L['k']"}
    assert row.trigger.file == __file__


def test_a_stance_that_forbids_recompiles_is_explained() -> None:
    """Under ``fail_on_recompile`` torch compiles nothing and raises; the failing guards are recorded all the same."""
    f = compiled(lambda x, k: x * k)
    with ci.record() as recorder:
        f(torch.ones(3), 2)
        with (
            torch.compiler.set_stance("fail_on_recompile"),
            pytest.raises(RuntimeError, match="Detected recompile"),
        ):
            f(torch.ones(3), 3)
    (row,) = recorder.session.recompiles
    assert (row.compile_id, row.entries[0].entry_id) == ("0/1", "0/0")
    assert [one.source for one in row.entries[0].failing] == ["L['k']"]


def test_a_fault_in_evaluating_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When evaluating breaks, the result and torch's own reason are right, and the fault is counted."""

    def broken(evaluation) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(guard_evaluation.Evaluation, "run", broken)
    f = compiled(lambda x: x * 2)
    with ci.record() as recorder:
        f(torch.ones(3))
        assert torch.equal(f(torch.ones(4)), torch.full((4,), 2.0))
    session = recorder.session
    entry = last_entry(session)
    assert entry.torch_reason == "tensor 'x' size mismatch at index 0. expected 3, actual 4"
    assert [(one.source, one.expected, one.actual) for one in entry.failing] == [
        ("L['x'].size()[0]", "3", "4")
    ]
    assert not entry.complete
    assert [(loss.where, loss.count) for loss in session.losses] == [("recompiles", 1)]
    assert "planted" in session.losses[0].what


def test_a_saved_session_has_the_same_recompiles(tmp_path: Path) -> None:
    """Live and from the saved log, the table is equal."""
    session = recorded(lambda x, k: x * k, (torch.ones(3), 2), (torch.ones(4), 3))
    session.save(tmp_path / "trace.log")
    assert ci.load(tmp_path / "trace.log").recompiles == session.recompiles


def test_a_log_without_our_facts_has_torchs_reason() -> None:
    """From torch's own records alone the row has the first failing guard, with its line, and says that it is not complete."""
    from compile_inspector.recording.assemble import assemble

    session = recorded(lambda x, k: x * k, (torch.ones(3), 2), (torch.ones(4), 2))
    plain = [one for one in session._records() if not (one.artifact or "").startswith("compile_inspector.")]
    (row,) = assemble(plain).recompiles
    (entry,) = row.entries
    assert (entry.entry_id, entry.complete, len(entry.failing)) == ("0/0", False, 1)
    assert [(one.source, one.expected, one.actual) for one in entry.failing] == [
        ("L['x'].size()[0]", "3", "4")
    ]


def test_the_seam_puts_back_what_it_found() -> None:
    """Both holders of torch's function get it back, and a wrapper somebody else kept passes calls through."""
    import torch._dynamo.convert_frame as convert_frame
    import torch._dynamo.guards as guards

    before = (
        convert_frame.get_and_maybe_log_recompilation_reasons,
        guards.get_and_maybe_log_recompilation_reasons,
    )
    said: list[str] = []
    undo = recompiles.install(lambda name, payload, compile_id=None: said.append(name), Faults())
    kept = convert_frame.get_and_maybe_log_recompilation_reasons
    assert kept is not before[0]
    undo()
    after = (
        convert_frame.get_and_maybe_log_recompilation_reasons,
        guards.get_and_maybe_log_recompilation_reasons,
    )
    assert all(found is original for found, original in zip(after, before, strict=True))
    none = [] if "cache_entries" in inspect.signature(before[0]).parameters else None
    assert kept(none, type("Frame", (), {"f_locals": {}, "f_code": None})(), None, True) == []
    assert said == []


def test_torchs_reasons_are_returned_as_they_are() -> None:
    """What torch writes into its own trace is the same with and without the seam."""

    def reasons(*, recording: bool) -> list[str]:
        texts: list[str] = []

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if getattr(record, "metadata", {}).get("artifact", {}).get("name") == "recompile_reasons":
                    texts.append(record.payload)

        listener, logger = Listener(), logging.getLogger("torch.__trace")
        logger.addHandler(listener)
        try:
            f = compiled(twice)
            if recording:
                with ci.record():
                    f(torch.ones(3)), f(torch.ones(4))
            else:
                f(torch.ones(3)), f(torch.ones(4))
        finally:
            logger.removeHandler(listener)
        return texts

    assert reasons(recording=True) == reasons(recording=False) != []


def twice(x):
    return x * 2
