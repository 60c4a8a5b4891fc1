"""The sizes of one compile's inputs, from our fact or, in a log that has none, from what torch narrates by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec

from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location, Stack
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.guards import guards

Size = int | str | None
Body = TypeVar("Body")
_SIZE = re.compile(r"(.+)\.size\(\)\[(\d+)\]$")
_OF_MODULE = re.compile(r"\._(?:parameters|buffers)\[")
_SIZES = re.compile(r"size=\[([^\]]*)\]")


class Input(msgspec.Struct, frozen=True):
    """One tensor that a compile takes.

    Attributes:
        source: As Dynamo names it: ``L['x']``.
        sizes: At trace time; None where unknown.
        became: What each size became: a number or an expression; None where a log does not say.
        symbols: The symbol each dimension got at first, before anything was found out about it.
        policies: How torch was to treat each dimension: ``static``, ``duck``, ``dynamic``, ``unbacked``; None where unknown.
        marks: The mark on each dimension: a function's name, or ``automatic``.
        first_use: The user's line that first used it.
        is_parameter: A module's parameter or buffer.
    """

    source: str
    sizes: tuple[int | None, ...]
    became: tuple[Size, ...]
    symbols: tuple[str | None, ...]
    policies: tuple[str | None, ...]
    marks: tuple[str | None, ...]
    first_use: Location | None = None
    is_parameter: bool = False


class Known(msgspec.Struct, frozen=True):
    """One symbol, as far as it is known."""

    name: str
    sources: tuple[str, ...]
    hint: int | None
    range: str | None
    kind: Literal["backed", "unbacked"]


class Pinned(msgspec.Struct, frozen=True):
    """torch's word that a symbol was replaced by a number.

    Attributes:
        because: The guard that was added just before, as torch writes it; None where there is none.
    """

    symbol: str
    sources: tuple[str, ...]
    value: str
    reason: str
    stack: Stack
    location: Location | None
    because: str | None


class Equated(msgspec.Struct, frozen=True):
    """A shape guard that torch added while it traced."""

    expr: str
    location: Location | None


class Sizes(msgspec.Struct, frozen=True):
    """Everything about sizes of one compile's shipped attempt."""

    settings: dict[str, bool]
    inputs: tuple[Input, ...]
    symbols: tuple[Known, ...]
    replacements: dict[str, tuple[str, str | None]]
    created: dict[str, Location | None]
    pinned: tuple[Pinned, ...]
    guards: tuple[Equated, ...]


class _Fact(msgspec.Struct, frozen=True):
    settings: dict[str, bool]
    symbols: list[tuple[str, tuple[str, ...], int | None, str | None, Literal["backed", "unbacked"]]]
    replacements: list[tuple[str, str, str | None]]
    inputs: list[
        tuple[
            str,
            tuple[int | None, ...],
            tuple[Size, ...],
            tuple[str | None, ...],
            tuple[str | None, ...],
            tuple[str | None, ...],
            int | None,
        ]
    ]
    parameters: list[tuple[str, tuple[Size, ...]]]
    stacks: list[list[Any]]


class _Created(msgspec.Struct, frozen=True):
    symbol: str
    val: str | int | None = None
    vr: str | None = None
    source: str | None = None
    user_stack: list[Any] | None = None


class _Specialized(msgspec.Struct, frozen=True):
    symbol: str
    value: str | int | float
    sources: tuple[str, ...] = ()
    reason: str = ""
    user_stack: list[Any] | None = None


class _GuardAdded(msgspec.Struct, frozen=True):
    expr: str
    user_stack: list[Any] | None = None


class _Tensor(msgspec.Struct, frozen=True):
    id: int
    describer_id: int
    size: tuple[Any, ...] = ()
    is_parameter: bool = False
    dynamo_dynamic_indices: tuple[int, ...] = ()


class _Source(msgspec.Struct, frozen=True):
    id: int
    describer_id: int
    source: str


def body_as(trace: Trace, record: Record, kind: type[Body]) -> Body | None:
    """A record's body as a typed value; None, and a loss counted, where it has another form."""
    try:
        return msgspec.convert(record.body, kind)
    except msgspec.ValidationError as error:
        trace.losses.add(trace.where(record), f"{record.event} cannot be read: {error}")
        return None


def sizes_by_compile(trace: Trace, places: Places) -> dict[str, Sizes]:
    """The sizes of every compile, by its id, in order of appearance; read once for all tables."""
    return trace.once(
        "sizes",
        lambda: {compiled.id: _sizes_of(compiled, trace, places) for compiled in trace.compiles.values()},
    )


