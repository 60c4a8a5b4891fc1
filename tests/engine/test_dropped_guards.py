from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine import dropped_guards, narration
from compile_inspector.errors import GuardViolation
from compile_inspector.torch_seams import trace
from engine.models import Branch, Layer, Scaled, config, numbers


class Optional(torch.nn.Module):
    """Adds what may be None."""

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return x if y is None else x + y


class Trained(torch.nn.Module):
    """Another answer while training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if self.training else x * 3


class Rated(torch.nn.Module):
    """Multiplies by a global."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * RATE


class Named(torch.nn.Module):
    """Multiplies by the length of a text, which torch takes for a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * len(self.name)


RATE = 2.0
X = numbers(1, 2, 3)


def attribute(model: Any) -> None:
    model.scale = 9.0


def evaluation(model: Any) -> None:
    model.eval()


def nothing(model: Any) -> None:
    pass


CASES = {
    "size": (Branch, (numbers(1, 2, 3, 4),), (X,), nothing, "L['x'].size()[0]"),
    "none": (Optional, (X, None), (X, X), nothing, "L['y']"),
    "value": (Scaled, (X, 2), (X, 5), nothing, "L['times']"),
    "attribute": (Scaled, (X,), (X,), attribute, "L['self'].scale"),
    "train/eval": (Trained, (X,), (X,), evaluation, "L['self'].training"),
    "dtype": (Scaled, (X,), (X.double(),), nothing, "L['x']"),
}


def apply(make: Any, policy: str, **settings: Any) -> Any:
    """The model, applied to, and the Applied."""
    model = make()
    return model, ci.apply(
        model, dynamic_arg_dims={"x": 0}, vllm_config=config(dropped_guards=policy, **settings)
    )


def violations(applied: Any) -> list[dict[str, Any]]:
    """What the engine tells of this module's violations."""
    return [payload for name, payload, _ in applied._program.facts() if name == "violations"]


@pytest.mark.parametrize("category", list(CASES))
def test_by_default_a_violation_compiles_anew_and_is_recorded(category: str):
    """Each class of the original's silent wrong answers gives the right one, and a record of what was violated."""
    make, first, second, change, source = CASES[category]
    model, applied = apply(make, "recompile")
    model(*first)
    change(model)
    answer = model(*second)
    assert torch.equal(make.forward(model, *second), answer)
    (told,) = violations(applied)
    assert (told["source"], told["category"], told["action"], told["count"]) == (
        source,
        category,
        "recompiled",
        1,
    )
    assert told["compile_id"].endswith("/0")
    assert torch.equal(make.forward(model, *second), model(*second))
    assert len(applied._program.entries) == 2


@pytest.mark.parametrize("category", list(CASES))
def test_under_raise_a_violation_is_an_error_that_names_it(category: str):
    """The error names the source, and each time is counted."""
    make, first, second, change, source = CASES[category]
    model, applied = apply(make, "raise")
    model(*first)
    change(model)
    for count in (1, 2):
        with pytest.raises(GuardViolation) as raised:
            model(*second)
        assert source in str(raised.value).replace('"', "'")
        assert [told["count"] for told in violations(applied)] == [count]
        assert violations(applied)[0]["action"] == "raised"


@pytest.mark.parametrize("category", ["size", "none", "value", "attribute", "train/eval"])
def test_under_ignore_the_answer_is_the_originals(category: str):
    """Nothing is checked and nothing recorded: what was compiled first answers, as in the original, wrong as it is."""
    make, first, second, change, _ = CASES[category]
    model, applied = apply(make, "ignore")
    model(*first)
    change(model)
    assert not torch.equal(make.forward(model, *second), model(*second))
    assert violations(applied) == []


def test_a_global_that_changes_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """G['RATE'] is a value that a compile closed over."""
    model, applied = apply(Rated, "recompile")
    assert model(X).tolist() == [2, 4, 6]
    monkeypatch.setitem(globals(), "RATE", 5.0)
    assert model(X).tolist() == [5, 10, 15]
    (told,) = violations(applied)
    assert (told["source"], told["category"], told["actual"]) == ("G['RATE']", "value", "5.0")


