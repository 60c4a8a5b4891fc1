"""The static HTML: what survives a sanitiser, says everything, and runs nothing."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from compile_inspector.model.caches import CacheLookup
from compile_inspector.model.compiles import CompileFailure, Frame
from compile_inspector.model.environment import Environment
from compile_inspector.model.findings import Fix
from compile_inspector.model.guards import module_path
from compile_inspector.model.locations import Location
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.records import Loss
from compile_inspector.views.columns import COLUMNS, title_of
from compile_inspector.views.static_html import static_html
from factory import (
    HOSTILE,
    make_break,
    make_compile,
    make_dim,
    make_entry,
    make_failing,
    make_finding,
    make_guard,
    make_tables,
    quiet_tables,
    sample_tables,
)

ALLOWED = {
    "progress": {"value", "max"},
    "br": set(),
    "code": set(),
    "details": {"open"},
    "div": set(),
    "img": {"alt", "src", "style"},
    "li": set(),
    "p": set(),
    "strong": set(),
    "summary": set(),
    "table": {"cellpadding"},
    "tbody": set(),
    "td": {"style"},
    "th": {"style"},
    "thead": set(),
    "tr": set(),
    "ul": set(),
}
"""Elements and attributes that JupyterLab's sanitiser leaves in an untrusted output."""


