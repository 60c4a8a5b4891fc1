"""What a guard that failed says: which source, what it expected and what came, read from torch's text of the guard and the value."""

from __future__ import annotations

import ast
import re
import weakref
from collections.abc import Mapping
from typing import Any

from compile_inspector.torch_seams.finding import Finding, code_of, plain_name
from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.static_lookup import ABSENT, Unreadable, instance_dict
from compile_inspector.torch_seams.tensor_facts import TensorFacts
from compile_inspector.torch_seams.tensor_findings import tensor_match
from compile_inspector.torch_seams.value_text import member_name, shorten, text_of

USES = ("torch.utils._device:CURRENT_DEVICE",)
_ID = re.compile(r"___check_obj_id\(.*?, (\d+)\)(?:, type=<class '([^']*)'>)?")
_TYPE = re.compile(r"type=<class '([^']*)'>")


def describe(
    leaf: Any,
    kind: str,
    value: Any,
    source: str,
    facts: TensorFacts | None,
    held: Mapping[str, Any],
    guarded: type,
) -> list[Finding]:
    """What a leaf that failed says.

    Args:
        leaf: torch's guard.
        kind: Its name.
        value: What the call brought.
        source: What it is about; "" for a leaf at the root of the tree, which names itself.
        facts: The value's, where it is a tensor that can be read.
        held: torch's weak references to the objects it matched by identity, by source.
        guarded: The type of the value that the entry was compiled with.
    """
    parts = leaf.verbose_code_parts()
    first = parts[0] if parts else ""
    if kind == "TENSOR_MATCH":
        return tensor_match(first, source, value, facts)
    if kind == "TYPE_MATCH":
        return [_type_match(first, source, value)]
    if kind == "ID_MATCH":
        return [_id_match(first, source, value, held, guarded)]
    if kind in {"LENGTH_CHECK", "DICT_LENGTH"}:
        return [_length(first, kind, source, value)]
    if kind in {"DICT_CONTAINS", "SET_CONTAINS"}:
        return [_contains(first, kind, source)]
    if kind in {"DIMENSION_DYNAMIC_MARKING_GUARD", "DYNAMIC_INDICES"}:
        return _marks(parts, kind, source, value)
    if kind == "DEFAULT_DEVICE":
        actual = text_of(lookup("torch.utils._device:CURRENT_DEVICE"))
        return [Finding("default_device", kind, code_of(first), _wanted(first), actual)]
    if kind == "WEAKREF_ALIVE":
        return [Finding(source, kind, code_of(first), "alive", "gone")]
    if not source:
        return [Finding(code_of(first).partition(" ")[0], kind, code_of(first), _wanted(first), None)]
    fixed = {
        "NONE_MATCH": "None",
        "NOT_NONE": "not None",
        "TRUE_MATCH": "True",
        "FALSE_MATCH": "False",
        "FLOAT_IS_NAN": "nan",
    }
    return [Finding(source, kind, code_of(first), fixed.get(kind) or _wanted(first), text_of(value))]


def _wanted(part: str) -> str | None:
    try:
        tree = ast.parse(part.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return code_of(part).partition(" == ")[2] or None
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq | ast.Is):
        return shorten(ast.unparse(tree.comparators[0]))
    return None


def _type_match(part: str, source: str, value: Any) -> Finding:
    found = _TYPE.search(part)
    wanted = plain_name(found.group(1)) if found else "another type"
    actual = type_name(type(value))
    shown = f"{actual}, another class of this name" if actual == wanted else actual
    return Finding(source, "TYPE_MATCH", f"type({source}) is {wanted}", wanted, shown)


def _id_match(part: str, source: str, value: Any, held: Mapping[str, Any], guarded: type) -> Finding:
    found = _ID.search(part)
    wanted_id = int(found.group(1)) if found else -1
    wanted = _named_by_id(wanted_id, value, held.get(source))
    if wanted is None:
        named = (found.group(2) if found else None) or ""
        wanted = (
            plain_name(named)
            if issubclass(guarded, type)
            else f"the {plain_name(named)} object of the compile"
        )
    actual = text_of(value)
    shown = f"{actual}, another object" if actual == wanted else actual
    return Finding(source, "ID_MATCH", f"{source} is {wanted}", wanted, shown)


def _named_by_id(wanted_id: int, value: Any, reference: Any) -> str | None:
    """The object an id stands for, where it is a constant, is still referred to, or is a sister of the new one in an enumeration."""
    original = reference() if type(reference) is weakref.ReferenceType else None
    candidates: list[Any] = [None, True, False, NotImplemented, ..., original]
    if member_name(value) is not None:
        members = (instance_dict(type(value)) or {}).get("_member_map_")
        candidates += list(members.values()) if type(members) is dict else []
    return next((text_of(one) for one in candidates if id(one) == wanted_id), None)


def _length(part: str, kind: str, source: str, value: Any) -> Finding:
    wanted = _wanted(part) or "0"
    return Finding(
        source,
        kind,
        code_of(part),
        f"length {wanted}",
        f"length {len(value)}" if _has_length(value) else text_of(value),
    )


def _has_length(value: Any) -> bool:
    return issubclass(type(value), list | tuple | dict | set | frozenset | str | bytes | range)


def _contains(part: str, kind: str, source: str) -> Finding:
    code = code_of(part)
    words = ("no item", "the item") if kind == "SET_CONTAINS" else ("no key", "the key")
    key = code.partition("(")[2].rpartition(",")[0].strip()
    absent = code.startswith("not ")
    return Finding(
        source, kind, code, f"{words[0 if absent else 1]} {key}", f"{words[1 if absent else 0]} {key}"
    )


def _marks(parts: list[str], kind: str, source: str, value: Any) -> list[Finding]:
    try:
        own = instance_dict(value) or {}
    except Unreadable:
        own = {}
    findings: list[Finding] = []
    for part in parts:
        named = re.search(r"'(_dynamo_\w+)'", part)
        have = own.get(named.group(1), ABSENT) if named else ABSENT
        if named is None or have is ABSENT:
            continue
        if "== False" in part:
            findings.append(
                Finding(
                    source, kind, code_of(part), f"no {named.group(1)}", f"{named.group(1)} {text_of(have)}"
                )
            )
        elif (wanted := re.search(r"issubset\((\{[^}]*\}|set\(\))\)", part)) and not _within(
            have, wanted.group(1)
        ):
            findings.append(
                Finding(
                    source,
                    kind,
                    code_of(part),
                    f"{named.group(1)} within {wanted.group(1)}",
                    f"{named.group(1)} {text_of(have)}",
                )
            )
    return findings or [
        Finding(source, kind, code_of(parts[0] if parts else ""), None, "other marks on its dimensions")
    ]


def _within(have: Any, wanted: str) -> bool:
    numbers = {int(number) for number in re.findall(r"-?\d+", wanted)}
    return type(have) in (set, frozenset) and all(type(one) is int and one in numbers for one in have)


def overlap_groups(part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sources in ``check_overlapping(overlapping=[…], non_overlapping=[…])``; empty where the text is another."""
    try:
        call = ast.parse(part.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return (), ()
    groups = {
        keyword.arg: tuple(ast.unparse(one) for one in keyword.value.elts)
        for keyword in getattr(call, "keywords", [])
        if isinstance(keyword.value, ast.List)
    }
    return groups.get("overlapping", ()), groups.get("non_overlapping", ())
