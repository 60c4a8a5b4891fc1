"""The table of graph breaks: torch's messages of several versions taken apart, distinct breaks counted."""

from __future__ import annotations

import pytest

from compile_inspector.recording.tables.breaks import graph_breaks, read_message
from narrated import MODEL, artifact, build, event, fact

PRINT = f"""\
Graph break in user code at {MODEL}:40
Graph Break Reason: Encountered graph break when attempting to trace CALL: a function call, e.g. f(x, y):

Failed to trace builtin operator
  Explanation: Dynamo does not know how to trace builtin operator `print` with argument types ['str'] (has_kwargs False)
  Hint: Avoid calling builtin `print` with argument types ['str'].
  Hint: If you are attempting to call a logging function (e.g. `print`),
    you can try adding it to `torch._dynamo.config.reorderable_logging_functions`.

  Developer debug context: builtin print [<class 'ConstantVariable'>] False

 For more details about this graph break, please visit: https://meta-pytorch.github.io/compile-graph-break-site/gb/gb0059.html

User code traceback:
  File "/home/ada/project/train.py", line 43, in <module>
    model(x)
    ~~~~~^^^
  File "{MODEL}", line 40, in forward
    print("hi")

Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/torch/_dynamo/symbolic_convert.py", line 1076, in wrapper
    return inner_fn(self, inst)
torch._dynamo.exc.Unsupported: Failed to trace builtin operator
  Explanation: again
"""

OLDER = f"""\
Graph break in user code at {MODEL}:12
Reason: Unsupported: call_function BuiltinVariable(print) [ConstantVariable()] {{}}
User code traceback:
  File "{MODEL}", line 12, in forward
    print(1)

Traceback (most recent call last):
  File "x.py", line 1, in y
"""

SKIPPED = f"""\
Graph break in user code at {MODEL}:40
Graph Break Reason: Failed to handle graph break gracefully. Skipping the function and falling back to eager. Graph break encountered:

Failed to trace builtin operator
  Explanation: Dynamo does not know how to trace builtin operator `print`

User code traceback:
  File "{MODEL}", line 40, in forward
    print("hi")
"""


def reason(text: str, *, at: str = "0/0", attempt: int = 0):
    return artifact("dynamo_graph_break_reason", text, at=at, attempt=attempt)


def test_a_message_is_taken_apart() -> None:
    """Reason, explanation, hints, registry entry and the user's stack, each without the words around it."""
    (row,), lost = build(graph_breaks, [reason(PRINT)])
    assert lost == ()
    assert row.reason == "Failed to trace builtin operator"
    assert row.explanation == (
        "Dynamo does not know how to trace builtin operator `print` with argument types ['str'] (has_kwargs False)"
    )
    assert row.hints == (
        "Avoid calling builtin `print` with argument types ['str'].",
        "If you are attempting to call a logging function (e.g. `print`),\n"
        "you can try adding it to `torch._dynamo.config.reorderable_logging_functions`.",
    )
    assert row.registry_id == "GB0059"
    assert (row.location.file, row.location.line, row.location.code) == (MODEL, 40, 'print("hi")')
    assert [(place.line, place.function) for place in row.stack] == [(43, "<module>"), (40, "forward")]


def test_an_older_message_has_less() -> None:
    """Before the registry a message had one line of reason and a stack."""
    (row,), _ = build(graph_breaks, [reason(OLDER)])
    assert row.reason == "Unsupported: call_function BuiltinVariable(print) [ConstantVariable()] {}"
    assert (row.explanation, row.hints, row.registry_id) == (None, (), None)
    assert row.location.line == 12


def test_a_break_is_one_row_with_the_number_of_compiles() -> None:
    """Several attempts of one compile count once, several compiles each; the other reason of one line is a row of its own."""
    records = [
        reason(PRINT),
        reason(PRINT, attempt=1),
        reason(OLDER),
        reason(PRINT, at="0/1"),
        reason(PRINT, at="1/0"),
    ]
    rows, _ = build(graph_breaks, records)
    assert [(row.compile_id, row.location.line, row.count) for row in rows] == [
        ("0/0", 40, 3),
        ("0/0", 12, 1),
    ]


def test_a_skipped_function_has_the_breaks_own_reason() -> None:
    """The words about falling back to eager are not the reason."""
    message = read_message(SKIPPED)
    assert message.reason == "Failed to trace builtin operator"
    assert message.explanation == "Dynamo does not know how to trace builtin operator `print`"


def test_breaks_of_an_attempt_that_was_thrown_away_count() -> None:
    """A break is what makes Dynamo start over: it is met in an attempt that does not ship."""
    rows, _ = build(graph_breaks, [reason(PRINT, attempt=0), event("dynamo_output_graph", {}, "", attempt=1)])
    assert len(rows) == 1


def test_without_a_stack_the_headline_gives_the_place() -> None:
    """A message cut after its head still has file, line and, if it is there, the reason."""
    (row,), _ = build(
        graph_breaks, [reason(f"Graph break in user code at {MODEL}:40\nGraph Break Reason: cut he")]
    )
    assert (row.location.file, row.location.line, row.reason, row.stack) == (MODEL, 40, "cut he", ())


def test_a_suppressed_stack_is_no_problem() -> None:
    """The head of a break told before is shortened by torch."""
    text = f"Graph break (user stack suppressed due to duplicate graph break) in user code at {MODEL}:4\nGraph Break Reason: again"
    assert read_message(text).place == (MODEL, 4)


def test_the_place_in_a_cell_is_shown_as_the_cell() -> None:
    """A notebook cell's temporary file is shown by its number."""
    cells = fact("cells", {MODEL: 3})
    (row,), _ = build(graph_breaks, [cells, reason(PRINT)])
    assert row.location.file == "In [3]"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "no break at all", "Graph Break Reason:", "\x00\xff", "User code traceback:\n  File"]
)
def test_any_text_gives_a_row(text: str) -> None:
    """A damaged message is a break without particulars, never an error."""
    (row,), lost = build(graph_breaks, [reason(text)])
    assert lost == ()
    assert row.location is None
    assert row.reason


def test_a_missing_message_is_a_loss() -> None:
    """A record without its text is counted and gives no row."""
    rows, lost = build(graph_breaks, [artifact("dynamo_graph_break_reason", None)])
    assert (rows, lost) == ((), ("a graph break has no message",))


def test_a_long_message_is_read_in_linear_time() -> None:
    """A hostile message of a megabyte of half-frames is read all the same."""
    hostile = "User code traceback:\n" + '  File "' * 20_000 + "\n    x" * 100_000
    assert read_message(f"Graph Break Reason: long\n{hostile}").reason == "long"
