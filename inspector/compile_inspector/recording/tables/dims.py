"""The table of dimensions: what each one of each input became, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from compile_inspector.model.locations import Location
from compile_inspector.model.symbols import Dim, Verdict
from compile_inspector.model.text import HeldText
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.sizes import Input, Size, Sizes, mentions, sizes_by_compile

_NAME = re.compile(r"[A-Za-z_]\w*")
_NO_SIZE = re.compile(r"Auto\w+\.token$")
"""What torch keeps of a size that differed more than once, or was not met."""
_DYNAMIC_MARKS = ("mark_dynamic", "maybe_mark_dynamic")
Judgement = tuple[Verdict, str, Location | None]


def dims(trace: Trace, places: Places) -> tuple[Dim, ...]:
    """One row per dimension of each tensor that a compile takes, in the order of the inputs."""
    rows: list[Dim] = []
    changes = _Changes(trace)
    known = sizes_by_compile(trace, places)
    for compiled in trace.compiles.values():
        seen = changes.up_to(compiled)
        sizes = known[compiled.id]
        judge = _Judge(sizes, seen)
        rows.extend(row for tensor in sizes.inputs for row in _rows(compiled.id, tensor, judge))
    return tuple(rows)


def _rows(compile_id: str, tensor: Input, judge: _Judge) -> Iterator[Dim]:
    for dim, (size, became) in enumerate(zip(tensor.sizes, tensor.became, strict=True)):
        verdict, why, location = judge.dim(tensor, dim)
        yield Dim(
            compile_id=compile_id,
            source=tensor.source,
            dim=dim,
            size=size,
            symbol=became if isinstance(became, str) else None,
            verdict=verdict,
            why=why,
            location=location,
            is_parameter=tensor.is_parameter,
        )


class _Change(msgspec.Struct, frozen=True):
    """A size that was seen to change, which made torch treat the dimension as dynamic."""

    was: str | None
    """None where torch only knows that there were several."""
    now: str
    compile_id: str


class _Said(msgspec.Struct, frozen=True):
    """torch's words about a change: ``dim_changed`` is a number, or ``scalar`` or ``all``."""

    name: str = ""
    dim_changed: int | str = ""
    reason: str = ""
    cached: str = ""
    new: str = ""


class _Event(msgspec.Struct, frozen=True):
    name: str
    args: _Said = _Said()


