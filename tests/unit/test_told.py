"""What the compile decorator told, from records made by hand: the tables applied, violations, ranges and partitions, and guards.dropped."""

from __future__ import annotations

from typing import Any

import pytest

from compile_inspector.model.applied import MarkedDim, UnmarkedDim
from compile_inspector.model.records import Record
from compile_inspector.recording.assemble import assemble
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.tables.applied import applied
from compile_inspector.recording.tables.guards import guards
from compile_inspector.recording.tables.partitions import partitions
from compile_inspector.recording.tables.ranges import ranges
from compile_inspector.recording.tables.violations import violations
from narrated import MODEL, artifact, build, event, fact

PLACE = {"file": MODEL, "line": 38, "function": "forward", "code": "if x.shape[0] >= 4:"}
GUARD = {
    "source": "L['x'].size()[0]",
    "kind": "SHAPE_ENV",
    "expr": "4 <= L['x'].size()[0]",
    "category": "size",
    "location": PLACE,
}
STATE = {"source": "", "kind": "GLOBAL_STATE", "expr": "___check_global_state()", "category": "global state"}
TREE = """\

TREE_GUARD_MANAGER:
+- RootGuardManager
| +- GLOBAL_STATE: ___check_global_state()
| +- GuardManager: source=L['x'], accessed_by=FrameLocalsGuardAccessor(key='x', framelocals_idx=0)
| | +- TYPE_MATCH: ___check_type_id(L['x'], 123456)
+- LAMBDA_GUARD: 4 <= L['x'].size()[0]  # if x.shape[0] >= 4:  # model.py:38 in forward
"""


def applied_fact(key: str = "module-1", **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "module": "model.layers.0",
        "class": "project.model.Block",
        "how": "applied",
        "compiles": True,
        "mode": "PIECEWISE_COMPILE",
        "backend": "inductor",
        "dynamic_shapes": "BACKED",
        "evaluate_guards": False,
        "dynamic_arg_dims": {"x": 0, "y": [0, 1], "z": {"1": "rows", "2": None}},
        "mark_unbacked_dims": {},
        "is_encoder": False,
        "dropped_guards": "recompile",
        "splitting_ops": ["mylib::attention"],
        "file": MODEL,
        "line": 31,
        "compile_ids": [],
        **changes,
    }


def dropped_fact(checked: str = "all", key: str = "module-1:0/0", **changes: Any) -> dict[str, Any]:
    guards_of = [GUARD, STATE]
    return {
        "key": key,
        "compile_id": "0/0",
        "policy": "recompile",
        "checked": checked,
        "guards": guards_of,
        **changes,
    }


def violation_fact(count: int = 1, **changes: Any) -> dict[str, Any]:
    told = {key: value for key, value in GUARD.items() if key != "kind"}
    return {
        "key": "module-1:size",
        "module": None,
        "class": "m.Block",
        **told,
        "expected": None,
        "actual": "3",
        "action": "recompiled",
        "count": count,
        **changes,
    }


def ranges_fact(*calls: int, key: str = "graph-1", **changes: Any) -> dict[str, Any]:
    row = {
        "partition": 0,
        "start": 1,
        "end": 16,
        "exact": False,
        "backend": "eager",
        "outcome": "compiled",
        "reused_from": None,
        "elapsed_ns": 5,
    }
    rows = [{**row, "call_count": count} for count in calls]
    return {"key": key, "module": None, "symbol": "s0", "problems": [], "ranges": rows, **changes}


def piece(index: int, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "name": f"submod_{index}",
        "kind": "compiled",
        "nodes": [f"n{index}"],
        "split_op": None,
        "reason": None,
        "capturable": True,
        **changes,
    }


def split_fact(*pieces: dict[str, Any], key: str = "graph-1", **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "module": None,
        "by": "fx",
        "splitting_ops": [],
        "unmatched": [],
        "problem": None,
        "pieces": list(pieces),
        **changes,
    }


def outside(name: str, value: object) -> Record:
    found = fact(name, value)
    return Record(found.event, found.body, {}, found.payload)


def start(at: str = "0/0") -> Record:
    return event("dynamo_start", {"stack": []}, at=at)


