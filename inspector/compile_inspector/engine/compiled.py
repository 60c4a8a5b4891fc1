"""What one instance has compiled: its first compile, its entries, and which of them a call runs.

Compiling goes through `torch.compile`, so that everything torch tells about a compile is told of ours too. A later call goes past it: the
entry's own guards are asked as the policy says, and its bytecode is called.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import logging
import threading
import time
import types
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import torch

from compile_inspector.engine import dims, dropped_guards, narration
from compile_inspector.engine.arguments import call_shape
from compile_inspector.engine.artifacts import graphs, keeping, manifest
from compile_inspector.engine.config import CompilationMode, DynamicShapesConfig, DynamicShapesType
from compile_inspector.engine.reuse import Reusing
from compile_inspector.engine.wrapping import Wrapper, base_of, forwarding, self_in
from compile_inspector.errors import GuardViolation, InvalidConfig, NotKept, NotLoaded
from compile_inspector.torch_seams import direct, trace

_log = logging.getLogger(__name__)
_ids = itertools.count(1)
_compiling = threading.RLock()
"""One compile at a time in the process: the settings of a compile are the process's."""


class Options(msgspec.Struct, frozen=True):
    """What the decorator or `apply` was given.

    Attributes:
        dynamic_arg_dims: Which dimensions are dynamic.
        mark_unbacked_dims: Which are unbacked, on top of that.
        enable_if: Decides with the configuration whether an instance compiles.
        is_encoder: Whether it is an encoder.
        shape_invariants: Called with the forward's arguments and traced before it.
    """

    dynamic_arg_dims: dict[str, Any]
    mark_unbacked_dims: dict[str, Any] = {}
    enable_if: Callable[[Any], bool] | None = None
    is_encoder: bool = False
    shape_invariants: Callable[..., Any] | None = None


class Violation(msgspec.Struct):
    """How often one guard did not hold, and what was done.

    Attributes:
        failure: The first time's.
        compile_id: The compile whose guard it is.
        action: recompiled, raised, or ran uncompiled.
        count: How often.
    """

    failure: dropped_guards.Failure
    compile_id: Any
    action: str
    count: int = 0


