"""How long the guards of each compile take, measured in the very call that they are checked for, while its locals are alive.

A compiled function's frame is met by a profile function (`sys.setprofile`) on the calling thread; the guards of its cache entry are then
run again on the frame's locals: cold through `torch._C._dynamo.guards.profile_guard_manager`, which empties the processor's caches before
each run, warm through the root's `check`. What one module's guards take is the difference to a copy of the tree without them
(`clone_manager`). What each ready-made filter of `torch.compiler` would drop is asked while the guards are built
(`torch._dynamo.guards.CheckFunctionManager`).
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "guard_cost"
USES = (
    "torch._C._dynamo.guards:DictGuardManager",
    "torch._C._dynamo.guards:RootGuardManager.check",
    "torch._C._dynamo.guards:RootGuardManager.clone_manager",
    "torch._C._dynamo.guards:profile_guard_manager",
    "torch._C._dynamo.eval_frame:set_eval_frame",
    "torch._dynamo.eval_frame:skip_code",
    "torch._dynamo.callback:CompilationCallbackHandler.register_start_callback",
    "torch._dynamo.callback:CompilationCallbackHandler.register_end_callback",
    "torch._dynamo.callback:callback_handler",
    "torch._dynamo.convert_frame:input_codes.seen",
    "torch._dynamo.eval_frame:_debug_get_cache_entry_list",
    "torch._dynamo.guards:CheckFunctionManager.__init__",
    "torch._guards:CompileContext.current_compile_id",
)
GROUPS = 40
"""The most groups of one compile that are timed one by one."""
_COLD_RUNS = 10
_BATCHES = 7
_BATCH_NS = 300_000
_DROPPED = 20_000
_MODULE = re.compile(r"\._modules\['([^']*)'\]")
_BASE = re.compile(r"[LG]\['[^']*'\]")


def probe() -> Capability:
    """Whether this torch's guards can be timed."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Begins to measure, each compile once, on this thread; the undo ends it.

    Facts: ``guard_cost`` ``{"checks", "cold_ns", "warm_ns", "groups", "filters", "problem"}`` in the envelope of the compile. A group
    is ``[where, checks, kinds, saved_ns]``: what a call would be quicker without its guards, None where it was not timed. A filter is
    ``[name, dropped, kept, warm_ns]``, ``dropped`` being ``[source, kind]`` pairs and ``warm_ns`` what the rest takes; ``filters`` is None
    where the compile is from before. A profile function that was there gets its events as before.
    """
    meter = _Meter(emit, faults)
    lookup("torch._dynamo.eval_frame:skip_code")(
        _Meter.profile.__code__
    )  # Dynamo would compile it in a broken graph
    undos = [patch(lookup("torch._dynamo.guards:CheckFunctionManager"), "__init__", meter.wrap_init)]
    before = meter.chained = sys.getprofile()
    sys.setprofile(meter.profile)
    undos.append(_pause_while_compiling(meter.profile, before))

    def undo() -> None:
        meter.active = False
        sys.setprofile(before)
        for each in reversed(undos):
            each()

    return undo


def _pause_while_compiling(profile: Any, before: Any) -> Undo:
    """Takes the profile function off while torch compiles: it would be called millions of times."""
    handler = lookup("torch._dynamo.callback:callback_handler")
    thread = threading.get_ident()

    def start(_: Any) -> None:
        if threading.get_ident() == thread and sys.getprofile() == profile:
            sys.setprofile(before)

    def end(_: Any) -> None:
        if threading.get_ident() == thread and sys.getprofile() is before:
            sys.setprofile(profile)

    handler.register_start_callback(start)
    handler.register_end_callback(end)

    def undo() -> None:
        handler.remove_start_callback(start)
        handler.remove_end_callback(end)

    return undo


class _Meter:
    """What is measured already, and the filters' answers up to now; holds plain data only."""

    def __init__(self, emit: Emit, faults: Faults) -> None:
        self.active = True
        self.chained: Callable[..., Any] | None = None
        self._emit = emit
        self._faults = faults
        self._answers: dict[str, _Answers] = {}
        self._measured: set[str] = set()
        self._names = {code.co_name for code in _codes()}
        self._set_eval_frame: Callable[[Any], Any] = lookup("torch._C._dynamo.eval_frame:set_eval_frame")

    def wrap_init(self, original: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def init(*args: Any, **kwargs: Any) -> None:
            if not self.active:
                return original(*args, **kwargs)
            passed = self._asked(signature, args, kwargs)
            return original(*passed[0], **passed[1])

        return init

    def _asked(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, with a guard filter that keeps what the given one keeps and notes what others would drop."""
        try:
            bound = signature.bind(*args, **kwargs)
            code = bound.arguments.get("f_code")
            if type(code) is types.CodeType:
                self._names.add(code.co_name)
            chosen = bound.arguments.get("guard_filter_fn")
            bound.arguments["guard_filter_fn"] = self._filter(chosen)
            return bound.args, bound.kwargs
        except Exception as error:
            self._faults.count(NAME, error)
            return args, kwargs

    def _filter(self, chosen: Callable[..., Sequence[bool]] | None) -> Callable[..., Sequence[bool]]:
        def guard_filter(entries: Sequence[Any]) -> Sequence[bool]:
            kept = [True] * len(entries) if chosen is None else chosen(entries)
            try:
                compile_id = str(lookup("torch._guards:CompileContext.current_compile_id")())
                self._answers[compile_id] = _answers(entries, kept)
            except Exception as error:
                self._faults.count(NAME, error)
            return kept

        return guard_filter

    def profile(self, frame: types.FrameType, event: str, arg: Any) -> None:
        """The profile function: measures where a compiled function's code begins to run."""
        if self.chained is not None:
            self.chained(frame, event, arg)
        if event != "call" or not self.active or frame.f_code.co_name not in self._names:
            return
        callback = self._set_eval_frame(None)
        try:
            entry = _entry(frame.f_code)
            if entry is not None and str(entry.compile_id) not in self._measured:
                self._measured.add(str(entry.compile_id))
                self._measure(entry, dict(frame.f_locals))
        except Exception as error:
            self._faults.count(NAME, error)
        finally:
            self._set_eval_frame(callback)

    def _measure(self, entry: Any, f_locals: dict[str, Any]) -> None:
        root = entry.guard_manager.root
        fact = _measurement(root, f_locals, self._answers.get(str(entry.compile_id)))
        self._emit("guard_cost", fact, compile_id=entry.compile_id)


_Answers = list[tuple[str, list[tuple[str, str]], list[str]]]
"""A filter's name, what it drops as source and kind, and the sources of what it keeps."""


def filters() -> list[str]:
    """The ready-made guard filters of this torch, by name."""
    return sorted(name for name in dir(lookup("torch.compiler")) if name.endswith("_unsafe"))


def _answers(entries: Sequence[Any], in_force: Sequence[bool]) -> _Answers:
    found: _Answers = []
    held = [entry for entry, keep in zip(entries, in_force, strict=True) if keep]
    for name in filters():
        kept = lookup(f"torch.compiler:{name}")(held)
        dropped = [
            (entry.orig_guard.name, entry.guard_type)
            for entry, keep in zip(held, kept, strict=True)
            if not keep
        ]
        left = [entry.orig_guard.name for entry, keep in zip(held, kept, strict=True) if keep]
        found.append((name, dropped, left))
    return found


def _codes() -> Iterator[types.CodeType]:
    for reference in list(lookup("torch._dynamo.convert_frame:input_codes.seen")):
        code = reference()
        if code is not None:
            yield code


def _entry(code: types.CodeType) -> Any:
    """The cache entry whose compiled code this is; None for other code."""
    entries = lookup("torch._dynamo.eval_frame:_debug_get_cache_entry_list")
    for original in _codes():
        if original.co_name == code.co_name:
            for entry in entries(original):
                if entry.code is code:
                    return entry
    return None


def _measurement(root: Any, f_locals: dict[str, Any], answers: _Answers | None) -> dict[str, Any]:
    leaves = list(_leaves(root))
    fact: dict[str, Any] = {
        "checks": len(leaves),
        "cold_ns": None,
        "warm_ns": None,
        "groups": _groups(leaves),
        "filters": None,
        "problem": None,
    }
    if not root.check(f_locals):
        fact["problem"] = "the guards do not hold for the locals that the compiled code begins with"
        return fact
    profile = lookup("torch._C._dynamo.guards:profile_guard_manager")
    fact["cold_ns"] = round(profile(root, f_locals, _COLD_RUNS) * 1000)
    fact["warm_ns"] = warm = _warm(root, f_locals)
    for group in sorted(fact["groups"], key=lambda group: -group[1])[:GROUPS]:
        if not group[0]:
            continue
        rest = _time_of(root, f_locals, functools.partial(_is_outside, tuple(group[0])))
        group[3] = None if rest is None else max(warm - rest, 0)
    if answers is not None:
        fact["filters"] = [
            [name, dropped[:_DROPPED], len(kept), _time_of(root, f_locals, _needed(root, kept))]
            for name, dropped, kept in answers
        ]
    return fact


def _warm(root: Any, f_locals: dict[str, Any]) -> int:
    """Nanoseconds of one check, of the quickest of several batches."""
    check = root.check
    began = time.perf_counter_ns()
    check(f_locals)
    runs = max(1, min(1000, _BATCH_NS // max(time.perf_counter_ns() - began, 1)))
    best = sys.maxsize
    for _ in range(_BATCHES):
        began = time.perf_counter_ns()
        for _ in range(runs):
            check(f_locals)
        best = min(best, (time.perf_counter_ns() - began) // runs)
    return best


def _time_of(root: Any, f_locals: dict[str, Any], keep: Callable[[str], bool]) -> int | None:
    """What the tree takes without the managers that are not kept; None where such a tree does not hold by itself."""
    clone = root.clone_manager(lambda manager: keep(manager.get_source()))
    return _warm(clone, f_locals) if clone.check(f_locals) else None


def _leaves(root: Any) -> Iterator[tuple[str, str]]:
    """Source and kind of every leaf."""
    for manager in _managers(root):
        for leaf in manager.get_leaf_guards():
            yield manager.get_source(), type(leaf).__name__
    for leaf in root.get_epilogue_lambda_guards():
        for _ in leaf.verbose_code_parts():
            yield "", type(leaf).__name__


def _managers(root: Any) -> Iterator[Any]:
    waiting = [root]
    while waiting:
        manager = waiting.pop()
        yield manager
        waiting += _children(manager)


def _children(manager: Any) -> list[Any]:
    found = list(manager.get_child_managers())
    if type(manager) is lookup("torch._C._dynamo.guards:DictGuardManager"):
        pairs = manager.get_key_value_managers().values()
        found += [child for pair in pairs for child in pair if child is not None]
    return found


@functools.lru_cache(maxsize=10_000)
def where(source: str) -> tuple[str, ...]:
    """What a source lies in, outermost first: ``("L['self']", "layers", "*", "mlp")``; ``("G",)`` for globals, none for the rest."""
    base = _BASE.search(source)
    if base is None:
        return ()
    outermost = "G" if base[0].startswith("G") and "._modules[" not in source else base[0]
    return (outermost, *("*" if name.isdigit() else name for name in _MODULE.findall(source)))


def _is_outside(group: tuple[str, ...], source: str) -> bool:
    """Whether a manager stays when a group goes, with all that lies in it."""
    return where(source)[: len(group)] != group


def _groups(leaves: Sequence[tuple[str, str]]) -> list[list[Any]]:
    """Each group with its checks, those of groups within it among them; what has no source is one that cannot be taken out."""
    kinds: dict[tuple[str, ...], Counter[str]] = {}
    for source, kind in leaves:
        steps = where(source)
        for depth in range(1, len(steps) + 1):
            kinds.setdefault(steps[:depth], Counter())[kind] += 1
        if not steps:
            kinds.setdefault((), Counter())[kind] += 1
    return [
        [list(group), sum(counted.values()), [list(pair) for pair in counted.most_common()], None]
        for group, counted in kinds.items()
    ]


def _needed(root: Any, kept: Sequence[str]) -> Callable[[str], bool]:
    """Which managers a filter leaves: those of what it keeps, and those on the way there."""
    wanted = set(kept)
    left: set[str] = {root.get_source()}

    def visit(manager: Any) -> bool:
        found = manager.get_source() in wanted
        for child in _children(manager):
            found = visit(child) or found
        if found:
            left.add(manager.get_source())
        return found

    visit(root)
    return left.__contains__
