"""The kernels and output-code tables, from the code Inductor generated and from its provenance records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from compile_inspector.model.kernels import Kernel, OutputCode
from compile_inspector.model.records import Record
from compile_inspector.model.text import Text, hold
from compile_inspector.recording.fold import FACT, CompileTrace, Losses, Trace
from compile_inspector.recording.stacks import Places

Direction = Literal["forward", "backward", "inference"]
Names = dict[str, tuple[str, ...]]

_AOT_ID = re.compile(r"^# AOT ID: \['\w*?_?(forward|backward|inference)'\]", re.MULTILINE)
_DEFINED = re.compile(
    r"^(?P<name>\w+) = async_compile\.(?P<kind>\w+)\((?:(?!''')[^\n])*r?'''\n?(?P<source>.*?)'''",
    re.MULTILINE | re.DOTALL,
)
_WRITTEN_FOR = re.compile(r"Topologically Sorted Source Nodes: \[([^\]]*)\]")
_FRAGMENT = re.compile(r"#   %(\w+) : .*= call_\w+\[")
_MAPPED = re.compile(r"#   \w+ => (.+)")
_EXTERN = re.compile(
    r"^ +(?:\w+ = )?(?P<name>extern_kernels\.\w+|torch\.ops\.[\w.]+|aten\.[\w.]+|fallback_\w+)\(",
    re.MULTILINE,
)
_CALLED = re.compile(r"^ +(\w+)(?:\.run)?\(", re.MULTILINE)
_BOOKKEEPING = ("torch.ops.inductor._reinterpret_tensor", "torch.ops.inductor._alloc_from_pool")
_MAPPINGS = ("inductor_provenance_tracking_node_mappings", FACT + "kernel_nodes")
_HANDLE = re.compile(r":\d+$")
_LANGUAGES = {"cpp_pybinding": "cpp"}
_LONGEST_COMMENT = 400
"""Lines of comment above a kernel that are looked at."""


class Generated(msgspec.Struct):
    """What Inductor recorded of one graph.

    Attributes:
        direction: From the code's first lines.
        path: Where it wrote the code.
        text: The code, None where only names of kernels were recorded.
        nodes: By kernel: the post-grad nodes in it.
        lowered: By node of the Dynamo graph: the post-grad nodes it became.
        named: Kernels known by name alone.
    """

    direction: Direction | None = None
    path: str | None = None
    text: Text | None = None
    nodes: Names | None = None
    lowered: Names | None = None
    named: tuple[str, ...] = ()


def output_code(trace: Trace, places: Places) -> tuple[OutputCode, ...]:  # noqa: ARG001
    """The files that Inductor wrote, in order."""
    return tuple(
        OutputCode(compile_.id, part.direction, part.path, part.text)
        for compile_ in trace.compiles.values()
        for part in generated(trace, compile_, Losses())
        if part.text is not None
    )


def kernels(trace: Trace, places: Places) -> tuple[Kernel, ...]:  # noqa: ARG001
    """Every kernel of every compile, each once for each graph that uses it."""
    return tuple(
        kernel
        for compile_ in trace.compiles.values()
        for part in generated(trace, compile_, trace.losses)
        for kernel in kernels_in(compile_.id, part, trace.losses)
    )


def generated(trace: Trace, compile_: CompileTrace, losses: Losses) -> tuple[Generated, ...]:
    """What Inductor recorded for a compile: one item for each graph it generated code for.

    Provenance follows the code it belongs to; names of kernels alone stand where code came from a cache. A cache hit also writes provenance
    records that are empty.

    Args:
        trace: The recording.
        compile_: The compile.
        losses: Where to count what cannot be read: several tables read the same records, and one of them counts.
    """
    parts: list[Generated] = []
    told: dict[str, Any] = {}
    for record in compile_.shipped:
        if record.event == "inductor_output_code":
            parts.append(_code(record, trace.where(record), losses))
        elif record.artifact in _MAPPINGS:
            _provenance(_at(parts), _json(record, trace.where(record), losses), told)
        elif record.artifact == "inductor_triton_kernel_to_post_grad_nodes":
            part = _at(parts)
            part.nodes = part.nodes or _names(_json(record, trace.where(record), losses)) or None
        elif "triton_kernel_info" in (record.event, record.artifact):
            found = _json(record, trace.where(record), losses)
            if isinstance(found, dict):
                _at(parts).named += tuple(str(name) for name in found)  # type: ignore[misc]
    return tuple(part for part in parts if part.text is not None or part.named or part.nodes)


def _json(record: Record, where: str, losses: Losses) -> Any:
    """A record's payload, decoded; None where it is empty or, with a loss counted, damaged."""
    text = read(record, where, losses)
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError as error:
        losses.add(where, f"the payload of {record.artifact or record.event} cannot be read: {error}")
        return None


def _at(parts: list[Generated]) -> Generated:
    if not parts:
        parts.append(Generated())
    return parts[-1]


def _code(record: Record, where: str, losses: Losses) -> Generated:
    body: Any = record.body
    path: Any = body.get("file_path") or body.get("filename") if isinstance(body, dict) else None  # type: ignore[misc]
    if record.payload is None:
        losses.add(where, "inductor_output_code has no payload")
    return Generated(
        direction=direction_of(read(record, where, losses)),
        path=path if isinstance(path, str) else None,
        text=record.payload,
    )


