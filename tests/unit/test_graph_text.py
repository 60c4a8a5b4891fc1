"""Reading torch's printout of a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narrated
from compile_inspector.model.graph_text import Parsed, parse_graph
from compile_inspector.model.graph_types import read_annotation, read_sizes
from compile_inspector.model.locations import Location
from compile_inspector.model.module_paths import owner_of_parameter
from compile_inspector.model.nodes import GraphNode, NodeOrigin
from compile_inspector.recording.tables.graphs import graphs
from compile_inspector.recording.trace_file import read_log

TRACES = Path(__file__).parents[3] / "shared" / "traces"

FORMS = """\
class GraphModule(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", L_x_: "f32[s77, 16][16, 1]cpu", L_self_modules_fc_parameters_weight_: "f32[16, 16][16, 1]cuda:0"):
        l_x_ = L_x_
        l_self_modules_fc_parameters_weight_ = L_self_modules_fc_parameters_weight_

        # File: /home/ada/model.py:13 in forward, code: y = self.fc(x).relu()  # an odd, comment: x = 1
        linear: "f32[s77, 16][16, 1]cpu" = torch._C._nn.linear(l_x_, l_self_modules_fc_parameters_weight_, None);  l_self_modules_fc_parameters_weight_ = None
        relu: "f32[s77, 16][16, 1]cpu" = linear.relu();  linear = None

        # File: /tmp/ipykernel_7/3.py:2 in step, code: return y[..., :n]
        size: "Sym(s77)" = relu.size(0)
        floordiv: "Sym(((s77//2)))" = size // 2;  size = None
        getitem: "f32[s77//2, 16][16, 1]cpu" = relu[(Ellipsis, slice(None, floordiv, None))];  floordiv = None
        add = torch.add(input = getitem, other = relu, alpha = -1);  getitem = None
        ones = torch.ones([2, 3], device = device(type='cpu', index=relu))
        text = torch.ops.mine.say(add, "relu (linear, [", key = 'it\\'s "relu"', b = b'add')
        neg = -add
        power = 3 ** neg
        attribute = power.T
        power += 1;  power_1: "f32[]" = power;  power = None
        power_1[0] = 4.0;  setitem = power_1;  setitem = None
        buffer = self.running_mean
        deep = getattr(self.layers, "0").weight
        called = getattr(self.layers, "1")(add, scale = neg)
        plain_called = self.head(called)

        # No stacktrace found for following nodes
        nested = torch.ops.aten.index.Tensor(add, [None, {'k': neg}, (buffer, deep)])
        both = torch.float32 == nested
        return (both, text, [plain_called, {'a': attribute}], None)
"""


def parsed(text: str, **keywords: object) -> Parsed:
    return parse_graph(text, {}, {}, **keywords)  # type: ignore[arg-type]


def both(text: str) -> tuple[tuple[GraphNode, ...], str | None]:
    read = parsed(text)
    return read.nodes, read.problem


def by_name(text: str) -> dict[str, GraphNode]:
    return {node.name: node for node in parsed(text).nodes}


def body(*lines: str, signature: str = "self, x") -> str:
    return "\n".join(
        [
            "class GraphModule(torch.nn.Module):",
            f"    def forward({signature}):",
            *(f"        {line}" for line in lines),
        ]
    )


def test_every_kind_of_node_is_told_apart() -> None:
    """Operators, methods, attributes, items, modules and parameters get the operation and the target that FX gives them."""
    found = {node.name: (node.op, node.target) for node in parsed(FORMS).nodes}
    assert parsed(FORMS).problem is None
    assert found == {
        "s77": ("placeholder", "s77"),
        "l_x_": ("placeholder", "L_x_"),
        "l_self_modules_fc_parameters_weight_": ("placeholder", "L_self_modules_fc_parameters_weight_"),
        "linear": ("call_function", "torch._C._nn.linear"),
        "relu": ("call_method", "relu"),
        "size": ("call_method", "size"),
        "floordiv": ("call_function", "operator.floordiv"),
        "getitem": ("call_function", "operator.getitem"),
        "add": ("call_function", "torch.add"),
        "ones": ("call_function", "torch.ones"),
        "text": ("call_function", "torch.ops.mine.say"),
        "neg": ("call_function", "operator.neg"),
        "power": ("call_function", "operator.pow"),
        "attribute": ("call_function", "getattr"),
        "power_1": ("call_function", "operator.iadd"),
        "setitem": ("call_function", "operator.setitem"),
        "buffer": ("get_attr", "running_mean"),
        "deep": ("get_attr", "layers.0.weight"),
        "called": ("call_module", "layers.1"),
        "plain_called": ("call_module", "head"),
        "nested": ("call_function", "torch.ops.aten.index.Tensor"),
        "both": ("call_function", "operator.eq"),
        "output": ("output", "output"),
    }


def test_inputs_are_the_nodes_read_and_nothing_else() -> None:
    """Keywords' names, strings, byte strings and attributes that look like nodes are no inputs; nested ones are, each once."""
    found = {node.name: node.inputs for node in parsed(FORMS).nodes}
    assert found["add"] == ("getitem", "relu")
    assert found["text"] == ("add",)
    assert found["getitem"] == ("relu", "floordiv")
    assert found["nested"] == ("add", "neg", "buffer", "deep")
    assert found["called"] == ("add", "neg")
    assert found["power_1"] == ("power",)
    assert found["setitem"] == ("power_1",)
    assert found["ones"] == ("relu",)
    assert found["output"] == ("both", "text", "plain_called", "attribute")


def test_users_mirror_inputs() -> None:
    """A node's users are exactly the nodes that have it among their inputs, in order."""
    nodes = parsed(FORMS).nodes
    for node in nodes:
        assert tuple(other.name for other in nodes if node.name in other.inputs) == node.users


def test_arguments_stand_as_printed() -> None:
    """`args` is what stands between the brackets; a method's and an item's object comes first."""
    found = by_name(FORMS)
    assert found["add"].args == "input = getitem, other = relu, alpha = -1"
    assert found["relu"].args == "linear"
    assert found["size"].args == "relu, 0"
    assert found["getitem"].args == "relu, (Ellipsis, slice(None, floordiv, None))"
    assert found["text"].args == "add, \"relu (linear, [\", key = 'it\\'s \"relu\"', b = b'add'"
    assert found["attribute"].args == "power, 'T'"


def test_types_shapes_and_devices() -> None:
    """Annotations give dtype, sizes as numbers or expressions, stride and device; what is no tensor gives a value."""
    found = by_name(FORMS)
    weight = found["l_self_modules_fc_parameters_weight_"]
    assert (weight.dtype, weight.shape, weight.stride, weight.device) == ("f32", (16, 16), (16, 1), "cuda:0")
    assert found["getitem"].shape == ("s77//2", 16)
    assert (found["size"].dtype, found["size"].shape, found["size"].value) == (None, None, "Sym(s77)")
    assert (found["power_1"].shape, found["power_1"].stride) == ((), None)
    assert found["add"].dtype is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "f32[Max(1, s0), s1*Mod(s0, 3)][16, 1]cpu",
            ("f32", ("Max(1, s0)", "s1*Mod(s0, 3)"), (16, 1), "cpu", None),
        ),
        (
            "DTensor(f32[8, 4][4, 1]cuda:0, S(0))",
            ("f32", (8, 4), (4, 1), "cuda:0", "DTensor(f32[8, 4][4, 1]cuda:0, S(0))"),
        ),
        ("f8e4m3fn[2]", ("f8e4m3fn", (2,), None, None, None)),
        ("Sym(u0 >= 0)", (None, None, None, None, "Sym(u0 >= 0)")),
        ("", (None, None, None, None, None)),
    ],
)
def test_annotations(text: str, expected: tuple[object, ...]) -> None:
    """Expressions with commas stay whole; a subclass keeps its name; what cannot be read is kept as it is."""
    assert read_annotation(text) == expected


