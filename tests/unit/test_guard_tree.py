"""Guards as a tree for views."""

from __future__ import annotations

from compile_inspector.analyze.guard_tree import GLOBAL_STATE, GuardBranch, guard_tree
from compile_inspector.model.guards import Guard


def guard(source: str | None, *, compile_id: str = "0/0", root: str | None = None) -> Guard:
    return Guard(compile_id=compile_id, kind="X", source=source, expr="", location=None, root=root)


def outline(branches: tuple[GuardBranch, ...]) -> list[object]:
    return [(branch.label, branch.count, outline(branch.branches)) for branch in branches]


def test_guards_nest_by_module_and_then_by_value() -> None:
    """Branches follow the modules' names, not the dictionaries that hold them, and count what is below."""
    tree = guard_tree(
        [
            guard(None),
            guard("L['self']._modules['layers']._modules['0']._parameters['weight']"),
            guard("L['self']._modules['layers']._modules['0'].scale"),
            guard("L['self']._modules['layers']"),
            guard("G['CFG']['a']"),
        ]
    )
    assert outline(tree) == [
        (GLOBAL_STATE, 1, []),
        ("L['self']", 3, [("layers", 3, [("0", 2, [("weight", 1, []), ("scale", 1, [])])])]),
        ("G['CFG']", 1, [("a", 1, [])]),
    ]
    layers = tree[1].branches[0]
    assert layers.path == ("L['self']", "layers")
    assert [row.source for row in layers.guards] == ["L['self']._modules['layers']"]


def test_a_module_of_another_name_nests_alike() -> None:
    """The module is found by the row's root where the frame does not call it self."""
    tree = guard_tree(
        [guard("L['net'].scale", root="L['net']"), guard("L['net']._modules['a']", root="L['net']")]
    )
    assert outline(tree) == [("L['net']", 2, [("scale", 1, []), ("a", 1, [])])]


def test_several_compiles_are_branches_of_their_own() -> None:
    """Rows of two compiles are kept apart; of one, its id is no branch."""
    tree = guard_tree([guard("L['x']"), guard("L['x']", compile_id="0/1")])
    assert outline(tree) == [("0/0", 1, [("L['x']", 1, [])]), ("0/1", 1, [("L['x']", 1, [])])]
    assert outline(guard_tree([guard("L['x']")])) == [("L['x']", 1, [])]


def test_no_guards_are_no_branches() -> None:
    """Of nothing there is nothing to show."""
    assert guard_tree([]) == ()


def test_a_source_without_end_is_cut() -> None:
    """A source of ten thousand steps, as a hostile log may have it, neither raises nor loses its guard."""
    tree = guard_tree([guard("L['x']" + ".a" * 10_000)])
    assert tree[0].count == 1
