"""Findings about graph breaks."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.findings import judge
from compile_inspector.model.compiles import CompileFailure, Frame
from compile_inspector.model.findings import Finding, SetConfig
from compile_inspector.model.locations import Location
from factory import MODEL, make_break, make_compile, make_tables


def at(code: str) -> Location:
    return Location(MODEL, 51, "log_norm", code)


def found_of(code: str, reason: str, explanation: str = "", hints: tuple[str, ...] = ()) -> Finding:
    row = make_break(location=at(code), reason=reason, explanation=explanation or None, hints=hints)
    (found,) = judge(make_tables(compiles=[make_compile("1/0")], graph_breaks=[row])).findings
    return found


def test_a_break_names_its_subject_line_and_fix() -> None:
    """A print is told by its name, at its line, with the line that keeps it out of the graph."""
    found = found_of(
        'print("mean")  # for now',
        "Failed to trace builtin operator",
        "Dynamo does not know how to trace builtin operator `print`",
    )
    assert (found.kind, found.severity, found.subjects) == ("graph-break", "warning", ("print",))
    assert found.cause == at('print("mean")  # for now')
    assert found.fix.code == "torch._dynamo.config.reorderable_logging_functions.add(print)"
    assert '`print("mean")`' in found.title


def test_one_graph_is_no_finding() -> None:
    """A compile without a break is not listed."""
    assert judge(make_tables(compiles=[make_compile("1/0")])).findings == ()


@pytest.mark.parametrize(
    ("code", "reason", "hints", "setting"),
    [
        (
            "n = x.item()",
            "Unsupported Tensor.item() call with capture_scalar_outputs=False",
            (),
            "capture_scalar_outputs",
        ),
        ("x[x > 0]", "Dynamic shape operator", (), "capture_dynamic_output_shape_ops"),
        ("y.backward()", "Unsupported", ("Set torch._dynamo.trace_autograd_ops=True",), "trace_autograd_ops"),
    ],
)
def test_a_setting_that_torch_names_is_the_fix(
    code: str, reason: str, hints: tuple[str, ...], setting: str
) -> None:
    """Where one setting keeps the line in the graph, the fix is that setting, and can be tried."""
    found = found_of(code, reason, hints=hints)
    assert found.fix.actions == (SetConfig("torch._dynamo.config", setting, "True"),)


def test_a_branch_on_data_is_rewritten_with_its_own_condition() -> None:
    """The fix has the condition of the program's own line."""
    found = found_of("if x.sum() > 0:", "Data-dependent branching")
    assert found.fix.code is None
    assert found.fix.note.startswith(
        "no setting helps; rewrite `if x.sum() > 0:` at model.py:51: torch.cond(x.sum() > 0, ...)"
    )


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("if x.sum().item() > 0:", "torch.cond(x.sum() > 0, ...)"),
        ("while x.max().item() < 9:", "torch.while_loop"),
        ("y = x * np.random.rand()", "torch.rand for numpy.random.rand"),
    ],
)
def test_a_setting_that_only_moves_the_break_is_not_offered(line: str, advice: str) -> None:
    """Where the number decides a branch, or numpy makes it, capturing it as a symbol does not help: the line is to be rewritten."""
    hint = "Set `torch._dynamo.config.capture_scalar_outputs = True`"
    found = found_of(line, "Unsupported Tensor.item() call", hints=(hint,))
    assert (found.fix.code, found.fix.actions) == (None, ())
    assert advice in found.fix.note


def test_without_a_remedy_the_fix_says_so() -> None:
    """Hints that only ask to report an issue are no remedy."""
    found = found_of("frob(x)", "Unsupported", hints=("Please report an issue to PyTorch.",))
    assert found.fix.code is None
    assert found.fix.note.startswith("torch knows no remedy: move `frob(x)` at model.py:51")


def test_a_break_that_was_asked_for_is_a_note() -> None:
    """graph_break() and disable() are the program's own wish."""
    assert found_of("torch._dynamo.graph_break()", "Call to `torch._dynamo.graph_break()`").severity == "note"


def test_what_follows_is_counted_as_its_cost() -> None:
    """Torch names the function after the break by its line: its compile is what the break cost."""
    resumed = make_compile(
        "2/0",
        frame=Frame("torch_dynamo_resume_in_log_norm_at_51", Location(MODEL, 51, "log_norm")),
        elapsed_ns=7_000_000,
    )
    row = make_break(location=at("print(1)"))
    (found,) = judge(make_tables(compiles=[make_compile("1/0"), resumed], graph_breaks=[row])).findings
    assert (found.compile_ids, found.cost_ns, found.count) == (("1/0", "2/0"), 7_000_000, 2)


def test_the_recompile_limit_is_no_break() -> None:
    """Torch tells its recompile limit as a graph break too: it is told as what it is."""
    row = make_break(reason="Dynamo recompile limit exceeded", explanation=None, registry_id="GB0039")
    assert judge(make_tables(compiles=[make_compile("1/0")], graph_breaks=[row])).findings == ()


def test_a_break_under_fullgraph_is_an_error() -> None:
    """Under fullgraph=True the break is the compile's error: the same finding, made from torch's message."""
    message = (
        "Failed to trace builtin operator\n  Explanation: Dynamo does not know how to trace builtin operator `print` with argument types"
        "\n  Hint: Avoid calling builtin `print`.\n\n  Developer debug context: builtin print\n\n For more details about this graph break, "
        "please visit: https://meta-pytorch.github.io/compile-graph-break-site/gb/gb0059.html"
    )
    failed = make_compile(
        "1/0", status="failed", error=CompileFailure("Unsupported", message, at('print("a")'))
    )
    (found,) = judge(make_tables(compiles=[failed])).findings
    assert (found.kind, found.severity, found.subjects, found.cause) == (
        "graph-break",
        "error",
        ("print",),
        at('print("a")'),
    )
    assert "torch's registry: GB0059" in found.evidence
