"""What is loaded behaves as what was compiled: its guards hold, its gradients flow; what cannot be kept or loaded is said and compiles."""

from __future__ import annotations

import functools
import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import compile_inspector as ci
from compile_inspector.engine.artifacts import misses, store
from compile_inspector.engine.decorator import programs
from compile_inspector.errors import GuardViolation, NotKept, NotLoaded
from compile_inspector.torch_seams import backends, kept_code, kept_guards, platform
from engine.models import KEPT_BACKEND

pytestmark = pytest.mark.skipif(
    not (kept_code.probe().available and kept_guards.probe().available),
    reason="this torch does not let its programs be kept",
)
RATE = 2.0


def helper(x: torch.Tensor) -> torch.Tensor:
    return x.sin()


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(x: torch.Tensor) -> torch.Tensor:
        return function(x) + 1

    return wrapper


@wrapping
def wrapped(x: torch.Tensor) -> torch.Tensor:
    return x * 3


class Model(torch.nn.Module):
    """Reads an attribute, a global and a function."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.scale = 1.5

    @property
    def doubled(self) -> float:
        return self.scale * 2

    def forward(self, x: torch.Tensor, bias: Any = None) -> torch.Tensor:
        y = helper(self.linear(x)) * self.doubled * RATE
        return wrapped(y) if bias is None else y + bias


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if len(x) >= 4 else x * 100


@torch.compiler.assume_constant_result
def answer() -> int:
    return 42


class Constant(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + answer()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache and key lie below the test's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", str(tmp_path / "cache"))
    return tmp_path


def config(**given: Any) -> ci.InspectorConfig:
    settings = {"mode": "DYNAMO_TRACE_ONCE", "backend": KEPT_BACKEND, "use_aot_compile": True, **given}
    return ci.InspectorConfig(ci.CompilationConfig(**settings))


def applied(make: Any = Model, dims: Any = None, **given: Any) -> torch.nn.Module:
    """A new instance, as a new process would build it: the same weights."""
    torch.manual_seed(0)
    module = make()
    ci.apply(module, dynamic_arg_dims=dims or {"x": 0}, vllm_config=config(**given))
    return module


def lookups(module: torch.nn.Module) -> list[Any]:
    return [lookup for _, lookup, _ in programs.get(module).keeping.lookups]


def outcomes(module: torch.nn.Module) -> list[str]:
    return [lookup.outcome for lookup in lookups(module)]


def eager(module: torch.nn.Module, *args: Any) -> torch.Tensor:
    return programs.get(module).wrapper.original(module, *args)


def right(module: torch.nn.Module, *args: Any) -> bool:
    return torch.allclose(module(*args), eager(module, *args))


def kept(make: Any = Model, **given: Any) -> None:
    """Something is kept."""
    module = applied(make, **given)
    assert right(module, torch.ones(5, 4))
    assert outcomes(module) == ["miss"], lookups(module)[-1].reason


def loaded(make: Any = Model, **given: Any) -> torch.nn.Module:
    """An instance that loaded what `kept` compiled."""
    module = applied(make, **given)
    assert right(module, torch.ones(5, 4))
    assert outcomes(module) == ["hit"]
    assert programs.get(module).was_aot_compile_fn_loaded_from_disk
    return module


def test_a_loaded_program_keeps_its_guards_on_attributes() -> None:
    """An attribute set after the load is seen by the next call."""
    kept()
    module = loaded()
    module.scale = 9.0
    assert right(module, torch.ones(5, 4))


def test_a_loaded_program_sees_a_function_defined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that a cell defines again after the load: the next call computes with the new one."""
    kept()
    module = loaded()

    def helper(x: torch.Tensor) -> torch.Tensor:
        return x.cos()

    monkeypatch.setitem(globals(), "helper", helper)
    assert right(module, torch.ones(5, 4))
    assert outcomes(module) == ["hit", "miss"]
    assert "helper" in (lookups(module)[1].differs[0].component)


def test_a_loaded_program_sees_a_global_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's number that the forward read."""
    kept()
    module = loaded()
    monkeypatch.setitem(globals(), "RATE", 7.0)
    assert right(module, torch.ones(5, 4))


