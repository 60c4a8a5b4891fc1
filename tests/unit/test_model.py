"""The model's values: what is derived of them, and how texts are kept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from compile_inspector.model.graph import Graph
from compile_inspector.model.guards import module_path
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import NodeOrigin
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.records import Record
from compile_inspector.model.text import (
    COMPRESS_ABOVE,
    CompressedText,
    FileText,
    HeldText,
    LogFile,
    Text,
    hold,
    unindent,
)
from factory import CALL_LINE, DYNAMO_GRAPH, make_compile, make_entry, make_failing, make_graph, make_guard


def test_values_are_frozen() -> None:
    """A row cannot be changed after it was made."""
    row = make_compile()
    with pytest.raises(AttributeError):
        row.status = "failed"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("location", "whole", "short"),
    [
        (Location("/a/b/net.py", 7), "/a/b/net.py:7", "net.py:7"),
        (Location("In [3]", 2), "In [3]:2", "In [3]:2"),
        (Location("net.py", 0), "net.py:0", "net.py:0"),
    ],
)
def test_location_as_text(location: Location, whole: str, short: str) -> None:
    """A location reads ``file:line``, and its short form drops the folders."""
    assert (whole, short) == (str(location), location.short)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (
            "L['self']._modules['layers']._modules['0']._modules['mlp']._parameters['weight']",
            "layers.0.mlp.weight",
        ),
        ("L['self'].layers[2].scale", "layers.2.scale"),
        ("L['self']", ""),
        ("L['x'].size()[0]", None),
        (None, None),
    ],
)
def test_module_path_of_a_source(source: str | None, path: str | None) -> None:
    """A source below ``L['self']`` has the dotted path that users write; any other has none."""
    assert path == module_path(source) == make_guard(source=source).module_path


def test_the_nearest_entry_has_the_fewest_failing_guards() -> None:
    """Of the entries with failing guards the one with the fewest is the nearest."""
    far = make_entry("0/1", make_failing(), make_failing("grad_mode"))
    near = make_entry("0/0", make_failing())
    assert near is Recompile("0/2", CALL_LINE, (far, near)).nearest


def test_ties_go_to_the_newest_entry() -> None:
    """Entries are newest first, and of equals the first is the nearest."""
    newer, older = make_entry("0/1", make_failing()), make_entry("0/0", make_failing())
    assert newer is Recompile("0/2", CALL_LINE, (newer, older)).nearest


def test_an_entry_without_failing_guards_is_nearest_only_alone() -> None:
    """An entry of which no failing guard is known loses to any other, and serves where there is no other."""
    unknown, known = make_entry("0/1", torch_reason="backend changed"), make_entry("0/0", make_failing())
    assert known is Recompile("0/2", None, (unknown, known)).nearest
    assert unknown is Recompile("0/2", None, (unknown,)).nearest
    assert Recompile("0/2", None, ()).nearest is None


@pytest.mark.parametrize(
    ("envelope", "compile_id"),
    [
        ({"frame_id": 0, "frame_compile_id": 1}, "0/1"),
        ({"frame_id": 0, "frame_compile_id": 1, "compiled_autograd_id": 2}, "!2/0/1"),
        ({"compiled_autograd_id": 2}, "!2"),
        ({"frame_id": 0}, None),
        ({}, None),
    ],
)
def test_compile_id_of_a_record(envelope: dict[str, int], compile_id: str | None) -> None:
    """A record's compile id is put together as torch writes it."""
    assert compile_id == Record(event="dynamo_start", body={}, envelope=envelope).compile_id


@pytest.mark.parametrize(("attempt", "expected"), [({"attempt": 2}, 2), ({}, 0), ({"attempt": "two"}, 0)])
def test_attempt_of_a_record(attempt: dict[str, object], expected: int) -> None:
    """A record without a readable attempt belongs to the first."""
    assert expected == Record(event="x", body={}, envelope=attempt).attempt