def test_sizes_that_are_no_numbers_stay_text() -> None:
    """Digits of other scripts and numbers without end are not turned into integers."""
    assert read_sizes("\u0663, " + "9" * 30) == ("\u0663", "9" * 30)


def test_locations_come_from_the_comment_above() -> None:
    """A comment holds for all nodes below it, a cell's file is shown as its number, and a comment without a file ends it."""
    found = {node.name: node.location for node in parsed(FORMS, cells={"/tmp/ipykernel_7/3.py": 5}).nodes}
    code = "y = self.fc(x).relu()  # an odd, comment: x = 1"
    assert found["relu"] == Location("/home/ada/model.py", 13, "forward", code)
    assert found["size"] == Location("In [5]", 2, "step", "return y[..., :n]")
    assert found["nested"] is None
    assert found["output"] is None


def test_comments_with_more_in_them() -> None:
    """Recompute tags and annotations before ``File:`` do not hide the line."""
    text = body(
        "# ac_graph_id: 3 - PREFER_RECOMPUTE File: /m.py:7 in f, code: z = g(x)",
        "sin = torch.sin(x)",
        "return (sin,)",
    )
    assert by_name(text)["sin"].location == Location("/m.py", 7, "f", "z = g(x)")


def test_a_signature_over_many_lines() -> None:
    """Each argument on a line of its own, with a comment behind it, is a placeholder; so are the outputs' names read."""
    text = body(
        "add = torch.add(a, b)", "return (", "    add,  # Plain(idx=0)", "    None,  # None", ")"
    ).replace(
        "self, x",
        '\n        self,\n        a: "f32[2]cpu",  # Input(idx=0), b\n        b: "f32[]",  # Input(")")\n    ',
    )
    nodes, problem = both(text)
    assert problem is None
    assert [(node.name, node.dtype, node.inputs) for node in nodes] == [
        ("a", "f32", ()),
        ("b", "f32", ()),
        ("add", None, ("a", "b")),
        ("output", None, ("add",)),
    ]


