"""The user's call that made a frame compile, and what stands in it.

torch's own ``dynamo_start`` leaves out the frame that called a plain function, so its stack is read here again.

Source: `torch._dynamo.convert_frame.log_dynamo_start`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
from collections.abc import Callable
from types import CodeType, FrameType, MethodType
from typing import Any

from compile_inspector.torch_seams import decorated
from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names
from compile_inspector.torch_seams.user_stack import user_stack

NAME = "calls"
USES = ("torch._dynamo.convert_frame:log_dynamo_start", *decorated.USES)
_MODULE_FILE = "nn/modules/module.py"
_MODULE_CALLS = frozenset({"_call_impl", "_wrapped_call_impl", "__call__"})
_SEAMS = __file__.removesuffix("calls.py")
_MOST_LINES = 20
_LONGEST = 500


def probe() -> Capability:
    """Whether this torch says when it begins to compile a frame."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``call`` at the beginning of each compile: ``{"stack": [[file, line, function, code], ...]}``, outermost first.

    torch's own frames are left out. Where the innermost of them calls the compiled code itself, the fact also has ``text``, that call's
    source, ``parameters``, the names of the code's positional arguments (``*name`` for the one that takes the rest), ``module``,
    whether what is called is a module, and ``bound``, whether the code is a method's that takes its object among the rest. ``meant`` is
    what a decorator's code stands for.
    """
    wanted = True

    def tell(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def log_dynamo_start(code: Any, skip: int = 0, *args: Any, **kwargs: Any) -> Any:
            # torch counts frames from there to leave out its own: this one is one more.
            begun = original(code, skip + 1, *args, **kwargs)
            if wanted:
                try:
                    frame = inspect.currentframe()
                    meant = decorated.decorated_name(frame, code)
                    told = {} if meant is None else {"meant": meant}
                    emit("call", {"stack": user_stack(frame), **_written(frame, code), **told})
                except Exception as error:
                    faults.count(NAME, error)
            return begun

        return log_dynamo_start

    restore = patch(lookup("torch._dynamo.convert_frame"), "log_dynamo_start", tell)

    def undo() -> None:
        nonlocal wanted
        wanted = False
        restore()

    return undo


def _written(frame: FrameType | None, code: CodeType) -> dict[str, Any]:
    """What the user wrote for the call; nothing where a frame that is neither Dynamo's nor a module's call lies between."""
    root = lookup("torch").__file__.removesuffix("__init__.py")
    module = bound = False
    while frame is not None and frame.f_code.co_filename.startswith((root, _SEAMS)):
        file = frame.f_code.co_filename.removeprefix(root)
        called = file == _MODULE_FILE and frame.f_code.co_name in _MODULE_CALLS
        if not called and not file.startswith(
            ("_dynamo/", "_compile.py", "optim/optimizer.py", "optim/lr_scheduler.py", _SEAMS)
        ):
            return {}
        module = module or called
        bound = bound or _method(frame, called=called) is code
        frame = frame.f_back
    text = None if frame is None else _source(frame)
    if text is None:
        return {}
    names = list(code.co_varnames[: code.co_argcount])
    if code.co_flags & inspect.CO_VARARGS:
        names.append(f"*{code.co_varnames[code.co_argcount + code.co_kwonlyargcount]}")
    return {
        "text": text,
        "parameters": names,
        "module": module,
        "bound": bound and names[0].startswith("*"),
    }


def _method(frame: FrameType, *, called: bool) -> CodeType | None:
    """The code of the method that one of torch's frames calls, None where it calls none.

    It calls a module's ``forward``, which is bound where a class keeps it, or what was given to `torch.compile`.
    """
    if called:
        module = frame.f_locals.get("self")
        function = None if "forward" in vars(module) else inspect.getattr_static(module, "forward", None)
    else:
        given = frame.f_locals.get("fn") if frame.f_code.co_name == "compile_wrapper" else None
        function = given.__func__ if type(given) is MethodType else None
    return function.__code__ if inspect.isfunction(function) else None


def _source(frame: FrameType) -> str | None:
    """The source of the expression that a frame is at; None where it is not at hand, or long."""
    position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if position is None or None in position:
        # Code that Dynamo has made of the user's knows its lines only.
        return _only_call(linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals))
    first, last, start, end = (number or 0 for number in position)
    file, scope = frame.f_code.co_filename, frame.f_globals
    if not 0 < last - first + 1 <= _MOST_LINES:
        return None
    lines = [linecache.getline(file, number, scope).encode() for number in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    text = b"".join(lines).decode(errors="replace")
    return text if 0 < len(text) <= _LONGEST else None


def _only_call(line: str) -> str | None:
    """The call on a line that holds one statement and one call; None for any other line."""
    try:
        body = ast.parse(line.strip()).body if len(line) <= _LONGEST else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    calls = [node for one in body for node in ast.walk(one) if isinstance(node, ast.Call)]
    return ast.get_source_segment(line.strip(), calls[0]) if len(body) == len(calls) == 1 else None
