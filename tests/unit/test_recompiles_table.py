"""The table of recompiles from records made by hand, torch's own words, and the pure parts of the evaluation; without torch."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import pytest

from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile
from compile_inspector.model.records import Record
from compile_inspector.model.text import hold
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.recompiles import recompiles
from compile_inspector.recording.torch_reasons import Reason, read_reason, split_reason, split_reasons
from compile_inspector.recording.trace_file import read_log
from compile_inspector.torch_seams.shape_expressions import evaluate, parse
from compile_inspector.torch_seams.static_lookup import (
    Missing,
    Unreadable,
    attribute,
    compares_in_c,
    has_plain_keys,
    instance_dict,
)
from compile_inspector.torch_seams.value_text import LIMIT, text_of

TRACES = Path(__file__).parents[3] / "shared" / "traces"
GRAPH = """\
class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[3][1]cpu"):
         # File: /usr/lib/python3.11/site-packages/torch/nn/functional.py:9 in relu, code: return torch.relu(x)
        relu: "f32[3][1]cpu" = torch.relu(l_x_)

         # File: /home/ada/model.py:13 in forward, code: return x * 2
        mul: "f32[3][1]cpu" = relu * 2
"""


def record(
    event: str, body: object, compile_id: str = "0/1", payload: object = None, **envelope: object
) -> Record:
    frame, _, count = compile_id.partition("/")
    keys = {"frame_id": int(frame), "frame_compile_id": int(count), "attempt": 0, **envelope}
    text = payload if payload is None or isinstance(payload, str) else json.dumps(payload)
    return Record(event, body, keys, None if text is None else hold(text))


def artifact(name: str, payload: object, compile_id: str = "0/1", **envelope: object) -> Record:
    return record("artifact", {"name": name, "encoding": "json"}, compile_id, payload, **envelope)


def start(compile_id: str = "0/1", *lines: int) -> Record:
    frames = [{"filename": 1, "line": line, "name": "step", "loc": f"net(x{line})"} for line in lines or (5,)]
    frame = {"filename": 1, "line": 10, "name": "forward"}
    return record("dynamo_start", {"stack": [*frames, frame]}, compile_id)


def table(*records: Record) -> tuple[tuple[Recompile, ...], Trace]:
    files = Record("str", ["/home/ada/model.py", 1], {})
    trace = Trace([files, *records])
    return recompiles(trace, Places(trace)), trace


def compiled(compile_id: str = "0/0") -> list[Record]:
    """A compile that ended, with a graph."""
    return [
        start(compile_id),
        record("dynamo_output_graph", {}, compile_id, GRAPH),
        record("compilation_metrics", {}, compile_id),
    ]


def fact(*failing: list[object], **entry: object) -> Record:
    held = {
        "entry": "0/0",
        "failing": list(failing),
        "unevaluated": [],
        "torch_reason": None,
        "evaluated": True,
        **entry,
    }
    return artifact(
        "compile_inspector.recompile",
        {"entries": [held], "stack": [["/home/ada/run.py", 7, "main", "net(x)"]]},
    )


def test_the_fact_gives_every_failing_guard() -> None:
    """Sources, both values and the further sources of a relation come from our fact; it is complete."""
    rows, trace = table(
        *compiled(),
        fact(
            ["L['x'].size()[0]", "TENSOR_MATCH", "L['x'].size()[0] == 3", "3", "4"],
            [
                "L['x'].size()[1]",
                "LAMBDA_GUARD",
                "a == b",
                None,
                "a = 1, b = 2",
                ["L['x'].size()[1]", "L['y'].size()[0]"],
            ],
            unevaluated=[["L['l'][0]", "EQUALS_MATCH", "L['l'][0] == 1", "the length of L['l'] differs"]],
            torch_reason="tensor 'x' size mismatch at index 0. expected 3, actual 4",
        ),
        start("0/1", 6),
    )
    (row,) = rows
    (entry,) = row.entries
    assert [(one.subjects, one.expected, one.actual) for one in entry.failing] == [
        (("L['x'].size()[0]",), "3", "4"),
        (("L['x'].size()[1]", "L['y'].size()[0]"), None, "a = 1, b = 2"),
    ]
    assert entry.unevaluated[0].reason == "the length of L['l'] differs"
    assert (entry.entry_id, entry.complete) == ("0/0", True)
    assert trace.losses.rows() == ()


def test_the_call_is_where_the_fact_saw_it() -> None:
    """The trigger is the caller our fact has; without one it is torch's."""
    (row,), _ = table(*compiled(), fact(), start("0/1", 6))
    assert row.trigger == Location("/home/ada/run.py", 7, "main", "net(x)")
    (row,), _ = table(*compiled(), artifact("recompile_reasons", "0/0: x == 1"), start("0/1", 6))
    assert row.trigger == Location("/home/ada/model.py", 6, "step", "net(x6)")