def test_a_joint_graph_has_its_flattened_inputs() -> None:
    """The pytrees in the signature are no nodes: the names they are flattened into are."""
    text = body(
        'primals_1: "f32[2]cpu"  # PlainAOTInput(idx=0)',
        'tangents_1: "f32[2]cpu"',
        "primals_1, primals_2, tangents_1, = fx_pytree.tree_flatten_spec([primals, tangents], self._in_spec)",
        "mul = torch.ops.aten.mul.Tensor(tangents_1, primals_1);  tangents_1 = primals_1 = None",
        "return pytree.tree_unflatten([mul, None], self._out_spec)",
        signature="self, primals, tangents",
    )
    nodes, problem = both(text)
    assert problem is None
    assert [(node.name, node.op) for node in nodes] == [
        ("primals_1", "placeholder"),
        ("tangents_1", "placeholder"),
        ("primals_2", "placeholder"),
        ("mul", "call_function"),
        ("output", "output"),
    ]
    assert nodes[-1].inputs == ("mul",)


def test_graphs_that_operators_call() -> None:
    """Nodes of a nested class carry its name, and do not mix with the outer graph's of the same name."""
    text = (
        body(
            "body_0 = self.body_0", "cond = torch.ops.higher_order.cond(x, body_0, (x,))", "return (cond,)"
        ).replace("class GraphModule", "class <lambda>")
        + "\n\n    class body_0(torch.nn.Module):\n        def forward(self, x):\n            x_1 = x\n"
        + "            cond = x_1.sin()\n            return (cond,)\n\n        class inner(torch.nn.Module):\n"
        + "            def forward(self, x):\n                return x\n"
    )
    nodes, problem = both(text)
    assert problem is None
    assert [node.name for node in nodes] == [
        "x", "body_0", "cond", "output", "body_0.x_1", "body_0.cond", "body_0.output", "body_0.inner.x", "body_0.inner.output",
    ]  # fmt: skip
    assert nodes[5].inputs == ("body_0.x_1",)
    assert nodes[2].users == ("output",)


def test_what_is_no_python_is_read() -> None:
    """A representation that no parser of Python would take costs nothing but itself."""
    text = body("a = torch.map(<function f at 0x7f>, x)", "b = torch.sin(a)", "return (b,)")
    nodes, problem = both(text)
    assert problem is None
    assert [node.inputs for node in nodes] == [(), ("x",), ("a",), ("b",)]


