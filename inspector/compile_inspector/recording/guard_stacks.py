"""Finds the user's stack behind a check of a guard tree, from our seam's fact, from torch's own stacks, or from the tree's text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from compile_inspector.model.locations import Location, Stack
from compile_inspector.recording.guard_tree_text import Leaf, Place
from compile_inspector.recording.stacks import Places

_ANCHOR = "/_dynamo/convert_frame.py"
_COMPUTED = re.compile(r"\.(?:size|stride)\(\)\[\d+\]$|\.storage_offset\(\)$")
_UNSHOWN = ("/torch/_dynamo/polyfills/", "/torch/_dynamo/external_utils.py")
_TORCH_PARTS = (
    *(
        "_dynamo/",
        "_inductor/",
        "_functorch/",
        "_higher_order_ops/",
        "_refs/",
        "_prims/",
        "_ops.py",
        "_tensor.py",
    ),
    *(
        "amp/",
        "ao/",
        "autograd/",
        "cuda/",
        "distributed/",
        "distributions/",
        "fx/",
        "nn/",
        "optim/",
        "utils/_",
    ),
    *("functional.py", "overrides.py", "_jit_internal.py", "linalg/", "nested/", "masked/", "signal/"),
)

Found = tuple[Location | None, Stack]


class ShortNames:
    """Undoes torch's shortening of file names: without what they share with torch's own folder.

    Source: `torch.utils._traceback.shorten_filename`; under ``/`` it also takes the first letter.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._files = dict.fromkeys(files)
        self._root = next((name[: -len(_ANCHOR)] for name in self._files if name.endswith(_ANCHOR)), None)
        self._known: dict[str, str] = {}
        if self._root is not None:
            for name in self._files:
                self._known.setdefault(self._shorten(name, self._root), name)

    def add(self, name: str) -> None:
        """Adds a file that torch's own table may lack."""
        self._files.setdefault(name)

    @staticmethod
    def _shorten(name: str, root: str) -> str:
        parts, others = name.split("/"), root.split("/")
        if name[:1] != "/":
            return name
        shared = 0
        while shared < min(len(parts), len(others)) and parts[shared] == others[shared]:
            shared += 1
        return name[len("/".join(parts[:shared]) or "/") + 1 :]

    def full(self, short: str) -> str:
        """The whole name where the recording knows it, a name below torch for torch's own, else the short one."""
        found = self._known.get(short)
        if found is None:
            found = next((name for name in self._files if is_short_of(short, name)), None)
        if found is None:
            found = (
                f"{self._root or '/site-packages/torch'}/{short}" if short.startswith(_TORCH_PARTS) else short
            )
        self._known[short] = found
        return found


def is_short_of(short: str, name: str) -> bool:
    """Whether torch may have shortened ``name`` to ``short``."""
    if not name.endswith(short):
        return False
    cut = len(name) - len(short)
    return cut == 0 or name[cut - 1] == "/" or (cut == 2 and name[0] == "/")


class GuardsFact(msgspec.Struct, frozen=True):
    """The fact ``guards`` of a compile, as the seam of guards writes it.

    Attributes:
        frames: File (an index), line, function, code.
        stacks: The outer stack (an index, -1 for none) and the innermost frame (an index); an outer stack stands before its inner ones.
        guards: Source, kind and stack (an index).
        dropped: Source, kind, check and stack of what a filter dropped; None where that could not be seen.
        objects: Names by id.
    """

    files: tuple[str, ...] = ()
    frames: tuple[tuple[int, int, str, str | None], ...] = ()
    stacks: tuple[tuple[int, int], ...] = ()
    guards: tuple[tuple[str, str, int | None], ...] = ()
    dropped: tuple[tuple[str, str, str, int | None], ...] | None = None
    objects: dict[str, str] = {}


class _Entry(NamedTuple):
    kind: str
    stack: int