def test_grad_mode_is_global_state():
    """Compiled without gradients, called with them: another compile, and the gradient is there."""
    model, applied = apply(Layer, "recompile")
    with torch.no_grad():
        model(torch.ones(3, 4))
    model(torch.ones(3, 4)).sum().backward()
    assert model.linear.weight.grad is not None
    assert [told["category"] for told in violations(applied)] == ["global state"]


def test_every_guard_of_a_compile_is_kept_and_classified():
    """The categories that a small layer has, with the user's line behind the size guard."""
    model, applied = apply(Branch, "recompile")
    model(numbers(1, 2, 3, 4))
    (told,) = [payload for name, payload, _ in applied._program.facts() if name == "dropped_guards"]
    assert told["checked"] == "all"
    by = {guard["expr"]: guard for guard in told["guards"]}
    size = by["4 <= L['x'].size()[0]"]
    assert (size["source"], size["kind"], size["category"]) == ("L['x'].size()[0]", "SHAPE_ENV", "size")
    assert size["location"]["file"].endswith("/tests/engine/models.py")
    assert size["location"]["code"] == "return x * 2 if len(x) >= 4 else x * 100"
    assert {"global state", "dtype", "size"} <= {guard["category"] for guard in told["guards"]}
    assert all(guard["source"] or guard["category"] == "global state" for guard in told["guards"])


def test_what_each_policy_checks_is_told():
    """Nothing under "ignore", or with evaluate_guards the sizes."""
    checked = []
    for policy, evaluate in (("recompile", False), ("raise", False), ("ignore", False), ("ignore", True)):
        model, applied = apply(
            Branch, policy, dynamic_shapes_config=ci.DynamicShapesConfig(evaluate_guards=evaluate)
        )
        model(numbers(1, 2, 3, 4))
        checked += [
            payload["checked"] for name, payload, _ in applied._program.facts() if name == "dropped_guards"
        ]
    assert checked == ["all", "all", "none", "size"]


def test_entries_are_kept_and_found_again():
    """After both sides were compiled neither is compiled again, whichever comes."""
    model, applied = apply(Branch, "recompile")
    for _ in range(3):
        assert model(numbers(1, 2, 3, 4)).tolist() == [2, 4, 6, 8]
        assert model(X).tolist() == [100, 200, 300]
    assert len(applied._program.entries) == 2
    assert [told["count"] for told in violations(applied)] == [1]


def test_after_torchs_limit_calls_run_uncompiled_and_are_counted(caplog: pytest.LogCaptureFixture):
    """No entry admits them and torch makes no more: the answer stays right, and it is said once."""
    with torch._dynamo.config.patch(recompile_limit=2), caplog.at_level(logging.WARNING):
        model, applied = apply(Named, "recompile")
        for name in ("a", "bb", "ccc", "dddd", "dddd"):
            model.name = name
            assert model(X).tolist() == [len(name), 2 * len(name), 3 * len(name)]
    assert len(applied._program.entries) == 2
    assert sum(told["count"] for told in violations(applied) if told["action"] == "ran uncompiled") == 2
    assert caplog.text.count("torch compiles it no more") == 1


def test_a_freed_object_cannot_be_mistaken_for_its_successor():
    """Guards survive `torch._dynamo.reset`, and what was compiled goes on being right."""
    model, _ = apply(Branch, "recompile")
    model(numbers(1, 2, 3, 4))
    torch._dynamo.reset()
    assert model(numbers(1, 2, 3, 4, 5)).tolist() == [2, 4, 6, 8, 10]
    assert model(X).tolist() == [100, 200, 300]


