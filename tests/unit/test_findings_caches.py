"""The finding cache-miss: programs that were kept and compiled again, and programs that could not be kept."""

from __future__ import annotations

from typing import Any

from compile_inspector.analyze.findings import judge
from compile_inspector.model.caches import CacheLookup, KeyDifference
from compile_inspector.model.findings import Finding
from compile_inspector.model.locations import Location
from factory import make_tables

LINE = Location("/home/ada/model.py", 7, None, "return x - 7")


def found(
    outcome: Any, *differs: KeyDifference, reason: str | None = None, cache: str = "artifact"
) -> tuple[Finding, ...]:
    row = CacheLookup(None, cache, outcome, "key", (), differs, reason, "m.Model")
    return judge(make_tables(caches=[row])).findings


def test_what_changed_is_named_with_its_line() -> None:
    """A miss that differs: component, old and new value, and the user's line."""
    (one,) = found(
        "miss",
        KeyDifference("forward", "return x", "return x - 7", LINE),
        KeyDifference("training", "eval", "train"),
    )
    assert (one.kind, one.severity, one.cause) == ("cache-miss", "note", LINE)
    assert one.subjects == ("forward", "training")
    assert one.title == "m.Model was kept on disk and compiled again: forward changed, and 1 more"
    assert one.evidence[1] == "training was eval, and is train"


def test_a_first_compile_a_hit_and_another_size_are_no_finding() -> None:
    """Nothing stored yet, a load, a program for another size, and the lookups of torch's own caches."""
    assert found("miss", reason="nothing of this program is stored") == ()
    assert found("hit") == ()
    assert found("miss", KeyDifference("L['x'].size()[0]", "2 <= L['x'].size()[0]", "1")) == ()
    assert found("miss", KeyDifference("forward", "a", "b"), cache="fx_graph") == ()


def test_a_damaged_artifact_is_a_warning() -> None:
    """A file that was refused: its reason is the evidence."""
    (one,) = found("miss", reason="a.artifact: Compile cache file corrupted. It has 3 bytes instead of 90.")
    assert (one.severity, one.evidence) == (
        "warning",
        ("a.artifact: Compile cache file corrupted. It has 3 bytes instead of 90.",),
    )


def test_a_program_that_cannot_be_kept_is_a_warning() -> None:
    """Every process compiles it: the reason is told."""
    (one,) = found("bypass", reason="not kept: its backend gave a function that cannot leave the process")
    assert one.severity == "warning"
    assert "cannot leave the process" in one.title