def test_a_property_and_a_wrapped_function_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edited between two loads: a property's getter; a function behind a decorator."""
    kept()
    monkeypatch.setattr(Model, "doubled", property(lambda self: self.scale * 5))
    module = applied()
    assert right(module, torch.ones(5, 4))
    assert outcomes(module)[0] == "miss"
    monkeypatch.undo()

    def wrapped(x: torch.Tensor) -> torch.Tensor:
        return x * 4

    loaded_before = globals()["wrapped"]
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", "")
    assert loaded_before(torch.ones(1)) == 4.0
    monkeypatch.setitem(globals(), "wrapped", wrapping(wrapped))
    module = applied(cache_dir=str(Path(programs.get(module).config.local_cache_dir).parent))
    assert right(module, torch.ones(5, 4))
    assert outcomes(module)[0] == "miss"


def test_none_and_a_tensor_are_two_programs() -> None:
    """An optional argument: each kind of call has an artifact of its own."""
    module = applied()
    assert right(module, torch.ones(5, 4))
    assert right(module, torch.ones(5, 4), torch.ones(4))
    again = applied()
    assert right(again, torch.ones(5, 4), torch.ones(4))
    assert right(again, torch.ones(5, 4))
    assert outcomes(again) == ["hit", "hit"]


def test_the_other_side_of_a_branch_is_another_artifact() -> None:
    """`x*2 if len(x)>=4 else x*100`: both sides are kept, and in each later process both are right, whichever comes first."""
    first = applied(Branch)
    assert [first(torch.ones(size))[0].item() for size in (5, 3)] == [2, 100]
    for sizes, wanted in (((5, 3, 6), [2, 100, 2]), ((3, 5, 2), [100, 2, 100])):
        again = applied(Branch)
        assert [again(torch.ones(size))[0].item() for size in sizes] == wanted
        assert outcomes(again) == ["hit", "hit"]


@pytest.mark.parametrize("size", [0, 1, 2, 9])
def test_every_size_is_right_after_a_load(size: int) -> None:
    """Sizes 0 and 1, which torch takes for constants, included."""
    kept()
    assert right(loaded(), torch.ones(size, 4))


def test_raising_on_a_guard_still_raises() -> None:
    """dropped_guards="raise": a loaded program raises where a compiled one does."""
    kept(Branch, dropped_guards="raise")
    module = loaded(Branch, dropped_guards="raise")
    with pytest.raises(GuardViolation, match=r"4 <= L\['x'\].size\(\)\[0\]"):
        module(torch.ones(3, 4))


def test_gradients_flow_through_what_was_loaded() -> None:
    """Forward and backward are kept."""
    kept()
    module = loaded()
    x = torch.ones(5, 4)
    module(x).sum().backward()
    found = module.linear.weight.grad.clone()
    module.linear.weight.grad = None
    eager(module, x).sum().backward()
    torch.testing.assert_close(found, module.linear.weight.grad)


def test_no_grad_is_another_program() -> None:
    """The state of the process is in the key."""
    kept()
    module = applied()
    with torch.no_grad():
        assert right(module, torch.ones(5, 4))
    assert [one.component for one in lookups(module)[0].differs] == ["state"]


def test_another_torch_compiles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another torch wrote is named by its version."""
    kept()
    monkeypatch.setattr(platform, "versions", lambda: ("torch 9.9",))
    module = applied()
    assert right(module, torch.ones(5, 4))
    (found,) = lookups(module)[0].differs
    assert (found.component, found.now) == ("torch", "torch 9.9")


def artifact(home: Path) -> Path:
    (found,) = home.glob("cache/**/*.artifact")
    return found


@pytest.mark.parametrize("damage", ["flip header", "flip code", "cut", "empty", "open to others"])
def test_a_damaged_artifact_compiles_anew(home: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused with a reason, logged once, and written anew; the call's result is right."""
    kept()
    path = artifact(home)
    data = bytearray(path.read_bytes())
    if damage == "open to others":
        path.chmod(0o666)
    elif damage.startswith("flip"):
        data[60 if damage == "flip header" else -40] ^= 1
        path.write_bytes(bytes(data))
    else:
        path.write_bytes(bytes(data[:-100]) if damage == "cut" else b"")
    module = applied()
    with caplog.at_level(logging.WARNING):
        assert right(module, torch.ones(5, 4))
    assert outcomes(module) == ["miss"]
    wanted = "others can write" if damage == "open to others" else "Compile cache file corrupted."
    assert wanted in (lookups(module)[0].reason or "")
    assert len([one for one in caplog.messages if "Compiling model again due to a load failure" in one]) == 1
    loaded()


