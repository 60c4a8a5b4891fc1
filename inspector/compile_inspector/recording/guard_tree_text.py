"""Reads torch's printout of a guard tree: one leaf for each check, with the source it stands under.

The text comes from `torch._dynamo.guards.GuardManagerWrapper.__str__`; it changes little between versions of torch, and a line that is
not understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_PLACE = re.compile(
    r"(?:(?P<code>.*?)  # )?(?P<file>(?:(?!  # ).)+?):(?P<line>\d+) in (?P<function>[\w.<>]+)(?P<rest>.*)",
    re.DOTALL,
)
_HINT = " (HINT: "
_AND = " and "
_COMMENT_LIMIT = 4000
_TRIES = 50
_NOTE = re.compile(r"^ \((.*?)\)(?:$| and )", re.DOTALL)
_STRINGS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FRAMEWORK = re.compile(r"\S+:\d+ in \S+$")


class Place(msgspec.Struct, frozen=True, gc=False):
    """The line of source that torch printed behind a check.

    Attributes:
        file: Shortened by torch: without what it shares with torch's own folder.
    """

    file: str
    line: int
    function: str
    code: str | None


class Leaf(msgspec.Struct, frozen=True, gc=False):
    """One check.

    Attributes:
        kind: torch's name of it.
        source: Source of the manager it stands in; None at the root.
        parent: Source of the manager around that one; None at the root.
        expr: The check alone.
        type_name: The type that torch printed with a check by id, None where it printed none.
        place: None where torch printed none.
        hint: torch's remark on it, None where there is none.
        upper: Of a range, the line that set its upper bound, where torch printed one for each bound.
    """

    kind: str
    source: str | None
    parent: str | None
    expr: str
    type_name: str | None
    place: Place | None
    hint: str | None
    upper: Place | None = None


class _Comment(msgspec.Struct, frozen=True, gc=False):
    place: Place | None
    hint: str | None
    second: Place | None = None


class GuardTreeText(msgspec.Struct, frozen=True):
    """A guard tree as read from its text.

    Attributes:
        leaves: In the order of the text.
        sources: Of every manager, in the order of the text.
        unread: How many lines were not understood.
    """

    leaves: tuple[Leaf, ...]
    sources: tuple[str, ...]
    unread: int


def parse_guard_tree(text: str) -> GuardTreeText:
    """Every leaf of the tree; what cannot be read is counted in ``unread``."""
    reader = _Reader()
    for line in _entries(text):
        reader.read(line)
    return GuardTreeText(leaves=tuple(reader.leaves), sources=tuple(reader.sources), unread=reader.unread)


def _entries(text: str) -> Iterator[str]:
    """The tree's lines, each with the lines that continue it."""
    pending: str | None = None
    for line in text.split("\n"):
        if line.startswith(("| ", "+- ")) and "+- " in line:
            if pending is not None:
                yield pending
            pending = line
        elif line.startswith("Guard latency = "):
            break
        elif not line or line.isspace() or line == "TREE_GUARD_MANAGER:":
            continue
        elif pending is not None:
            pending += "\n" + line
        else:
            yield line
    if pending is not None:
        yield pending