def test_a_guard_without_a_line_points_at_the_first_line_of_its_frame() -> None:
    """Global state has no stack: its line is the first of the compiled function that made a graph node, not one of torch's."""
    (row,), _ = table(*compiled(), fact(["grad_mode", "GLOBAL_STATE", "grad_mode == True", "True", "False"]))
    assert row.entries[0].failing[0].location == Location("/home/ada/model.py", 13, "forward", "return x * 2")


def test_an_entry_of_before_the_recording_has_no_line() -> None:
    """An entry that the recording does not hold keeps its id; its line is None."""
    (row,), trace = table(fact(["grad_mode", "GLOBAL_STATE", "grad_mode == True", "True", "False"]))
    assert row.entries[0].entry_id == "0/0"
    assert row.entries[0].failing[0].location is None
    assert trace.losses.rows() == ()


def test_the_fact_of_an_attempt_that_was_thrown_away_counts() -> None:
    """The recompile is explained in the first attempt; a restart of the analysis does not lose it."""
    rows, _ = table(
        *compiled(),
        fact(["L['k']", "EQUALS_MATCH", "L['k'] == 1", "1", "2"]),
        start(),
        record("dynamo_start", {}, attempt=1),
    )
    assert [one.source for one in rows[0].entries[0].failing] == ["L['k']"]


@pytest.mark.parametrize("payload", ["{", "[]", '{"entries": [{"failing": 3}]}', '{"entries": "x"}'])
def test_a_damaged_fact_is_counted_and_torchs_reason_serves(payload: str) -> None:
    """A fact that cannot be read costs a loss; the row is made of torch's own reason."""
    rows, trace = table(
        *compiled(),
        artifact("compile_inspector.recompile", payload),
        artifact("recompile_reasons", ["0/0: tensor 'x' size mismatch at index 0. expected 3, actual 4"]),
    )
    assert [(one.source, one.expected, one.actual) for one in rows[0].entries[0].failing] == [
        ("L['x'].size()[0]", "3", "4")
    ]
    assert not rows[0].entries[0].complete
    assert len(trace.losses.rows()) == 1


def test_a_damaged_row_is_counted_and_the_others_stay() -> None:
    """A failing guard of the wrong shape is left out and counted."""
    rows, trace = table(
        *compiled(), fact(["too", "short"], ["L['k']", "EQUALS_MATCH", "L['k'] == 1", "1", "2"])
    )
    assert [one.source for one in rows[0].entries[0].failing] == ["L['k']"]
    assert [loss.what for loss in trace.losses.rows()] == ["a failing guard could not be read"]


def test_the_nearest_entry_has_the_fewest_failing_guards() -> None:
    """Fewest failing guards, the newest of several; one that was not evaluated does not win by its single reason."""

    def entry(name: str, count: int, *, complete: bool = True) -> EntryCheck:
        guard = FailingGuard("L['x']", "TENSOR_MATCH", "", None, None, None)
        return EntryCheck(name, (guard,) * count, (), None, complete)

    row = Recompile(
        "0/4", None, (entry("0/3", 3), entry("0/2", 2), entry("0/1", 2), entry("0/0", 1, complete=False))
    )
    assert row.nearest is not None
    assert row.nearest.entry_id == "0/2"
    assert Recompile("0/1", None, (entry("0/0", 1, complete=False),)).nearest is not None
    assert Recompile("0/1", None, ()).nearest is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "tensor 'x' size mismatch at index 1. expected 4, actual 5",
            ("L['x'].size()[1]", "TENSOR_MATCH", "4", "5"),
        ),
        (
            "tensor 'L['x']' size mismatch at index 0. expected 4, actual 5",
            ("L['x'].size()[0]", "TENSOR_MATCH", "4", "5"),
        ),
        (
            "tensor 'self.w' stride mismatch at index 0. expected 4, actual 1",
            ("L['self'].w.stride()[0]", "TENSOR_MATCH", "4", "1"),
        ),
        (
            "tensor 'x' dtype mismatch. expected Float, actual Double",
            ("L['x']", "TENSOR_MATCH", "dtype Float", "dtype Double"),
        ),
        (
            "tensor 'x' rank mismatch. expected 2, actual 3",
            ("L['x']", "TENSOR_MATCH", "2 dimensions", "3 dimensions"),
        ),
        (
            "tensor 'G['W'][0]' size mismatch at index 0. expected 3, actual 1",
            ("G['W'][0].size()[0]", "TENSOR_MATCH", "3", "1"),
        ),
        (
            "expected type of 'x' to be a tensor type, ' but found <class 'int'>",
            ("L['x']", "TENSOR_MATCH", "a tensor", "<class 'int'>"),
        ),
        (
            "self.scale == 2                 # return x * self.scale  # m.py:14 in forward",
            ("L['self'].scale", "EQUALS_MATCH", "2", None),
        ),
        ("L['k'] == 'a # b'", ("L['k']", "EQUALS_MATCH", "'a # b'", None)),
        ("4 <= x.size()[0]  # if x.shape[0] > 3:", ("L['x'].size()[0]", "LAMBDA_GUARD", None, None)),
        ("len(d) != 1", ("L['d']", "DICT_LENGTH", "length 1", None)),
        ("___check_type_id(o, 947), type=<class '__main__.O'>", ("L['o']", "TYPE_MATCH", "__main__.O", None)),
        ("___check_obj_id(G['f'], 947), type=<class 'function'>", ("G['f']", "ID_MATCH", None, None)),
        ("GLOBAL_STATE changed: grad_mode ", ("grad_mode", "GLOBAL_STATE", None, None)),
        (
            "___check_torch_function_mode_stack()",
            ("torch_function_mode_stack", "TORCH_FUNCTION_MODE_STACK", None, None),
        ),
        (
            "Cache line invalidated because L['mod'] got deallocated",
            ("L['mod']", "WEAKREF_ALIVE", "alive", "gone"),
        ),
        (
            "BACKEND_MATCH failure: torch.compile detected. Cached backend: a (id=1). New backend: b (id=2). If this",
            ("backend", "BACKEND_MATCH", "a (id=1)", "b (id=2)"),
        ),
    ],
)
def test_torchs_words_are_read(words: str, expected: tuple[str | None, ...]) -> None:
    """Source, kind and, where the words tell them, both values come out of torch's sentences, with ``L[…]`` put back."""
    (found,) = read_reason(words)
    assert (found.source, found.kind, found.expected, found.actual) == expected