def test_a_cut_inside_a_statement_is_said() -> None:
    """Everything before the cut is there, and the problem names the line."""
    text = FORMS[: FORMS.index("[None, {'k'") + 3]
    nodes, problem = both(text)
    assert nodes[-1].name == "plain_called"
    assert problem == f"the text ends inside the statement on line {text.count(chr(10)) + 1}"


def test_a_cut_between_statements_is_said() -> None:
    """A graph without its return is not whole."""
    nodes, problem = both(FORMS[: FORMS.index("        neg =")])
    assert nodes[-1].name == "text"
    assert problem == "the text ends before the graph's output"


def test_a_damaged_line_costs_that_line() -> None:
    """What follows a damaged line is read; the problem says which line and how many."""
    text = body("a = torch.sin((x", "%%% garbage", "b = torch.cos(x)", "return (b,)")
    nodes, problem = both(text)
    assert [node.name for node in nodes] == ["x", "b", "output"]
    assert problem == "line 3 could not be read (a bracket is left open)"


@pytest.mark.parametrize("text", ["", "\n\n", "not a graph at all", "class X:", "\x00\xff"])
def test_a_text_without_a_graph(text: str) -> None:
    """There are no nodes, and that is said."""
    assert both(text) == ((), "the text holds no graph")


def test_every_prefix_gives_a_prefix_of_the_nodes() -> None:
    """Wherever a text is cut, the nodes before the cut are the same, and what is missing is said."""
    whole = [node.name for node in parsed(FORMS).nodes]
    for end in range(FORMS.index("        # File"), len(FORMS) - 1):
        nodes, problem = both(FORMS[:end])
        names = [node.name for node in nodes]
        assert names[:-1] == whole[: len(names) - 1]
        assert problem is not None or names == whole


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    """Bytes changed, lines doubled, anything at all: reading ends, inputs name nodes, users mirror them."""
    text = FORMS
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text = (
            text[:at]
            + data.draw(
                st.text(max_size=8) | st.sampled_from(['"', "(", ")", "\n", " = ", "#", "'", "class a:"])
            )
            + text[at + data.draw(st.integers(0, 9)) :]
        )
    nodes = parsed(text).nodes
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    assert all(name in names for node in nodes for name in node.inputs)


def test_depth_and_length_do_not_matter() -> None:
    """Twenty thousand nodes, and brackets nested fifty thousand deep, are read without recursion."""
    lines = ["x_0 = torch.sin(x)", *(f"x_{i} = torch.sin(x_{i - 1})" for i in range(1, 20_000))]
    deep = "deep = torch.stack(" + "[" * 50_000 + "x_7" + "]" * 50_000 + ")"
    nodes, problem = both(body(*lines, deep, "last = -x_9 + deep", "return (last,)"))
    assert (len(nodes), problem) == (20_004, None)
    assert nodes[-3].inputs == ("x_7",)


@pytest.mark.parametrize(
    ("root", "path"),
    [("self", ("fc",)), ("args_0", ("fc",)), ("net", ("net", "fc")), ("args_1", ("args_1", "fc"))],
)
def test_the_compiled_modules_own_name_is_no_part_of_a_path(root: str, path: tuple[str, ...]) -> None:
    """``self``, or what a decorator around the method took first, is the root; what else a function was given has its name."""
    assert owner_of_parameter(f"L_{root}_modules_fc_parameters_weight_") == path