class Program:
    """One instance's compiled code.

    Attributes:
        options: What it was decorated with.
        vllm_config: Its configuration.
        prefix: Its name within the model, where it was given one.
        do_not_compile: Whether every call runs the forward as it is.
        entries: What was compiled, the one to try first in front.
        marked: What was marked at the latest compile.
        unmarked: Inputs of a marked size that were not marked, at the latest compile.
        violations: Guards that did not hold.
        captured: What was captured into CUDA graphs (capture.py's); None where nothing was.
        call_shape: What the latest compiled call was like (arguments.py's); None before the first.
        origin: What the instance was before anything was applied to it (applied.py's); None where nothing was.
        stock_backend: The backend of torch.compile in mode STOCK_TORCH_COMPILE; None in every other.
        aot_compiled_fn: What was compiled to be kept, or loaded; None for what lives in this process only.
        was_aot_compile_fn_loaded_from_disk: Whether that was loaded.
        keeping: Its artifacts; None where nothing is looked up or kept.
    """

    def __init__(
        self,
        instance: Any,
        wrapper: Wrapper,
        options: Options,
        vllm_config: Any,
        *,
        prefix: str = "",
        do_not_compile: bool = False,
        how: str = "decorated",
    ) -> None:
        self.options, self.vllm_config, self.prefix = options, vllm_config, prefix
        self.do_not_compile = do_not_compile
        self.entries: tuple[direct.Entry, ...] = ()
        self.marked: tuple[dims.Marked, ...] = ()
        self.unmarked: tuple[dims.Unmarked, ...] = ()
        self.violations: dict[tuple[str, str, str], Violation] = {}
        self.aot_compiled_fn: Any = None
        self.keeping: keeping.Keeping | None = None
        self.was_aot_compile_fn_loaded_from_disk = False
        self.captured: Any = None
        self.call_shape: Any = None
        self.origin: Any = None
        self.stock_backend: Any = None
        self.wrapper = wrapper
        self._key, self._how = id(instance), how
        self._told_as = f"module-{next(_ids)}"
        self._cls = type(instance)
        self._base = base_of(instance)
        self._files: dict[str, None] = {wrapper.original.__code__.co_filename: None}
        self._function: Any = None
        self._compiled: Callable[..., Any] | None = None
        self._exhausted = False
        self._warned: set[str] = set()
        if do_not_compile:
            wrapper.hot[self._key] = (None, wrapper.original)
        narration.register(self)

    @property
    def config(self) -> Any:
        """The compilation configuration."""
        return self.vllm_config.compilation_config

    @property
    def compiled(self) -> bool:
        """Whether there is anything compiled."""
        return bool(self.entries)

    @property
    def policy(self) -> str:
        """What is done where a dropped guard does not hold."""
        return getattr(self.config, "dropped_guards", "recompile")

    def switch(self, *, do_not_compile: bool) -> None:
        """Turns compiling off or on again; what was compiled is kept."""
        self.do_not_compile = do_not_compile
        if do_not_compile:
            self.wrapper.hot[self._key] = (None, self.wrapper.original)
        elif self.entries:
            self._prefer(self.entries[0])
        else:
            self.wrapper.hot.pop(self._key, None)

    def rest(self) -> None:
        """Takes this program out of the way of its instance's calls."""
        self.wrapper.hot.pop(self._key, None)
        narration.forget(self)

    def resume(self) -> None:
        """Puts it back."""
        narration.register(self)
        self.switch(do_not_compile=self.do_not_compile)

    def call(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the call with an entry that admits it, compiling one if need be."""
        if any(isinstance(one, torch.fx.Proxy) for one in (*args, *kwargs.values())):
            return self.wrapper.original(instance, *args, **kwargs)
        f_locals = self.wrapper.bind(instance, *args, **kwargs)
        run = self._admitting(f_locals)
        if run is None:
            with _compiling:
                run = self._admitting(f_locals) or self._prepare(instance, args, kwargs, f_locals)
                if run is None:
                    return self._compile(instance, args, kwargs)
        return run(instance, *args, **kwargs)

    def _admitting(self, f_locals: dict[str, Any]) -> Callable[..., Any] | None:
        for entry in self.entries:
            check = self._check(entry)
            if check is None or check(f_locals):
                if entry is not self.entries[0] and (
                    self.captured is None or self.captured.has_graphs(entry)
                ):
                    self._prefer(entry)
                return self._through(entry)
        return None

    def entry_for(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> direct.Entry | None:
        """The compiled entry that admits a call; None where there is none."""
        f_locals = self.wrapper.bind(instance, *args, **kwargs)
        for entry in self.entries:
            check = self._check(entry)
            if check is None or check(f_locals):
                return entry
        return None

    def unmet(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dropped_guards.Failure | None:
        """What a call does not meet of what was compiled last; None where it meets all."""
        f_locals = self.wrapper.bind(instance, *args, **kwargs)
        return dropped_guards.failure(self.entries[0].guards, f_locals, self._self_name, self._files)

    def refresh(self) -> None:
        """Lets calls go through what was captured, or no longer."""
        if self.entries:
            self._prefer(self.entries[0])

    @property
    def parameters(self) -> tuple[str, ...]:
        """The positional parameters' names, without the instance's."""
        code = self.wrapper.original.__code__
        return code.co_varnames[1 : code.co_argcount]

    def _through(self, entry: direct.Entry) -> Callable[..., Any]:
        return entry.run if self.captured is None else self.captured.through(entry)

    def _check(self, entry: direct.Entry) -> Callable[[dict[str, Any]], bool] | None:
        if self.policy != "ignore":
            return entry.check
        return entry.check_sizes if self._shapes().evaluate_guards else None

    def _shapes(self) -> Any:
        return getattr(self.config, "dynamic_shapes_config", None) or DynamicShapesConfig()

    def _prefer(self, entry: direct.Entry) -> None:
        ordered = (entry, *(one for one in self.entries if one is not entry))
        if self.captured is not None:
            ordered = tuple(sorted(ordered, key=lambda one: not self.captured.has_graphs(one)))
        self.entries, entry = ordered, ordered[0]
        if not self.do_not_compile:
            self.wrapper.hot[self._key] = (self._check(entry), self._through(entry))

    def _prepare(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], f_locals: dict[str, Any]
    ) -> Callable[..., Any] | None:
        """What runs without another compile; None where one is to be made.

        Raises:
            GuardViolation: No entry admits the call, and none may be added.
        """
        if self.entries:
            return self._violated(f_locals)
        if self.policy != "ignore" or self._shapes().type != DynamicShapesType.BACKED:
            return None
        marked, restore = self._mark(instance, args, kwargs)
        restore()
        small = [one for one in marked if one.size < 2 and one.kind == DynamicShapesType.BACKED]
        if not small:
            return None
        text = ", ".join(f"{one.source}.size()[{one.dim}] is {one.size}" for one in small)
        self._warn(
            f"{self._name} is not compiled yet: {text}, which torch would take for a constant, and no guard is checked that would tell. "
            "The call runs as it is; the first one with 2 or more compiles. UNBACKED dynamic shapes have no such exception."
        )
        return self.wrapper.original

    def _violated(self, f_locals: dict[str, Any]) -> Callable[..., Any] | None:
        entry = self.entries[0]
        failure = dropped_guards.failure(entry.guards, f_locals, self._self_name, self._files)
        sizes = self._shapes().evaluate_guards and not any(
            one.check_sizes is None or one.check_sizes(f_locals) for one in self.entries
        )
        raising = sizes or self.policy == "raise"
        action = "raised" if raising else "ran uncompiled" if self._exhausted else "recompiled"
        if failure is not None:
            self._count(failure, entry, action)
        if raising:
            reason = "dynamic_shapes_config.evaluate_guards" if sizes else 'dropped_guards="raise"'
            msg = f"{self._name}: {failure}. {reason} asks for an error here; without it another compile is made for such calls."
            raise GuardViolation(msg)
        if self._exhausted and self.captured is not None:
            self.captured.ran_uncompiled()
        return self.wrapper.original if self._exhausted else None

    def _count(self, failure: dropped_guards.Failure, entry: direct.Entry, action: str) -> None:
        key = (failure.source, failure.expr, action)
        found = self.violations.get(key)
        if found is None:
            found = self.violations[key] = Violation(failure, entry.compile_id, action)
        found.count += 1
        if found.count == 1:
            narration.violation(self._violation(found), entry.compile_id)
            if action != "raised":
                _log.info("%s: %s; this call %s.", self._name, failure, action)

    def _mark(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[dims.Marked], Callable[[], None]]:
        bound = inspect.signature(self.wrapper.original).bind(instance, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        kind = DynamicShapesType(self._shapes().type)
        marked, restore = dims.mark(
            arguments, self.options.dynamic_arg_dims, self.options.mark_unbacked_dims, kind
        )
        self.unmarked = dims.unmarked(arguments, marked)
        return marked, restore

    def _compile(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        marked, restore = self._mark(instance, args, kwargs)
        self.marked = tuple(marked)
        shape = call_shape(args, kwargs, self.parameters, marked)
        if self.unmarked and not self.entries:
            self._warn(f"{self._name}: {self._unmarked_text()}")
        if self.keeping is None and keeping.asked_for(self.config):
            self.keeping = keeping.Keeping(self)
        try:
            loaded = None if self.keeping is None else self._load(self.keeping, instance, args, kwargs)
            result = self._compiled_anew(instance, args, kwargs) if loaded is None else None
        finally:
            restore()
        if loaded is not None:
            result = loaded.run(instance, *args, **kwargs)
        self.call_shape = shape
        return result

    def _load(
        self, kept: keeping.Keeping, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> direct.Entry | None:
        """The entry that was kept for such a call, in front of the others; None where there is none."""
        f_locals = self.wrapper.bind(instance, *args, **kwargs)
        call = keeping.Call(instance, dict(list(f_locals.items())[1:]), f_locals)
        found = kept.load(call)
        if found is None:
            return None
        entry = found
        if graphs.can_be_outgrown(found.graphs.values()):
            entry = msgspec.structs.replace(found, run=functools.partial(self._run_loaded, found.run))
        self.entries = (entry, *self.entries)
        self._prefer(entry)
        return entry

    def aot_compile(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> keeping.AotCompiled:
        """Compiles or loads for a call, and makes it; what was compiled.

        Raises:
            NotKept: It could not be kept.
        """
        if self.do_not_compile or not keeping.possible(self.config):
            msg = f"aot_compile is not supported by the current configuration of {self._name}: its backend or mode compiles nothing that could be kept"
            raise NotKept(msg)
        if self.keeping is None:
            self.keeping = keeping.Keeping(self, always=keeping.asked_for(self.config))
        before = self.aot_compiled_fn
        self.call(instance, args, kwargs)
        if self.aot_compiled_fn is None or (self.aot_compiled_fn is before and self.keeping.unkept):
            raise NotKept(self.keeping.unkept or f"{self._name} was compiled before it was to be kept")
        return self.aot_compiled_fn

    def load_aot_compiled_function(self, instance: Any, path: Path) -> keeping.AotCompiled:
        """What was kept in a file; the next call loads it, if it is for such a call.

        Raises:
            NotLoaded: It is not there, not to be trusted, or was made for something else.
        """
        if self.do_not_compile or not keeping.possible(self.config):
            msg = f"{self._name}: its backend or mode compiles nothing that could be kept"
            raise NotLoaded(msg)
        if self.entries:
            msg = f"{self._name} is compiled already: load before its first call"
            raise NotLoaded(msg)
        if self.keeping is None:
            self.keeping = keeping.Keeping(self, always=keeping.asked_for(self.config))
        return self.keeping.prefer(path, instance)

    def save_aot_compiled_function(self, path: Path | None = None) -> Path:
        """Writes what was compiled; its path.

        Args:
            path: Another file to write it to as well.

        Raises:
            NotKept: Nothing was, or it cannot be written.
        """
        if self.keeping is None or self.aot_compiled_fn is None:
            msg = f"{self._name} has nothing to keep: aot_compile it first"
            raise NotKept(msg)
        return self.keeping.save(path)

    def _run_loaded(self, run: Callable[..., Any], instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Runs a loaded entry; where it holds nothing for the call's size, another is compiled."""
        try:
            return run(instance, *args, **kwargs)
        except graphs.SizeNotKept as error:
            if self.policy == "ignore" and error.size < 2:
                # torch takes 0 and 1 for constants: what is compiled for them alone would then run for every size, unasked.
                self._warn(f"{self._name}: {error}: it runs as it is.")
                return self.wrapper.original(instance, *args, **kwargs)
            with _compiling:
                return self._outgrow(run, error, instance, args, kwargs)

    def _outgrow(
        self,
        run: Callable[..., Any],
        error: graphs.SizeNotKept,
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compiles in this process what was loaded, and lets go of that."""
        if self.keeping is not None:
            self.keeping.outgrown(str(error))
        _log.warning("%s: %s: it is compiled in this process.", self._name, error)
        self.entries = tuple(one for one in self.entries if getattr(one.run, "args", None) != (run,))
        marked, restore = self._mark(instance, args, kwargs)
        self.marked = tuple(marked)
        try:
            return self._compiled_anew(instance, args, kwargs)
        finally:
            restore()

    def _compiled_anew(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compiles, and runs what was compiled; the dimensions are marked."""
        begin = time.perf_counter()
        kept = self.keeping
        try:
            if self._compiled is None:
                self._compiled = self._torch_compiled()
            with self._settings(), nullcontext() if kept is None else kept.compiling():
                result = self._compiled(instance, *args, **kwargs)
                self._adopt(instance, time.perf_counter() - begin)
        except Exception as error:
            if direct.is_recompile_limit(error):
                return self._exhaust(instance, args, kwargs, error)
            if self.unmarked and direct.is_constraint_violation(error):
                error.add_note(self._unmarked_text())
            raise
        return result

    def _exhaust(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException
    ) -> Any:
        self._exhausted = True
        self._warn(
            f"{self._name} was compiled {len(self.entries)} times, and torch compiles it no more (torch._dynamo.config.recompile_limit); "
            f"calls that none of these admits run as they are. {str(error).splitlines()[0]}"
        )
        return self.wrapper.original(instance, *args, **kwargs)

    @contextmanager
    def _settings(self) -> Generator[None]:
        settings = direct.compiling(
            traced=self._traced_code,
            automatic_dynamic=bool(self.entries) and self.policy == "recompile",
            backed_size_oblivious=self._shapes().type == DynamicShapesType.BACKED_SIZE_OBLIVIOUS,
            assume_32bit_indexing=bool(self._shapes().assume_32_bit_indexing),
            inductor=_debug(getattr(self.config, "debug_dump_path", None)),
        )
        with settings, self.partitions():
            yield

    def partitions(self) -> Any:
        """What captures the partitions that Inductor makes in its block, where they are to be captured."""
        if not getattr(self.config, "use_inductor_graph_partition", False):
            return nullcontext()
        from compile_inspector.engine.partitions import maybe_use_cudagraph_partition_wrapper

        return maybe_use_cudagraph_partition_wrapper(self.vllm_config)

    def _traced_code(self, module: str, code: types.CodeType) -> None:
        if self.keeping is not None:
            self.keeping.traced(module, code)
        self._traced(code.co_filename)

    def _traced(self, file: str) -> None:
        self._files[file] = None
        files = getattr(self.config, "traced_files", None)
        if files is not None:
            files.add(file)

    def function(self) -> types.FunctionType:
        """The function that is traced: the forward with a code object of its own, or one that calls it."""
        if self._function is None:
            original = self.wrapper.original
            self._traced(original.__code__.co_filename)
            if self.options.shape_invariants is not None or direct.is_skipped(original):
                original = forwarding(original, self.options.shape_invariants)
            self._function = direct.own_code(original)
        return self._function

    def finder(self, instance: Any) -> manifest.Finder:
        """Finds the functions that are traced, in the live program."""
        invariants = self.options.shape_invariants
        return manifest.Finder(self.wrapper.original, instance, () if invariants is None else (invariants,))

    def _torch_compiled(self) -> Callable[..., Any]:
        self.function()
        config, options = self.config, None
        if config.mode == CompilationMode.PIECEWISE_COMPILE:
            from compile_inspector.engine.piecewise import make_backend

            backend = make_backend(self.vllm_config, prefix=self.prefix, is_encoder=self.options.is_encoder)
            if (getattr(config, "backend", "") or "inductor") == "eager":
                backend = Reusing(backend)
        else:
            backend = resolve_backend(getattr(config, "backend", ""))
            options = (
                dict(getattr(config, "inductor_compile_config", None) or {})
                if backend == "inductor"
                else None
            )
        return torch.compile(self._function, fullgraph=True, backend=backend, options=options or None)

    def _adopt(self, instance: Any, seconds: float) -> None:
        new = direct.new_entries(self._function, self.entries)
        if not new:
            return
        for entry in new if self.keeping is not None else ():
            assert self.keeping is not None
            self.keeping.keep(entry, instance, seconds)
        first = not self.entries
        self.entries = (*new, *self.entries)
        self._prefer(new[0])
        if first:
            name = "encoder_compilation_time" if self.options.is_encoder else "compilation_time"
            if hasattr(self.config, name):
                setattr(self.config, name, getattr(self.config, name) + seconds)
            _log.info("%s: the first compile took %.2f s.", self._name, seconds)
        if trace.heard():
            for entry in new:
                narration.marked(self._marks(), entry.compile_id)
                narration.dropped_guards(self._guards(entry), entry.compile_id)

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)

    def _unmarked_text(self) -> str:
        listed = "; ".join(map(str, self.unmarked[:8]))
        return f"these inputs share a dynamic size and are not marked themselves: {listed}. Where that is no accident, name them in dynamic_arg_dims too"

    @property
    def _own_entries(self) -> tuple[direct.Entry, ...]:
        """Those that were compiled in this process."""
        return tuple(entry for entry in self.entries if entry.compile_id is not None)

    @property
    def cls(self) -> type:
        """The instance's class, as its author wrote it."""
        return self._base

    @property
    def class_name(self) -> str:
        """Its module and qualified name."""
        return f"{self._base.__module__}.{self._base.__qualname__}"

    @property
    def name(self) -> str:
        """What to call the program in messages."""
        return self._name

    @property
    def self_name(self) -> str:
        """What the forward calls its instance."""
        return self._self_name

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were traced."""
        return tuple(self._files)

    @property
    def _name(self) -> str:
        return f"{self.prefix} ({self._cls.__qualname__})" if self.prefix else self._cls.__qualname__

    @property
    def self_at(self) -> str:
        """The instance within the forward: ``self``, or ``args[0]`` where it is among the arguments."""
        return self_in(self.wrapper.original.__code__) or "self"

    @property
    def _self_name(self) -> str:
        return self.self_at.partition("[")[0]

    def applied_fact(self) -> dict[str, Any]:
        """The settings, as plain values."""
        config, shapes = self.config, self._shapes()
        return {
            "key": self._told_as,
            "module": self.prefix or None,
            "class": f"{self._cls.__module__}.{self._cls.__qualname__}",
            "how": self._how,
            "compiles": not self.do_not_compile,
            "mode": CompilationMode(config.mode).name,
            "backend": getattr(config, "backend", "") or "inductor",
            "dynamic_shapes": DynamicShapesType(shapes.type).name,
            "evaluate_guards": bool(shapes.evaluate_guards),
            "dynamic_arg_dims": _plain(self.options.dynamic_arg_dims),
            "mark_unbacked_dims": _plain(self.options.mark_unbacked_dims),
            "is_encoder": self.options.is_encoder,
            "dropped_guards": self.policy,
            "splitting_ops": list(getattr(config, "splitting_ops", None) or ()),
            "file": self.wrapper.original.__code__.co_filename,
            "line": self.wrapper.original.__code__.co_firstlineno,
            "compile_ids": [str(entry.compile_id) for entry in reversed(self._own_entries)],
        }

    def facts(self) -> list[tuple[str, dict[str, Any], Any]]:
        """Every fact as it stands now."""
        told: list[tuple[str, dict[str, Any], Any]] = [("applied", self.applied_fact(), None)]
        if self.entries:
            told.append(("marked", self._marks(), self.entries[-1].compile_id))
        told += [
            ("dropped_guards", self._guards(entry), entry.compile_id) for entry in reversed(self._own_entries)
        ]
        told += [] if self.keeping is None else self.keeping.facts()
        told += [("violations", self._violation(one), one.compile_id) for one in self.violations.values()]
        return told

    def _marks(self) -> dict[str, Any]:
        return {
            "key": self._told_as,
            "marked": [msgspec.to_builtins(one) for one in self.marked],
            "unmarked": [msgspec.to_builtins(one) for one in self.unmarked],
        }

    def _guards(self, entry: direct.Entry) -> dict[str, Any]:
        guards = dropped_guards.read(entry, self._self_name, self._files)
        return {
            "key": f"{self._told_as}:{entry.compile_id}",
            "compile_id": str(entry.compile_id),
            "policy": self.policy,
            "checked": "all"
            if self.policy != "ignore"
            else "size"
            if self._shapes().evaluate_guards
            else "none",
            "guards": [msgspec.to_builtins(one) for one in guards],
        }

    def _violation(self, one: Violation) -> dict[str, Any]:
        return {
            "key": f"{self._told_as}:{one.failure.source}:{one.failure.expr}:{one.action}",
            "compile_id": str(one.compile_id),
            "module": self.prefix or None,
            "class": f"{self._cls.__module__}.{self._cls.__qualname__}",
            **msgspec.to_builtins(one.failure),
            "action": one.action,
            "count": one.count,
        }


def _debug(path: str | None) -> dict[str, Any]:
    return {} if path is None else {"trace.enabled": True, "trace.debug_dir": str(path)}


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {str(dim): shape_id for dim, shape_id in value.items()} if isinstance(value, Mapping) else value
        for key, value in given.items()
    }


def resolve_backend(name: str) -> Any:
    """A backend for `torch.compile`: its registered name, or the callable that a qualified name means.

    Raises:
        InvalidConfig: There is none of that name.
    """
    name = name or "inductor"
    known = torch.compiler.list_backends(exclude_tags=())
    if name in known:
        return name
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else None
    except (ImportError, AttributeError) as error:
        msg = f"the backend {name!r} could not be imported: {type(error).__name__}: {error}"
        raise InvalidConfig(msg) from error
    if not callable(found):
        msg = f"there is no backend {name!r}; registered are {', '.join(known)}, and a callable can be given by its qualified name"
        raise InvalidConfig(msg)
    return found
