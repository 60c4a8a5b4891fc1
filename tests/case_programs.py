"""The small programs with a known trouble, and whether a finding is the one that is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compile_inspector.model.findings import Finding

_HERE = Path(__file__).parent
_SHARED = _HERE.parent.parent / "shared" / "cases"
OURS = sorted((_HERE / "data" / "cases").glob("*.py"))
THEIRS = sorted(path for path in _SHARED.glob("*.py") if path.name != "grade.py")


def spelled(text: str) -> str:
    """A source without the dictionaries that modules lie in, in one spelling of brackets."""
    for old, new in (
        ("_modules['", ""),
        ("']", ""),
        ("['", "."),
        ("[", "."),
        ("]", ""),
        ("L.self", "self"),
        ("'", ""),
    ):
        text = text.replace(old, new)
    return text


def about(expect: dict[str, Any], finding: Finding) -> bool:
    wanted = expect.get("subjects") or [expect["subject"]]
    told = " ".join(spelled(subject) for subject in finding.subjects) + " " + spelled(finding.title)
    return finding.kind == expect["kind"] and all(spelled(one) in told for one in wanted)
