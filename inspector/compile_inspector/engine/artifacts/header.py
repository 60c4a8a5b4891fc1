"""What an artifact says about itself, readable without unpickling anything: its key, its manifest, where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

TEXT_LIMIT = 1 << 16
"""Characters of a component's or a source's text that are kept; its hash is of all of it."""


def digest(*texts: str | bytes) -> str:
    """A hash of texts, in hexadecimal; where one ends and the next begins matters."""
    found = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        found.update(len(data).to_bytes(8, "big"))
        found.update(data)
    return found.hexdigest()


class Component(msgspec.Struct, frozen=True):
    """A part of a lookup key.

    Attributes:
        name: What it is of.
        hash: Of its whole text.
        text: In lines, cut where it is long.
    """

    name: str
    hash: str
    text: str


class FunctionPrint(msgspec.Struct, frozen=True):
    """One function whose instructions went into the program.

    Attributes:
        name: Its module and qualified name.
        at: Where the live one is found: ``forward``, ``module:PATH``, ``global:MODULE``, ``guard:SOURCE``.
        depth: Which of a chain of wrappers there it is.
        hash: Of what the chain does: instructions, constants, names and defaults, those of functions within included.
        source: Its text, for people; None where there was none.
        file: Where it was written.
        line: The first line there.
    """

    name: str
    at: str
    depth: int
    hash: str
    source: str | None
    file: str
    line: int


class ValuePrint(msgspec.Struct, frozen=True):
    """One value that the program was made for.

    Attributes:
        source: What it is of, as Dynamo names it.
        kind: torch's name of the guard on it.
        hash: Of what of it matters.
        text: For people.
        read_by: Which of the header's functions read it; -1 for the forward, None where that is not known.
        read_line: On which of its lines, from 0.
    """

    source: str
    kind: str
    hash: str
    text: str
    read_by: int | None = None
    read_line: int = 0


class Header(msgspec.Struct, frozen=True):
    """An artifact, but for its code.

    Attributes:
        key: Its lookup key: the hash of its components.
        program: The class, its module in front.
        prefix: The module's name within its model; "" for none.
        components: What the key was made of.
        functions: See `FunctionPrint`.
        values: See `ValuePrint`.
        guards: A hash of what its guards say.
        builtins: The name that its code has for Python's builtins; None where it has none.
        backend: What compiled it.
        created_s: When, seconds since the epoch.
        compile_ns: How long the call that compiled it took.
        graphs: How many compiled graphs or pieces it holds.
    """

    key: str
    program: str
    prefix: str
    components: tuple[Component, ...]
    functions: tuple[FunctionPrint, ...]
    values: tuple[ValuePrint, ...]
    guards: str
    builtins: str | None
    backend: str
    created_s: float
    compile_ns: int
    graphs: int

    @property
    def identity(self) -> str:
        """A hash of everything that tells it from another artifact of the same key."""
        parts = [one.hash for one in (*self.functions, *self.values)]
        return digest(self.key, self.guards, *parts)


class Difference(msgspec.Struct, frozen=True):
    """A part in which what is stored and what is asked for differ.

    Attributes:
        component: Which.
        was: Of the stored one, the first line that differs; None where it has no such line.
        now: Of the one asked for.
        file: Where the thing that changed was written; None where it has no place.
        line: The line there.
    """

    component: str
    was: str | None
    now: str | None
    file: str | None = None
    line: int | None = None


def key_of(components: Iterable[Component]) -> str:
    """The lookup key of components."""
    return digest(*(part for one in components for part in (one.name, one.hash)))


def component(name: str, lines: Iterable[str]) -> Component:
    """A component of lines of text."""
    text = "\n".join(lines)
    return Component(name, digest(text), text[:TEXT_LIMIT])


def differences(was: Sequence[Component], now: Sequence[Component]) -> tuple[Difference, ...]:
    """In which components two keys differ."""
    before, after = {one.name: one for one in was}, {one.name: one for one in now}
    names = [name for name in {**before, **after} if _hash(before, name) != _hash(after, name)]
    return tuple(
        Difference(name, *first_difference(_text(before, name), _text(after, name))) for name in names
    )


def _hash(components: dict[str, Component], name: str) -> str | None:
    found = components.get(name)
    return None if found is None else found.hash


def _text(components: dict[str, Component], name: str) -> str:
    found = components.get(name)
    return "" if found is None else found.text


def first_difference(was: str, now: str) -> tuple[str | None, str | None]:
    """The first line that two texts do not share, of each; None where that one has ended."""
    at = shared_lines(was, now)
    return _line(was.splitlines(), at), _line(now.splitlines(), at)


def shared_lines(was: str, now: str) -> int:
    """How many lines two texts share from the first on."""
    before, after = was.splitlines(), now.splitlines()
    at = next((index for index, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    return min(len(before), len(after)) if at is None else at


def _line(lines: list[str], at: int) -> str | None:
    return lines[at].strip()[:500] if at < len(lines) else None
