"""The text view: short, complete, and safe to print."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group

from compile_inspector.model.compiles import CompileFailure, Frame
from compile_inspector.model.environment import Environment
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.records import Loss
from compile_inspector.views.columns import COLUMNS, title_of
from compile_inspector.views.text import print_text, render_text
from factory import (
    CALL_LINE,
    HOSTILE,
    make_break,
    make_compile,
    make_dim,
    make_entry,
    make_failing,
    make_finding,
    make_graph,
    make_tables,
    quiet_tables,
    sample_tables,
)


def section(text: str, title: str) -> list[str]:
    """The lines of one section, without its title."""
    lines = text.split("\n")
    start = lines.index(title) + 1
    return lines[start : lines.index("", start)]


def test_a_quiet_recording_is_short() -> None:
    """A recording with nothing wrong fits into 25 lines and has no section of troubles."""
    lines = print_text(quiet_tables()).split("\n")
    assert len(lines) < 25
    assert lines[0] == "1 compile of 1 function in 412 ms, no recompiles, no graph breaks"
    assert not {"Failed", "Recompiles", "Graph breaks"} & set(lines)


def test_a_recording_of_nothing_says_why_that_may_be() -> None:
    """Without a compile there is a hint, and no empty table."""
    text = print_text(make_tables())
    assert text.startswith("Nothing was compiled while this was recorded\n")
    assert "torch.compiler.reset() forgets that code." in text
    assert "Compiles\n" not in text


def test_a_recording_of_what_was_compiled_before_says_so() -> None:
    """Where every compile is from before the recording, the hint stands above their number."""
    before = make_compile("0/0", recovered=True)
    text = print_text(make_tables(compiles=(before,)))
    assert text.index("torch.compiler.reset() forgets that code.") < text.index(
        "1 compile from before the recording"
    )


def test_troubles_come_first() -> None:
    """Findings and failures stand before the tables; those come in the order of every other view."""
    lines = print_text(sample_tables()).split("\n")
    tables = [title_of(name) for name in COLUMNS if name != "findings"]
    titles = ["Findings", "Failed", *(title for title in tables if title in lines)]
    assert titles == [line for line in lines if line in titles]
    assert {"Compiles", "Recompiles", "Graph breaks", "Input dimensions"} <= set(titles)


def test_a_recompile_shows_its_call_and_every_failing_guard_with_values() -> None:
    """A recompile names its trigger, the nearest entry, each failing guard with expected, actual and line, and what was not judged."""
    assert section(print_text(sample_tables()), "Recompiles")[:5] == [
        "  0/2  train.py:17  loss = model(batch, mask).mean()",
        "    does not fit 0/1, the nearest of 2 earlier entries:",
        "      L['self'].scale  2.0 -> 3.0           model.py:36  h = h * self.scale",
        "      grad_mode        enabled -> disabled  model.py:31  def forward(self, x, mask):",
        "      not evaluable: L['ids'][0] (the length check of L['ids'] failed before it)",
    ]


def test_a_recompile_known_from_a_log_says_that_it_is_partial() -> None:
    """Where only torch's reason is known, the text says so and shows it."""
    entry = make_entry("0/0", torch_reason="tensor 'x' size mismatch", complete=False)
    text = print_text(
        make_tables(compiles=[make_compile()], recompiles=[Recompile("0/1", CALL_LINE, (entry,))])
    )
    assert "does not fit 0/0; only torch's first reason is known:" in text
    assert "tensor 'x' size mismatch" in text


def test_a_graph_break_shows_its_line_reason_and_hint() -> None:
    """A break names the user's line, its registry entry, the reason and the first hint."""
    assert section(print_text(sample_tables()), "Graph breaks")[:3] == [
        "  model.py:52  print(h.norm())  GB0059, in 2 compiles",
        "    Failed to trace builtin operator",
        "    hint: Avoid calling builtin `print` with argument types ['<unknown type>'].",
    ]


def test_dims_show_verdict_and_reason_without_parameters() -> None:
    """Each input dimension has one line with its size, symbol, verdict and reason; parameters have none."""
    lines = section(print_text(sample_tables(), 160), "Input dimensions")
    assert lines[0].split() == ["compile", "input", "dim", "size", "symbol", "verdict", "why"]
    assert " ".join(lines[1].split()) == "0/1 L['x'] 0 5 s77 dynamic 4 in compile 0/0, 5 in this call"
    assert lines[2].endswith("s12 was pinned to 8 by a comparison (model.py:38)")
    assert not any("L['self'].w" in line for line in lines)


def test_a_failure_shows_its_message() -> None:
    """A failed compile names the function, the call and the error."""
    failed = make_compile(status="failed", error=CompileFailure(type="Unsupported", message="no\nway"))
    lines = section(print_text(make_tables(compiles=[failed])), "Failed")
    assert lines == [
        "  0/0  forward  train.py:17  loss = model(batch, mask).mean()",
        "    Unsupported: no way",
    ]


def test_columns_without_values_are_left_out() -> None:
    """A column in which no row has a value takes no room."""
    lines = section(print_text(make_tables(compiles=[make_compile()], dims=[make_dim()])), "Input dimensions")
    assert lines[0].split() == ["compile", "input", "dim", "size", "verdict", "why"]


def test_long_tables_say_how_many_rows_are_left_out_and_where_they_are() -> None:
    """A table of 224 compiles shows the first twelve and says how to get the other 212."""
    lines = section(
        print_text(make_tables(compiles=[make_compile(f"0/{index}") for index in range(224)])), "Compiles"
    )
    assert len(lines) == 14
    assert lines[-1] == "  ... 212 more: session.to_dicts('compiles')"


