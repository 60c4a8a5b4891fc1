"""The table of guards: the tree that torch printed, joined with the users' stacks that our seam recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from compile_inspector.model.guards import Guard
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import CompileTrace, Trace
from compile_inspector.recording.guard_stacks import Found, GuardsFact, GuardStacks, ShortNames
from compile_inspector.recording.guard_tree_text import Leaf, parse_guard_tree, read_leaf
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.told import DroppedFact, DroppedGuard, told

_SUBJECT = re.compile(
    r"(?<![\w.'\"\]])[LG](?:\['(?:[^'\\]|\\.)*'\]|\[\"(?:[^\"\\]|\\.)*\"\]|\[-?\d+\]|\.[A-Za-z_]\w*(?:\(\))?)+"
)
_BY_ID = re.compile(r"(___check_(?:type|obj)_id\(.*, )(\d+)\)", re.DOTALL)
_LAST_STEP = re.compile(r"(?:\.\w+(?:\(\))?|\['(?:[^'\\]|\\.)*'\]|\[\"(?:[^\"\\]|\\.)*\"\]|\[-?\d+\])$")
_CONTAINERS = ("._modules", "._parameters", "._buffers")
_KIND_OF = (
    ("___check_type_id(", "TYPE_MATCH"),
    ("___check_obj_id(", "ID_MATCH"),
    ("check_tensor(", "TENSOR_MATCH"),
    ("check_no_aliasing(", "NO_TENSOR_ALIASING"),
    ("___check_global_state(", "GLOBAL_STATE"),
    ("___check_torch_function_mode_stack(", "TORCH_FUNCTION_MODE_STACK"),
    ("utils_device.CURRENT_DEVICE", "DEFAULT_DEVICE"),
    ("hasattr(", "HASATTR"),
    ("len(", "LENGTH_CHECK"),
)

Fact = TypeVar("Fact")


class _Written(msgspec.Struct, frozen=True):
    """What a compile's records say of its guards."""

    text: str
    fact: GuardsFact | None
    objects: dict[str, str]


class _Held(msgspec.Struct, frozen=True):
    """What the fact ``existing`` says of guards."""

    guards: str | None = None
    file: str | None = None
    objects: dict[str, str] = {}


class _Listed(msgspec.Struct, frozen=True):
    """An entry of `dynamo_guards`."""

    code: str
    user_stack: Any = None


def guards(trace: Trace, places: Places) -> tuple[Guard, ...]:
    """One row for each check of the attempt that shipped of each compile, in the order of torch's printout, dropped ones last.

    Of a compile that the compile decorator calls past torch's checks, all are dropped. Where it alone tells of a compile's guards, which
    torch no longer holds, the rows are made from that.
    """
    names = ShortNames(trace.files.values())
    dropped = {one.compile_id: one.said for one in told(trace, "dropped_guards", DroppedFact)}
    rows: list[Guard] = []
    for compiled in trace.compiles.values():
        written = _written(trace, compiled, names)
        found = (
            _of_list(trace, places, compiled)
            if written is None
            else _of_tree(trace, places, names, compiled, written)
        )
        fact = dropped.get(compiled.id)
        known = list(found) if fact is None else list(_past_torch(found, fact))
        if known:
            dropped.pop(compiled.id, None)
        rows += known
    for compile_id, fact in dropped.items():
        rows += _only_told(places, compile_id or fact.compile_id, fact)
    return tuple(rows)


def _past_torch(guards: Iterable[Guard], fact: DroppedFact) -> Iterator[Guard]:
    """The guards of a compile that is called past torch's checks: what each is about, and whether the decorator checks it."""
    exact = {(guard.source, guard.expr): guard for guard in fact.guards}
    alike = {(guard.source, guard.kind): guard for guard in fact.guards}
    for guard in guards:
        found = exact.get((guard.source or "", guard.expr)) or alike.get((guard.source or "", guard.kind))
        checked = fact.checked == "all" if found is None else fact.checks(found)
        yield msgspec.structs.replace(
            guard,
            dropped=True,
            category=None if found is None else found.category,
            checked_by="decorator" if checked else None,
        )


def _only_told(places: Places, compile_id: str, fact: DroppedFact) -> Iterator[Guard]:
    for guard in fact.guards:
        location = None if guard.location is None else places.location(guard.location.frame())
        yield Guard(
            compile_id=compile_id,
            kind=guard.kind,
            source=guard.source or None,
            expr=guard.expr,
            location=location,
            stack=() if location is None else (location,),
            dropped=True,
            category=guard.category,
            checked_by=_checker(fact, guard),
        )


def _checker(fact: DroppedFact, guard: DroppedGuard) -> str | None:
    return "decorator" if fact.checks(guard) else None


def _written(trace: Trace, compiled: CompileTrace, names: ShortNames) -> _Written | None:
    records = list(compiled.every("dynamo_cpp_guards_str"))
    text = _text(trace, records[-1]) if records else None
    if text is not None:
        fact = _fact(trace, compiled, "guards", GuardsFact)
        return _Written(text, fact, {} if fact is None else fact.objects)
    held = None if records else _fact(trace, compiled, "existing", _Held)
    if held is not None and held.file is not None:
        names.add(held.file)
    return None if held is None or held.guards is None else _Written(held.guards, None, held.objects)


