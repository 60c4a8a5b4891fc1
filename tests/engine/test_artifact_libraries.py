"""What Inductor compiled of C++ is kept with a program: whatever lies in its own folder later is not run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compile_inspector.torch_seams import kept_libraries
from engine.artifact_programs import PROGRAM, Processes, Ran

pytestmark = pytest.mark.skipif(
    not kept_libraries.probe().available, reason="this torch does not let its libraries be taken along"
)
ONE = f"""
import torch._inductor.config
torch._inductor.config.cpp_cache_precompile_headers = False  # compiling the header takes longer than the kernels do
{PROGRAM.replace("LAYERS", "1")}
"""
CALL = 'main(lambda config: Model(vllm_config=config), torch.ones(3, 4) / 3, torch.ones(7, 4), backend="inductor")'
POISON = "raise SystemError('this ran')\n"


Once = Callable[..., Ran]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """Runs a program in a process of its own, with Inductor's folder below a folder."""
    processes = Processes(tmp_path_factory.mktemp("processes"), "inductor")

    def run(folder: Path, program: str = ONE, call: str = CALL) -> Ran:
        return processes.run(folder, program, call, TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"))

    yield run
    processes.end()


@pytest.fixture(scope="module")
def kept(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program that one process has compiled with Inductor."""
    folder = tmp_path_factory.mktemp("kept")
    assert once(folder).aot == (1, 1, 0)
    return folder


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    for name in ("cache", "config", "inductor"):
        shutil.copytree(kept / name, tmp_path / name)
    return tmp_path


def near(found: Ran) -> bool:
    """Whether the results are eager's, but for what vectorized arithmetic rounds otherwise. Inductor leaves a variable in the environment."""
    pairs = zip(flat(found.results), flat(found.expected), strict=True)
    return all(abs(a - b) < 1e-5 for a, b in pairs) and found.losses == []


def flat(value: object) -> list[float]:
    return [one for part in value for one in flat(part)] if isinstance(value, list) else [value]  # type: ignore[list-item]


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.glob("inductor/**/*.so"))


def test_swapped_libraries_and_code_are_not_run(once: Once, copy: Path) -> None:
    """Each library exchanged for another kernel's or for nonsense, each Python file for one that runs code: the program loads, and is right."""
    found = libraries(copy)
    assert found != []
    for index, library in enumerate(found):
        library.write_bytes(b"not a library" if index % 2 == 0 else found[0].read_bytes())
    for file in copy.glob("inductor/*/*.py"):
        file.write_text(POISON)
    loaded = once(copy)
    assert loaded.aot == (0, 0, 1)
    assert near(loaded)


def test_inductors_folder_is_not_needed(once: Once, copy: Path) -> None:
    """Inductor's folder is gone, as after a restart of the machine: the program loads, and nothing is compiled."""
    shutil.rmtree(copy / "inductor")
    loaded = once(copy)
    assert loaded.aot == (0, 0, 1)
    assert near(loaded)
    assert libraries(copy) == []


@pytest.mark.parametrize("gone", [False, True])
def test_code_that_was_not_kept_is_refused(once: Once, copy: Path, gone: bool) -> None:
    """A program whose library lies in Inductor's folder only, or nowhere, is refused with a reason, and compiled anew."""
    lacking = f"""
from compile_inspector.torch_seams import kept_libraries
kept_libraries.Noted.read = lambda self: {{}}
{ONE}
"""
    shutil.rmtree(copy / "cache")
    assert once(copy, lacking).aot == (1, 1, 0)
    if gone:
        shutil.rmtree(copy / "inductor")
    again = once(copy)
    assert again.aot == (1, 1, 0)
    assert near(again)
    assert "was not kept with the program" in again.lookups[0]["reason"]


def test_a_kernel_that_is_python_is_run_as_its_program_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Torch writes such a kernel to a file of a known name, if it is not there: another text that lies there is not run, and is warned of."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    cache: Any = pytest.importorskip("torch._inductor.codecache")
    _, path = cache.write("found = 'own'", "py")
    Path(path).write_text(POISON)
    with kept_libraries.serving({}), caplog.at_level(logging.WARNING):
        module = cache.PyCodeCache.load("found = 'own'")
    cache.PyCodeCache.cache_clear()
    assert (module.found, module.__file__) == ("own", path)
    assert f"{path} is not what was compiled for this program" in caplog.text


def test_what_inductor_had_in_its_own_cache_is_kept_too(once: Once, copy: Path) -> None:
    """A program that Inductor found compiled already, kept then: it loads where Inductor's folder is gone."""
    shutil.rmtree(copy / "cache")
    assert once(copy).aot == (1, 1, 0)
    shutil.rmtree(copy / "inductor")
    loaded = once(copy)
    assert loaded.aot == (0, 0, 1)
    assert near(loaded)


def test_two_programs_that_share_a_kernel_are_both_kept(once: Once, copy: Path) -> None:
    """One is loaded, another with the same kernels is compiled in the same process; both load in the next, without Inductor's folder."""
    call = f"""
import os
{CALL}
os.environ["COMPILE_INSPECTOR_CACHE_ROOT"] = {str(copy / "other")!r}
torch._dynamo.reset()
{CALL}
"""
    first = once(copy, ONE, call)
    assert first.aot == (0, 0, 1)
    shutil.rmtree(copy / "inductor")
    shutil.rmtree(copy / "cache")
    (copy / "other").rename(copy / "cache")
    loaded = once(copy)
    assert loaded.aot == (0, 0, 1)
    assert near(loaded)
