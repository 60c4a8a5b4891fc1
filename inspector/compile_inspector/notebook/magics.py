"""The magics: ``%%inspect``, ``%inspect``, ``%inspector``, ``%support_torch_compile`` and ``%capture_graphs``."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import (
    cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
    output_can_be_silenced,
)
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from compile_inspector.errors import InspectorError
from compile_inspector.notebook.cell import run_cell, run_expression
from compile_inspector.notebook.settings import Settings
from compile_inspector.notebook.show import VIEWS, show

if TYPE_CHECKING:
    from compile_inspector.api import Session
    from compile_inspector.notebook.watch import Watch

DEFAULT_NAME = "_session"
ACTIONS = ("on", "off", "status", "reset")
MODES = ("NONE", "STOCK_TORCH_COMPILE", "DYNAMO_TRACE_ONCE", "PIECEWISE_COMPILE")
DYNAMIC_SHAPES = ("backed", "unbacked", "backed_size_oblivious")
CAPTURE_MODES = ("FULL", "PIECEWISE", "FULL_AND_PIECEWISE")
POLICIES = ("recompile", "raise", "ignore")
_OPTION = re.compile(
    r"""\s*(?:--provenance(?=\s|$) | --(?:name|save|view)(?:=|\s+)(?:"[^"]*"|'[^']*'|[^\s"']\S*)(?=\s|$))""",
    re.VERBOSE,
)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both forms of ``inspect`` take."""
    for add in (
        argument(
            "--provenance", action="store_true", help="Also record which graph nodes each kernel was made of."
        ),
        argument("--view", choices=tuple(VIEWS), help="What to show first."),
        argument(
            "--save",
            metavar="FILE",
            help="Also write the session as a torch trace log; compressed where FILE ends in .gz.",
        ),
        argument("--name", help=f"The variable that the session is kept in; {DEFAULT_NAME} without it."),
    ):
        function = add(function)
    return function


@magics_class
class CompileInspector(Settings):
    """The magics of one shell, and their settings."""

    watch: Watch

    @cell_magic("inspect")
    @no_var_expand
    @magic_arguments("%%inspect")  # pyright: ignore[reportUntypedFunctionDecorator]
    @options
    def inspect_cell(self, line: str, cell: str) -> None:
        """Record a cell: what torch compiled while it ran, shown below it."""
        arguments = parse_argstring(self.inspect_cell, line)
        self._recorded(arguments, lambda: run_cell(self.ip, cell))

    @line_magic
    @no_var_expand
    @output_can_be_silenced
    @magic_arguments()  # pyright: ignore[reportUntypedFunctionDecorator]
    @options
    @argument("expression", nargs="*", help="What to run and record.")  # pyright: ignore[reportUntypedFunctionDecorator]
    def inspect(self, line: str) -> Any:
        """Record one expression, and give its value: ``y = %inspect model(x)``."""
        split = _end_of_options(line)
        arguments = parse_argstring(self.inspect, line[:split])
        expression = line[split:].strip()
        if not expression:
            msg = "what shall be recorded? `%inspect model(x)` records an expression, `%%inspect` on the first line a whole cell"
            raise UsageError(msg)
        if re.match(r"--[A-Za-z]", expression):
            msg = f"{expression.split()[0]} is no option of %inspect, or lacks its value; there are --name, --save, --view and --provenance"
            raise UsageError(msg)
        return self._recorded(arguments, lambda: run_expression(self.ip, expression))

    @line_magic
    @no_var_expand
    @magic_arguments()  # pyright: ignore[reportUntypedFunctionDecorator]
    @argument("action", nargs="?", choices=ACTIONS, default="status", help="What to do.")  # pyright: ignore[reportUntypedFunctionDecorator]
    def inspector(self, line: str) -> None:
        """Record every cell: a line appears under each one that compiled something.

        ``on`` records from the next cell, ``off`` ends it, ``status`` tells what goes on, and ``reset`` ends it and forgets what was recorded.
        """
        action = parse_argstring(self.inspector, line).action
        if action == "on":
            self.watch.start()
        elif action == "off":
            self.watch.stop()
        elif action == "reset":
            self.watch.reset()
            self.ip.user_ns.pop(DEFAULT_NAME, None)
        print(self.watch.status())  # noqa: T201 - what a magic says goes to the cell's output

    @line_magic  # pyright: ignore[reportUntypedFunctionDecorator]
    @no_var_expand
    @magic_arguments()
    @argument("--undo", action="store_true", help="Make the module what it was before.")
    @argument(
        "--split",
        metavar="OP",
        action="append",
        help="An operator to split the graph at, such as mylib::attention; may be given several times.",
    )
    @argument(
        "--dropped-guards",
        choices=POLICIES,
        help="What to do where a guard does not hold; recompile without it.",
    )
    @argument("--dynamic-shapes", choices=DYNAMIC_SHAPES, help="How sizes become symbols; backed without it.")
    @argument("--backend", help="torch.compile's backend; inductor without it.")
    @argument("--mode", choices=MODES, help="How to compile; PIECEWISE_COMPILE without it.")
    @argument("module", help="The module: a name, or an expression without spaces.")
    @argument(  # pyright: ignore[reportUntypedFunctionDecorator]
        "dims", nargs="*", help="NAME=DIM[,DIM]: dynamic dimensions; inferred from annotations without any."
    )
    def support_torch_compile(self, line: str) -> None:
        """Compile a live module from its next call on: ``%support_torch_compile model.layers[0] x=0 --backend eager``."""
        from compile_inspector.notebook.applying import apply_to, dims_of, undo_on

        arguments = parse_argstring(self.support_torch_compile, line)
        dims = dims_of(arguments.dims)
        settings = {
            "mode": arguments.mode,
            "backend": arguments.backend,
            "splitting_ops": arguments.split,
            "dropped_guards": arguments.dropped_guards,
            "dynamic_shapes_config": arguments.dynamic_shapes and {"type": arguments.dynamic_shapes},
        }
        settings = {name: value for name, value in settings.items() if value is not None}
        if arguments.undo and (dims or settings):
            msg = "--undo takes nothing but the module"
            raise UsageError(msg)
        module = run_expression(self.ip, arguments.module)
        done = (
            undo_on(module, arguments.module)
            if arguments.undo
            else apply_to(module, arguments.module, dims, settings)
        )
        print(done)  # noqa: T201 - what a magic says goes to the cell's output

    @line_magic  # pyright: ignore[reportUntypedFunctionDecorator]
    @no_var_expand
    @magic_arguments()
    @argument("--undo", action="store_true", help="Free what was captured; calls run compiled again.")
    @argument("--name", help=f"The variable that the session is kept in; {DEFAULT_NAME} without it.")
    @argument("--max-pool-bytes", type=int, help="What the graphs' memory may take.")
    @argument("--max-seconds", type=float, help="When this is over, what is left stays uncaptured.")
    @argument("--no-measure", action="store_true", help="Do not time calls; no break-even is shown then.")
    @argument(
        "--mode", type=str.upper, choices=CAPTURE_MODES, help="What to capture; as configured without it."
    )
    @argument("module", help="The module: a name, or an expression without spaces.")
    @argument(  # pyright: ignore[reportUntypedFunctionDecorator]
        "sizes", nargs="*", help="Batch sizes: 1,2,4 or FIRST:LAST:STEP, such as 8:64:8."
    )
    def capture_graphs(self, line: str) -> None:
        """Capture CUDA graphs of a compiled module for these batch sizes: ``%capture_graphs model 1,2,4``."""
        from compile_inspector.notebook.capturing import capture, release, sizes_of

        arguments = parse_argstring(self.capture_graphs, line)
        if arguments.undo:
            if arguments.sizes:
                msg = "--undo takes nothing but the module"
                raise UsageError(msg)
            done = release(run_expression(self.ip, arguments.module), arguments.module)
            print(done)  # noqa: T201 - what a magic says goes to the cell's output
            return
        if not arguments.sizes:
            msg = "which batch sizes? `%capture_graphs model 1,2,4` captures these three"
            raise UsageError(msg)
        settings = {
            "mode": arguments.mode,
            "measure": not arguments.no_measure,
            "max_capture_seconds": arguments.max_seconds,
            "max_pool_bytes": arguments.max_pool_bytes,
        }
        sizes = sizes_of(" ".join(arguments.sizes))
        module = run_expression(self.ip, arguments.module)
        arguments.provenance, arguments.view, arguments.save = False, "captures", None
        self._recorded(
            arguments,
            lambda: print(capture(module, sizes, settings, self.ip, progress=self.progress)),  # noqa: T201 - as above
        )

    def keep(self, session: Session, name: str | None = None) -> None:
        """Puts a session into the user's namespace."""
        self.ip.user_ns[name or DEFAULT_NAME] = session

    def _recorded(self, arguments: Any, run: Callable[[], Any]) -> Any:
        from compile_inspector.api import record
        from compile_inspector.notebook.progress import live_progress

        name = _variable(arguments.name)
        recorder = record(name, provenance=arguments.provenance or self.provenance)
        try:
            with recorder, live_progress(recorder, self):
                value = run()
        except BaseException:
            with suppress(InspectorError):
                self.keep(recorder.session, name)
            raise
        self.keep(recorder.session, name)
        show(self.ip, recorder.session, how=self.show, view=arguments.view)
        if arguments.save:
            _save(recorder.session, arguments.save)
        return value


def _save(session: Session, written: str) -> None:
    """Saves under a path as it was typed after ``--save``, quoted or not."""
    if written[0] == written[-1] and written[0] in "'\"":
        written = written[1:-1]
    try:
        session.save(Path(written).expanduser())
    except InspectorError as error:
        raise UsageError(str(error)) from None


def _variable(name: str | None) -> str | None:
    if name is not None and not name.isidentifier():
        msg = f"--name must be a variable's name, and {name!r} is none"
        raise UsageError(msg)
    return name


def _end_of_options(line: str) -> int:
    """Where the options before an expression end; the expression itself is left as it was typed."""
    end = 0
    while match := _OPTION.match(line, end):
        end = match.end()
    return end
