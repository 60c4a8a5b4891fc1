"""A graph as bytes for the front end: its nodes and groups by column.

A magic number, the header's length, the header (JSON, padded), then the arrays, each at a multiple of eight bytes; all of it compressed
with zlib. Columns of texts hold indices into the header's ``strings``; `NOTHING` stands for no text. Lists by node are two arrays: offsets
and items.
"""

from __future__ import annotations

import re
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, chain, count
from typing import Any

import msgspec

from compile_inspector.analyze.body_calls import body_calls
from compile_inspector.analyze.graph_tree import GraphTree, graph_tree
from compile_inspector.analyze.tensor_bytes import OutputBytes
from compile_inspector.model.graph import Graph
from compile_inspector.model.graph_types import RawNode
from compile_inspector.model.guards import Guard
from compile_inspector.model.locations import Location
from compile_inspector.model.symbols import Symbol
from compile_inspector.model.tables import Tables
from compile_inspector.views.summary import rows_of
from compile_inspector.views.words import visible

MAGIC = b"CIG1"
NOTHING = 0xFFFFFFFF

_LEVEL = 1
_OPS = {"placeholder": 0, "get_attr": 1, "call_function": 2, "call_method": 3, "call_module": 4, "output": 5}
_KINDS = {"root": 0, "module": 1, "body": 2, "run": 3}
_TYPES = {"B": "u8", "I": "u32", "i": "i32", "d": "f64"}
_SYMBOL = re.compile(r"(?<![\w.])(?:[su]|zu?f)\d+(?!\w)")
_PLAIN = re.compile(r"[^A-Za-z0-9]+")
_OF_SIZE = re.compile(r"\.(?:size|stride|storage_offset)\(")


Sizes = tuple[int | str, ...]


class Entry(msgspec.Struct, frozen=True):
    """A graph that a reader can switch to: its row in the session's table of graphs."""

    row: int
    compile_id: str
    stage: str
    name: str
    direction: str | None


class _Array(msgspec.Struct, frozen=True):
    type: str
    offset: int
    length: int


class _Header(msgspec.Struct, frozen=True):
    version: int
    compile_id: str
    stage: str
    name: str
    count: int
    problem: str | None
    strings: list[str]
    arrays: dict[str, _Array]
    kernels: list[str]
    symbols: list[str]
    stages: list[Entry]
    later: list[str]


class _Strings:
    """Distinct texts, numbered."""

    def __init__(self) -> None:
        self.all: list[str] = [""]
        self.numbers: dict[Any, int] = {None: NOTHING, "": 0}

    def column(self, values: Sequence[Any], text: Callable[[Any], str] = visible) -> array[int]:
        """A column of what ``text`` makes of values."""
        numbers = self.numbers
        fresh = [value for value in dict.fromkeys(values) if value not in numbers]
        numbers.update(zip(fresh, count(len(self.all))))
        safe = text is visible and "".join(fresh).isprintable()
        self.all.extend(fresh if safe else map(text, fresh))
        return array("I", list(map(numbers.__getitem__, values)))


def entries(tables: Tables) -> list[Entry]:
    """The graphs of a session, in the order of its table."""
    return [
        Entry(row, visible(graph.compile_id), graph.stage, visible(graph.name), graph.direction)
        for row, graph in enumerate(rows_of(tables, "graphs"))
    ]


def encode_graph(
    tables: Tables,
    row: int,
    *,
    stages: Sequence[Entry] | None = None,
    guards: bool = True,
    compress: bool = True,
) -> bytes:
    """The graph in a row of the session's table.

    Args:
        tables: The session.
        row: From 0; there must be such a row.
        stages: The graphs that a reader can switch to; all of the session when None.
        compress: False for a reader that cannot inflate.
        guards: False leaves out which guards name a node, so that the table of guards need not be built: the header's ``later`` says so.
    """
    graph: Graph = rows_of(tables, "graphs")[row]
    tree = graph_tree(graph)
    strings = _Strings()
    kernels: dict[str, int] = {}
    symbols: dict[str, int] = {}
    arrays = _node_columns(tree, strings, graph, _hints(tables, graph.compile_id), symbols)
    arrays |= {
        **_lists("in_offsets", "in_nodes", tree.sources),
        **_call_columns(tree),
        **_lists("kernel_offsets", "kernel_ids", _kernels(graph, kernels)),
        **(guard_lists(tables, graph) if guards else {}),
        **_group_columns(tree, strings),
    }
    return pack_graph(
        graph,
        arrays,
        strings=strings.all,
        kernels=[visible(name) for name in kernels],
        symbols=list(symbols),
        stages=list(entries(tables) if stages is None else stages),
        later=[] if guards else ["guards"],
        compress=compress,
    )


