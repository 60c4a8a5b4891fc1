"""What the modules seam says about the nodes of Dynamo's graph."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from captured import Captured, capture
from compile_inspector.torch_seams import modules
from compile_inspector.torch_seams.modules import module_path
from compile_inspector.torch_seams.probe import Faults


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())

    def forward(self, x):
        return self.mlp(x) + 1


class Net(torch.nn.Module):
    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Block() for _ in range(depth))
        self.heads = torch.nn.ModuleDict({"a b": torch.nn.Linear(4, 1)})

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.heads["a b"](x).sum()


class Origins:
    """The fact of one compile, by node."""

    def __init__(self, captured: Captured) -> None:
        (self.fact,) = captured.facts("modules")

    def path(self, node: str) -> str | None:
        index = self.fact["nodes"][node][0]
        return None if index is None else self.fact["paths"][index][0]

    def kind(self, node: str) -> str:
        return self.fact["paths"][self.fact["nodes"][node][0]][1]

    def line(self, node: str) -> list[Any]:
        return self.fact["lines"][self.fact["nodes"][node][1]]


def run(function, *seams: str, args=None) -> Captured:
    args = args or (torch.ones(2, 4),)
    return capture(lambda: torch.compile(function, backend="eager")(*args), *(seams or ("modules",)))


def test_each_node_has_the_innermost_module() -> None:
    """A node belongs to the deepest module that was being called; what the compiled module does itself is its own: the empty path."""
    origins = Origins(run(Net()))
    by_path: dict[str | None, list[str]] = {}
    for node in origins.fact["nodes"]:
        if not node.startswith("l_"):
            by_path.setdefault(origins.path(node), []).append(node)
    assert set(by_path) == {
        "layers.0.mlp.0",
        "layers.0.mlp.1",
        "layers.0",
        "layers.1.mlp.0",
        "layers.1.mlp.1",
        "layers.1",
        "heads.a b",
        "",
    }
    (total,) = by_path[""]
    assert origins.kind(total).endswith("test_modules.Net")
    (relu,) = by_path["layers.1.mlp.1"]
    assert origins.kind(relu) == "torch.nn.modules.activation.ReLU"


def test_the_names_are_those_of_the_graph() -> None:
    """Every node that the fact names stands in torch's printout, and every call of the printout is named."""
    captured = run(Net())
    (graph,) = [record.payload.read() for record in captured.records if record.event == "dynamo_output_graph"]
    (fact,) = captured.facts("modules")
    assert all(name in graph for name in fact["nodes"])
    calls = [line.split(":")[0].strip() for line in graph.splitlines() if '" = ' in line]
    assert set(calls) <= set(fact["nodes"])


def test_the_line_is_the_users_not_torchs() -> None:
    """A node made inside torch.nn names the line of the module that called it."""
    origins = Origins(run(Net()))
    linear = next(
        node for node in origins.fact["nodes"] if origins.path(node) == "layers.0.mlp.0" and node[:2] != "l_"
    )
    file, line, function, code = origins.line(linear)
    assert file == __file__
    assert (function, code) == ("forward", "return self.mlp(x) + 1")
    assert line > 0


def test_a_function_has_no_root_module() -> None:
    """Nodes of a plain function belong to no module; those of a global module have their path below it."""
    net = Net(1)

    def function(x):
        return net.layers[0](x) * 2

    origins = Origins(run(function))
    paths = {origins.path(node) for node in origins.fact["nodes"]}
    assert None in paths
    assert "layers.0.mlp.0" in paths
    assert "" not in paths


def passed_on(method):
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        return method(*args, **kwargs)

    return wrapper


class Wrapped(Net):
    forward = passed_on(Net.forward)


def test_a_wrapped_method_has_its_module_for_a_root() -> None:
    """A decorator around ``forward`` changes no path: the module that it takes first of all is the root."""
    origins = Origins(run(Wrapped(1)))
    paths = {origins.path(node) for node in origins.fact["nodes"]}
    assert paths == {"layers.0.mlp.0", "layers.0.mlp.1", "layers.0", "heads.a b", ""}
    assert next(kind for path, kind in origins.fact["paths"] if path == "").endswith("test_modules.Wrapped")


def test_several_modules_that_one_name_takes_stay_apart() -> None:
    """Of ``function(*modules)`` none is the root."""

    def function(*modules):
        return sum(module(torch.ones(2, 4)) for module in modules)

    origins = Origins(run(function, args=(Block(), Block())))
    paths = {origins.path(node) for node in origins.fact["nodes"]}
    assert {"0.mlp.0", "1.mlp.0"} <= paths


@pytest.mark.parametrize(
    ("qualified", "path"),
    [
        ("L['self'].layers.0.mlp", "layers.0.mlp"),
        ("L['s']", ""),
        ("G['model'].encoder", "encoder"),
        ("L['self']._modules['layers']._modules['3']._modules['up']", "layers.3.up"),
        ("L['self'].layers[2].attention", "layers.2.attention"),
        ("L['args'][0].decoder", "0.decoder"),
        ("net.layers.0", "net.layers.0"),
    ],
)
def test_paths_of_every_form(qualified: str, path: str) -> None:
    """Dynamo writes a module's source in several ways; each gives one dotted path below the root."""
    assert module_path(qualified) == path


def test_repeated_modules_and_lines_are_written_once() -> None:
    """The fact grows with the nodes, not with the text of their stacks."""
    (fact,) = run(Net(6)).facts("modules")
    assert len(fact["paths"]) == len({tuple(path) for path in fact["paths"]})
    assert len(fact["lines"]) == len({tuple(line) for line in fact["lines"]})
    assert len(fact["lines"]) < 10


def test_a_fault_is_counted_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside the seam leaves the result right and is counted."""

    def fail(*args):
        raise RuntimeError("planted")

    monkeypatch.setattr(modules, "_root", fail)
    net = Net(1)
    captured = run(net)
    assert torch.equal(captured.result, net(torch.ones(2, 4)))
    assert captured.faults == {("modules", "RuntimeError: planted"): 1}


def test_the_backends_error_is_the_users() -> None:
    """A backend that raises does so as without us."""

    def backend(gm, inputs):
        raise ZeroDivisionError("the backend's own")

    captured = capture(lambda: torch.compile(Net(1), backend=backend)(torch.ones(2, 4)), "modules")
    assert type(captured.result).__name__ == "BackendCompilerFailed"
    assert "the backend's own" in str(captured.result)
    assert captured.faults == {}


def test_the_undo_restores_exactly() -> None:
    """Afterwards the class has the very function it had; a wrapper that someone kept only passes through."""
    from torch._dynamo.output_graph import OutputGraph

    before = OutputGraph.__dict__["call_user_compiler"]
    emitted: list[str] = []
    undo = modules.install(lambda name, payload, **_: emitted.append(name), Faults())
    kept = OutputGraph.__dict__["call_user_compiler"]
    undo()
    assert OutputGraph.__dict__["call_user_compiler"] is before
    OutputGraph.call_user_compiler = kept
    try:
        run(Net(1))
    finally:
        OutputGraph.call_user_compiler = before
    assert emitted == []