def test_a_forced_load_raises_where_nothing_can_be_loaded(home: Path) -> None:
    """force_aot_load: an error with the reason instead of a compile, for nothing stored and for a damaged artifact."""
    with pytest.raises(NotLoaded, match="nothing of this program is stored"):
        applied(force_aot_load=True)(torch.ones(5, 4))
    kept()
    loaded(force_aot_load=True)
    artifact(home).write_bytes(b"")
    with pytest.raises(NotLoaded, match="corrupted"):
        applied(force_aot_load=True)(torch.ones(5, 4))


def test_a_disabled_cache_is_neither_read_nor_written(home: Path) -> None:
    """disable_compile_cache wins over use_aot_compile."""
    module = applied(disable_compile_cache=True)
    assert right(module, torch.ones(5, 4))
    assert programs.get(module).keeping is None
    assert not (home / "cache").exists()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("USE_AOT", "1", ("use_aot_compile", True)),
        ("DISABLE_CACHE", "true", ("disable_compile_cache", True)),
        ("FORCE_AOT_LOAD", "yes", ("force_aot_load", True)),
        ("CACHE_ROOT", "/somewhere", ("cache_root", "/somewhere")),
    ],
)
def test_the_environment_switches(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: tuple[str, object]
) -> None:
    """Each of the four variables sets its field's default."""
    monkeypatch.setenv(f"COMPILE_INSPECTOR_{name}", value)
    assert getattr(ci.CompilationConfig(), wanted[0]) == wanted[1]


def test_a_folder_that_cannot_be_written_is_no_failure_of_the_call(home: Path) -> None:
    """A file lies where the cache folder should: the call is right, and a row says why nothing was kept."""
    (home / "cache").mkdir(mode=0o700)
    (home / "cache" / "artifacts").write_text("")
    module = applied()
    assert right(module, torch.ones(5, 4))
    assert "not kept" in (lookups(module)[-1].reason or "")


def test_a_full_disk_is_no_failure_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left: the same."""

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "write_whole", full)
    module = applied()
    assert right(module, torch.ones(5, 4))
    assert "No space left on device" in (lookups(module)[-1].reason or "")


def test_a_fault_in_a_lookup_is_no_failure_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a lookup raises: the call is right, nothing is kept under a key that was not made, and the row says so."""
    monkeypatch.setattr(platform, "settings", lambda: iter([None]))
    module = applied()
    assert right(module, torch.ones(5, 4))
    assert outcomes(module) == ["bypass", "bypass"]
    assert "the lookup failed" in (lookups(module)[0].reason or "")


def test_a_result_taken_for_a_constant_is_not_kept() -> None:
    """assume_constant_result: nothing would notice another result."""
    module = applied(Constant)
    assert right(module, torch.ones(5, 4))
    assert "answer was taken for a constant" in (lookups(module)[-1].reason or "")


