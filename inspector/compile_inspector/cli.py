"""The command ``compile-inspector``: record a demonstration, show a trace log, or look after the decorator's cache."""

from __future__ import annotations

import argparse
import linecache
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from compile_inspector import __version__, cache_commands
from compile_inspector.errors import InspectorError

if TYPE_CHECKING:
    from compile_inspector.api import Session

BAD_INPUT = 2
INTERRUPTED = 130
_COMPILERS = ("c++", "g++", "clang++", "cl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status: 0, 2 for input that cannot be used, 130 when interrupted.

    Args:
        arguments: Without the program's name; those of the process when None.
    """
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except InspectorError as error:
        return _refuse(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return _refuse(f"{error.filename or 'output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compile-inspector", description="Inspect what torch.compile did.")
    parser.add_argument("--version", action="version", version=f"compile-inspector {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="record a small model, print what happened, and write it as a page"
    )
    demo.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("compile-inspector-demo.html"),
        help="the page (default: %(default)s)",
    )
    demo.add_argument(
        "--backend",
        help="torch.compile's backend (default: inductor where a C++ compiler is found, aot_eager otherwise)",
    )
    demo.set_defaults(run=_demo)
    show = commands.add_parser("show", help="show a torch trace log, of ours or of anyone's")
    show.add_argument("log", metavar="LOG", type=Path, help="the log, plain or .gz, or a folder with one")
    show.add_argument("--html", metavar="FILE", type=Path, help="write it as one offline page")
    show.add_argument("--table", metavar="NAME", help="print one table: compiles, guards, recompiles, …")
    show.add_argument("--json", action="store_true", help="print JSON instead of text")
    show.set_defaults(run=_show)
    cache_commands.add(commands)
    return parser


def _demo(chosen: argparse.Namespace) -> None:
    from compile_inspector.api import record

    backend = chosen.backend or ("inductor" if any(map(shutil.which, _COMPILERS)) else "aot_eager")
    _check(backend)
    run = _demonstration()
    with record("demo") as recorder:
        run(backend)
    _say(str(recorder.session))
    _write_page(recorder.session, chosen.out)


def _check(backend: str) -> None:
    import torch

    known: list[str] = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        msg = f"torch has no backend {backend!r}; it has {', '.join(known)}"
        raise InspectorError(msg)


def _demonstration() -> Any:
    """``run`` of demo.py, in a module of its own whose lines tracebacks and stacks can show."""
    from types import ModuleType

    source = files("compile_inspector").joinpath("demo.py").read_text(encoding="utf-8")
    module = ModuleType("demo")
    sys.modules[module.__name__] = module
    linecache.cache["demo.py"] = (len(source), None, source.splitlines(keepends=True), "demo.py")
    exec(compile(source, "demo.py", "exec"), vars(module))
    return module.run


def _show(chosen: argparse.Namespace) -> None:
    from compile_inspector.api import load
    from compile_inspector.model.tables import Tables

    if chosen.table is not None and chosen.table not in Tables.names():
        msg = f"no table is named {chosen.table!r}; there are {', '.join(Tables.names())}"
        raise InspectorError(msg)
    session = load(chosen.log)
    if chosen.html is not None:
        _write_page(session, chosen.html)
    if chosen.json:
        _say(_json(session, chosen.table))
    elif chosen.table is not None:
        from compile_inspector.views.table_text import print_table

        _say(print_table(session, chosen.table, width=_width()))
    elif chosen.html is None:
        _say(str(session))


def _json(session: Session, table: str | None) -> str:
    if table is not None:
        found: Any = session.to_dicts(table)
    else:
        found = {name: session.to_dicts(name) for name in session if session.read(name) is not None}
        found["environment"] = session.environment
        found["absent"] = {name: session.why_absent(name) for name in session if session.read(name) is None}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _width() -> int:
    return shutil.get_terminal_size((140, 24)).columns if sys.stdout.isatty() else 1000


def _write_page(session: Session, path: Path) -> None:
    session.to_html(path)
    sys.stderr.write(f"wrote {path}\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _refuse(message: str) -> int:
    sys.stderr.write(f"compile-inspector: {' '.join(message.split())}\n")
    return BAD_INPUT