def _sizes_of(compiled: CompileTrace, trace: Trace, places: Places) -> Sizes:
    created = list(_bodies(trace, compiled, ("create_symbol", "create_unbacked_symbol"), _Created))
    pinned, added = _narrated(trace, compiled, places)
    places_of = {one.symbol: places.user_line(places.stack(one.user_stack)) for one in reversed(created)}
    fact = _fact(trace, compiled)
    if fact is not None:
        return Sizes(
            settings=fact.settings,
            inputs=tuple(_inputs_of_fact(fact, places)),
            symbols=tuple(Known(*symbol) for symbol in fact.symbols),
            replacements={symbol: (expr, place) for symbol, expr, place in fact.replacements},
            created=places_of,
            pinned=pinned,
            guards=added,
        )
    replacements: dict[str, tuple[str, str | None]] = {
        one.symbol: (one.value, None) for one in reversed(pinned)
    }
    inputs: tuple[Input, ...] = ()
    if compiled.first("describe_tensor") is not None:
        mine = trace.once("guards by compile", lambda: _guards_by_compile(trace, places)).get(compiled.id, [])
        inputs = tuple(_inputs_of_log(trace, compiled, created, replacements, mine))
    return Sizes(
        settings=_settings_of_log(compiled),
        inputs=inputs,
        symbols=tuple(_symbols_of_log(created, pinned, inputs)),
        replacements=replacements,
        created=places_of,
        pinned=pinned,
        guards=added,
    )


def _guards_by_compile(trace: Trace, places: Places) -> dict[str, list[Guard]]:
    found: dict[str, list[Guard]] = {}
    for guard in trace.once("guards", lambda: guards(trace, places)):
        found.setdefault(guard.compile_id, []).append(guard)
    return found


def _bodies(
    trace: Trace, compiled: CompileTrace, events: tuple[str, ...], kind: type[Body]
) -> Iterable[Body]:
    for record in compiled.shipped:
        if record.event in events and (found := body_as(trace, record, kind)) is not None:
            yield found


def _fact(trace: Trace, compiled: CompileTrace) -> _Fact | None:
    raw = trace.fact_of(compiled, "shapes")
    if raw is None:
        return None
    try:
        return msgspec.convert(raw, _Fact)
    except msgspec.ValidationError as error:
        trace.losses.add(f"compile {compiled.id}", f"compile_inspector.shapes cannot be read: {error}")
        return None


def _inputs_of_fact(fact: _Fact, places: Places) -> Iterable[Input]:
    lines = [places.user_line(places.stack(stack)) for stack in fact.stacks]
    for source, sizes, became, symbols, policies, marks, use in fact.inputs:
        if not len(sizes) == len(became) == len(symbols) == len(policies) == len(marks):
            continue
        first_use = lines[use] if use is not None and 0 <= use < len(lines) else None
        yield Input(source, sizes, became, symbols, policies, marks, first_use)
    for source, shape in fact.parameters:
        none = (None,) * len(shape)
        sizes = tuple(size if isinstance(size, int) else None for size in shape)
        yield Input(source, sizes, shape, none, none, none, is_parameter=True)


def _narrated(
    trace: Trace, compiled: CompileTrace, places: Places
) -> tuple[tuple[Pinned, ...], tuple[Equated, ...]]:
    """Specializations, each symbol's first, with the guard added just before; and all shape guards."""
    pinned: dict[tuple[str, str], Pinned] = {}
    added: list[Equated] = []
    for record in compiled.shipped:
        if record.event in ("guard_added_fast", "guard_added"):
            guard = body_as(trace, record, _GuardAdded)
            if guard is not None:
                added.append(Equated(guard.expr, places.user_line(places.stack(guard.user_stack))))
        elif record.event == "symbolic_shape_specialization":
            one = body_as(trace, record, _Specialized)
            if one is None or (one.symbol, str(one.value)) in pinned:
                continue
            stack = places.stack(one.user_stack)
            because = next(
                (guard.expr for guard in reversed(added) if mentions(guard.expr, one.symbol)), None
            )
            pinned[one.symbol, str(one.value)] = Pinned(
                one.symbol, one.sources, str(one.value), one.reason, stack, places.user_line(stack), because
            )
    return tuple(pinned.values()), tuple(added)


def mentions(expr: str, symbol: str) -> bool:
    """Whether an expression speaks of a symbol."""
    return re.search(rf"\b{re.escape(symbol)}\b", expr) is not None


class _Metrics(msgspec.Struct, frozen=True):
    dynamo_config: str | None = None