def test_parameters_name_their_modules() -> None:
    """Without exact paths, nodes that read a parameter get its module, and others what the nodes around them share."""
    weight = "L_self_modules_layers_modules_{}_modules_{}_parameters_weight_"
    names = [weight.format(layer, name) for layer in (0, 1) for name in ("norm", "fc")]
    text = body(
        *(f"{name[0].lower()}{name[1:]} = {name}" for name in names),
        *(
            line
            for layer in (0, 1)
            for line in (
                f"# File: /m.py:10 in forward, code: norm {layer}",
                f"pow_{layer} = x.pow(2)",
                f"# File: /m.py:11 in forward, code: norm {layer}",
                f"mul_{layer} = l{weight.format(layer, 'norm')[1:]} * pow_{layer}",
                f"# File: /m.py:30 in forward, code: fc {layer}",
                f"linear_{layer} = torch._C._nn.linear(mul_{layer}, l{weight.format(layer, 'fc')[1:]})",
                f"# File: /m.py:31 in forward, code: residual {layer}",
                f"add_{layer} = linear_{layer} + x",
            )
        ),
        "return (add_1,)",
        signature=f"self, x, {', '.join(names)}",
    )  # fmt: skip
    paths = {node.name: node.module_path for node in parsed(text).nodes if node.op.startswith("call")}
    assert paths["mul_0"] == "layers.0.norm"
    assert paths["pow_0"] == "layers.0.norm"
    assert paths["linear_1"] == "layers.1.fc"
    assert paths["add_0"] == "layers.0"
    assert paths["pow_1"] == "layers.1.norm"


def test_later_stages_inherit_modules_by_line() -> None:
    """A lowered graph's nodes get the module of the nearest Dynamo node on their line, backwards for a backward graph."""
    lines = [f"# File: /m.py:{line} in f, code: c{line}" for line in (1, 2)]
    source = body(lines[0], "a = torch.sin(x)", lines[1], "b = torch.cos(a)", lines[0], "c = torch.sin(b)", lines[1], "d = torch.cos(c)", "return (d,)")  # fmt: skip
    origins = {
        name: NodeOrigin(f"layers.{index // 2}", "Layer", Location("/user.py", 5 + index))
        for index, name in enumerate("abcd")
    }
    dynamo = parse_graph(source, origins, {})
    forward = body(lines[0], "sin = torch.ops.aten.sin.default(arg0_1)", lines[1], "cos = torch.ops.aten.cos.default(sin)", lines[0], "sin_1 = torch.ops.aten.sin.default(cos)", "return (sin_1,)", signature="self, arg0_1")  # fmt: skip
    found = {
        node.name: (node.module_path, node.location)
        for node in parse_graph(forward, {}, {}, source=dynamo).nodes
    }
    assert found["sin"] == ("layers.0", Location("/user.py", 5))
    assert found["cos"] == ("layers.0", Location("/user.py", 6))
    assert found["sin_1"] == ("layers.1", Location("/user.py", 7))
    backward = body(lines[1], "s = torch.ops.aten.sin.default(tangents_1)", lines[0], "t = torch.ops.aten.cos.default(s)", lines[1], "u = torch.ops.aten.sin.default(t)", "return (u,)", signature="self, tangents_1")  # fmt: skip
    nodes = parse_graph(backward, {}, {}, source=dynamo, backward=True).nodes
    assert [node.module_path for node in nodes[1:4]] == ["layers.1", "layers.1", "layers.0"]


def test_exact_origins_and_kernels_win() -> None:
    """Where a recording has them, the path, the class and the line are those; a parameter's path comes from its name."""
    origins = {
        "relu": NodeOrigin("act", "m.Act", Location("/m.py", 3)),
        "l_self_modules_fc_parameters_weight_": NodeOrigin("", "m.Root", None),
    }
    found = {node.name: node for node in parse_graph(FORMS, origins, {"relu": ("triton_0",)}).nodes}
    relu = found["relu"]
    assert (relu.module_path, relu.module_class, relu.location, relu.kernels) == (
        "act",
        "m.Act",
        Location("/m.py", 3),
        ("triton_0",),
    )
    assert found["l_self_modules_fc_parameters_weight_"].module_path == "fc"
    assert found["linear"].module_path is None


@pytest.mark.skipif(not TRACES.is_dir(), reason="the shared trace logs are not there")
def test_graphs_of_other_peoples_logs() -> None:
    """Every graph in the shared logs, of several torch versions, is read whole."""
    read = 0
    for log in sorted(TRACES.rglob("*.*")):
        if log.suffix in (".log", ".txt"):
            rows, lost = narrated.build(graphs, read_log(log).records)
            assert lost == ()
            assert [(row.name, row.problem) for row in rows if row.problem] == []
            assert all(row.nodes[0].op == "placeholder" for row in rows)
            read += len(rows)
    assert read > 100
