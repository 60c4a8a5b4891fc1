"""The table of guards from records: torch's printouts old and new, our facts, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compile_inspector.model.guards import Guard, module_path, source_steps
from compile_inspector.model.locations import Location
from compile_inspector.model.records import Record
from compile_inspector.model.text import FileText, HeldText, LogFile
from compile_inspector.recording.fold import Trace
from compile_inspector.recording.guard_stacks import is_short_of
from compile_inspector.recording.guard_tree_text import Place, parse_guard_tree
from compile_inspector.recording.stacks import Places
from compile_inspector.recording.tables.guards import guards
from compile_inspector.recording.trace_file import read_log

TRACES = Path(__file__).parents[3] / "shared" / "traces"
TORCH = "/env/lib/python3.11/site-packages/torch"
FILES = {
    0: f"{TORCH}/_dynamo/convert_frame.py",
    1: "/home/user/net.py",
    2: f"{TORCH}/nn/modules/linear.py",
    3: "/env/lib/python3.11/site-packages/models/llama.py",
}
TREE = """
TREE_GUARD_MANAGER:
+- RootGuardManager
| +- GLOBAL_STATE: ___check_global_state()
| +- DEFAULT_DEVICE: utils_device.CURRENT_DEVICE == None   # _dynamo/output_graph.py:1122 in init_ambient_guards
| +- GuardManager: source=L['x'], accessed_by=FrameLocalsGuardAccessor(key='x'), type=<class 'torch.Tensor'>, tag_safe=(False, False)
| | +- TENSOR_MATCH: check_tensor(L['x'], size=[None, 4])  # return F.linear(x, w)  # nn/modules/linear.py:134 in forward
| | +- NO_TENSOR_ALIASING: check_no_aliasing(L['x'], L['y'])
| +- GuardManager: source=L['y'], accessed_by=FrameLocalsGuardAccessor(key='y')
| | +- NO_TENSOR_ALIASING
| | +- TYPE_MATCH: ___check_type_id(L['y'], 123456789), type=<class 'dict'>  # y = {}  # a # b  # home/user/net.py:7 in f (HINT: type dict)
| | +- DictGuardManager: source=L['y']['it, accessed'], accessed_by=DictGetItemGuardAccessor('it, accessed')
| | | +- KeyValueManager pair at index=0
| | | | +- KeyManager: GuardManager: source=list(L['y']['it, accessed'].keys())[0]
| | | | | +- EQUALS_MATCH: list(L['y']['it, accessed'].keys())[0] == 'a  # b'
| | | | +- ValueManager: GuardManager: source=L['y']['it, accessed']['a  # b']
| | | | | +- ID_MATCH: ___check_obj_id(L['y']['it, accessed']['a  # b'], 987654321), type=<class 'module'>
| +- GuardManager: source=L['m'], accessed_by=FrameLocalsGuardAccessor(key='m')
| | +- GuardManager: source=L['m'].__dict__, accessed_by=GetGenericDictGuardAccessor
| | | +- GuardManager: source=L['m'].scale, accessed_by=DictGetItemGuardAccessor('scale')
| | | | +- EQUALS_MATCH: L['m'].scale == 2   # return x * self.scale  # home/user/net.py:12 in forward (HINT: guard on "m".scale)
| | | +- GuardManager: source=L['m']._modules, accessed_by=DictGetItemGuardAccessor('_modules')
| | | | +- DICT_LENGTH: len(L['m']._modules) == 1
+- LAMBDA_GUARD: 4 <= L['x'].size()[0] <= 49  # if x.shape[0] > 3:  # home/user/net.py:20 in f (_dynamo/x.py:6 in ev) and other  # a.py:1 in g
+- LAMBDA_GUARD: 2 <= L['y'].size()[1]  # y + 1  # home/user/net.py:21 in f (user code shown is first use of this value)
+- LAMBDA_GUARD: not math.isnan(L['m'].scale)  # implicit guard for float input

