"""Guards: the user's stack behind each one, which of them a filter dropped, and the names of objects that they hold by id.

torch narrates the guard tree itself (`dynamo_cpp_guards_str`), with one line of source a guard, the innermost, which often lies inside
torch. Source: `torch._dynamo.guards.CheckFunctionManager`, `torch._guards.Guard`.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from compile_inspector.torch_seams.object_names import object_name
from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "guards"
FACT = "guards"
USES = (
    "torch._dynamo.guards:CheckFunctionManager.__init__",
    "torch._dynamo.guards:CheckFunctionManager.id_ref",
    "torch._guards:Guard.name",
    "torch._guards:Guard.create_fn_name",
)
_EXPR_LIMIT = 2000


def probe() -> Capability:
    """Whether this torch builds its guards where the seam can read them."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Begins to emit the fact ``guards`` behind each guard tree that torch builds.

    The fact is ``{"files", "frames", "stacks", "guards", "dropped", "objects"}``. A stack is its outer stack's index (-1: none) and its
    innermost frame's index; a guard is source, kind and stack index (None where torch kept no stack); ``dropped`` is None where a
    filter ran whose answer is no list or tuple.
    """
    manager = lookup("torch._dynamo.guards:CheckFunctionManager")
    watch = _Watch(emit, faults)
    undos = [patch(manager, "id_ref", watch.wrap_id_ref), patch(manager, "__init__", watch.wrap_init)]

    def undo() -> None:
        watch.active = False
        for each in reversed(undos):
            each()

    return undo


class _Watch:
    """The two wrappers, and the readings in progress of each thread."""

    def __init__(self, emit: Emit, faults: Faults) -> None:
        self.active = True
        self._emit = emit
        self._faults = faults
        self._local = threading.local()

    @property
    def _readings(self) -> list[_Reading]:
        readings = getattr(self._local, "readings", None)
        if readings is None:
            readings = self._local.readings = []
        return readings

    def wrap_init(self, original: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def init(*args: Any, **kwargs: Any) -> None:
            if not self.active:
                return original(*args, **kwargs)
            reading, readings = _Reading(self._faults), self._readings
            passed = self._with_filter(reading, signature, args, kwargs)
            readings.append(reading)
            try:
                return original(*passed[0], **passed[1])
            finally:
                readings.pop()
                self._finish(reading, signature, args, kwargs)

        return init

    def wrap_id_ref(self, original: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(original)
        def id_ref(manager: Any, found: Any, *args: Any, **kwargs: Any) -> int:
            if self.active:
                try:
                    for reading in self._readings[-1:]:
                        reading.name(found)
                except Exception as error:
                    self._faults.count(NAME, error)
            return original(manager, found, *args, **kwargs)

        return id_ref

    def _with_filter(
        self, reading: _Reading, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, a guard filter among them replaced by one that tells the reading what it dropped."""
        try:
            bound = signature.bind(*args, **kwargs)
            chosen = bound.arguments.get("guard_filter_fn")
            if chosen is None:
                return args, kwargs
            bound.arguments["guard_filter_fn"] = reading.watched(chosen)
            return bound.args, bound.kwargs
        except Exception as error:
            self._faults.count(NAME, error)
            return args, kwargs

    def _finish(
        self, reading: _Reading, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            graph = signature.bind(*args, **kwargs).arguments.get("output_graph")
            if graph is not None:
                self._emit(FACT, reading.fact(graph.guards or ()))
        except Exception as error:
            self._faults.count(NAME, error)


class _Reading:
    """What is read of one guard tree, as plain data: it holds no object of torch's or the user's."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._stacks = _Stacks()
        self._objects: dict[int, str] = {}
        self._dropped: list[list[Any]] | None = []

    def name(self, found: Any) -> None:
        """Keeps the name of an object whose id goes into a guard."""
        if id(found) not in self._objects:
            self._objects[id(found)] = object_name(found)

    def watched(
        self, chosen: Callable[[Sequence[Any]], Sequence[bool]]
    ) -> Callable[[Sequence[Any]], Sequence[bool]]:
        """The filter, told of when it answers."""

        @functools.wraps(chosen, assigned=(), updated=())
        def guard_filter(entries: Sequence[Any]) -> Sequence[bool]:
            answer = chosen(entries)
            try:
                self._note_dropped(entries, answer)
            except Exception as error:
                self._dropped = None
                self._faults.count(NAME, error)
            return answer

        return guard_filter

    def _note_dropped(self, entries: Sequence[Any], answer: Sequence[bool]) -> None:
        if type(answer) not in {list, tuple} or self._dropped is None:
            self._dropped = None
            return
        for entry, kept in zip(entries, answer, strict=False):
            if kept is False:
                self._dropped += self._rows(entry.orig_guard)

    def _rows(self, guard: Any) -> list[list[Any]]:
        """One row for each check that the guard would have made, as far as torch wrote them down before it asked the filter."""
        source, kind, stack = guard.name, guard.create_fn_name(), self._stacks.index(guard.user_stack)
        exprs = list(guard.code_list or ())
        if kind == "TENSOR_MATCH":
            exprs = [f"check_tensor({source})"]
        elif not exprs and kind != "SHAPE_ENV":
            exprs = [f"{kind}({source})" if source else kind]
        kinds = list(guard.guard_types or ())
        if len(kinds) != len(exprs):
            kinds = [kind] * len(exprs)
        return [[source, each, expr[:_EXPR_LIMIT], stack] for each, expr in zip(kinds, exprs, strict=True)]

    def fact(self, guards: Iterable[Any]) -> dict[str, Any]:
        """The fact's payload."""
        index = self._stacks.index
        rows = [[guard.name, guard.create_fn_name(), index(guard.user_stack)] for guard in guards]
        return {
            **self._stacks.tables(),
            "guards": rows,
            "dropped": self._dropped,
            "objects": {str(key): name for key, name in self._objects.items()},
        }


class _Stacks:
    """Stacks as a prefix tree: each distinct frame once, each distinct stack once.

    Dynamo shares the frame objects of the callers between the stacks below one call, so the identity of the last caller stands for
    everything outside it. Identities are compared only while the guards that hold the frames are alive.
    """

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._frames: dict[tuple[str, int, str], int] = {}
        self._rows: list[list[Any]] = []
        self._nodes: dict[tuple[int, int], int] = {}
        self._callers: dict[tuple[int, int], int] = {}

    def index(self, stack: Sequence[Any] | None) -> int | None:
        """The index of a stack of FrameSummary, outermost first; None for none."""
        if not stack:
            return None
        outer = -1
        if len(stack) > 1:
            key = (id(stack[-2]), len(stack))
            known = self._callers.get(key)
            if known is None:
                for frame in stack[:-1]:
                    outer = self._node(outer, frame)
                self._callers[key] = outer
            else:
                outer = known
        return self._node(outer, stack[-1])

    def _node(self, outer: int, frame: Any) -> int:
        key = (outer, self._frame(frame))
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = len(self._nodes)
        return found

    def _frame(self, frame: Any) -> int:
        key = (frame.filename, frame.lineno or 0, frame.name)
        found = self._frames.get(key)
        if found is None:
            file = self._files.setdefault(frame.filename, len(self._files))
            found = self._frames[key] = len(self._rows)
            self._rows.append([file, frame.lineno or 0, frame.name, frame.line])
        return found

    def tables(self) -> dict[str, Any]:
        """``files``, ``frames`` and ``stacks`` of the fact."""
        return {
            "files": list(self._files),
            "frames": self._rows,
            "stacks": [list(node) for node in self._nodes],
        }