def encode_guard_lists(tables: Tables, row: int, *, compress: bool = True) -> bytes:
    """What `encode_graph` leaves out without guards: the same form, with the lists of guards alone."""
    graph: Graph = rows_of(tables, "graphs")[row]
    return pack_graph(graph, guard_lists(tables, graph), compress=compress)


def pack_graph(
    graph: Graph,
    arrays: dict[str, array[Any]],
    *,
    strings: list[str] | None = None,
    kernels: list[str] | None = None,
    symbols: list[str] | None = None,
    stages: list[Entry] | None = None,
    later: list[str] | None = None,
    compress: bool = True,
) -> bytes:
    """Arrays with their header, compressed unless ``compress`` is False."""
    places: dict[str, _Array] = {}
    blocks: list[bytes] = []
    offset = 0
    for name, values in arrays.items():
        data = _little_endian(values)
        padding = -len(data) % 8
        places[name] = _Array(_TYPES[values.typecode], offset, len(values))
        blocks.append(data + bytes(padding))
        offset += len(data) + padding
    problem = graph.problem
    header = msgspec.json.encode(
        _Header(
            version=1,
            compile_id=visible(graph.compile_id),
            stage=graph.stage,
            name=visible(graph.name),
            count=len(graph.raw),
            problem=None if problem is None else visible(problem),
            strings=strings or [],
            arrays=places,
            kernels=kernels or [],
            symbols=symbols or [],
            stages=stages or [],
            later=later or [],
        )
    )
    header += b" " * (-len(header) % 8)
    data = b"".join((MAGIC, len(header).to_bytes(4, "little"), header, *blocks))
    return zlib.compress(data, _LEVEL) if compress else data


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()


def _hints(tables: Tables, compile_id: str) -> dict[str, int]:
    symbols: tuple[Symbol, ...] = rows_of(tables, "symbols")
    return {row.name: row.hint for row in symbols if row.compile_id == compile_id and row.hint is not None}


def _node_columns(
    tree: GraphTree, strings: _Strings, graph: Graph, hints: dict[str, int], symbols: dict[str, int]
) -> dict[str, array[Any]]:
    """The columns of nodes; ``symbols`` gets the name and number of each symbol in their types."""
    nodes, column = tree.nodes, strings.column
    return {
        "name": column([node.name for node in nodes]),
        "target": column([node.target for node in nodes]),
        "args": column([node.args for node in nodes]),
        "group": array("I", tree.group_of),
        "partition": array("i", _partitions(graph)),
        "text_line": array("i", [node.line for node in nodes]),
        "op": array("B", list(map(_OPS.__getitem__, [node.op for node in nodes]))),
        "hidden": array("B", tree.hidden),
        "stub": array("B", tree.stubs),
        **_type_columns(tree, strings, OutputBytes(hints), symbols),
        **_place_columns([node.location for node in nodes], strings),
    }


def _type_columns(
    tree: GraphTree, strings: _Strings, size: OutputBytes, symbols: dict[str, int]
) -> dict[str, array[Any]]:
    """What follows from a node's type alone, worked out once for each distinct type."""
    at = tree.types
    firsts = dict(zip(reversed(at), reversed(tree.nodes), strict=True))
    distinct = [firsts[number] for number in range(len(firsts))]
    counts = [size.of(node.dtype, node.shape) for node in distinct]
    held = [_symbols(node, symbols) for node in distinct]
    own = {
        "bytes": array("d", [float("nan") if known is None else known for known in counts]),
        "dtype": strings.column([node.dtype for node in distinct]),
        "shape": strings.column([node.shape for node in distinct], _sizes),
        "stride": strings.column([node.stride for node in distinct], _sizes),
        "device": strings.column([node.device for node in distinct]),
        "value": strings.column([node.value for node in distinct]),
    }
    return {
        **{name: _spread(column, at) for name, column in own.items()},
        **_lists("symbol_offsets", "symbol_ids", list(map(held.__getitem__, at))),
    }