Guard latency = 12.34 us"""
FACT: dict[str, Any] = {
    "files": ["/home/user/net.py", f"{TORCH}/nn/modules/linear.py"],
    "frames": [
        [0, 30, "f", "x = self.linear(x)"],
        [1, 134, "forward", "return F.linear(x, w)"],
        [0, 12, "forward", "return x * self.scale"],
    ],
    "stacks": [[-1, 0], [0, 1], [-1, 2]],
    "guards": [["L['x']", "TENSOR_MATCH", 1], ["L['m'].scale", "CONSTANT_MATCH", 2], ["", "GRAD_MODE", None]],
    "dropped": [["G['R']", "EQUALS_MATCH", "G['R'] == 3", 0], ["", "GRAD_MODE", "GRAD_MODE", None]],
    "objects": {"987654321": "torch.nn.functional"},
}


def record(
    event: str, body: object = None, payload: str | None = None, *, attempt: int = 0, within: int = 0
) -> Record:
    text = None if payload is None else HeldText(payload)
    envelope = {"frame_id": 0, "frame_compile_id": within, "attempt": attempt}
    return Record(event=event, body={} if body is None else body, envelope=envelope, payload=text)


def fact(name: str, payload: object) -> Record:
    return record("artifact", {"name": f"compile_inspector.{name}"}, json.dumps(payload))


def tree(text: str = TREE, **where: int) -> Record:
    return record("dynamo_cpp_guards_str", payload=text, **where)


def built(*records: Record) -> tuple[tuple[Guard, ...], Trace]:
    files = [Record(event="str", body=[name, number], envelope={}) for number, name in FILES.items()]
    trace = Trace([*files, *records])
    return guards(trace, Places(trace)), trace


def by_expr(rows: tuple[Guard, ...]) -> dict[str, Guard]:
    return {row.expr: row for row in rows}


def test_a_tree_is_read_leaf_by_leaf() -> None:
    """Each leaf has its kind, its source, the source around it and its bare check; a check of several values stands at each of them."""
    leaves = parse_guard_tree(TREE).leaves
    assert [(leaf.kind, leaf.source, leaf.parent) for leaf in leaves] == [
        ("GLOBAL_STATE", None, None),
        ("DEFAULT_DEVICE", None, None),
        ("TENSOR_MATCH", "L['x']", None),
        ("NO_TENSOR_ALIASING", "L['x']", None),
        ("NO_TENSOR_ALIASING", "L['y']", None),
        ("TYPE_MATCH", "L['y']", None),
        ("EQUALS_MATCH", "list(L['y']['it, accessed'].keys())[0]", "L['y']['it, accessed']"),
        ("ID_MATCH", "L['y']['it, accessed']['a  # b']", "L['y']['it, accessed']"),
        ("EQUALS_MATCH", "L['m'].scale", "L['m'].__dict__"),
        ("DICT_LENGTH", "L['m']._modules", "L['m'].__dict__"),
        ("LAMBDA_GUARD", None, None),
        ("LAMBDA_GUARD", None, None),
        ("LAMBDA_GUARD", None, None),
    ]
    assert leaves[3].expr == leaves[4].expr == "check_no_aliasing(L['x'], L['y'])"
    assert leaves[6].expr == "list(L['y']['it, accessed'].keys())[0] == 'a  # b'"
    assert leaves[5].place == Place(file="home/user/net.py", line=7, function="f", code="y = {}  # a # b")
    assert (leaves[5].type_name, leaves[5].hint) == ("dict", None)
    assert leaves[8].hint == 'guard on "m".scale'


def test_without_our_fact_the_texts_line_is_the_location() -> None:
    """From a foreign log the location is the printed line, its file found by suffix; a line of torch's is no location, only a stack."""
    rows, trace = built(tree())
    rows_by = by_expr(rows)
    scale = rows_by["L['m'].scale == 2"]
    assert scale.location == Location("/home/user/net.py", 12, "forward", "return x * self.scale")
    tensor = rows_by["check_tensor(L['x'], size=[None, 4])"]
    assert tensor.location is None
    assert [str(place) for place in tensor.stack] == [f"{TORCH}/nn/modules/linear.py:134"]
    assert {row.dropped for row in rows} == {None}
    assert trace.losses.rows() == ()


