"""Guards as a tree: by module, and below that by what is checked."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from compile_inspector.model.guards import Guard, source_steps

GLOBAL_STATE = "global state"
"""Label of the branch for guards on no value of the program: grad mode, default device, ...."""

_DEEPEST = 60


class GuardBranch(msgspec.Struct, frozen=True):
    """One place in the program that guards are on, and the places below it.

    Attributes:
        label: Its own name: ``L['self']``, ``layers``, ``0``, ``weight``.
        path: The labels from the outermost branch to this one.
        guards: Those on this very place.
        branches: Places below it, in the order of their first guard.
        count: How many guards are here and below.
    """

    label: str
    path: tuple[str, ...]
    guards: tuple[Guard, ...]
    branches: tuple[GuardBranch, ...]
    count: int


class _Growing:
    def __init__(self) -> None:
        self.guards: list[Guard] = []
        self.below: dict[str, _Growing] = {}

    def grown(self, label: str, path: tuple[str, ...]) -> GuardBranch:
        branches = tuple(below.grown(name, (*path, name)) for name, below in self.below.items())
        count = len(self.guards) + sum(branch.count for branch in branches)
        return GuardBranch(label=label, path=path, guards=tuple(self.guards), branches=branches, count=count)


def guard_tree(guards: Iterable[Guard]) -> tuple[GuardBranch, ...]:
    """The guards as a tree of the places they are on; of several compiles, each is an outermost branch of its own."""
    rows = tuple(guards)
    several = len({row.compile_id for row in rows}) > 1
    top = _Growing()
    for row in rows:
        steps = (GLOBAL_STATE,) if row.source is None else source_steps(row.source, root=row.root)
        place = top
        for step in ((row.compile_id, *steps) if several else steps)[:_DEEPEST]:
            place = place.below.setdefault(step, _Growing())
        place.guards.append(row)
    return top.grown("", ()).branches
