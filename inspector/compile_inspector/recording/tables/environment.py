"""Where a recording was made: from the recorder's own fact, else from whatever a foreign log happens to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from compile_inspector.model.environment import ConfigPatch, Environment
from compile_inspector.model.records import Record
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.stacks import Places

_RANK = re.compile(r"\[(?:rank)?(\d{1,6})\]")
_DEVICE = re.compile(r"system_info\[device\]: \{'name': '([^'\"\\]{1,200})'")
_CUDA = re.compile(r"system_info\[version\]: \{[^\"\\]*'cuda': '([^'\"\\]{1,40})'")
_METRICS = ("compilation_metrics", "bwd_compilation_metrics")


def environment(trace: Trace, _places: Places) -> Environment:
    """The versions and settings that the recording tells of."""
    ranks = tuple(sorted({rank for record in _all(trace) if (rank := _rank(record)) is not None}))
    facts: list[Any] = [found for found in trace.facts("environment") if isinstance(found, dict)]
    if facts:
        return _from_fact(facts[0], ranks)
    nothing: dict[str, Any] = {}
    metrics: Any = next((record.body for record in _all(trace) if _is_metrics(record)), nothing)
    gpu, cuda = _from_cache_key(trace)
    triton = _text(metrics.get("triton_version"))
    return Environment(
        torch=_torch_version(trace) or _text(metrics.get("pytorch_version")),
        cuda=_text(metrics.get("cuda_version")) or cuda,
        gpu=gpu,
        python=_short(_text(metrics.get("python_version"))),
        packages=() if triton is None else (("triton", triton),),
        ranks=ranks,
    )


def _is_metrics(record: Record) -> bool:
    return record.event in _METRICS and isinstance(record.body, dict)


def _all(trace: Trace) -> Iterator[Record]:
    yield from trace.outside
    for one in trace.compiles.values():
        yield from one.records


def _rank(record: Record) -> int | None:
    rank = record.envelope.get("rank")
    if isinstance(rank, int):
        return rank
    match = _RANK.match(record.header) if record.header.startswith("[") else None
    return None if match is None else int(match[1])


def _from_fact(fact: dict[str, Any], ranks: tuple[int, ...]) -> Environment:
    return Environment(
        torch=_text(fact.get("torch")),
        cuda=_text(fact.get("cuda")),
        gpu=_text(fact.get("gpu")),
        python=_text(fact.get("python")),
        packages=tuple(
            (row[0], row[1]) for row in _rows(fact.get("packages"), 2) if _text(row[0]) and _text(row[1])
        ),
        config=tuple(
            ConfigPatch(row[0], row[1], row[2], _text(row[3]))
            for row in _rows(fact.get("config"), 4)
            if all(isinstance(value, str) for value in row[:3])
        ),
        seams=tuple(
            (row[0], row[1]) for row in _rows(fact.get("seams"), 2) if _text(row[0]) and _text(row[1])
        ),
        ranks=ranks,
    )


def _torch_version(trace: Trace) -> str | None:
    record = next((record for record in trace.outside if record.artifact == "torch_version"), None)
    found: Any = None if record is None else trace.fact(record)
    return _text(found.get("pytorch_version")) if isinstance(found, dict) else None  # type: ignore[arg-type]


def _from_cache_key(trace: Trace) -> tuple[str | None, str | None]:
    """The GPU's name and the CUDA version out of the first key of Inductor's cache: the only record that has them."""
    for record in _all(trace):
        if record.payload is not None and (record.artifact or "").startswith("fx_graph_cache_"):
            try:
                text = record.payload.read()
            except OSError:
                return None, None
            device, cuda = _DEVICE.search(text), _CUDA.search(text)
            return device and device[1], cuda and cuda[1]
    return None, None


def _rows(value: Any, width: int) -> Iterator[list[Any]]:
    for row in value if isinstance(value, list) else ():  # type: ignore[misc]
        if isinstance(row, (list, tuple)) and len(row) == width:  # type: ignore[arg-type]
            yield list(row)  # type: ignore[arg-type]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _short(version: str | None) -> str | None:
    """``3.11.7`` of ``3.11.7 (main, …) [GCC 12.2.0]``."""
    return None if version is None else version.split(" ", 1)[0]