def test_our_fact_gives_the_users_line_behind_torchs() -> None:
    """With the fact, a guard made inside torch has the user's line and the whole stack."""
    rows, trace = built(tree(), fact("guards", FACT))
    tensor = by_expr(rows)["check_tensor(L['x'], size=[None, 4])"]
    assert tensor.location == Location("/home/user/net.py", 30, "f", "x = self.linear(x)")
    assert [place.line for place in tensor.stack] == [30, 134]
    assert tensor.dropped is False
    assert trace.losses.rows() == ()


def test_ids_become_names() -> None:
    """An id is replaced by the fact's name, else by the type that torch printed, else left."""
    named = [row.expr for row in built(tree(), fact("guards", FACT))[0] if row.expr.startswith("___check_")]
    unnamed = [row.expr for row in built(tree())[0] if row.expr.startswith("___check_")]
    old = "+- RootGuardManager\n| +- GuardManager: source=G['F'], accessed_by=X\n| | +- ID_MATCH: ___check_obj_id(G['F'], 42)   "
    assert named[1:] == [
        "___check_type_id(L['y'], dict)",
        "___check_obj_id(L['y']['it, accessed']['a  # b'], torch.nn.functional)",
    ]
    assert unnamed[1:] == [
        "___check_type_id(L['y'], dict)",
        "___check_obj_id(L['y']['it, accessed']['a  # b'], <module 987654321>)",
    ]
    assert [row.expr for row in built(tree(old))[0]] == ["___check_obj_id(G['F'], 42)"]


def test_dropped_guards_follow_the_tree() -> None:
    """What the fact says was dropped is a row with dropped=True behind the tree's; one that the tree checks all the same is not."""
    both = FACT | {"dropped": [*FACT["dropped"], ["L['m'].scale", "EQUALS_MATCH", "L['m'].scale == 2", 2]]}
    rows, _ = built(tree(), fact("guards", both))
    dropped = [row for row in rows if row.dropped]
    assert [(row.kind, row.source, row.expr, row.parent) for row in dropped] == [
        ("EQUALS_MATCH", "G['R']", "G['R'] == 3", "G"),
        ("GRAD_MODE", None, "GRAD_MODE", None),
    ]
    assert dropped[0].location == Location("/home/user/net.py", 30, "f", "x = self.linear(x)")
    assert rows[-2:] == tuple(dropped)
    unknown, _ = built(tree(), fact("guards", FACT | {"dropped": None}))
    assert {row.dropped for row in unknown} == {None}


def test_a_shape_guard_has_the_stack_that_torch_wrote_of_it() -> None:
    """A part of the shape guards names the size as its source, and takes the users' stack of torch's record on that line."""
    frames = [
        {"filename": 1, "line": 5, "name": "<module>", "loc": "f(x)"},
        {"filename": 1, "line": 20, "name": "f", "loc": "if x.shape[0] > 3:"},
    ]
    rows, _ = built(record("guard_added_fast", {"expr": "s0 > 3", "user_stack": frames}), tree())
    size, second, scale = rows[-3:]
    assert (size.source, size.expr) == ("L['x'].size()[0]", "4 <= L['x'].size()[0] <= 49")
    assert [place.line for place in size.stack] == [5, 20]
    assert size.hint is None
    assert (second.location, second.hint) == (
        Location("/home/user/net.py", 21, "f", "y + 1"),
        "user code shown is first use of this value",
    )
    assert (scale.source, scale.location, scale.hint) == (
        "L['m'].scale",
        None,
        "implicit guard for float input",
    )


