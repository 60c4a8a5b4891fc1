"""Fails where a test report says that a browser test was skipped, or holds none: ``python none_skipped.py report.xml``."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def skipped(report: Path) -> tuple[int, list[str]]:
    """How many browser tests a JUnit report holds, and the names of those that were skipped."""
    cases = [
        case for case in ElementTree.parse(report).iter("testcase") if "browser" in case.get("classname", "")
    ]
    return len(cases), [case.get("name", "") for case in cases if case.find("skipped") is not None]


if __name__ == "__main__":
    ran, names = skipped(Path(sys.argv[1]))
    if names or not ran:
        sys.exit(f"browser tests must run here: {ran} in the report, skipped: {', '.join(names) or 'none'}")
    print(f"{ran} browser tests ran, none was skipped")