def test_a_relation_in_torchs_words_names_all_its_sources() -> None:
    """An equality of two sizes and a pair of same tensors name both."""
    (found,) = read_reason("x.size()[1] == x.size()[0]  # duck sizing added this equality")
    assert (found.source, *found.others) == ("L['x'].size()[1]", "L['x'].size()[0]")
    (found,) = read_reason('Duplicate tensors found: ["x", "y"]')
    assert (found.source, *found.others) == ("L['x']", "L['y']")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "no reason at all",
        "x ==",
        "(" * 5000,
        "-" * 900 + "1",
        "not " * 900 + "x",
        "lambda: 0",
        "\x00\ud800",
    ],
)
def test_words_without_a_guard_name_none(words: str) -> None:
    """What torch did not put as a guard gives no failing guard, and never an error."""
    assert read_reason(words) == ()


def test_reasons_come_as_one_text_or_a_list() -> None:
    """One reason is a text, several a list; the entry is taken off the front, the user's stack off the end."""
    assert split_reasons('"0/0: a == 1"') == [("0/0", "a == 1")]
    assert split_reasons('["0/1: b", "!2/0/0: c", 7]') == [("0/1", "b"), ("!2/0/0", "c")]
    assert split_reasons("0/0: not JSON") == [("0/0", "not JSON")]
    assert split_reason('1/0: k == 2      # code\nUser stack trace:\n  File "m.py"') == (
        "1/0",
        "k == 2  # code",
    )


def test_a_foreign_log_gives_torchs_reasons() -> None:
    """In a log of somebody's the entries are newest first, each with torch's first reason, and none claims to be complete."""
    log = TRACES / "multi_rank" / "dedicated_log_torch_trace_rank_1.log"
    if not log.exists():
        pytest.skip(f"the folder of foreign logs is not here: {log.name}")
    trace = foreign(log)
    rows = recompiles(trace, Places(trace))
    assert [row.compile_id for row in rows][:2] == ["0/1", "0/2"]
    assert [entry.entry_id for entry in rows[1].entries] == ["0/1", "0/0"]
    first = rows[0].entries[0]
    assert (first.failing[0].source, first.failing[0].expected, first.failing[0].actual) == (
        "L['x'].size()[0]",
        "2",
        "3",
    )
    assert not any(entry.complete for row in rows for entry in row.entries)
    assert all(row.trigger is not None for row in rows)


def foreign(log: Path) -> Trace:
    found = read_log(log)
    return Trace(found.records, losses=found.losses, path=str(log))


class Loud:
    """Complains when any of its code runs."""

    def __init__(self) -> None:
        self.__dict__["n"] = 1

    @property
    def prop(self) -> int:
        raise AssertionError("prop")

    @cached_property
    def late(self) -> int:
        raise AssertionError("late")

    def method(self) -> int:
        raise AssertionError("method")

    @classmethod
    def make(cls) -> None:
        raise AssertionError("make")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("__eq__")

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        raise AssertionError("__repr__")


class Hooked:
    def __getattr__(self, name: str) -> int:
        raise AssertionError(name)


