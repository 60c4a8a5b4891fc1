"""The stages of recorded compiles: nearly every node of one has its counterpart in the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from compile_inspector.analyze.graph_match import match_graphs
from compile_inspector.api import Session, load
from compile_inspector.model.graph import Graph
from compile_inspector.views.graph_parts import graph_part_keys
from compile_inspector.views.wire_parts import part

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def training() -> Session:
    """A small model trained under several shapes, as torch logged it."""
    return load(DATA / "training.log.gz")


def stage(session: Session, compile_id: str, name: str) -> Graph:
    return next(row for row in session.graphs if (row.compile_id, row.stage) == (compile_id, name))


def named(left: Graph, right: Graph, *, forward: Graph | None = None) -> dict[str, set[str]]:
    """By node of the left graph: those of the right one."""
    found: dict[str, set[str]] = {}
    for one, other in match_graphs(left, right, forward=forward):
        found.setdefault(left.nodes[one].name, set()).add(right.nodes[other].name)
    return found


def test_every_lowered_operation_stems_from_one_of_the_program(training: Session) -> None:
    """Forward and backward: the counterpart has the same line of source."""
    dynamo = stage(training, "0/0", "dynamo")
    for name in ("forward", "backward"):
        lowered = stage(training, "0/0", name)
        pairs = match_graphs(dynamo, lowered)
        operations = {index for index, node in enumerate(lowered.nodes) if node.op == "call_function"}
        assert operations <= {other for _, other in pairs}
        for one, other in pairs:
            if other in operations:
                mine, theirs = dynamo.nodes[one].location, lowered.nodes[other].location
                assert mine is not None
                assert theirs is not None
                assert (mine.file, mine.line) == (theirs.file, theirs.line)


def test_the_parts_of_a_joint_graph_are_the_passes_graphs(training: Session) -> None:
    """Each node of the forward and of the backward graph is one of the joint graph."""
    joint = stage(training, "0/0", "joint")
    for name in ("forward", "backward"):
        lowered = stage(training, "0/0", name)
        assert len(match_graphs(joint, lowered)) == len(lowered.nodes)


def test_a_recompile_keeps_every_node_of_the_entry_before(training: Session) -> None:
    """A size that became a symbol is one node more, and none less, at every stage."""
    for name in ("dynamo", "joint", "forward", "backward"):
        left, right = stage(training, "0/0", name), stage(training, "0/1", name)
        assert len(match_graphs(left, right)) == len(left.nodes) == len(right.nodes) - 1


def test_saved_values_lead_back_through_the_forward_graph(training: Session) -> None:
    """An input of the backward graph that the forward one computed corresponds to what the program computed."""
    dynamo, forward = stage(training, "0/0", "dynamo"), stage(training, "0/0", "forward")
    backward = stage(training, "0/0", "backward")
    made = {node.name for node in forward.nodes if node.op == "call_function"}
    saved = {node.name for node in backward.nodes if node.op == "placeholder"} & made
    assert saved
    reached = set[str]().union(*named(dynamo, backward, forward=forward).values())
    assert saved <= reached


@pytest.mark.parametrize("log", ["training", "recompiles", "caches"])
def test_every_part_that_a_page_is_offered_can_be_had(log: str) -> None:
    """None of them has a problem, and every pair names nodes that there are."""
    session = load(DATA / f"{log}.log.gz")
    keys = list(graph_part_keys(session))
    assert keys
    for key in keys:
        found = part(session, key)
        assert found.problem is None
        if found.pairs is not None:
            left, right = (session.graphs[int(row)] for row in key.split(":")[1:])
            assert max(found.pairs[::2], default=0) < len(left.nodes)
            assert max(found.pairs[1::2], default=0) < len(right.nodes)
