"""Violations: calls that a dropped guard does not admit."""

from __future__ import annotations

import msgspec

from compile_inspector.model.locations import Location


class Violation(msgspec.Struct, frozen=True):
    """One guard of compiled code that did not hold for a call, with what was done about it.

    Attributes:
        compile_id: The compile whose guard it is.
        module: The module's path, where it was given one.
        class_name: The module's class.
        source: What the guard is about, as Dynamo names it; "" for the process's state.
        expr: The check.
        expected: What it wants; None where only the check says so.
        actual: What the first such call had, as text; None where it could not be read.
        category: size, none, value, attribute, train/eval, dtype or global state.
        action: ``recompiled``, ``raised`` or ``ran uncompiled``.
        location: The user's line that made the guard; None where torch kept none.
        count: How often, up to the end of the recording.
    """

    compile_id: str
    module: str | None
    class_name: str
    source: str
    expr: str
    expected: str | None
    actual: str | None
    category: str
    action: str
    location: Location | None
    count: int
