"""The machine code that Inductor makes of C++ for a processor, and the Python that calls it: kept with a program, and loaded from there only.

Inductor runs whatever lies in its cache folder under a name that it expects, and anyone who can write there could have put it there. What a
kept program needs is therefore taken along while it is compiled, and given to Inductor when the program is loaded; its folder is not
asked. Of Triton's kernels only what torch bundles with a graph is kept: the rest is looked up in Triton's own cache.
Source: `torch._inductor.codecache.CppCodeCache.load_async`, `._load_library`, `PyCodeCache.load_by_key_path`, `CompiledFxGraph.write_to_disk`.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
import tempfile
import threading
import types
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from compile_inspector.torch_seams.probe import Capability, Undo, once_loaded, patch, probe_names

NAME = "kept_libraries"
_CACHE = "torch._inductor.codecache"
_OUTPUT = "torch._inductor.output_code"
USES = (
    f"{_CACHE}:CppCodeCache.load_async.__func__",
    f"{_CACHE}:CppCodeCache._load_library.__func__",
    f"{_CACHE}:_worker_compile_cpp",
    f"{_CACHE}:_reload_python_module",
    f"{_CACHE}:write",
    f"{_OUTPUT}:CompiledFxGraph.write_to_disk",
)
_log = logging.getLogger(__name__)
_loaded: dict[str, str] = {}
"""By key: a hash of each library that was loaded from a program; the file that torch names need not hold the same."""


class NotSealed(Exception):  # noqa: N818
    """A program asks for machine code that was not kept with it; the message says which."""


def probe() -> Capability:
    """Whether this torch lets what it compiled of C++ be taken along."""
    return probe_names(USES)


class Noted:
    """The libraries that were loaded while a program was compiled.

    Attributes:
        files: By key.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def read(self) -> dict[str, bytes]:
        """Each library, compressed.

        Raises:
            OSError: One is no longer there, or no longer the one that was loaded.
        """
        found: dict[str, bytes] = {}
        for key, file in self.files.items():
            with open(file, "rb") as opened:
                data = opened.read()
            if _loaded.get(key, _hash(data)) != _hash(data):
                msg = f"{file} is not the machine code that was loaded"
                raise OSError(msg)
            found[key] = zlib.compress(data, 1)
        return found


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def noting() -> Generator[Noted]:
    """Notes which libraries this thread loads in this block; none where it does not come to Inductor."""
    noted, thread = Noted(), threading.get_ident()

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_async(cls: Any, *args: Any, **kwargs: Any) -> Callable[[], Any]:
            get = original(cls, *args, **kwargs)
            return functools.partial(_note, noted, get) if threading.get_ident() == thread else get

        return load_async

    with _patched({_CACHE: lambda code: [_of_class(code.CppCodeCache, "load_async", make)]}):
        yield noted


@contextmanager
def _patched(modules: Mapping[str, Callable[[Any], list[Undo]]]) -> Generator[None]:
    """Patches modules that are there, and those that come to be loaded in this block."""
    undos: list[Undo] = []
    with ExitStack() as stack:
        for name, then in modules.items():
            stack.callback(once_loaded(name, lambda module, then=then: undos.extend(then(module))))
        try:
            yield
        finally:
            for undo in reversed(undos):
                undo()


def _note(noted: Noted, get: Callable[[], Any]) -> Any:
    library = get()
    noted.files[library.key] = getattr(library, "__file__", None) or library._name
    return library


def _of_class(owner: Any, name: str, make: Callable[[Any], Any]) -> Undo:
    return patch(owner, name, lambda original: classmethod(make(original.__func__)))