class Page(HTMLParser):
    """What a page is made of: elements with attributes, text, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"br", "img"}:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data


def table_of(page: Page, *headings: str) -> list[list[str]]:
    """The first table whose first headings are these, without them."""
    for table in page.tables:
        if table and list(headings) == table[0][: len(headings)]:
            return table[1:]
    pytest.fail(f"no table begins with {headings}")


@pytest.mark.parametrize("tables", [sample_tables(), quiet_tables(), make_tables()])
def test_only_elements_that_sanitisers_keep_are_used(tables: object) -> None:
    """Every element and attribute is one that an untrusted notebook shows."""
    page = Page(static_html(tables, drawing_svg="<svg/>"))  # type: ignore[arg-type]
    for tag, attributes in page.elements:
        assert set(attributes) <= ALLOWED[tag]


def test_nothing_is_fetched() -> None:
    """The only address in the page is the drawing's own data, and no style fetches or reads a variable."""
    page = Page(static_html(sample_tables(), drawing_svg="<svg/>"))
    sources = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert [f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"] == sources
    styles = {attributes["style"] or "" for _, attributes in page.elements if "style" in attributes}
    assert not any("url(" in style or "var(" in style for style in styles)


def test_no_colour_is_set_for_text() -> None:
    """Text takes the colour of the page around it, so that it can be read in light and dark."""
    page = Page(static_html(sample_tables(), drawing_svg="<svg/>"))
    styled = [(tag, attributes["style"] or "") for tag, attributes in page.elements if "style" in attributes]
    assert all("color" not in style and ("background" not in style or tag == "img") for tag, style in styled)


def test_a_drawing_is_an_image_and_never_markup() -> None:
    """A drawing with a script in it is inside an image, where scripts do not run."""
    html = static_html(quiet_tables(), drawing_svg=f"<svg>{HOSTILE}\ud800</svg>")
    assert "<svg" not in html
    assert "<script" not in html


def test_hostile_names_are_text() -> None:
    """A script in a name, a path or a line of code is shown and is no element."""
    html = static_html(sample_tables())
    assert "<script" not in html
    assert HOSTILE in Page(html).text
    assert "\x1b" not in html
    assert "\u202e" not in html


@given(st.text(st.characters(), min_size=1, max_size=60))
def test_no_text_becomes_an_element(text: str) -> None:
    """Whatever stands in a recording, the page has the same elements and attributes as with harmless text.

    A text that makes the guard's source a module's gives the table a column more, and is left aside.
    """
    assume(module_path("L['x']" + text) is None)

    def page(word: str) -> Page:
        place = Location(word, 3, word, word)
        compiled = make_compile(
            frame=Frame(word, place), trigger=place, status="failed", error=CompileFailure(word, word)
        )
        tables = make_tables(
            environment=Environment(torch=word, packages=((word, word),), seams=((word, word),)),
            compiles=[compiled],
            recompiles=[
                Recompile(word, place, (make_entry(word, make_failing(word, word, word, location=place)),))
            ],
            graph_breaks=[make_break(reason=word, explanation=word, hints=(word,), location=place)],
            guards=[make_guard(word, source="L['x']" + word, expr=word)],
            dims=[make_dim(word, why=word, symbol=word)],
            caches=[CacheLookup(word, word, "bypass", word, (), (), word)],
            losses=[Loss(word, word)],
        )
        return Page(static_html(tables))

    shape = [(tag, sorted(attributes)) for tag, attributes in page("word").elements]
    assert shape == [(tag, sorted(attributes)) for tag, attributes in page(text).elements]


def test_every_table_with_rows_has_a_section_with_its_count() -> None:
    """Each table of the sample is there under its title with the number of its rows."""
    tables = sample_tables()
    text = Page(static_html(tables)).text
    for name in COLUMNS:
        assert f"{title_of(name)} ({len(tables.rows(name))})" in text
    places = [text.index(f"{title_of(name)} ({len(tables.rows(name))})") for name in COLUMNS]
    assert places == sorted(places)


def test_findings_and_recompiles_say_why() -> None:
    """Each ends with its chain, step by step, with the user's line; a chain that cannot be told leaves nothing."""
    tables = sample_tables()
    text = Page(static_html(tables)).text
    asked = len(tables.findings) + len([row for row in tables.recompiles if row.nearest is not None])
    assert text.count("Why, step by step") >= asked
    assert "input: forward was called (train.py:17" in text
    alone = make_tables(findings=[make_finding()], compiles=[make_compile()])
    assert "Why, step by step" in Page(static_html(alone)).text


def test_the_page_begins_with_headline_and_story() -> None:
    """The first words are those of the text view, then the sentences."""
    text = Page(static_html(sample_tables())).text
    assert text.startswith(
        "5 compiles of 3 functions in 1.23 s, 3 recompiles, 2 graph breaks, 6 violations, 1 failed, 4 losses"
    )
    assert "0/1, called from train.py:17, does not fit 0/0" in text


def test_recompiles_show_every_entry_and_failing_guard() -> None:
    """The nearest entry's failing guards have expected and actual values; the other entries are there too."""
    page = Page(static_html(sample_tables()))
    first = table_of(page, "Source", "Expected", "Actual", "Line")
    assert [row[:4] for row in first] == [
        ["L['self'].scale", "2.0", "3.0", "model.py:36"],
        ["grad_mode", "enabled", "disabled", "model.py:31"],
    ]
    assert "Does not fit 0/1, the nearest earlier entry:" in page.text
    assert "1 other entry" in page.text
    assert "Not evaluable (1)" in page.text
    assert "(only torch's first reason is known)" in page.text


def test_a_recompile_of_which_nothing_is_known_says_so() -> None:
    """Without entries, or with torch's words only, the section shows what there is."""
    words = make_entry("0/0", torch_reason="backend changed")
    recompiles = [Recompile("0/1", None, ()), Recompile("0/2", None, (words,))]
    text = Page(static_html(make_tables(compiles=[make_compile()], recompiles=recompiles))).text
    assert "Which guards failed is not recorded." in text
    assert "backend changed" in text


def test_tables_are_cut_with_a_count() -> None:
    """Of 512 guards 100 are shown, and the page says where the other 412 are."""
    page = Page(static_html(make_tables(compiles=[make_compile()], guards=[make_guard()] * 512)))
    assert len(table_of(page, "Compile", "Kind", "Source")) == 100
    assert "Guards (512)" in page.text
    assert "412 more rows are not shown: session.to_dicts('guards') has all of them." in page.text


def test_the_limit_can_be_chosen_and_one_row_is_singular() -> None:
    """A limit of four leaves out one of five."""
    page = Page(static_html(make_tables(compiles=[make_compile()], guards=[make_guard()] * 5), limit=4))
    assert len(table_of(page, "Compile", "Kind", "Source")) == 4
    assert "1 more row is not shown" in page.text


def test_inputs_come_before_parameters() -> None:
    """A cut of the dimensions leaves out parameters before inputs."""
    dims = [*[make_dim("L['self'].w", is_parameter=True)] * 5, make_dim("L['x']")]
    page = Page(static_html(make_tables(compiles=[make_compile()], dims=dims), limit=1))
    assert table_of(page, "Compile", "Input")[0][1] == "L['x']"


def test_long_lists_are_cut_with_a_count() -> None:
    """A cell with thirty entries shows twelve and counts the rest."""
    page = Page(
        static_html(make_tables(compiles=[make_compile(caches=tuple(f"c{n}: hit" for n in range(30)))]))
    )
    assert "18 more" in page.text


def test_a_recording_of_nothing_has_a_hint() -> None:
    """Without a compile the page says what may be why."""
    assert "torch.compiler.reset()" in Page(static_html(make_tables())).text


def test_environment_and_gaps_are_listed() -> None:
    """Versions, changed settings and what is not recorded, with reasons, stand at the end."""
    page = Page(static_html(sample_tables()))
    assert page.tables[-1][0] == ["torch", "2.13.0+cpu"]
    assert page.tables[-1][-1] == ["torch._dynamo.config.recompile_limit", "4 (default 8)"]
    absent = make_tables(captures=None, absent={"captures": "nobody looked"})
    assert "Captures: nobody looked" in Page(static_html(absent)).text


def test_the_page_parses_no_graph() -> None:
    """Writing the page reads no graph's text."""
    tables = sample_tables()
    static_html(tables)
    assert all("_parsed" not in vars(graph) for graph in tables.graphs)


def test_findings_stand_before_everything_else() -> None:
    """Right below the headline, opened: what, the line, the fix line by line, the evidence; hostile text is inert."""
    fix = Fix("with torch.no_grad():\n    model(x)", "at the call")
    html = static_html(
        make_tables(
            compiles=[make_compile()], findings=[make_finding(fix=fix), make_finding(fix=Fix(None, HOSTILE))]
        )
    )
    assert html.index("<details open><summary>Findings (2)</summary>") < html.index("was compiled once")
    assert (
        "<code>with torch.no_grad():</code><br><code>&nbsp;&nbsp;&nbsp;&nbsp;model(x)</code><br>at the call"
        in html
    )
    assert "No fix to paste: &lt;script&gt;" in html
    assert "<script>" not in html
