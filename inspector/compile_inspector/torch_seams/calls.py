"""The user's call that made a frame compile.

torch's own ``dynamo_start`` leaves out the frame that called a plain function, so its stack is read here again.

Source: `torch._dynamo.convert_frame.log_dynamo_start`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Emit, Faults, Undo, lookup, patch, probe_names
from compile_inspector.torch_seams.user_stack import user_stack

NAME = "calls"
USES = ("torch._dynamo.convert_frame:log_dynamo_start",)


def probe() -> Capability:
    """Whether this torch says when it begins to compile a frame."""
    return probe_names(USES)


def install(emit: Emit, faults: Faults) -> Undo:
    """Emits the fact ``call`` at the beginning of each compile: ``{"stack": [[file, line, function, code], ...]}``, outermost first.

    torch's own frames are left out.
    """
    wanted = True

    def tell(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def log_dynamo_start(code: Any, skip: int = 0, *args: Any, **kwargs: Any) -> Any:
            # torch counts frames from there to leave out its own: this one is one more.
            begun = original(code, skip + 1, *args, **kwargs)
            if wanted:
                try:
                    emit("call", {"stack": user_stack(inspect.currentframe())})
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