@pytest.mark.parametrize(
    ("event", "body", "name"),
    [
        ("artifact", {"name": "recompile_reasons"}, "recompile_reasons"),
        ("artifact", {"name": 7}, None),
        ("artifact", [], None),
        ("dynamo_start", {"name": "recompile_reasons"}, None),
    ],
)
def test_artifact_name_of_a_record(event: str, body: object, name: str | None) -> None:
    """Only an artifact record with a textual name has an artifact's name."""
    assert name == Record(event=event, body=body, envelope={}).artifact


def test_short_texts_are_held_and_long_ones_compressed() -> None:
    """`hold` compresses above its limit, and both forms read the same text back."""
    short, long = "x" * COMPRESS_ABOVE, "é\ud800" * COMPRESS_ABOVE
    assert isinstance(hold(short), HeldText)
    assert isinstance(hold(long), CompressedText)
    assert (short, long) == (hold(short).read(), hold(long).read())


def test_texts_are_equal_by_what_they_read(tmp_path: Path) -> None:
    """A text in a log equals the same text in memory, with the same hash."""
    path = tmp_path / "trace.log"
    path.write_bytes(b"V1 header\n\tone\n\ttwo\nnext")
    text = FileText(LogFile(path), 10, 20)
    assert HeldText("one\ntwo") == CompressedText("one\ntwo") == text
    assert hash(HeldText("one\ntwo")) == hash(text)
    assert HeldText("one") != text
    assert HeldText("one") != "one"


def test_the_text_of_a_log_that_shrank_says_so(tmp_path: Path) -> None:
    """Reading a text whose bytes are gone raises OSError with the log's name, not a shorter text."""
    path = tmp_path / "trace.log"
    path.write_bytes(b"\tone\n")
    with pytest.raises(OSError, match=r"trace\.log has become shorter"):
        FileText(LogFile(path), 0, 100).read()


def test_text_itself_cannot_be_made() -> None:
    """The base says what a text is; only its kinds can be made."""
    with pytest.raises(TypeError, match="abstract"):
        Text()


@pytest.mark.parametrize(
    ("raw", "text"), [(b"\ta\n\tb\n", "a\nb"), (b"\ta\n\t\n\tb", "a\n\nb"), (b"\t\xff", "\ufffd"), (b"", "")]
)
def test_unindent_takes_off_one_tab_a_line(raw: bytes, text: str) -> None:
    """A payload loses torch's tabs and its last newline; bytes that are no UTF-8 are marked."""
    assert text == unindent(raw)


class CountedText(HeldText):
    """A text that counts how often it was read."""

    reads = 0

    def read(self) -> str:
        self.reads += 1
        return super().read()


def test_a_graph_is_parsed_on_first_use_only() -> None:
    """Making a graph reads nothing, and its nodes are read once."""
    text = CountedText(DYNAMO_GRAPH)
    graph = Graph(compile_id="0/0", stage="dynamo", name="dynamo_output_graph", text=text)
    assert text.reads == 0
    assert graph.nodes is graph.nodes
    assert graph.problem is None
    assert text.reads == 1


def test_nodes_carry_shapes_lines_and_module_paths() -> None:
    """A node has the printout's dtype, symbolic shape and line, and the recording's module path."""
    origin = NodeOrigin(module_path="layers.0.mlp", module_class="Linear", location=None)
    graph = make_graph(origins=(("h_1", origin),), kernels_of=(("h_1", ("triton_0",)),))
    assert graph.problem is None
    node = {node.name: node for node in graph.nodes}["h_1"]
    assert (node.dtype, node.shape, node.stride, node.device) == ("f32", ("s77", 8, 16), (128, 16, 1), "cpu")
    assert (
        node.location.short,
        node.module_path,
        node.kernels,
    ) == ("model.py:35", "layers.0.mlp", ("triton_0",))  # type: ignore[union-attr]
    assert node.inputs == ("h", "l_self_parameters_w_")


def test_equal_rows_are_equal_and_hash_alike() -> None:
    """Rows compare by value."""
    assert make_compile() == make_compile()
    assert hash(make_compile()) == hash(make_compile())
    assert make_compile() != msgspec.structs.replace(make_compile(), attempts=2)
