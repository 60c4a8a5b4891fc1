"""The interactive page as a file."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from html import unescape
from pathlib import Path

import msgspec

from compile_inspector.model.kernels import Kernel
from compile_inspector.model.symbols import Symbol
from compile_inspector.model.text import hold
from compile_inspector.views.bundles import bundle
from compile_inspector.views.graph_wire import MAGIC
from compile_inspector.views.page import Budget, to_html
from compile_inspector.views.wire import Wire
from factory import HOSTILE, make_graph, make_tables, sample_tables

_BLOCK = re.compile(r'<script type="application/octet-stream" data-key="([^"]*)">([^<]*)</script>')


def blocks(page: str) -> dict[str, bytes]:
    found = {key: base64.b64decode(text) for key, text in _BLOCK.findall(page)}
    return {unescape(key): data if data[:1] == b"{" else zlib.decompress(data) for key, data in found.items()}


def left_out(page: str) -> dict[str, str]:
    return msgspec.json.decode(blocks(page)["payload"], type=Wire).left_out


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    """The content policy names the hashes of the one script and the one style sheet, and lets that script start a worker; everything else is refused."""
    page = to_html(sample_tables())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(scripts) == len(styles) == 1

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy.group(1).split("; ") == [
        "default-src 'none'",
        f"script-src {hashed(scripts[0])}",
        f"style-src {hashed(styles[0])}",
        "img-src data:",
        "worker-src blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_bundles_can_stand_in_a_page() -> None:
    """No built file holds what would end its script element, a carriage return, or an address to fetch from."""
    for name in ("inspector.iife.js", "inspector.esm.js", "progress.esm.js"):
        text = bundle(name)
        assert not re.search(r"</script|<!--|\r", text, re.IGNORECASE)
        assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert "import(" not in text
    assert len(bundle("inspector.esm.js").encode()) < 300_000
    assert len(bundle("inspector.iife.js").encode()) < 300_000


def test_users_text_is_inert() -> None:
    """No text of the session opens an element, in the title or anywhere else."""
    page = to_html(sample_tables(), title=HOSTILE)
    assert HOSTILE not in page
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page


def test_the_page_names_no_address() -> None:
    """Nothing in the page loads anything: no source or reference but the fragments and data of its own."""
    page = to_html(sample_tables())
    assert not re.search(r"\b(?:src|href)\s*=\s*[\"'](?!data:|#)", page.split("<script>")[0])


def test_the_page_holds_every_part() -> None:
    """Graphs and texts of a small session are all in its page."""
    page = to_html(sample_tables())
    held = blocks(page)
    assert left_out(page) == {}
    assert {
        "payload",
        "explore:0",
        "explore:1",
        "explore:2",
        "graphs:0",
        "kernels:0",
        "output_code:0",
    } <= set(held)
    assert held["explore:0"][:4] == MAGIC


def test_the_page_holds_what_relates_its_graphs() -> None:
    """Correspondence and differences of the stages, verdicts, the ways of symbols; nothing of a key can end its block."""
    tables = make_tables(
        graphs=[make_graph("0/0"), make_graph("0/0", stage="pre_grad")],
        symbols=[Symbol("0/0", '"><b>', (), 4, None, "backed", None)],
    )
    page = to_html(tables)
    held = blocks(page)
    assert {"correspond:0:1", "graphdiff:0:1", "verdicts:0", 'symbol:0:"><b>'} <= set(held)
    assert 'symbol:0:"><b>' not in page


def test_what_relates_graphs_stops_at_the_budget_and_says_so() -> None:
    """With no room for pairs the kinds that are missing are named."""
    tables = make_tables(graphs=[make_graph("0/0"), make_graph("0/0", stage="pre_grad")])
    left = left_out(to_html(tables, budget=Budget(related=0)))
    assert {"correspond", "graphdiff", "symbol", "verdicts"} <= set(left)


def test_what_is_above_the_budget_is_left_out_and_said() -> None:
    """A page that would be too large leaves parts out, each with the way to have it."""
    tables = make_tables(
        graphs=[make_graph("0/0"), make_graph("0/1"), make_graph("0/2")],
        kernels=[
            Kernel("0/0", "k", "triton", hold("x" * 90), None),
            Kernel("0/0", "l", "triton", hold("y" * 90), None),
        ],
    )
    count = len(tables.graphs[0].nodes)
    left = left_out(to_html(tables, budget=Budget(nodes=2 * count, characters=100)))
    assert (
        left["explore:2"]
        == f"This page holds {2 * count} nodes at most; session.graph('0/2', 'dynamo') shows this graph."
    )
    assert "explore:1" not in left
    assert left["kernels:1"] == "This page holds 100 characters of code at most; session.kernels[1] has this."
    assert "kernels:0" not in left


def test_a_session_without_anything_has_a_page() -> None:
    """An empty recording gives a page that says so."""
    page = to_html(make_tables())
    assert "Nothing was compiled" in blocks(page)["payload"].decode()


def test_the_page_is_written_where_asked(tmp_path: Path) -> None:
    """The file holds the text that is returned."""
    path = tmp_path / "page.html"
    assert to_html(sample_tables(), path) == path.read_text(encoding="utf-8")


def test_without_scripts_the_plain_view_is_there() -> None:
    """A reader whose browser runs no script gets the static view."""
    plain = to_html(sample_tables()).split("<noscript>")[1].split("</noscript>")[0]
    assert "<table" in plain
    assert "<script" not in plain