class _Changes:
    """The changes that torch has narrated, by frame; what one compile saw holds for later ones of its frame."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._by_frame: dict[str, dict[tuple[str, int], _Change]] = {}

    def up_to(self, compiled: CompileTrace) -> dict[tuple[str, int], _Change]:
        """By source and dimension, those of this compile and of earlier ones of its frame since the last reset."""
        frame, _, count = compiled.id.partition("#")[0].rpartition("/")
        if count == "0":
            self._by_frame[frame] = {}
        changes = self._by_frame.setdefault(frame, {})
        for record in compiled.records:
            if record.event != "chromium_event" or not isinstance(record.payload, HeldText):
                continue  # a long one, kept elsewhere, is another kind of event
            if '"automatic_dynamic"' in record.payload.read():
                self._take(self._trace.fact(record), compiled.id, changes)
        return changes

    def _take(self, event: object, compile_id: str, changes: dict[tuple[str, int], _Change]) -> None:
        try:
            said = msgspec.convert(event, _Event)
        except msgspec.ValidationError:
            self._trace.losses.add(f"compile {compile_id}", "an automatic_dynamic event cannot be read")
            return
        dim = said.args.dim_changed
        if said.name == "automatic_dynamic" and said.args.reason == "size change" and isinstance(dim, int):
            key = said.args.name, dim
            if not _NO_SIZE.match(said.args.cached):
                changes[key] = _Change(said.args.cached, said.args.new, compile_id)
            elif key not in changes:
                changes[key] = _Change(None, said.args.new, compile_id)


class _Judge:
    """Gives each dimension of one compile its verdict."""

    def __init__(self, sizes: Sizes, changes: dict[tuple[str, int], _Change]) -> None:
        self._sizes = sizes
        self._changes = changes
        self._sharing: dict[str, list[str]] = {}
        for known in sizes.symbols:
            self._sharing[known.name] = list(known.sources)
        for tensor in sizes.inputs:
            for dim, symbol in enumerate(tensor.symbols):
                name = f"{tensor.source}.size()[{dim}]"
                if symbol is not None and name not in self._sharing.setdefault(symbol, []):
                    self._sharing[symbol].append(name)

    def dim(self, tensor: Input, dim: int) -> Judgement:
        """Verdict, reason, and the user's line that decided."""
        symbol, became = tensor.symbols[dim], tensor.became[dim]
        unbacked = tensor.policies[dim] == "unbacked" or (symbol or "").startswith("u")
        if tensor.is_parameter and symbol is None:
            return "static", "a parameter or buffer: its sizes are static by design", None
        if symbol is None and not unbacked:
            return self._without_symbol(tensor, dim)
        if isinstance(became, int):
            return self._specialized(tensor, dim, symbol, became)
        if unbacked:
            return self._unbacked(tensor, dim, symbol or str(became))
        return self._with_symbol(tensor, dim, symbol or str(became), became)

    def _without_symbol(self, tensor: Input, dim: int) -> Judgement:
        size, mark, policy = tensor.sizes[dim], tensor.marks[dim], tensor.policies[dim]
        change = self._changes.get((tensor.source, dim))
        use = tensor.first_use
        if tensor.became[dim] is None:
            return "dynamic", "its size is not checked; the log does not name its symbol", use
        static_first = self._sizes.settings.get("assume_static", True)
        asked = policy != "static" if policy is not None else change is not None or not static_first
        if size in (0, 1) and (asked or mark in _DYNAMIC_MARKS):
            marked = f" although it was marked with {mark}" if mark in _DYNAMIC_MARKS else ""
            return (
                "zero-one",
                f"size {size} is always specialised: torch gives 0 and 1 no symbol{marked}",
                use,
            )
        if mark == "mark_static":
            return "static", "marked with mark_static", use
        if static_first and not self._sizes.settings.get("automatic_dynamic", True):
            return "static", "automatic dynamic shapes are off (dynamic=False): each size is a number", use
        if not static_first:
            return "static", "torch keeps the sizes of this kind of input numbers, although dynamic=True", use
        return "static", "static by default, until a second size is seen", use

    def _specialized(self, tensor: Input, dim: int, symbol: str | None, value: int) -> Judgement:
        steps, location = self._chain(symbol)
        mark = tensor.marks[dim]
        marked = f"marked with {mark}, but " if mark not in (None, "automatic") else ""
        because = f": {'; '.join(steps)}" if steps else ""
        return "specialized", f"{marked}specialized to {value}{because}", location or tensor.first_use

    def _chain(self, symbol: str | None) -> tuple[list[str], Location | None]:
        """From a symbol to the number it became: each step with its cause; and the last step's line."""
        steps: list[str] = []
        location: Location | None = None
        met: set[str] = set()
        while symbol is not None and symbol in self._sizes.replacements and symbol not in met:
            met.add(symbol)
            became, place = self._sizes.replacements[symbol]
            because, line = self._cause(symbol, became)
            location = line or location
            told = f" because of {because}" if because and because != f"Eq({symbol}, {became})" else ""
            at = _at(line) if line is not None else f" at {place}" if place else ""
            steps.append(f"{symbol} == {became}{told}{at}")
            symbol = became
        return steps, location

    def _cause(self, symbol: str, became: str) -> tuple[str | None, Location | None]:
        for pin in self._sizes.pinned:
            if pin.symbol == symbol and pin.value == became:
                return pin.because, pin.location
        for guard in self._sizes.guards:
            if guard.expr.startswith("Eq(") and all(
                mentions(guard.expr, name) for name in (symbol, *_NAME.findall(became))
            ):
                return guard.expr, guard.location
        return None, None

    def _unbacked(self, tensor: Input, dim: int, symbol: str) -> Judgement:
        line = self._sizes.created.get(symbol) or tensor.first_use
        if tensor.marks[dim] == "mark_unbacked":
            return (
                "unbacked",
                f"marked with mark_unbacked: {symbol} stands for any size, and nothing may depend on its value",
                line,
            )
        return "unbacked", f"{symbol} comes from data: its value is not known when the code is compiled", line

    def _with_symbol(self, tensor: Input, dim: int, symbol: str, became: Size) -> Judgement:
        line = self._sizes.created.get(symbol) or tensor.first_use
        mark, size = tensor.marks[dim], tensor.sizes[dim]
        change = self._changes.get((tensor.source, dim))
        others = [
            other for other in self._sharing.get(symbol, ()) if other != f"{tensor.source}.size()[{dim}]"
        ]
        found = self._found_equal(symbol, became)
        if others:
            same = "both were" if len(others) == 1 else "all were"
            why = f"shares {symbol} with {_listed(others)}, because {same} {size} when it was compiled: unequal sizes compile again"
            return "duck-shared", why + found, line
        if mark in _DYNAMIC_MARKS:
            return "marked", f"marked with {mark}: {symbol}" + found, line
        if change is not None:
            return (
                "dynamic",
                f"dynamic after a change: {'it had several sizes' if change.was is None else f'it was {change.was}'}, "
                f"then {change.now}" + found,
                line,
            )
        if not self._sizes.settings.get("assume_static", True):
            return (
                "dynamic",
                "dynamic from the first call on (dynamic=True): no size is assumed static" + found,
                line,
            )
        return (
            "dynamic",
            "dynamic: torch has seen another size before, or a setting or profile names it" + found,
            line,
        )

    def _found_equal(self, symbol: str, became: Size) -> str:
        if became == symbol or became is None:
            return ""
        steps, _ = self._chain(symbol)
        return f"; {'; '.join(steps)}" if steps else f"; {symbol} == {became}"


def _at(line: Location) -> str:
    return f" at {line.short} ({line.code})" if line.code else f" at {line.short}"


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