class GuardStacks:
    """The stacks of one compile's guards.

    Args:
        places: Reads frames.
        names: Undoes torch's shortening.
        fact: What the seam wrote, None where it was not there.
        narrated: The ``user_stack`` fields of torch's records on shapes.

    Attributes:
        damaged: How many entries of the fact point to nothing.
    """

    def __init__(
        self, places: Places, names: ShortNames, fact: GuardsFact | None, narrated: Iterable[object]
    ) -> None:
        self._places = places
        self._names = names
        self._frames: list[tuple[str, int, str]] = []
        self._stacks: list[Stack] = []
        self._lines: list[Location | None] = []
        self._by_source: dict[str, list[_Entry]] = {}
        self._by_line: dict[tuple[int, str], dict[int, None]] = {}
        self._text_only: dict[Place, Found] = {}
        self.damaged = 0
        if fact is not None:
            self._read_stacks(fact)
            for source, kind, stack in fact.guards:
                self._read_entry(source, kind, stack)
        self._narrated = tuple(self._read_narrated(narrated))

    def _read_stacks(self, fact: GuardsFact) -> None:
        for outer, inner in fact.stacks:
            file, line, function, code = (
                fact.frames[inner] if 0 <= inner < len(fact.frames) else (-1, 0, "", None)
            )
            name = fact.files[file] if 0 <= file < len(fact.files) else None
            place = None if name is None else self._places.location([name, line, function, code])
            if name is None or place is None or not -1 <= outer < len(self._stacks):
                self.damaged += 1
                self._add(("", 0, ""), ())
            elif outer >= 0 and any(part in name for part in _UNSHOWN):
                self._add(self._frames[outer], (*self._stacks[outer], place))
            else:
                self._add((name, line, function), (*(self._stacks[outer] if outer >= 0 else ()), place))

    def _add(self, shown: tuple[str, int, str], stack: Stack) -> None:
        """Adds a stack; ``shown`` is the frame that torch prints of it."""
        self._frames.append(shown)
        self._stacks.append(stack)
        self._lines.append(self._places.user_line(stack))

    def _read_entry(self, source: str, kind: str, stack: int | None) -> None:
        if stack is None:
            return
        if not 0 <= stack < len(self._stacks):
            self.damaged += 1
            return
        self._by_source.setdefault(source, []).append(_Entry(kind, stack))
        _, line, function = self._frames[stack]
        self._by_line.setdefault((line, function), {})[stack] = None

    def _read_narrated(self, narrated: Iterable[object]) -> Iterable[Stack]:
        seen: set[Stack] = set()
        for frames in narrated:
            stack = self._places.stack(frames)
            if stack and stack not in seen:
                seen.add(stack)
                yield stack

    def of_index(self, index: int | None) -> Found:
        """The user's line and the stack of an index of the fact."""
        if index is None or not 0 <= index < len(self._stacks):
            return None, ()
        return self._lines[index], self._stacks[index]

    def of_leaf(self, leaf: Leaf, source: str | None) -> Found:
        """The user's line and the stack of a check; where torch printed no line, of the first guard on the same value."""
        if leaf.place is None:
            here = self._by_source.get(source or "") or self._by_source.get(
                _COMPUTED.sub("", source or ""), ()
            )
            return self.of_index(
                next((e.stack for e in here if e.kind == leaf.kind), here[0].stack if here else None)
            )
        index = self._index(leaf, leaf.place, source)
        return self.of_index(index) if index is not None else self._of_place(leaf.place)

    def of_upper(self, leaf: Leaf) -> Location | None:
        """The user's line that set the upper bound of a range; None where torch printed none for it."""
        return None if leaf.upper is None else self._of_place(leaf.upper)[0]

    def _index(self, leaf: Leaf, place: Place, source: str | None) -> int | None:
        """The stack that ends in the printed line: of a guard on the source, on what holds it, or the only one that there is."""
        for name in (source, leaf.parent):
            here = [e for e in self._by_source.get(name or "", ()) if self._fits(place, e.stack)]
            if here:
                return next((entry.stack for entry in here if entry.kind == leaf.kind), here[0].stack)
        there = [
            stack for stack in self._by_line.get((place.line, place.function), ()) if self._fits(place, stack)
        ]
        return there[0] if len({self._lines[stack] for stack in there}) == 1 else None

    def _fits(self, place: Place, stack: int) -> bool:
        file, line, function = self._frames[stack]
        return line == place.line and function == place.function and is_short_of(place.file, file)

    def _of_place(self, place: Place) -> Found:
        found = self._text_only.get(place)
        if found is None:
            found = self._text_only[place] = self._read_place(place)
        return found

    def _read_place(self, place: Place) -> Found:
        full = self._names.full(place.file)
        only = self._places.location([full, place.line, place.function, place.code])
        if only is None:
            return None, ()
        for stack in self._narrated:
            inner = stack[-1]
            if (inner.file, inner.line, inner.function) == (only.file, only.line, only.function):
                return self._places.user_line(stack), stack
        return self._places.user_line((only,)), (only,)