@pytest.mark.parametrize(
    ("tables", "marker"),
    [
        (make_tables(graph_breaks=[make_break()] * 30), "... 22 more: session.to_dicts('graph_breaks')"),
        (
            make_tables(recompiles=[Recompile("0/1", None, ())] * 30),
            "... 22 more: session.to_dicts('recompiles')",
        ),
        (
            make_tables(losses=[Loss(f"a.log:{n}", "cut short") for n in range(9)]),
            "... 6 more: session.to_dicts('losses')",
        ),
        (
            make_tables(recompiles=[Recompile("0/1", None, (make_entry("0/0", *[make_failing()] * 9),))]),
            "... 3 more failing guards: session.to_dicts('recompiles')",
        ),
    ],
)
def test_every_cut_is_counted(tables: object, marker: str) -> None:
    """Whatever is cut, the text says how much and where the rest is."""
    assert marker in print_text(tables)  # type: ignore[arg-type]


def test_what_could_not_be_observed_is_said_with_its_reason() -> None:
    """A seam that this torch could not serve is named with the reason."""
    text = " ".join(print_text(sample_tables()).split())
    assert "Not recorded Traced files: torch._dynamo.symbolic_convert" in text


def test_an_expected_table_that_is_absent_is_said_with_its_reason() -> None:
    """A table that recordings have, but this one cannot, shows as not recorded."""
    tables = make_tables(compiles=[make_compile()], kernels=None, absent={"kernels": "the log has no code"})
    assert "Not recorded  Kernels: the log has no code" in print_text(tables)


def test_losses_are_shown() -> None:
    """Each loss shows where it happened and how often."""
    assert "guard_stacks: RuntimeError:" in print_text(sample_tables(), 120)
    assert "(3 times)" in print_text(sample_tables(), 120)


def test_the_name_stands_before_the_headline() -> None:
    """A recording with a name begins with it."""
    assert print_text(quiet_tables(), name="warm\nup").startswith("warm up: 1 compile of 1 function")


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_no_line_is_wider_than_asked(width: int) -> None:
    """Every line of the richest recording fits the width."""
    assert [line for line in print_text(sample_tables(), width).split("\n") if len(line) > width] == []


@given(st.text(st.characters(), min_size=1, max_size=60))
def test_text_from_code_is_neither_markup_nor_control(text: str) -> None:
    """Whatever stands in names, reasons and lines of code, nothing but printable characters and newlines is printed."""
    place = Location(text, 3, text, text)
    tables = make_tables(
        environment=Environment(torch=text, seams=((text, text),)),
        compiles=[
            make_compile(
                text,
                frame=Frame(text, place),
                trigger=place,
                status="failed",
                error=CompileFailure(text, text),
            )
        ],
        recompiles=[
            Recompile(text, place, (make_entry(text, make_failing(text, text, text, location=place)),))
        ],
        graph_breaks=[make_break(reason=text, hints=(text,), location=place)],
        dims=[make_dim(text, why=text, symbol=text)],
        graphs=[make_graph(text)],
        losses=[Loss(text, text)],
    )
    shown = print_text(tables, name=text)
    assert all(char == "\n" or char.isprintable() or char.isspace() or ord(char) > 0x9F for char in shown)
    shown.encode("utf-8")


def test_markup_in_names_is_shown_as_it_is() -> None:
    """Markup of rich in a user's text is text."""
    text = print_text(sample_tables(), 160)
    assert "[bold]loud[/bold]" in text
    assert HOSTILE in text
    assert "\x1b" not in text


def test_a_colour_terminal_gets_colours_around_the_same_words() -> None:
    """On a terminal with colours the words are the same as without, with styles added by rich alone."""
    file = StringIO()
    console = Console(file=file, width=100, color_system="standard", force_terminal=True, force_jupyter=False)
    console.print(Group(*render_text(sample_tables())))
    coloured = file.getvalue()
    assert "\x1b[" in coloured
    stripped = Console(file=StringIO()).render_str("").from_ansi(coloured).plain
    assert [line.rstrip() for line in stripped.rstrip().split("\n")] == print_text(sample_tables()).split(
        "\n"
    )


def test_the_environment_variables_of_the_terminal_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is the same whatever the terminal is said to be."""
    expected = print_text(sample_tables())
    for name, value in (
        ("FORCE_COLOR", "1"),
        ("COLUMNS", "30"),
        ("TERM", "xterm-256color"),
        ("NO_COLOR", "1"),
    ):
        monkeypatch.setenv(name, value)
    assert expected == print_text(sample_tables())


def test_the_text_view_parses_no_graph() -> None:
    """Printing reads no graph's text."""
    tables = sample_tables()
    print_text(tables)
    assert all("_parsed" not in vars(graph) for graph in tables.graphs)


def test_findings_come_first_with_their_line_and_fix() -> None:
    """Severity, kind, line and cost on one line, then the sentence, the code to paste and where it belongs."""
    tables = make_tables(compiles=[make_compile()], findings=[make_finding()])
    lines = print_text(tables).split("\n")
    at = lines.index("Findings")
    assert at == 2
    assert lines[at + 1] == "  warning recompile  model.py:12  return x * 2  655 ms"
    assert lines[at + 2].startswith("    forward was compiled again (once)")
    assert "        x = x.to(torch.float32)" in lines
    assert "    before the call at run.py:7: the dtype that it was compiled for" in lines


def test_without_findings_nothing_is_said_of_them() -> None:
    """A recording with nothing wrong has no such section."""
    assert "Findings" not in print_text(make_tables(compiles=[make_compile()]))


def test_many_findings_are_counted() -> None:
    """The worst eight are shown, the rest is counted."""
    tables = make_tables(compiles=[make_compile()], findings=[make_finding()] * 11)
    assert "... 3 more: session.findings" in print_text(tables)
