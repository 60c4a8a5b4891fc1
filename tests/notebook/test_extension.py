"""Loading, unloading and reloading the extension, and its settings."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest


def state(shell) -> str:
    """Everything of a shell that an extension may touch, comparable."""
    manager = shell.magics_manager
    return json.dumps(
        {
            "magics": {kind: sorted(map(str, manager.magics[kind])) for kind in ("line", "cell")},
            "registry": sorted(manager.registry),
            "configurables": sorted(type(one).__name__ for one in shell.configurables),
            "matchers": [str(one) for one in shell.Completer.custom_matchers],
            "events": {name: [str(one) for one in found] for name, found in shell.events.callbacks.items()},
            "attributes": [name for name in vars(shell) if "compile_inspector" in name],
            "names": sorted(name for name in shell.user_ns if not name.startswith("_")),
        },
        sort_keys=True,
    )


def test_unloading_leaves_the_shell_as_it_was(bare, run) -> None:
    """Load, use, unload: magics, registry, settings, completions and events are what they were."""
    run("%unload_ext what_is_not_loaded")  # IPython itself loads these magics with their first use
    before = state(bare)
    assert run("%load_ext compile_inspector").text == ""
    assert state(bare) != before
    run("%inspector on\n")
    run("1")
    assert run("%unload_ext compile_inspector").text == ""
    bare.user_ns.pop("_session", None)
    assert state(bare) == before


def test_reloading_replaces_what_was_there(bare, run) -> None:
    """After a reload there is one of everything, and it works."""
    run("%load_ext compile_inspector")
    once = state(bare)
    for _ in range(3):
        assert run("%reload_ext compile_inspector").error is None
    assert [type(one).__name__ for one in bare.configurables].count("CompileInspector") == 1
    assert len(bare.Completer.custom_matchers) == json.loads(once)["matchers"].__len__()
    assert run("%inspect 1").value == 1


def test_loading_twice_and_unloading_what_is_not_loaded_do_no_harm(bare) -> None:
    """Both functions may be called in any order."""
    from compile_inspector import load_ipython_extension, unload_ipython_extension

    before = state(bare)
    unload_ipython_extension(bare)
    load_ipython_extension(bare)
    load_ipython_extension(bare)
    unload_ipython_extension(bare)
    unload_ipython_extension(bare)
    assert state(bare) == before


def test_reloading_ends_the_recording_of_every_cell(bare, run) -> None:
    """What an earlier load began does not go on beside the new one."""
    run("%load_ext compile_inspector")
    run("%inspector on")
    run("%reload_ext compile_inspector")
    assert "inspector off" in run("%inspector").text
    assert bare.events.callbacks["pre_run_cell"] == []


def test_settings_are_set_and_shown(shell, run) -> None:
    """``%config`` sets each setting, shows it, and explains all of them."""
    run("%config CompileInspector.progress_after = 2")
    assert run("%config CompileInspector.progress_after").value == 2.0
    explained = run("%config CompileInspector").text
    assert all(name in explained for name in ("show", "progress_after", "progress", "provenance"))


def test_a_bad_setting_is_refused_and_the_next_one_works(shell, run, caplog) -> None:
    """A value that does not fit changes nothing, and later settings are taken."""
    run("%config CompileInspector.show = 'loud'")
    assert "loud" in caplog.text
    assert run("%config CompileInspector.show").value == "auto"
    run("%config CompileInspector.show = 'text'")
    assert run("%config CompileInspector.show").value == "text"


def test_a_bad_setting_does_not_keep_the_extension_from_loading(shell, run) -> None:
    """A refused value stays in IPython's configuration: the next load drops it, with one warning, and works."""
    run("%config CompileInspector.show = 'loud'")
    with pytest.warns(UserWarning, match="back at their defaults"):
        shell.extension_manager.reload_extension("compile_inspector")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell.extension_manager.reload_extension("compile_inspector")
    assert run("%config CompileInspector.show").value == "auto"
    assert [type(one).__name__ for one in shell.configurables].count("CompileInspector") == 1


def test_loading_imports_neither_torch_nor_widgets() -> None:
    """``%load_ext`` is quick because it leaves torch, anywidget and ipywidgets to whoever needs them first."""
    program = (
        "import sys, json\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "import compile_inspector\n"
        "compile_inspector.load_ipython_extension(shell)\n"
        "print(json.dumps([m for m in ('torch', 'anywidget', 'ipywidgets', 'rich') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