@contextmanager
def serving(libraries: Mapping[str, bytes]) -> Generator[None]:
    """Gives what this thread loads in this block the libraries and the Python of its program, whatever lies in Inductor's folder.

    Args:
        libraries: As `Noted.read` gave them.

    Raises:
        NotSealed: Another one was asked for.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        served = _Serving(libraries, folder)
        with _patched({_CACHE: served.of_cache, _OUTPUT: served.of_output}):
            try:
                yield
            finally:
                served.thread = None


class _Serving:
    """What stands in for parts of Inductor while one thread loads a program.

    What it patched may live on in Inductor's tables: it is passed by once the block has ended, and in every other thread.
    """

    def __init__(self, libraries: Mapping[str, bytes], folder: str) -> None:
        self.libraries, self.folder = libraries, folder
        self.thread: int | None = threading.get_ident()
        self.sources: dict[str, str] = {}

    def of_cache(self, code: Any) -> list[Undo]:
        return [
            _of_class(code.CppCodeCache, "load_async", self._here),
            _of_class(code.CppCodeCache, "_load_library", self._library),
            patch(code, "_worker_compile_cpp", self._no_compile),
            patch(code, "_reload_python_module", self._module),
            patch(code, "write", self._written),
        ]

    def of_output(self, output: Any) -> list[Undo]:
        return [patch(output.CompiledFxGraph, "write_to_disk", self._of_graph)]

    @property
    def _mine(self) -> bool:
        return threading.get_ident() == self.thread

    def _here(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_async(cls: Any, *args: Any, **kwargs: Any) -> Any:
            if self._mine and "submit_fn" in kwargs:
                kwargs["submit_fn"] = None  # not in a thread of a pool: there is nothing to compile
            return original(cls, *args, **kwargs)

        return load_async

    def _library(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _load_library(cls: Any, path: str, key: str) -> Any:
            if not self._mine:
                return original(cls, path, key)
            if key not in self.libraries:
                msg = f"the machine code {os.path.basename(path)} was not kept with the program"
                raise NotSealed(msg)
            data = zlib.decompress(self.libraries[key])
            _compare(path, data)
            own = os.path.join(self.folder, os.path.basename(path))
            with open(own, "wb") as file:
                file.write(data)
            library = original(cls, own, key)
            if isinstance(library, types.ModuleType) and library.__file__ == own:
                library.__file__ = path
                _loaded[key] = _hash(data)
            return library

        return _load_library

    def _no_compile(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _worker_compile_cpp(*args: Any, **kwargs: Any) -> Any:
            return None if self._mine else original(*args, **kwargs)

        return _worker_compile_cpp

    def _of_graph(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def write_to_disk(graph: Any) -> str:
            path = original(graph)
            self._take(path, graph.source_code)
            return path

        return write_to_disk

    def _written(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Kernels that are Python are text within their program's code; torch writes each to a file, if it is not there, and runs the file."""

        @functools.wraps(original)
        def write(content: Any, extension: str, *args: Any, **kwargs: Any) -> tuple[str, str]:
            basename, path = original(content, extension, *args, **kwargs)
            if extension == "py" and isinstance(content, str):
                self._take(path, content)
            return basename, path

        return write

    def _take(self, path: str, text: str) -> None:
        if self._mine:
            self.sources[path] = text
            _compare(path, text.encode())

    def _module(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _reload_python_module(key: str, path: str, set_sys_modules: bool = True) -> types.ModuleType:
            if not self._mine or path not in self.sources:
                return original(key, path, set_sys_modules)
            module = types.ModuleType(f"{original.__module__}.{key}")
            module.__file__ = path
            module.key = key  # type: ignore[attr-defined]
            exec(compile(self.sources[path], path, "exec", dont_inherit=True), module.__dict__)
            if set_sys_modules:
                sys.modules[module.__name__] = module
            return module

        return _reload_python_module


def _compare(path: str, data: bytes) -> None:
    """Warns where a file of Inductor's is not what was kept."""
    try:
        with open(path, "rb") as file:
            same = file.read(len(data) + 1) == data
    except OSError:
        return
    if not same:
        _log.warning(
            "%s is not what was compiled for this program: what was kept with it runs instead.", path
        )