def _symbols(node: RawNode, known: dict[str, int]) -> list[int]:
    text = f"{_sizes(node.shape or ())} {_sizes(node.stride or ())} {node.value or ''}"
    return [known.setdefault(name, len(known)) for name in dict.fromkeys(_SYMBOL.findall(text))]


def _place_columns(
    places: Sequence[Location | None], strings: _Strings, prefix: str = ""
) -> dict[str, array[Any]]:
    """The columns of the user's lines, worked out once for each distinct one."""
    known = {id(place): place for place in places}
    numbers = {key: number for number, key in enumerate(known)}
    at = list(map(numbers.__getitem__, map(id, places)))
    distinct = known.values()
    own = {
        "file": strings.column([None if place is None else place.file for place in distinct]),
        "function": strings.column([None if place is None else place.function for place in distinct]),
        "code": strings.column([None if place is None else place.code for place in distinct]),
        "line": array("i", [-1 if place is None else place.line for place in distinct]),
    }
    return {f"{prefix}{name}": _spread(column, at) for name, column in own.items()}


def _spread(column: array[Any], at: Sequence[int]) -> array[Any]:
    return array(column.typecode, list(map(column.__getitem__, at)))


def _sizes(sizes: Sizes) -> str:
    return visible(f"[{', '.join(map(str, sizes))}]")


def _kernels(graph: Graph, known: dict[str, int]) -> Sequence[Sequence[int]]:
    """By node: the numbers of its kernels; ``known`` gets each kernel's name and number."""
    if not graph.kernels_of:
        return [()] * len(graph.raw)
    kernels = dict(graph.kernels_of)
    return [[known.setdefault(name, len(known)) for name in kernels.get(node.name, ())] for node in graph.raw]


def _partitions(graph: Graph) -> list[int]:
    """By node: the index of its partition, -1 where it has none."""
    if not graph.partition_of:
        return [-1] * len(graph.raw)
    partitions = dict(graph.partition_of)
    return [partitions.get(node.name, -1) for node in graph.raw]


def _lists(offsets: str, items: str, lists: Sequence[Sequence[int]]) -> dict[str, array[Any]]:
    """Lists by node as two arrays."""
    ends = list(accumulate(map(len, lists), initial=0))
    return {offsets: array("I", ends), items: array("I", list(chain.from_iterable(lists)))}


def _call_columns(tree: GraphTree) -> dict[str, array[Any]]:
    """Nodes that the call of a graph joins: arguments and inputs, outputs and callers."""
    pairs = body_calls(tree)
    return {
        "call_from": array("I", [one for one, _ in pairs]),
        "call_to": array("I", [other for _, other in pairs]),
    }


def _group_columns(tree: GraphTree, strings: _Strings) -> dict[str, array[Any]]:
    groups, column = tree.groups, strings.column
    firsts = [None if group.first < 0 else tree.nodes[group.first].location for group in groups]
    return {
        "g_parent": array("I", [group.parent for group in groups]),
        "g_name": column([group.name for group in groups]),
        "g_path": column([group.path for group in groups]),
        "g_class": column([group.module_class for group in groups]),
        "g_signature": array("I", [group.signature for group in groups]),
        "g_run": array("I", [group.run for group in groups]),
        "g_kind": array("B", [_KINDS[group.kind] for group in groups]),
        "g_differs": array("B", [group.differs for group in groups]),
        **_place_columns(firsts, strings, "g_"),
    }


def guard_lists(tables: Tables, graph: Graph) -> dict[str, array[Any]]:
    """By node: the rows of the session's guards that are about what comes in there."""
    rows: dict[str, list[int]] = {}
    guards: tuple[Guard, ...] = rows_of(tables, "guards")
    for row, guard in enumerate(guards):
        if guard.compile_id == graph.compile_id and guard.source:
            rows.setdefault(_input_name(guard.source), []).append(row)
    found = [
        rows.get(_plain(node.target), ()) if rows and node.op in ("placeholder", "get_attr") else ()
        for node in graph.raw
    ]
    return _lists("guard_offsets", "guard_rows", found)


def _input_name(source: str) -> str:
    """What Dynamo makes of a source to name its input, without the check on it: ``l_x`` for ``L['x'].size()[0]``."""
    return _plain(_OF_SIZE.split(source, maxsplit=1)[0])


def _plain(name: str) -> str:
    return _PLAIN.sub("_", name).strip("_").lower()