class _Reader:
    """Takes the tree's lines one after another; knows the managers around the current one, the root outermost."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.sources: list[str] = []
        self.unread = 0
        self._above: list[str | None] = []
        self._relational: dict[str, str] = {}
        self._comments: dict[str, _Comment] = {}

    def read(self, line: str) -> None:
        """Takes one line."""
        at = line.find("+- ")
        depth, above = at // 2, self._above
        if at < 0 or line[:at] != "| " * depth:
            self.unread += 1
            return
        body = line[at + 3 :]
        del above[depth:]
        while len(above) < depth:
            above.append(above[-1] if above else None)
        head, colon, rest = body.partition(": ")
        if colon and head in {"KeyManager", "ValueManager"}:
            head, colon, rest = rest.partition(": ")
        if colon and head.endswith("GuardManager") and rest.startswith("source="):
            source = _source(rest[7:])
            self.sources.append(source)
            above.append(source)
        elif head == "RootGuardManager" or head.startswith("KeyValueManager"):
            above.append(above[-1] if above else None)
        elif head.isidentifier():
            self._take(head, rest, shared=not colon)
        else:
            self.unread += 1

    def _take(self, kind: str, rest: str, *, shared: bool) -> None:
        """Takes a leaf; a check of several values is printed whole at the first of them, by its name alone at the others."""
        if shared:
            rest = self._relational.get(kind, "")
        else:
            self._relational[kind] = rest
        expr, remarks = split_comment(rest)
        if remarks not in self._comments:
            self._comments[remarks] = _comment(remarks)
        comment = self._comments[remarks]
        expr, type_name = _without_type(expr)
        above = self._above
        source = above[-1] if above else None
        leaf = Leaf(
            kind=kind,
            source=source,
            parent=next((outer for outer in reversed(above) if outer != source), None),
            expr=expr,
            type_name=type_name,
            place=comment.place,
            hint=comment.hint,
            upper=comment.second,
        )
        self.leaves.append(leaf)


def read_leaf(kind: str, check: str, *, source: str | None) -> Leaf:
    """A check that stands by itself, outside a tree."""
    expr, type_name = _without_type(check)
    return Leaf(kind=kind, source=source, parent=None, expr=expr, type_name=type_name, place=None, hint=None)


def _source(rest: str) -> str:
    """A manager's source from what stands behind ``source=``."""
    source, accessed, _ = rest.partition(", accessed_by=")
    return source if accessed else rest.partition(", type=<")[0]


def _without_type(expr: str) -> tuple[str, str | None]:
    at = expr.rfind(", type=<") if expr.startswith("___check_") and expr.endswith(">") else -1
    if at < 0:
        return expr, None
    return expr[:at], expr[at + 8 : -1].removeprefix("class ").strip("'")


def _without_hint(text: str) -> tuple[str, str | None]:
    at = text.rfind(_HINT) if text.endswith(")") else -1
    return (text, None) if at < 0 else (text[:at], text[at + len(_HINT) : -1])


def split_comment(text: str) -> tuple[str, str]:
    """The check, and what torch wrote behind it, "" for nothing; a ``#`` inside a string literal of the check ends nothing."""
    at, tries = text.find("  # "), 0
    while at >= 0 and tries < _TRIES:
        check = text[:at]
        if _closed(check):
            return check.rstrip(), text[at + 4 :]
        at, tries = text.find("  # ", at + 4), tries + 1
    check, hint = _without_hint(text)
    return check.rstrip(), "" if hint is None else text[len(check) :]


def _closed(check: str) -> bool:
    if '"' not in check and "\\" not in check:
        return check.count("'") % 2 == 0
    bare = _STRINGS.sub("", check)
    return "'" not in bare and '"' not in bare


def _comment(text: str) -> _Comment:
    """The first place that a comment names, torch's remark beside it, and the second place."""
    text, hint = _without_hint(text)
    if hint is not None and hint.startswith("type "):
        hint = None
    match = _PLACE.fullmatch(text) if len(text) <= _COMMENT_LIMIT else None
    if match is None:
        return _Comment(
            place=None, hint=hint or (None if text in {"", "<unknown>"} else text[:_COMMENT_LIMIT])
        )
    note = _NOTE.match(match["rest"])
    remark = None if note is None or _FRAMEWORK.fullmatch(note[1]) else note[1]
    rest = match["rest"][0 if note is None else note.end(1) + 1 :]
    second = _PLACE.fullmatch(rest[len(_AND) :]) if rest.startswith(_AND) else None
    return _Comment(
        place=_place_of(match), hint=hint or remark, second=None if second is None else _place_of(second)
    )


def _place_of(match: re.Match[str]) -> Place:
    code = (match["code"] or "").strip() or None
    return Place(file=match["file"], line=int(match["line"]), function=match["function"], code=code)