def test_a_module_is_a_row_with_what_was_marked() -> None:
    """Settings, dims as text, the marks of the latest compile and what was not marked stand in one row."""
    marked = {
        "key": "module-1",
        "marked": [{"source": "L['x']", "dim": 0, "size": 4, "kind": "backed", "shape_id": None}],
        "unmarked": [{"source": "L['y']", "dim": 1, "size": 4, "like": "L['x'].size()[0]"}],
    }
    records = [outside("applied", applied_fact(compile_ids=["0/0"])), start(), fact("marked", marked)]
    (row,), lost = build(applied, records)
    assert lost == ()
    assert (row.name, row.class_name, row.mode) == (
        "model.layers.0 (Block)",
        "project.model.Block",
        "PIECEWISE_COMPILE",
    )
    assert row.dynamic_dims == ("x: 0", "y: 0, 1", "z: 1 as rows, 2")
    assert row.marked == (MarkedDim("L['x']", 0, 4, "backed"),)
    assert row.unmarked == (UnmarkedDim("L['y']", 1, 4, "L['x'].size()[0]"),)
    assert (row.compile_ids, str(row.location)) == (("0/0",), f"{MODEL}:31")


def test_what_is_told_again_replaces_what_was_told() -> None:
    """Of one key the last counts, and another key is another row; rows are in the order in which things were made."""
    records = [
        outside("applied", applied_fact("module-10", module="late")),
        outside("applied", applied_fact("module-9", module="early")),
        outside("applied", applied_fact("module-9", module="early", compile_ids=["0/10", "0/9"])),
    ]
    rows, _ = build(applied, records)
    assert [(row.module, row.compile_ids) for row in rows] == [("early", ("0/9", "0/10")), ("late", ())]


def test_counts_grow_and_stay_with_their_compile() -> None:
    """A count told at the end replaces the first, in the compile that it was first told in, though torch used the id again since."""
    done = event("compilation_metrics")
    records = [
        start(),
        fact("ranges", ranges_fact(0)),
        fact("violations", violation_fact()),
        done,
        start(),
        fact("ranges", ranges_fact(0, key="graph-2")),
        done,
        fact("ranges", ranges_fact(7)),
        fact("violations", violation_fact(3)),
    ]
    rows, lost = build(ranges, records)
    (violation,), _ = build(violations, records)
    assert lost == ()
    assert [(row.compile_id, row.call_count) for row in rows] == [("0/0", 7), ("0/0#2", 0)]
    assert (violation.compile_id, violation.count, violation.actual) == ("0/0", 3, "3")
    assert str(violation.location) == f"{MODEL}:38"


def test_what_is_told_of_an_earlier_compile_makes_none() -> None:
    """A fact about a compile from before the recording adds no compile, and a new one of that id gets another."""
    records = [fact("ranges", ranges_fact(2)), start(), event("compilation_metrics")]
    trace = Trace(records)
    assert list(trace.compiles) == ["0/0#2"]
    rows, _ = build(ranges, records)
    assert [row.compile_id for row in rows] == ["0/0"]


def test_a_fact_of_a_later_attempt_is_not_lost() -> None:
    """The decorator's facts count whatever attempt their record names."""
    records = [start(), event("dynamo_start", {"stack": []}, attempt=1), fact("ranges", ranges_fact(1))]
    rows, _ = build(ranges, records)
    assert [row.call_count for row in rows] == [1]


@pytest.mark.parametrize(
    ("checked", "by"),
    [
        ("all", ["decorator", "decorator", "decorator"]),
        ("size", [None, None, "decorator"]),
        ("none", [None, None, None]),
    ],
)
def test_guards_are_dropped_and_say_who_checks_them(checked: str, by: list[str | None]) -> None:
    """All guards of a compile that is called past torch are dropped; the policy decides which of them are still checked."""
    records = [
        start(),
        event("dynamo_cpp_guards_str", {}, TREE),
        fact("dropped_guards", dropped_fact(checked)),
    ]
    rows, lost = build(guards, records)
    assert lost == ()
    assert [row.kind for row in rows] == ["GLOBAL_STATE", "TYPE_MATCH", "LAMBDA_GUARD"]
    assert [row.dropped for row in rows] == [True] * 3
    assert [row.category for row in rows] == ["global state", None, "size"]
    assert [row.checked_by for row in rows] == by


def test_guards_that_only_the_decorator_knows_are_rows() -> None:
    """Where torch no longer holds a compile, its guards are those that the decorator tells."""
    rows, _ = build(guards, [fact("dropped_guards", dropped_fact("none"))])
    assert [(row.compile_id, row.source, row.expr, row.dropped) for row in rows] == [
        ("0/0", "L['x'].size()[0]", "4 <= L['x'].size()[0]", True),
        ("0/0", None, "___check_global_state()", True),
    ]
    assert str(rows[0].location) == f"{MODEL}:38"


def test_other_compiles_keep_their_guards() -> None:
    """A compile that the decorator does not speak of is unchanged beside one that it does."""
    records = [
        start(),
        fact("dropped_guards", dropped_fact()),
        start("1/0"),
        event("dynamo_cpp_guards_str", {}, TREE, at="1/0"),
    ]
    rows, _ = build(guards, records)
    assert {(row.compile_id, row.dropped, row.category) for row in rows if row.compile_id == "1/0"} == {
        ("1/0", None, None)
    }


