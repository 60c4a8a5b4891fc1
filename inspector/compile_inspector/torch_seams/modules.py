"""Which module made each node of Dynamo's graph, and which line of the user's.

Read from the nodes' `nn_module_stack` just before the backend gets the graph, since backends change it in place. The printout of the graph has
neither.

Source: `torch._dynamo.output_graph.OutputGraph.call_user_compiler`, `torch.fx.Node.meta`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names

NAME = "modules"
USES = (
    "torch._dynamo.output_graph:OutputGraph.call_user_compiler",
    "torch.nn:Module",
)
_ROOT = re.compile(r"^(?:[LG]\['[^']*'\]|self\b)\.?")
_CONTAINER = re.compile(r"\._(?:modules|parameters|buffers)\['([^']*)'\]")
_INDEX = re.compile(r"\[(?:'([^']*)'|(\d+))\]")
_FRAME = re.compile(r'^  File "([^"\n]*)", line (\d+), in (.*)\n(?:    (.*)\n)?', re.MULTILINE)


def probe() -> Capability:
    """Whether this torch lets us see the graph before the backend does."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``modules`` for each graph that Dynamo hands to a backend."""
    module = lookup("torch.nn:Module")
    torch_folder = lookup("torch").__file__.rpartition("/")[0] + "/"
    wanted = True

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call_user_compiler(self: Any, gm: Any, *args: Any, **kwargs: Any) -> Any:
            if wanted:
                try:
                    root, prefix = _root(self, module)
                    emit("modules", _Origins(torch_folder, prefix).read(gm.graph.nodes, root))
                except Exception as error:
                    faults.count(NAME, error)
            return original(self, gm, *args, **kwargs)

        return call_user_compiler

    restore = patch(lookup("torch._dynamo.output_graph:OutputGraph"), "call_user_compiler", make)

    def undo() -> None:
        nonlocal wanted
        wanted = False
        restore()

    return undo


def module_path(qualified: str, root: str | None = None) -> str:
    """``layers.0.mlp`` for Dynamo's ``L['self'].layers.0.mlp``; ``""`` for the root module itself.

    Args:
        qualified: As Dynamo names it.
        root: The root module's own source, where it is more than a name: ``L['args'][0]``.
    """
    path = _CONTAINER.sub(r".\1", qualified)
    path = path.removeprefix(root) if root is not None else path
    path = _ROOT.sub("", path, count=1)
    return _INDEX.sub(lambda found: f".{found.group(1) or found.group(2)}", path).lstrip(".")


class _Origins:
    """Reads the nodes of one graph; each distinct module and stack is worked out once."""

    def __init__(self, torch_folder: str, prefix: str | None) -> None:
        self._torch_folder = torch_folder
        self._prefix = prefix
        self._paths: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[Any, ...], int] = {}
        self._of_module: dict[tuple[str, Any], int] = {}
        self._of_stack: dict[str, int | None] = {}

    def read(self, nodes: Any, root: str | None) -> dict[str, Any]:
        top = None if root is None else self._paths.setdefault(("", root), 0)
        origins: dict[str, list[int | None]] = {}
        for node in nodes:
            if node.op == "output":
                continue
            stack = node.meta.get("nn_module_stack")
            path = self._path(next(reversed(stack.values()))) if stack else top
            line = self._line(node.meta.get("stack_trace"))
            if path is not None or line is not None:
                origins[node.name] = [path, line]
        return {
            "paths": [list(key) for key in self._paths],
            "lines": [list(key) for key in self._lines],
            "nodes": origins,
        }

    def _path(self, entry: Any) -> int:
        qualified, kind = entry[0], entry[1]
        known = self._of_module.get((qualified, kind))
        if known is None:
            key = (module_path(qualified, self._prefix), kind if isinstance(kind, str) else _class_name(kind))
            known = self._of_module[qualified, kind] = self._paths.setdefault(key, len(self._paths))
        return known

    def _line(self, trace: Any) -> int | None:
        if not isinstance(trace, str):
            return None
        if trace not in self._of_stack:
            frames = _FRAME.findall(trace)
            inner = next(
                (frame for frame in reversed(frames) if not frame[0].startswith(self._torch_folder)), None
            )
            self._of_stack[trace] = None if inner is None else self._intern(inner)
        return self._of_stack[trace]

    def _intern(self, frame: tuple[str, str, str, str]) -> int:
        file, line, function, code = frame
        return self._lines.setdefault((file, int(line), function, code), len(self._lines))


def _class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _root(output: Any, module: type) -> tuple[str | None, str | None]:
    """The class of the module whose method is being compiled, and its source where that is more than a name.

    Both are None where the frame is no module's method. A decorator's ``wrapper(*args)`` around a method has the module in ``args``.
    """
    translator = output.root_tx
    if translator is None:
        return None, None
    code = translator.f_code
    if code.co_argcount:
        first = translator.f_locals.get(code.co_varnames[0])
        return (_class_name(type(first)), None) if issubclass(type(first), module) else (None, None)
    if code.co_flags & inspect.CO_VARARGS:
        name = code.co_varnames[code.co_kwonlyargcount]
        passed = translator.f_locals.get(name)
        if type(passed) is tuple and [issubclass(type(one), module) for one in passed].count(True) == 1:
            first = passed[0]
            return (
                (_class_name(type(first)), f"L['{name}'][0]")
                if issubclass(type(first), module)
                else (None, None)
            )
    return None, None