def test_the_attempt_that_shipped_counts() -> None:
    """The guards of an attempt that was thrown away are no rows."""
    first = tree("+- RootGuardManager\n| +- GLOBAL_STATE: old()")
    rows, _ = built(first, tree("+- RootGuardManager\n| +- GLOBAL_STATE: new()", attempt=1))
    assert [row.expr for row in rows] == ["new()"]


def test_guards_of_a_recovered_compile_come_from_the_fact_existing() -> None:
    """A compile from before the recording has the tree that torch still held, and names of what it held by id."""
    held = {
        "id": "0/0",
        "guards": TREE,
        "file": "/elsewhere/home/user/net.py",
        "objects": {"987654321": "models"},
    }
    trace = Trace([fact("existing", held)])
    rows = by_expr(guards(trace, Places(trace)))
    assert rows["L['m'].scale == 2"].location == Location(
        "/elsewhere/home/user/net.py", 12, "forward", "return x * self.scale"
    )
    assert "___check_obj_id(L['y']['it, accessed']['a  # b'], models)" in rows
    assert guards(Trace([fact("existing", {"id": "0/0", "guards": None})]), Places(trace)) == ()


def test_the_flat_list_of_early_torch_is_read() -> None:
    """`dynamo_guards` gives a row an entry, with kind and source read from the check and the user's line from its stack."""
    stack = [
        {"filename": 1, "line": 3, "name": "f", "loc": "x.a"},
        {"filename": 2, "line": 9, "name": "g", "loc": "y"},
    ]
    listed = [
        {"code": "___check_type_id(L['x'], 1)", "user_stack": stack},
        {"code": "L['x'].size()[0] == 3"},
        {"code": "len(L['z'].a) == 2"},
    ]
    rows, _ = built(record("dynamo_guards", payload=json.dumps(listed)))
    assert [(row.kind, row.source) for row in rows] == [
        ("TYPE_MATCH", "L['x']"),
        ("LAMBDA_GUARD", "L['x'].size()[0]"),
        ("LENGTH_CHECK", "L['z'].a"),
    ]
    assert rows[0].location == Location("/home/user/net.py", 3, "f", "x.a")


def test_a_damaged_fact_costs_only_what_it_would_have_told() -> None:
    """A fact that is no JSON, has wrong types or points to nothing is a loss; the tree's rows are there all the same."""
    damaged = [
        record("artifact", {"name": "compile_inspector.guards"}, '{"files": ['),
        fact("guards", FACT | {"frames": [["a", 1, "f", None]]}),
        fact("guards", FACT | {"stacks": [[5, 0], [0, 9]]}),
        fact("guards", FACT | {"guards": [["L['x']", "TENSOR_MATCH", 99]]}),
        fact("guards", [1, 2]),
    ]
    whole = len(built(tree())[0])
    for each in damaged:
        rows, trace = built(tree(), each)
        assert len([row for row in rows if not row.dropped]) == whole
        assert len(trace.losses.rows()) == 1, each


def test_a_damaged_tree_gives_what_can_be_read(tmp_path: Path) -> None:
    """Lines that are no part of a tree are counted; a tree without text, or in a file that is gone, is a loss; nothing raises."""
    rows, trace = built(tree("garbage\n+- RootGuardManager\n| +- A: b\n| +- ???\n|x+- C: d"))
    assert [row.expr for row in rows] == ["b"]
    assert [(loss.what, loss.count) for loss in trace.losses.rows()] == [
        ("lines of the guard tree could not be read", 2)
    ]
    rows, trace = built(record("dynamo_cpp_guards_str"))
    assert (rows, len(trace.losses.rows())) == ((), 1)
    empty = tmp_path / "cut.log"
    empty.touch()
    text = FileText(LogFile(empty), 0, 9)
    lost = Record("dynamo_cpp_guards_str", {}, {"frame_id": 0, "frame_compile_id": 0}, text)
    rows, trace = built(lost)
    assert (rows, len(trace.losses.rows())) == ((), 1)
    for cut in range(0, len(TREE), 37):
        assert len(built(tree(TREE[:cut]))[0]) <= 13