def test_a_split_graph_gives_a_row_a_piece() -> None:
    """Pieces in order, with operator, reason and what was noticed of the graph; a second graph of the compile has the next number."""
    cut = piece(1, kind="splitting", split_op="a::b", reason="a::b is a splitting op", capturable=False)
    told = split_fact(piece(0), cut, unmatched=[["a::c", ["a::b"]], ["x", []]], problem="it is small")
    records = [start(), fact("splits", told), fact("splits", split_fact(piece(0), key="graph-2"))]
    rows, lost = build(partitions, records)
    assert lost == ()
    assert [(row.graph, row.index, row.kind, row.split_op, row.capturable) for row in rows] == [
        (0, 0, "compiled", None, True),
        (0, 1, "splitting", "a::b", False),
        (1, 0, "compiled", None, True),
    ]
    assert rows[0].remarks == (
        "a::c matches no operator of the graph; there is a::b",
        "x matches no operator of the graph",
        "it is small",
    )


def test_inductors_partitions_stand_for_the_graph_that_it_splits() -> None:
    """Where Inductor splits, its own partitions are the rows; where it told of none, the whole graph is, and says why."""
    told = split_fact(piece(0, name="whole graph"), by="inductor")
    own = {"by": "inductor", "wrapped": False, "partitions": [piece(0, kernels=["op0"]), piece(1)]}
    rows, _ = build(partitions, [start(), fact("splits", told), fact("partitions", own)])
    assert [(row.by, row.index, row.kernels) for row in rows] == [
        ("inductor", 0, ("op0",)),
        ("inductor", 1, ()),
    ]
    (row,), _ = build(partitions, [start(), fact("splits", told)])
    assert (row.by, row.name) == ("inductor", "whole graph")
    assert "cache" in row.remarks[0]


def test_nodes_know_their_piece() -> None:
    """A node of a Dynamo graph that was split lies in its piece; those of a whole graph lie in none."""
    text = """\
class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[4][1]cpu"):
        n0: "f32[4][1]cpu" = L_x_ + 1
        n1: "f32[4][1]cpu" = n0 * 2
        return (n1,)
"""
    graph = event("dynamo_output_graph", {}, text)
    split = assemble([start(), graph, fact("splits", split_fact(piece(0), piece(1)))])
    whole = assemble([start(), graph, fact("splits", split_fact(piece(0, nodes=["n0", "n1"])))])
    assert {node.name: node.partition for node in split.graphs[0].nodes if node.op == "call_function"} == {
        "n0": 0,
        "n1": 1,
    }
    assert {node.partition for node in whole.graphs[0].nodes} == {None}


def test_partitions_of_a_foreign_log_are_absent_with_a_reason() -> None:
    """Torch does not narrate partitions: a log without our facts has no such table, a recording without any has an empty one."""
    foreign = assemble([start()])
    recorded = assemble([outside("environment", {"seams": []}), start()])
    blind = assemble(
        [outside("environment", {"seams": [["inductor_partitions", "it is not there"]]}), start()]
    )
    assert foreign.read("partitions") is None
    assert "made without" in str(foreign.why_absent("partitions"))
    assert recorded.partitions == ()
    assert blind.why_absent("partitions") == "it is not there"


@pytest.mark.parametrize("name", ["applied", "marked", "dropped_guards", "violations", "splits", "ranges"])
@pytest.mark.parametrize("payload", ["{", "[]", "{}", '{"key": "module-1"}', '{"key": 1}'])
def test_a_damaged_fact_is_a_loss(name: str, payload: str) -> None:
    """What cannot be read is counted once and gives no row; nothing is raised."""
    tables = assemble([start(), artifact(f"compile_inspector.{name}", payload)])
    assert sum(loss.count for loss in tables.losses) == 1
    assert (tables.applied, tables.violations, tables.ranges, tables.guards) == ((), (), (), ())


def test_a_damaged_inductor_fact_is_a_loss() -> None:
    """Partitions of Inductor that cannot be read are counted; others remain."""
    good = {"by": "inductor", "partitions": [piece(0)]}
    rows, lost = build(
        partitions,
        [start(), artifact("compile_inspector.partitions", '{"partitions": 3}'), fact("partitions", good)],
    )
    assert [row.index for row in rows] == [0]
    assert len(lost) == 1


def test_an_unknown_outcome_is_a_loss() -> None:
    """A range whose outcome is none that there is, is counted and left out."""
    told = ranges_fact(1)
    told["ranges"][0]["outcome"] = "guessed"
    rows, lost = build(ranges, [start(), fact("ranges", told)])
    assert (rows, lost) == ((), ("an outcome that is none: guessed",))
