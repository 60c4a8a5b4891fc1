"""What guards cost: how long they take at each call, where, and what each ready-made filter would leave out."""

from __future__ import annotations

import msgspec


class GuardGroup(msgspec.Struct, frozen=True):
    """Guards that lie in one place.

    Attributes:
        path: The place, outermost first: ``("L['self']", "layers", "*", "mlp")``, a ``*`` for any number; ``("G",)`` for globals; empty
            for shapes and global state.
        checks: How many there are, those of places within it among them.
        kinds: Kind and count, the most frequent first.
        saved_ns: What a call would be quicker without them, nanoseconds; None where it was not timed.
    """

    path: tuple[str, ...]
    checks: int
    kinds: tuple[tuple[str, int], ...]
    saved_ns: int | None

    @property
    def name(self) -> str:
        """``L['self'].layers.*.mlp``."""
        if not self.path:
            return "shapes and global state"
        return "globals" if self.path == ("G",) else ".".join(self.path)


class GuardCost(msgspec.Struct, frozen=True):
    """The guards of one compile, timed in a call that they hold for.

    Attributes:
        checks: How many there are.
        cold_ns: One check of all of them when the processor's caches are empty, nanoseconds; an upper bound. None where not timed.
        warm_ns: One check of all of them, repeated: a lower bound. None where not timed.
        groups: By place, in the order of the tree.
        problem: Why it was not timed, None where it was.
    """

    compile_id: str
    checks: int
    cold_ns: int | None
    warm_ns: int | None
    groups: tuple[GuardGroup, ...]
    problem: str | None = None

    def own_ns(self, group: GuardGroup) -> int | None:
        """What a group takes without the groups within it; None where it was not timed."""
        if group.saved_ns is None:
            return None
        depth = len(group.path)
        within = (
            one.saved_ns or 0
            for one in self.groups
            if len(one.path) == depth + 1 and one.path[:depth] == group.path
        )
        return max(group.saved_ns - sum(within), 0)

    @property
    def dominated_by(self) -> tuple[GuardGroup, ...]:
        """The fewest groups that take half of the time by themselves, the costliest first; by number of checks where nothing was timed."""
        timed = [(own, one) for one in self.groups if (own := self.own_ns(one))]
        if not timed or self.warm_ns is None:
            return tuple(sorted(self.groups, key=lambda one: -one.checks)[:1])
        found: list[GuardGroup] = []
        total = 0
        for own, one in sorted(timed, key=lambda pair: -pair[0]):
            found.append(one)
            total += own
            if 2 * total >= self.warm_ns:
                break
        return tuple(found)


class GuardFilter(msgspec.Struct, frozen=True):
    """What one of torch's ready-made guard filters would do to a compile.

    Attributes:
        name: ``torch.compiler.skip_guard_on_all_nn_modules_unsafe``.
        dropped: How many guards it drops.
        kept: How many it keeps.
        warm_ns: What the rest would take at a call, nanoseconds; None where that could not be timed.
        failed: Those of the dropped that failed at a recompile of this recording, as source and kind: with the filter the call would
            have run code made for something else.
    """

    compile_id: str
    name: str
    dropped: int
    kept: int
    warm_ns: int | None
    failed: tuple[tuple[str, str], ...]