def _text(trace: Trace, record: Record) -> str | None:
    if record.payload is None:
        trace.losses.add(trace.where(record), "a guard tree has no text")
        return None
    try:
        return record.payload.read()
    except OSError as error:
        trace.losses.add(trace.where(record), f"a guard tree cannot be read: {error}")
        return None


def _fact(trace: Trace, compiled: CompileTrace, name: str, kind: type[Fact]) -> Fact | None:
    found = trace.fact_of(compiled, name)
    if found is None:
        return None
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        trace.losses.add(f"fact {name} of {compiled.id}", str(error))
        return None


def _of_tree(
    trace: Trace, places: Places, names: ShortNames, compiled: CompileTrace, written: _Written
) -> Iterator[Guard]:
    tree = parse_guard_tree(written.text)
    if tree.unread:
        trace.losses.add(f"guards of {compiled.id}", "lines of the guard tree could not be read", tree.unread)
    stacks = GuardStacks(places, names, written.fact, _narrated(compiled))
    if stacks.damaged:
        trace.losses.add(
            f"guards of {compiled.id}", "entries of the fact on guards could not be read", stacks.damaged
        )
    roots = _roots(tree.sources)
    dropped = None if written.fact is None else written.fact.dropped
    checked: set[tuple[str | None, str]] = set()
    for leaf in tree.leaves:
        source = leaf.source if leaf.source is not None else _subject(leaf.expr)
        checked.add((source, leaf.expr))
        location, stack = stacks.of_leaf(leaf, source)
        yield Guard(
            compile_id=compiled.id,
            kind=leaf.kind,
            source=source,
            expr=_named(leaf, written.objects),
            location=location,
            stack=stack,
            parent=leaf.parent,
            dropped=None if dropped is None else False,
            hint=leaf.hint,
            root=_root_of(source, roots),
            upper_location=stacks.of_upper(leaf),
        )
    for name, kind, expr, index in dropped or ():
        leaf = read_leaf(kind, expr, source=name or None)
        source = leaf.source if leaf.source is not None else _subject(leaf.expr)
        if (source, leaf.expr) not in checked:
            checked.add((source, leaf.expr))
            yield _dropped(compiled.id, leaf, written.objects, stacks.of_index(index), roots)


def _dropped(
    compile_id: str, leaf: Leaf, objects: dict[str, str], found: Found, roots: tuple[str, ...]
) -> Guard:
    source = leaf.source or _subject(leaf.expr)
    return Guard(
        compile_id=compile_id,
        kind=leaf.kind,
        source=source,
        expr=_named(leaf, objects),
        location=found[0],
        stack=found[1],
        parent=None if leaf.source is None else _LAST_STEP.sub("", leaf.source) or None,
        dropped=True,
        root=_root_of(source, roots),
    )


def _narrated(compiled: CompileTrace) -> Iterator[object]:
    """The users' stacks that torch itself wrote beside its facts on shapes."""
    for event in ("guard_added_fast", "create_symbol", "symbolic_shape_specialization"):
        for record in compiled.every(event):
            body: Any = record.body
            if isinstance(body, dict):
                yield body.get("user_stack")  # type: ignore[misc]


def _roots(sources: Iterable[str]) -> tuple[str, ...]:
    """The outermost modules that a tree shows, by the containers that only modules have."""
    roots: list[str] = []
    for source in sources:
        if source.endswith(_CONTAINERS):
            module = source[: source.rindex(".")]
            if _root_of(module, tuple(roots)) is None:
                roots.append(module)
    return tuple(roots)


def _root_of(source: str | None, roots: tuple[str, ...]) -> str | None:
    if source is None:
        return None
    for root in roots:
        at = source.find(root)
        if at >= 0 and not source[at + len(root) : at + len(root) + 1].isidentifier():
            return root
    return None


def _subject(expr: str) -> str | None:
    """The first source that a check names, None for global state."""
    match = _SUBJECT.search(expr)
    return None if match is None else match[0]


def _named(leaf: Leaf, objects: dict[str, str]) -> str:
    """The check with a name in the place of an object's id, where one is known."""
    match = _BY_ID.fullmatch(leaf.expr) if leaf.expr.startswith("___check_") else None
    if match is None:
        return leaf.expr
    name = objects.get(match[2])
    if name is None and leaf.type_name is not None:
        name = (
            leaf.type_name if leaf.expr.startswith("___check_type_id") else f"<{leaf.type_name} {match[2]}>"
        )
    return leaf.expr if name is None else f"{match[1]}{name})"


def _of_list(trace: Trace, places: Places, compiled: CompileTrace) -> Iterator[Guard]:
    """Rows from `dynamo_guards`, the flat list that torch wrote before it printed trees."""
    records = list(compiled.every("dynamo_guards"))
    found = trace.fact(records[-1]) if records else None
    if found is None:
        return
    try:
        listed = msgspec.convert(found, tuple[_Listed, ...])
    except msgspec.ValidationError as error:
        trace.losses.add(trace.where(records[-1]), f"dynamo_guards cannot be read: {error}")
        return
    for entry in listed:
        stack = places.stack(entry.user_stack)
        yield Guard(
            compile_id=compiled.id,
            kind=next((kind for sign, kind in _KIND_OF if entry.code.startswith(sign)), "LAMBDA_GUARD"),
            source=_subject(entry.code),
            expr=entry.code,
            location=places.user_line(stack),
            stack=stack,
        )