class Slotted:
    __slots__ = ("held",)


class Masked:
    @property
    def __dict__(self) -> dict[str, int]:  # type: ignore[override]
        raise AssertionError("__dict__")


def test_attributes_are_found_as_python_finds_them() -> None:
    """Instance values, slots, methods, class attributes and classes' own are read."""
    loud, slotted = Loud(), Slotted()
    slotted.held = 3
    assert attribute(loud, "n") == 1
    assert attribute(slotted, "held") == 3
    assert attribute(loud, "method").__func__ is Loud.method
    assert attribute(loud, "make").__func__ is vars(Loud)["make"].__func__
    assert attribute(Loud, "method") is Loud.method
    assert attribute(Loud, "prop") is Loud.prop
    assert attribute(json, "dumps") is json.dumps
    assert instance_dict(loud) is loud.__dict__


def test_what_would_run_code_is_not_read() -> None:
    """Properties, cached properties, ``__getattr__`` and a ``__dict__`` of a class's own are refused; what is not there is missing."""
    for value, name in ((Loud(), "prop"), (Loud(), "late"), (Hooked(), "anything"), (Masked(), "n")):
        with pytest.raises(Unreadable):
            attribute(value, name)
    for value, name in ((Loud(), "absent"), (Slotted(), "held"), (json, "absent"), (Loud, "absent")):
        with pytest.raises(Missing):
            attribute(value, name)


def test_comparing_is_refused_where_it_could_run_code() -> None:
    """Scalars and containers of them compare in C; one object with an ``__eq__`` anywhere inside is enough to refuse."""
    assert compares_in_c((1, [2, {"a": 3.0}]))
    assert compares_in_c(slice(0, 3))
    assert not compares_in_c(Loud())
    assert not compares_in_c([1, (2, Loud())])
    assert not compares_in_c({"a": Loud()})
    assert has_plain_keys({"a": Loud()})
    assert not has_plain_keys({Loud(): 1})


def test_texts_of_values_run_nothing_and_are_short() -> None:
    """Plain values show themselves, objects their class; long ones are cut with a mark."""
    assert text_of([1, "a", (None,)]) == "[1, 'a', (None,)]"
    assert text_of({"k": Loud()}) == f"{{'k': a {Loud.__module__}.Loud object}}"
    assert text_of(range(3)) == "range(0, 3, 1)"
    assert text_of("x" * 1000)[-1] == "…"
    assert max(len(text_of(value)) for value in ("x" * 1000, list(range(10_000)), 10**5000)) <= LIMIT
    assert text_of(list(range(20))).endswith("… 20 in all]")
    assert text_of(MappingProxyType({})) == "a mappingproxy object"


@pytest.mark.parametrize(
    ("text", "sizes", "holds", "subjects", "expected"),
    [
        ("2 <= L['x'].size()[0]", {"L['x'].size()[0]": 1}, False, 1, ">= 2"),
        ("L['x'].size()[0] == 5  # why", {"L['x'].size()[0]": 5}, True, 1, "5"),
        ("2 <= L['x'].size()[0] <= 8", {"L['x'].size()[0]": 9}, False, 1, None),
        (
            "L['x'].size()[0] == 2*L['self'].n",
            {"L['x'].size()[0]": 6, "L['self'].n": 3},
            True,
            2,
            "== 2 * L['self'].n",
        ),
        ("L['x'].storage_offset() == 0", {"L['x'].storage_offset()": 0}, True, 1, "0"),
        ("max(1, L['a'].stride()[0]) < 4", {"L['a'].stride()[0]": 4}, False, 1, None),
    ],
)
def test_shape_checks_are_evaluated_on_read_values(
    text: str, sizes: dict[str, int], holds: bool, subjects: int, expected: str | None
) -> None:
    """A check becomes arithmetic on the values of its sources; its right side says what was expected."""
    parsed = parse(text)
    assert parsed is not None
    found, values = evaluate(parsed, lambda subject: sizes[subject.text], {})
    assert (found, len(values), parsed.expected) == (holds, subjects, expected)


def test_a_shape_check_computes_with_plain_numbers_only() -> None:
    """An object in the place of a size is refused, unless the check is one of identity; so is what is no expression."""
    parsed = parse("L['x'].n == 3")
    assert parsed is not None
    with pytest.raises(Unreadable):
        evaluate(parsed, lambda _: Loud(), {})
    same = parse("L['x'] is L['y']")
    assert same is not None
    assert evaluate(same, lambda subject: subject.text, {})[0] is False
    assert parse("x ==") is None
    assert parse("(" * 1000) is None


def test_a_reason_is_a_plain_tuple() -> None:
    """Without further sources a reason names one."""
    assert Reason("L['x']", "ID_MATCH", "e", None, None).others == ()