def test_a_class_local_to_a_function_is_kept() -> None:
    """A model class made within a function, as in a test or a factory, is found again through its instance."""

    def make() -> torch.nn.Module:
        class Inner(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.half(x) + 1

            def half(self, x: torch.Tensor) -> torch.Tensor:
                return x / 2

        class Outer(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = Inner()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.inner(x) * 2

        return Outer()

    kept(make)
    loaded(make)


def test_a_backend_that_makes_plain_callables_is_not_kept() -> None:
    """A custom backend's callable cannot leave the process: the row says so, and the call is right."""
    module = applied(backend="engine.test_artifact_loading.plain")
    assert right(module, torch.ones(5, 4))
    assert "cannot leave the process" in (lookups(module)[-1].reason or "")


def plain(module: torch.fx.GraphModule, inputs: list[Any]) -> Any:
    return module.forward


def test_aot_compile_and_save_by_hand(home: Path) -> None:
    """Without use_aot_compile a decorated module is compiled to be kept by `aot_compile`, and written by `save_aot_compiled_function`."""

    @ci.support_torch_compile
    class Decorated(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    def build() -> Any:
        with ci.set_current_vllm_config(config(use_aot_compile=False)):
            return Decorated()

    x, module = torch.ones(3), build()
    with ci.compilation_counter.expect(num_aot_compiles=1, num_aot_artifacts_saved=1):
        compiled = module.aot_compile(x)
        assert list(home.glob("cache/**/*.artifact")) == []
        path = module.save_aot_compiled_function()
    assert torch.equal(compiled(module, x), x * 2)
    assert compiled.source_info() == ()
    assert path == artifact(home)
    again = build()
    with ci.compilation_counter.expect(num_aot_compiles=0, num_aot_artifacts_loaded=1):
        again.aot_compile(x)
    assert again.was_aot_compile_fn_loaded_from_disk
    assert again.save_aot_compiled_function() == path


def test_what_cannot_be_kept_is_an_error_when_asked_for_by_hand() -> None:
    """`aot_compile` under the backend eager, and saving before anything was compiled."""

    @ci.support_torch_compile
    class Decorated(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    with ci.set_current_vllm_config(config(backend="eager", use_aot_compile=False)):
        module: Any = Decorated()
    with pytest.raises(NotKept, match="aot_compile is not supported"):
        module.aot_compile(torch.ones(3))
    with pytest.raises(NotKept, match="nothing to keep"):
        module.save_aot_compiled_function()


def test_rows_tell_the_recorder(home: Path, tmp_path: Path) -> None:
    """A miss names component, values and line in `session.caches`; a recorder that came late is told the same; a log holds it."""
    kept()
    module = applied()
    module.scale = 8.0
    with ci.record() as recorder:
        module(torch.ones(5, 4))
    row = [one for one in recorder.session.caches if one.cache == "artifact"][-1]
    assert (row.outcome, row.module) == ("miss", f"{__name__}.Model")
    assert [(one.component, one.was, one.now) for one in row.differs] == [("L['self'].scale", "1.5", "8.0")]
    with ci.record() as late:
        pass
    assert row in late.session.caches
    assert recorder.session.losses == ()
    assert ci.load(recorder.session.save(tmp_path / "log")).caches == recorder.session.caches


@torch.library.custom_op("artifact_loading::halved", mutates_args=())
def halved(x: torch.Tensor) -> torch.Tensor:
    """A custom operator."""
    return x / 2


@halved.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Halving(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.artifact_loading.halved(x) + 1


@pytest.mark.parametrize(("make", "watched"), [(Branch, False), (Halving, True)])
def test_the_first_call_is_watched_for_custom_operators_only(
    make: Any, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was loaded only the first call of a program with custom operators goes through torch's mode that looks at their results."""
    wrappers: Any = kept_code.lookup("torch._functorch._aot_autograd.runtime_wrappers:")
    mode, entered = wrappers._AnalyzeCustomOpInputOutputMode, list[str]()

    class Counted(mode):
        def __enter__(self) -> Any:
            entered.append(make.__name__)
            return super().__enter__()

    kept(make)
    monkeypatch.setattr(wrappers, "_AnalyzeCustomOpInputOutputMode", Counted)
    loaded(make)
    assert entered == [make.__name__] * watched


def test_a_backend_of_torchs_is_known_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a name means one of torch's backends is told without importing them all; a callable of the user's is found by its qualified name."""
    found: Any = backends.own_callable("engine.test_artifact_loading.plain")
    assert found.__qualname__ == "plain"
    registry: Any = kept_code.lookup("torch._dynamo.backends.registry:")
    for name in ("lookup_backend", "_COMPILER_FNS"):
        monkeypatch.setattr(registry, name, {})
    assert [backends.own_callable(name) for name in ("", "inductor", "aot_eager", "eager")] == [None] * 4


class Kept(torch.nn.Module):
    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def decorated(scale: float = 2.0, **given: Any) -> Any:
    """An instance of a decorated class; nothing is looked up for it unless it is asked to."""
    cls = ci.support_torch_compile(type("Decorated", (Kept,), {"forward": Kept.forward}))
    with ci.set_current_vllm_config(config(**{"use_aot_compile": False, **given})):
        return cls(scale)


@pytest.fixture
def saved(home: Path) -> Path:
    """A file that a decorated module was saved to, and the only one that holds it."""
    home.chmod(0o700)
    module = decorated()
    module.aot_compile(torch.ones(5, 4))
    path = module.save_aot_compiled_function(home / "kept.bin")
    artifact(home).unlink()
    return path


def test_a_file_is_loaded_by_its_path(saved: Path) -> None:
    """What was saved to a file of any name is found there, loaded by the first call, and right for other sizes; its attributes are guarded."""
    module = decorated()
    found = module._try_load_aot_compiled_fn(saved)
    assert (found.path, module.was_aot_compile_fn_loaded_from_disk) == (saved, False)
    with ci.compilation_counter.expect(num_aot_compiles=0, num_aot_artifacts_loaded=1):
        assert found(module, torch.ones(5, 4)).sum() == 40
        assert module(torch.ones(7, 4)).sum() == 56
    assert module.was_aot_compile_fn_loaded_from_disk
    module.scale = 3.0
    assert module(torch.ones(5, 4)).sum() == 60


def test_a_file_made_for_something_else_is_not_loaded(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another setting is told at once, another attribute at the first call; either way the module compiles and is right."""
    module = decorated(compile_sizes=(7,))
    with caplog.at_level(logging.WARNING):
        assert module._try_load_aot_compiled_fn(saved) is None
    assert f"Compiling model again due to a load failure from {saved}" in caplog.text
    assert "config was compile_sizes=[], is compile_sizes=[7]" in caplog.text
    module = decorated(scale=5.0)
    assert module.load_aot_compiled_function(saved)(module, torch.ones(5, 4)).sum() == 100
    assert not module.was_aot_compile_fn_loaded_from_disk
    (lookup, *_) = lookups(module)
    assert [(one.component, one.was, one.now) for one in lookup.differs] == [
        ("L['self'].scale", "2.0", "5.0")
    ]


def test_a_file_that_is_not_there_or_damaged(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No file is no warning; a damaged one is named; force_aot_load makes errors of both; a compiled module loads nothing."""
    with caplog.at_level(logging.WARNING):
        assert decorated()._try_load_aot_compiled_fn(saved.parent / "none") is None
    assert "load failure" not in caplog.text
    with pytest.raises(NotLoaded, match="No such file"):
        decorated(force_aot_load=True)._try_load_aot_compiled_fn(saved.parent / "none")
    module = decorated()
    module(torch.ones(5, 4))
    with pytest.raises(NotLoaded, match="compiled already"):
        module.load_aot_compiled_function(saved)
    saved.write_bytes(saved.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert decorated()._try_load_aot_compiled_fn(saved) is None
    assert "Compile cache file corrupted." in caplog.text
    with pytest.raises(NotLoaded, match=r"Compile cache file corrupted\."):
        decorated(force_aot_load=True)._try_load_aot_compiled_fn(saved)


def test_a_miss_is_told_beside_the_artifact(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lookup differed in lies beside the nearest artifact, for other processes, with the line that reads it; a hit adds nothing."""
    kept()
    path = artifact(home)
    monkeypatch.setitem(globals(), "RATE", 8.0)
    assert right(applied(), torch.ones(5, 4))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("COMPILE_INSPECTOR_CACHE_ROOT", str(home / "cache"))
    loaded()
    (miss,) = misses.of(path)
    (part,) = miss.differs
    line = inspect.getsourcelines(Model.forward)[1] + 1
    assert (part.component, part.was, part.now) == ("G['RATE']", "2.0", "8.0")
    assert (part.file, part.line) == (__file__, line)
