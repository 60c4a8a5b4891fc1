"""The table of applied modules: what the compile decorator was told to compile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compile_inspector.model.applied import Applied, MarkedDim, UnmarkedDim
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import AppliedFact, DroppedFact, MarkedFact, Told, told

Dims = Mapping[str, "int | list[int] | dict[str, str | None]"]


def applied(trace: Trace, places: Places) -> tuple[Applied, ...]:
    """One row for each time a module was decorated or applied, in order."""
    marked = {one.key: one.said for one in told(trace, "marked", MarkedFact)}
    unique = {one.key: one.compile_id for one in told(trace, "dropped_guards", DroppedFact)}
    return tuple(
        _row(places, one, marked.get(one.key), unique) for one in told(trace, "applied", AppliedFact)
    )


def _row(
    places: Places,
    one: Told[AppliedFact],
    marks: MarkedFact | None,
    unique: Mapping[str, str | None],
) -> Applied:
    said = one.said
    return Applied(
        module=said.module,
        class_name=said.class_name,
        how=said.how,
        compiles=said.compiles,
        mode=said.mode,
        backend=said.backend,
        dynamic_shapes=said.dynamic_shapes,
        evaluate_guards=said.evaluate_guards,
        dynamic_dims=tuple(_dims(said.dynamic_arg_dims)),
        unbacked_dims=tuple(_dims(said.mark_unbacked_dims)),
        dropped_guards=said.dropped_guards,
        splitting_ops=said.splitting_ops,
        is_encoder=said.is_encoder,
        location=places.location([said.file, said.line, None, None]),
        compile_ids=tuple(_compiles(one, unique)),
        marked=()
        if marks is None
        else tuple(MarkedDim(m.source, m.dim, m.size, m.kind, m.shape_id) for m in marks.marked),
        unmarked=()
        if marks is None
        else tuple(UnmarkedDim(m.source, m.dim, m.size, m.like) for m in marks.unmarked),
    )


def _compiles(one: Told[AppliedFact], unique: Mapping[str, str | None]) -> Iterator[str]:
    """Its compiles: those that it told, and those whose guards it told after that."""
    of_guards = (key.removeprefix(f"{one.key}:") for key in unique if key.startswith(f"{one.key}:"))
    for own in sorted({*one.said.compile_ids, *of_guards}, key=_count):
        yield unique.get(f"{one.key}:{own}") or own


def _count(compile_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in compile_id.split("/") if part.isdecimal())


def _dims(dims: Dims) -> Iterator[str]:
    """``x: 0, 1 as batch``."""
    for argument, given in dims.items():
        if isinstance(given, dict):
            shown = [f"{dim} as {shape_id}" if shape_id else dim for dim, shape_id in given.items()]
        else:
            shown = [str(dim) for dim in ([given] if isinstance(given, int) else given)]
        yield f"{argument}: {', '.join(shown)}"
