"""Fixes that change the program, made: each case is rewritten as its finding's fix says, and run."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import torch

import compile_inspector as ci
from case_programs import OURS, THEIRS, about
from compile_inspector.model.findings import Finding, Fix, SetConfig

_PLACE = re.compile(r"(before the call|in the place of the call|in the place of the line) at [\w.]+:(\d+)")
_DELETED = re.compile(r"delete `([^`]+)` at [\w.]+:(\d+)")
_UNDECORATED = re.compile(r"take `(@[^`]+)` off (\w+)")
_MARK = re.compile(r"torch\._dynamo\.mark_dynamic\(.*\)$")
_FILTER = re.compile(r"options=\{[^}]*\}")
NOTHING_HELPS = {
    "adapter_switch",
    "added_to_fixed",
    "data_dependent_branch",
    "device_context",
    "dict_keys",
    "growing_list",
    "inference_tensor",
    "item_in_branch",
    "loop_over_batch",
    "lora_added_later",
    "optional_argument",
    "rank_change",
    "subclass_later",
    "text_argument",
}


def load(path: Path, monkeypatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"applied_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def due(case: ModuleType) -> list[Finding]:
    with ci.record() as recorder, contextlib.redirect_stdout(io.StringIO()):
        case.run()
    assert recorder.session.losses == ()
    return [one for one in recorder.session.findings if about(case.EXPECT, one)]


@contextlib.contextmanager
def put_back(fix: Fix):
    """Every setting that a fix makes is put back."""
    with contextlib.ExitStack() as stack:
        logging = set(torch._dynamo.config.reorderable_logging_functions)
        stack.enter_context(torch._dynamo.config.patch(reorderable_logging_functions=logging))
        for action in fix.actions:
            if isinstance(action, SetConfig):
                module = importlib.import_module(action.module)
                stack.enter_context(module.patch({action.name: getattr(module, action.name)}))
        yield


def rewritten(source: str, fix: Fix) -> str | None:
    """The program with the fix in it; None where the fix has no code and takes nothing away."""
    lines = source.splitlines()
    if "and no mark_dynamic" in fix.note:
        lines = [_MARK.sub("pass", line) for line in lines]
    if fix.code is None:
        return without(lines, fix.note)
    if fix.note.startswith("in torch.compile"):
        before, run, after = source.partition("def run():")
        return before + run + _FILTER.sub(lambda _: fix.code, after, count=1)
    places = [(how, int(number)) for how, number in _PLACE.findall(fix.note)]
    if not places:
        if fix.note.startswith("once, before the first call"):
            compiling = next(at for at, line in enumerate(lines) if "torch.compile(" in line)
            return "\n".join([*lines[:compiling], textwrap.indent(fix.code, "    "), *lines[compiling:]])
        assert fix.note.startswith("before the first call")
        first = lines.index("import torch")
        return "\n".join([*lines[: first + 1], fix.code, *lines[first + 1 :]])
    parts = [fix.code] if len(places) == 1 else fix.code.splitlines()
    assert len(parts) == len(places)
    for (how, number), code in sorted(zip(places, parts, strict=True), key=lambda pair: -pair[0][1]):
        old = lines[number - 1]
        new = textwrap.indent(code, old[: len(old) - len(old.lstrip())])
        lines[number - 1 : number] = [new, old] if how == "before the call" else [new]
    return "\n".join(lines)


def without(lines: list[str], note: str) -> str | None:
    """The program without a line or a decorator that the note says to take away."""
    deleted, undecorated = _DELETED.search(note), _UNDECORATED.search(note)
    if deleted is not None:
        line = lines[int(deleted[2]) - 1]
        assert deleted[1] in line
        return "\n".join([*lines[: int(deleted[2]) - 1], *lines[int(deleted[2]) :]])
    if undecorated is None:
        return None
    defined = next(index for index, line in enumerate(lines) if line.startswith(f"def {undecorated[2]}("))
    assert lines[defined - 1] == undecorated[1]
    return "\n".join([*lines[: defined - 1], *lines[defined:]])


class Kept:
    """Compiled code that keeps what its calls give."""

    def __init__(self, code, results):
        self._code, self._results = code, results

    def __call__(self, *args, **kwargs):
        self._results.append(self._code(*args, **kwargs))
        return self._results[-1]

    def __getattr__(self, name):
        return getattr(self._code, name)


def results(case: ModuleType, monkeypatch, *, eager: bool) -> list[object]:
    """What each compiled call of a case gives, or the same function uncompiled."""
    found: list[object] = []
    compiled = torch.compile

    def watched(function, **options):
        return Kept(function if eager else compiled(function, **options), found)

    torch.manual_seed(0)
    with monkeypatch.context() as patched, contextlib.redirect_stdout(io.StringIO()):
        patched.setattr(torch, "compile", watched)
        case.run()
    return found


@pytest.mark.parametrize("path", [*OURS, *THEIRS], ids=lambda path: path.stem)
def test_the_program_rewritten_as_its_fix_says_has_no_finding_and_its_result(
    path, tmp_path, monkeypatch
) -> None:
    """A fix that cannot be made from outside is made in the program: the finding is gone, and the calls give what eager gives."""
    finding = due(load(path, monkeypatch))[0]
    text = rewritten(path.read_text(), finding.fix)
    if text is None:
        assert path.stem in NOTHING_HELPS
        assert finding.fix.note.startswith("no setting helps")
        assert str(finding.fix).startswith("no fix: ")
        return
    assert path.stem not in NOTHING_HELPS
    copy = tmp_path / path.name
    copy.write_text(text)
    with put_back(finding.fix):
        case = load(copy, monkeypatch)
        assert due(case) == []
        with_fix = results(case, monkeypatch, eager=False)
        without_compile = results(case, monkeypatch, eager=True)
    assert len(with_fix) == len(without_compile) > 0
    torch.testing.assert_close(with_fix, without_compile)