def test_live_tells_of_every_live_module_and_forgets_the_undone():
    """What a recorder pulls: plain values, one fact a key, gone with undo."""
    model, applied = apply(Branch, "recompile")
    model(numbers(1, 2, 3, 4))
    model(X)
    key = applied._program.applied_fact()["key"]
    told = [(name, payload) for name, payload, _ in narration.live() if payload["key"].split(":")[0] == key]
    assert [name for name, _ in told] == [
        "applied",
        "marked",
        "dropped_guards",
        "dropped_guards",
        "violations",
    ]
    assert told[0][1]["compile_ids"] == [
        payload["compile_id"] for name, payload in told if name == "dropped_guards"
    ]
    assert told[1][1]["marked"] == [
        {"source": "L['x']", "dim": 0, "size": 3, "kind": "backed", "shape_id": None}
    ]
    applied.undo()
    assert not any(payload["key"].split(":")[0] == key for _, payload, _ in narration.live())


@pytest.mark.parametrize(
    ("part", "subject"),
    [
        ("4 <= L['x'].size()[0]  # len(x)  # a.py:3 in forward", "L['x'].size()[0]"),
        ("tensor 'x' dtype mismatch. expected Float, actual Double", "L['x']"),
        (
            "tensor 'self._parameters['w']' size mismatch at index 0. expected 1, actual 2",
            "L['self']._parameters['w']",
        ),
        ("G['a]b'].c == 3", "G['a]b'].c"),
        ("___check_global_state()", ""),
        ("Ne(L['x'].size()[0], L['y'].size()[0])", "L['x'].size()[0]"),
    ],
)
def test_the_subject_of_a_guard_is_read_off_its_text(part: str, subject: str):
    """Named as Dynamo names it, brackets within strings included."""
    assert dropped_guards._subject(part) == subject


def test_reading_a_value_runs_no_code_of_the_program():
    """A property is not called for a report."""
    from compile_inspector.torch_seams.guard_reading import Reading, actual_of

    class Loud:
        @property
        def value(self) -> int:
            raise AssertionError("called")

    reading = Reading({"x": Loud(), "t": X, "n": {"k": [1, None]}}, {"G": {"RATE": "a" * 500}})
    assert actual_of("L['x'].value", reading) is None
    assert actual_of("L['t'].size()[0]", reading) == "3"
    assert actual_of("L['n']['k'][1]", reading) == "None"
    assert actual_of("L['nowhere']", reading) is None
    assert actual_of("__import__('os')", reading) is None
    assert len(actual_of("G['RATE']", reading) or "") == 200


class Listener(logging.Handler):
    """Keeps the names and payloads of the engine's facts."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[tuple[str, dict[str, Any], str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        artifact = record.metadata.get("artifact", {})
        name = artifact.get("name", "")
        if name.startswith("compile_inspector."):
            where = f"{record.metadata.get('frame_id')}/{record.metadata.get('frame_compile_id')}"
            self.facts.append((name.partition(".")[2], json.loads(record.payload), where))


def test_each_fact_is_told_once_when_it_happens_and_none_a_call():
    """A listener hears what was applied, marked, dropped and violated, each in its compile, however often the module is called."""
    listener = Listener()
    stop = trace.listen(listener)
    try:
        model, _ = apply(Branch, "recompile")
        for _ in range(5):
            model(numbers(1, 2, 3, 4))
            model(X)
    finally:
        stop()
    assert [name for name, _, _ in listener.facts] == [
        "applied",
        "marked",
        "dropped_guards",
        "violations",
        "marked",
        "dropped_guards",
    ]
    assert [payload["compile_id"] for name, payload, _ in listener.facts if name == "dropped_guards"] == [
        where for name, _, where in listener.facts if name == "dropped_guards"
    ]


def test_a_recorder_that_comes_late_is_told_as_much():
    """What `live` gives at the end is what was told as it happened, with the counts of now."""
    model, applied = apply(Branch, "recompile")
    model(numbers(1, 2, 3, 4))
    model(X)
    listener = Listener()
    stop = trace.listen(listener)
    try:
        narration.tell(applied._program.facts())
    finally:
        stop()
    assert [name for name, _, _ in listener.facts] == [name for name, _, _ in applied._program.facts()]
    assert [payload for _, payload, _ in listener.facts] == json.loads(
        json.dumps([payload for _, payload, _ in applied._program.facts()])
    )
