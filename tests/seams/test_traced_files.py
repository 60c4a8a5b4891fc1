"""Which files the seam sees Dynamo read, and the table of traced files."""

from __future__ import annotations

import hashlib
import linecache
from pathlib import Path

import pytest
import torch

from captured import Captured, capture
from compile_inspector.model.files import TracedFile
from compile_inspector.model.records import Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.tables.files import traced_files
from compile_inspector.torch_seams import traced_files as seam
from compile_inspector.torch_seams.probe import Faults


def twice(x):
    return x * 2


def outer(x):
    return twice(twice(x)) + 1


def generated(x):
    return sum(part for part in (x, x * 2))


def run(function, *args, **options) -> Captured:
    args = args or (torch.ones(3),)
    return capture(lambda: torch.compile(function, backend="eager", **options)(*args), "traced_files")


def of_file(captured: Captured, file: str) -> TracedFile:
    return next(row for row in captured.table(traced_files) if row.file == file)


def test_inlined_functions_are_counted_by_file() -> None:
    """The compiled frame's own file has its function and the calls inlined from it; the frame itself is not a call."""
    row = of_file(run(outer), __file__)
    assert (row.functions, row.inline_count, row.compile_ids) == (("outer", "twice"), 2, ("0/0",))


def test_the_hash_is_that_of_the_file() -> None:
    """The content hash is what `sha256sum` prints for the file."""
    expected = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert of_file(run(outer), __file__).content_hash == expected


def test_torchs_own_files_are_there_too() -> None:
    """A module of torch that is traced through is a traced file."""
    captured = capture(
        lambda: torch.compile(torch.nn.Linear(3, 2), backend="eager")(torch.ones(1, 3)), "traced_files"
    )
    rows = {row.file.rpartition("/torch/")[2]: row for row in captured.table(traced_files)}
    assert rows["nn/modules/linear.py"].functions == ("Linear.forward",)


def test_compiles_of_one_file_are_one_row() -> None:
    """Recompiles add to the row's counts and ids."""

    def call():
        compiled = torch.compile(outer, backend="eager")
        compiled(torch.ones(3))
        compiled(torch.ones(4))

    row = of_file(capture(call, "traced_files"), __file__)
    assert (row.inline_count, row.compile_ids) == (4, ("0/0", "0/1"))


def test_a_generator_is_one_inlined_call_each_step() -> None:
    """Dynamo inlines a generator once for each value it asks for, and so it is counted."""
    row = of_file(run(generated), __file__)
    assert "generated.<locals>.<genexpr>" in row.functions
    assert row.inline_count >= 2


def test_after_a_graph_break_the_function_keeps_its_name() -> None:
    """The functions that Dynamo makes to go on are shown as the user's; an attempt that is started over is not counted."""

    def broken(x):
        x = twice(x)
        torch._dynamo.graph_break()
        return twice(x)

    captured = run(broken)
    row = of_file(captured, __file__)
    assert row.inline_count == 2
    assert row.compile_ids == ("0/0", "1/0")
    assert [name for name in row.functions if "resume" in name] == []


def test_a_notebook_cell_has_its_number_and_a_hash() -> None:
    """A cell's file exists in linecache only: it is hashed from there and shown as `In [n]`."""
    file, text = "/tmp/ipykernel_7/42.py", "def cell(x):\n    return x + 1\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space: dict[str, object] = {}
    exec(compile(text, file, "exec"), space)
    try:
        captured = run(space["cell"])
    finally:
        del linecache.cache[file]
    cells = Record("artifact", {"name": "compile_inspector.cells"}, {}, HeldText(f'{{"{file}": 3}}'))
    (row,) = captured._replace(records=(cells, *captured.records)).table(traced_files)
    assert (row.file, row.functions) == ("In [3]", ("cell",))
    assert row.content_hash == hashlib.sha256(text.encode()).hexdigest()


def test_code_without_a_file_has_no_hash() -> None:
    """Code made by exec has no text to hash: None, not the hash of nothing."""
    space: dict[str, object] = {}
    exec(compile("def made(x):\n    return x + 1\n", "<made>", "exec"), space)
    rows = {row.file: row.content_hash for row in run(space["made"]).table(traced_files)}
    assert rows["<made>"] is None


def test_a_foreign_log_names_the_users_files() -> None:
    """Without our facts the files come from the graph's own lines: the user's only, without counts and hashes."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        def forward(self, x):
            return twice(self.linear(x))

    captured = run(Net(), torch.ones(1, 3))
    assert len(captured.table(traced_files)) == 2
    (row,) = captured.foreign().table(traced_files)
    assert (row.file, row.functions, row.inline_count, row.content_hash) == (
        __file__,
        ("forward", "twice"),
        0,
        None,
    )


def test_a_fault_is_counted_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors at each place the seam looks leave the result right and are counted."""

    def fail(*args):
        raise RuntimeError("planted")

    monkeypatch.setattr(seam, "_counts", fail)
    captured = run(outer)
    assert captured.result.tolist() == [5.0] * 3
    assert captured.faults == {("traced_files", "RuntimeError: planted"): 3}


def test_the_undo_restores_exactly() -> None:
    """Afterwards both classes have the very functions they had; wrappers that someone kept only pass through."""
    from torch._dynamo.output_graph import OutputGraph
    from torch._dynamo.symbolic_convert import InliningInstructionTranslator

    owners = ((OutputGraph, "cleanup"), (InliningInstructionTranslator, "inline_call_"))
    before = [owner.__dict__[name] for owner, name in owners]
    emitted: list[str] = []
    undo = seam.install(lambda name, payload, **_: emitted.append(name), Faults())
    kept = [owner.__dict__[name] for owner, name in owners]
    undo()
    assert [owner.__dict__[name] for owner, name in owners] == before
    for (owner, name), wrapper in zip(owners, kept, strict=True):
        setattr(owner, name, wrapper)
    try:
        assert run(outer).result.tolist() == [5.0] * 3
    finally:
        for (owner, name), original in zip(owners, before, strict=True):
            setattr(owner, name, original)
    assert emitted == []