def test_a_check_that_goes_on_over_lines_stays_one() -> None:
    """A line break inside a check does not end it."""
    leaves = parse_guard_tree("+- RootGuardManager\n| +- EQUALS_MATCH: L['a'] == b\nc\n| +- X: y").leaves
    assert [leaf.expr for leaf in leaves] == ["L['a'] == b\nc", "y"]


def test_torchs_short_names_are_undone_at_whole_parts_only() -> None:
    """A short name is the end of a path at a slash, or lacks the first letter under the root."""
    assert is_short_of("user/net.py", "/home/user/net.py")
    assert is_short_of("ork/net.py", "/work/net.py")
    assert not is_short_of("et.py", "/home/user/net.py")
    assert not is_short_of("other.py", "/home/user/net.py")


@pytest.mark.parametrize(
    ("source", "root", "path"),
    [
        ("L['self']", None, ""),
        ("L['self'].layers[2].scale", None, "layers.2.scale"),
        ("L['self']._modules['layers']._modules['0']", None, "layers.0"),
        ("L['self']._modules['a']._parameters['weight']", None, "a.weight"),
        ("L['self']._modules[\"it's\"].x", None, "it's.x"),
        ("list(dict.keys(L['self']._modules['layers']._modules))[0]", None, "layers"),
        ("L['self'].buf.size()[0]", None, "buf"),
        ("L['self'].__dict__", None, ""),
        ("L['mod']._modules['layers']._modules['0']", None, "layers.0"),
        ("L['mod'].scale", None, None),
        ("L['mod'].scale", "L['mod']", "scale"),
        ("L['f'].__closure__[0].cell_contents._modules['a'].k", None, "a.k"),
        ("L['f'].__closure__[0].cell_contents.k", "L['f'].__closure__[0].cell_contents", "k"),
        ("L['selfish']", None, None),
        ("G['model2'].x", "G['model']", None),
        ("L['x']", None, None),
        (None, None, None),
    ],
)
def test_a_source_has_the_path_of_its_module(source: str | None, root: str | None, path: str | None) -> None:
    """The path below the module, whatever the frame calls it, and None where the source shows no module."""
    assert module_path(source, root=root) == path


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("L['x'].size()[0]", ("L['x']",)),
        ("G['CFG']['b'][0]", ("G['CFG']", "b", "0")),
        ("L['self']._modules['a'].k", ("L['self']", "a", "k")),
        ("list(L['d'].keys())[1]", ("L['d']",)),
        ("___from_nothing", ("___from_nothing",)),
    ],
)
def test_a_source_has_steps(source: str, steps: tuple[str, ...]) -> None:
    """Where it starts, and each name on the way; what is computed from the value is left out."""
    assert source_steps(source) == steps


@pytest.mark.skipif(not TRACES.is_dir(), reason="the folder of foreign logs is not here")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("simple.log", 34),
        ("simple_corrupted_json.log", 34),
        ("cache_hit_miss.log", 558),
        ("inductor_provenance_jit_cuda_log.txt", 49),
    ],
)
def test_every_compile_of_a_foreign_log_that_has_guards_has_rows(name: str, count: int) -> None:
    """Trees printed by several versions of torch are read to the last line."""
    log = read_log(TRACES / name)
    trace = Trace(log.records)
    rows = guards(trace, Places(trace))
    with_guards = {
        compiled.id for compiled in trace.compiles.values() if compiled.first("dynamo_cpp_guards_str")
    }
    assert {row.compile_id for row in rows} == with_guards
    assert len(rows) == count
    assert trace.losses.rows() == ()