class _Config(msgspec.Struct, frozen=True):
    automatic_dynamic_shapes: bool = True
    assume_static_by_default: bool = True


def _settings_of_log(compiled: CompileTrace) -> dict[str, bool]:
    """The settings that decide about sizes, from the configuration that later versions of torch put into their metrics."""
    for record in compiled.anywhere("compilation_metrics"):
        try:
            metrics = msgspec.convert(record.body, _Metrics)
            if metrics.dynamo_config:
                config = msgspec.json.decode(metrics.dynamo_config, type=_Config)
                return {
                    "automatic_dynamic": config.automatic_dynamic_shapes,
                    "assume_static": config.assume_static_by_default,
                }
        except msgspec.MsgspecError:
            continue
    return {}


def _inputs_of_log(
    trace: Trace,
    compiled: CompileTrace,
    created: list[_Created],
    replacements: dict[str, tuple[str, str | None]],
    guards: list[Guard],
) -> Iterable[Input]:
    tensors = {
        (one.describer_id, one.id): one for one in _bodies(trace, compiled, ("describe_tensor",), _Tensor)
    }
    symbol_of = {one.source: one.symbol for one in created if one.source is not None}
    symbol_of |= _shared(guards, symbol_of)
    checks = {guard.source: guard for guard in guards if guard.kind == "TENSOR_MATCH"}
    seen: set[str] = set()
    for described in _bodies(trace, compiled, ("describe_source",), _Source):
        tensor = tensors.get((described.describer_id, described.id))
        if tensor is None or described.source in seen:
            continue
        seen.add(described.source)
        sizes = tuple(size if isinstance(size, int) else None for size in tensor.size)
        symbols = tuple(symbol_of.get(f"{described.source}.size()[{dim}]") for dim in range(len(sizes)))
        check = checks.get(described.source)
        yield Input(
            source=described.source,
            sizes=sizes,
            became=tuple(
                _became(size, symbol, replacements, unchecked=dim in _unchecked(check))
                for dim, (size, symbol) in enumerate(zip(sizes, symbols, strict=True))
            ),
            symbols=symbols,
            policies=(None,) * len(sizes),
            marks=tuple(
                "mark_dynamic" if dim in tensor.dynamo_dynamic_indices else None for dim in range(len(sizes))
            ),
            first_use=None if check is None else check.location,
            is_parameter=tensor.is_parameter or _OF_MODULE.search(described.source) is not None,
        )


def _became(
    size: int | None, symbol: str | None, replacements: dict[str, tuple[str, str | None]], *, unchecked: bool
) -> Size:
    if symbol is None:
        return None if unchecked else size
    while symbol in replacements:
        value = replacements[symbol][0]
        if value.isdigit():
            return int(value)
        symbol = value
    return symbol


def _unchecked(check: Guard | None) -> frozenset[int]:
    """The dimensions whose size a TENSOR_MATCH leaves open."""
    found = None if check is None else _SIZES.search(check.expr)
    if found is None:
        return frozenset()
    return frozenset(dim for dim, size in enumerate(found.group(1).split(",")) if size.strip() == "None")


def _shared(guards: list[Guard], symbol_of: dict[str, str]) -> dict[str, str]:
    """Sizes that have another size's symbol: torch narrates a shared symbol once, and adds a guard that both are equal."""
    found: dict[str, str] = {}
    for guard in guards:
        left, equal, right = guard.expr.partition(" == ")
        if equal and _SIZE.match(left) and _SIZE.match(right):
            for one, other in ((left, right), (right, left)):
                if one not in symbol_of and other in symbol_of:
                    found[one] = symbol_of[other]
    return found


def _symbols_of_log(
    created: list[_Created], pinned: tuple[Pinned, ...], inputs: tuple[Input, ...]
) -> Iterable[Known]:
    sources: dict[str, dict[str, None]] = {}
    first: dict[str, _Created] = {}
    for one in created:
        first.setdefault(one.symbol, one)
        if one.source is not None:
            sources.setdefault(one.symbol, {})[one.source] = None
    for pin in pinned:
        sources.setdefault(pin.symbol, {}).update(dict.fromkeys(pin.sources))
    for tensor in inputs:
        for dim, symbol in enumerate(tensor.symbols):
            if symbol is not None:
                sources.setdefault(symbol, {})[f"{tensor.source}.size()[{dim}]"] = None
    for name, one in first.items():
        text = str(one.val)
        hint = int(text) if text.lstrip("-").isdigit() else None
        kind = "unbacked" if one.source is None else "backed"
        yield Known(name, tuple(sources.get(name, ())), hint, one.vr, kind)
