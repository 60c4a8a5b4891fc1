"""What to know of a recording before any table: its headline, its numbers, its story, what it cannot show. Pure; no markup."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from compile_inspector.model.tables import Tables
from compile_inspector.views.columns import COLUMNS, title_of
from compile_inspector.views.story import (
    NOTHING,
    Sentence,
    Tone,
    compile_ns,
    recorded_compiles,
    rows_of,
    sentences,
)
from compile_inspector.views.words import count, duration, visible

FINDING = "Finding: "
"""How the name of a kind of finding that could not be judged begins."""


class Fact(msgspec.Struct, frozen=True):
    """One number of the headline.

    Attributes:
        key: Its name: ``compiles``, ``elapsed``, ``recompiles``, ``graph_breaks``, ``violations``, ``failed``, ``losses``.
        label: What is counted, in the number's grammatical form.
        value: The number as text.
        tone: How welcome it is.
        table: Where the rows behind it are, None where no table holds them.
    """

    key: str
    label: str
    value: str
    tone: Tone
    table: str | None


class Absence(msgspec.Struct, frozen=True):
    """Something that the recording cannot show, and why."""

    name: str
    reason: str


class Summary(msgspec.Struct, frozen=True):
    """What to know before reading any table.

    Attributes:
        headline: All of it in one line.
        facts: The numbers of the headline.
        sentences: What compiled, what failed, recompiled and broke and why, what the dims became.
        environment: Label and value pairs.
        not_recorded: Observations this torch could not give, then tables that are absent.
    """

    headline: str
    facts: tuple[Fact, ...]
    sentences: tuple[Sentence, ...]
    environment: tuple[tuple[str, str], ...]
    not_recorded: tuple[Absence, ...]


def summarise(tables: Tables) -> Summary:
    """The summary of a recording; all text in it is visible text."""
    facts = _facts(tables)
    return Summary(
        headline=_headline(tables, facts),
        facts=facts,
        sentences=tuple(sentences(tables)),
        environment=tuple((visible(label), visible(value)) for label, value in _environment(tables)),
        not_recorded=not_recorded(tables),
    )


def not_recorded(tables: Tables) -> tuple[Absence, ...]:
    """What the recording cannot show, and why."""
    seams = [Absence(visible(title_of(seam)), visible(reason)) for seam, reason in tables.environment.seams]
    absent = [name for name in tables if tables.read(name) is None]
    absent.sort(key=lambda name: name not in COLUMNS)
    tables_absent = (Absence(title_of(name), visible(tables.why_absent(name) or "")) for name in absent)
    unjudged = (
        Absence(f"{FINDING}{one.kind}", visible(one.reason))
        for one in tables.unjudged
        if not one.reason.startswith("there is no table")
    )
    return (*seams, *tables_absent, *unjudged)


def _facts(tables: Tables) -> tuple[Fact, ...]:
    compiles = recorded_compiles(tables)
    recompiles, breaks = rows_of(tables, "recompiles"), rows_of(tables, "graph_breaks")
    failed = sum(compiled.status == "failed" for compiled in compiles)
    losses = sum(loss.count for loss in rows_of(tables, "losses"))
    facts = [
        _fact("compiles", len(compiles), "compile", "plain", "compiles"),
        Fact("elapsed", "compiling", duration(compile_ns(compiles)), "plain", "compiles"),
        _fact("recompiles", len(recompiles), "recompile", "warn", "recompiles"),
        _fact("graph_breaks", len(breaks), "graph break", "warn", "graph_breaks"),
    ]
    violations = sum(row.count for row in rows_of(tables, "violations"))
    if violations:
        facts.append(_fact("violations", violations, "violation", "warn", "violations"))
    if failed:
        facts.append(Fact("failed", "failed", f"{failed:,}", "bad", "compiles"))
    facts.append(
        Fact(
            "losses",
            "loss" if losses == 1 else "losses",
            f"{losses:,}",
            "bad" if losses else "good",
            "losses",
        )
    )
    return tuple(facts)


def _fact(key: str, number: int, noun: str, tone: Tone, table: str) -> Fact:
    shown = tone if tone == "plain" or number else "good"
    return Fact(key, noun if number == 1 else f"{noun}s", f"{number:,}", shown, table)


def _headline(tables: Tables, facts: tuple[Fact, ...]) -> str:
    compiles = recorded_compiles(tables)
    if not compiles and not any(
        fact.value != "0" for fact in facts if fact.key in {"recompiles", "graph_breaks", "losses"}
    ):
        return NOTHING.removesuffix(".")
    functions = len({compiled.frame for compiled in compiles if compiled.frame})
    parts = [count(len(compiles), "compile")]
    if functions:
        parts[0] += f" of {count(functions, 'function')}"
    if any(compiled.elapsed_ns is not None for compiled in compiles):
        parts[0] += f" in {duration(compile_ns(compiles))}"
    for fact in facts[2:]:
        if fact.key in {"recompiles", "graph_breaks"} and tables.read(fact.key) is None:
            parts.append(f"{fact.label} not recorded")
        elif fact.value != "0" or fact.key != "losses":
            parts.append(f"{'no' if fact.value == '0' else fact.value} {fact.label}")
    return ", ".join(parts)


def _environment(tables: Tables) -> Iterable[tuple[str, str]]:
    found = tables.environment
    for label, value in (
        ("torch", found.torch),
        ("CUDA", found.cuda),
        ("GPU", found.gpu),
        ("Python", found.python),
    ):
        if value is not None:
            yield label, value
    yield from found.packages
    if found.ranks:
        yield "ranks", ", ".join(map(str, found.ranks))
    for patch in found.config:
        default = "" if patch.default is None else f" (default {patch.default})"
        yield f"{patch.module}.{patch.name}", f"{patch.value}{default}"