def read(record: Record, where: str, losses: Losses) -> str:
    """A record's payload; empty where there is none and, with a loss counted, where it cannot be read."""
    try:
        return "" if record.payload is None else record.payload.read()
    except OSError as error:
        losses.add(where, f"the payload of {record.artifact or record.event} cannot be read: {error}")
        return ""


def direction_of(code: str) -> Direction | None:
    """Which pass generated code computes, from the AOT id at its head."""
    found = _AOT_ID.search(code, 0, 2000)
    return found[1] if found else None  # type: ignore[return-value]


def _provenance(part: Generated, found: Any, told: dict[str, Any]) -> None:
    """Takes in one record. Where the backward graph is compiled at once, its record repeats all that the forward graph's ``told``."""
    if not isinstance(found, dict):
        return
    kernels: Any = found.get("cppCodeToPost")  # type: ignore[misc]
    if isinstance(kernels, dict):
        new = {name: nodes for name, nodes in kernels.items() if told.get(name) != nodes}  # type: ignore[misc]
        told.update(kernels)  # type: ignore[arg-type]
        part.nodes = _names(new or kernels) or part.nodes
    part.lowered = _names(found.get("preToPost")) or part.lowered  # type: ignore[misc]


def _names(found: Any) -> Names:
    """``{"kernel:3": ["node"]}`` without the number of the call."""
    merged: dict[str, dict[str, None]] = {}
    if isinstance(found, dict):
        for name, nodes in found.items():  # type: ignore[misc]
            if isinstance(nodes, list):
                into = merged.setdefault(_HANDLE.sub("", str(name)), {})  # type: ignore[misc]
                into.update(dict.fromkeys(str(node) for node in nodes))  # type: ignore[misc]
    return {name: tuple(nodes) for name, nodes in merged.items()}


def kernels_in(compile_id: str, part: Generated, losses: Losses) -> list[Kernel]:
    """The kernels of one graph: those its code defines, those of libraries that it calls, those known by name alone."""
    code = ""
    if part.text is not None:
        try:
            code = part.text.read()
        except OSError as error:
            losses.add(f"compile {compile_id}", f"generated code cannot be read: {error}")
    made: dict[str, Kernel] = {}
    origins = _turned(part.lowered)

    def add(name: str, language: str, source: Text | None, written: Comment, calls: int | None) -> None:
        nodes = None if part.nodes is None else part.nodes.get(name, ())
        nodes = written.nodes if nodes is None else nodes
        before = _sources(nodes, origins) if origins and nodes is not None else written.sources
        made[name] = Kernel(compile_id, name, language, source, nodes, before, part.direction, calls)

    end = 0
    calls = Counter(_CALLED.findall(code))
    for found in _DEFINED.finditer(code):
        name, kind = found["name"], found["kind"]
        written = comment(code[end : found.start()])
        add(name, _LANGUAGES.get(kind, kind), hold(found["source"]), written, calls[name])
        end = found.end()
    for name, count, written in _externs(code[end:]):
        add(name, "extern", None, written, count)
    for name in (*part.named, *(part.nodes or ())):
        if name not in made:
            add(name, _language(name), None, Comment(), None)
    return list(made.values())


def _language(name: str) -> str:
    """A kernel's language by its name, where its code was not recorded."""
    prefix = name.partition("_")[0]
    return prefix if prefix in ("triton", "cpp") else "extern"


class Comment(msgspec.Struct, frozen=True):
    """What the comment above a kernel, or above its call, says of it; None for what it does not say."""

    nodes: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None


def comment(text: str) -> Comment:
    """Reads the comment lines that end a stretch of generated code."""
    lines: list[str] = []
    for line in reversed(text.rstrip("\n").rsplit("\n", _LONGEST_COMMENT)[-_LONGEST_COMMENT:]):
        if not line.lstrip().startswith("#"):
            break
        lines.append(line.strip())
    nodes: dict[str, None] = {}
    mapped: dict[str, None] = {}
    sources: tuple[str, ...] | None = None
    for line in reversed(lines):
        if (found := _FRAGMENT.match(line)) is not None:
            nodes[found[1]] = None
        elif (found := _MAPPED.match(line)) is not None:
            mapped.update(dict.fromkeys(found[1].split(", ")))
        elif (found := _WRITTEN_FOR.search(line)) is not None:
            sources = tuple(dict.fromkeys(name for name in found[1].split(", ") if name))
    return Comment(tuple(nodes or mapped) or None, sources or None)


def _externs(code: str) -> Iterable[tuple[str, int, Comment]]:
    counts: dict[str, int] = {}
    sources: dict[str, dict[str, None]] = {}
    end = 0
    for found in _EXTERN.finditer(code):
        name = found["name"]
        if name in _BOOKKEEPING:
            continue
        counts[name] = counts.get(name, 0) + 1
        said = comment(code[max(end, found.start() - 20_000) : found.start()]).sources or ()
        sources.setdefault(name, {}).update(dict.fromkeys(said))
        end = found.start()
    return [(name, count, Comment(None, tuple(sources[name]) or None)) for name, count in counts.items()]


def _turned(names: Names | None) -> Names:
    turned: dict[str, dict[str, None]] = {}
    for name, others in (names or {}).items():
        for other in others:
            turned.setdefault(other, {})[name] = None
    return {name: tuple(others) for name, others in turned.items()}


def _sources(nodes: Iterable[str], origins: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for node in nodes for source in origins.get(node, ())))
