"""Ordinary lines of a printed graph, recognised whole by one pattern: nearly every line of a real graph is one.

A line is ordinary where nothing in it can be mistaken: ASCII alone, no string, no comment, brackets that close. What is not falls to the
careful reading of `graph_reader`, which reads the same from an ordinary line, only more slowly. No pattern here goes back over a text:
all repeats are possessive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compile_inspector.model.graph_types import RawNode, read_annotation

if TYPE_CHECKING:
    from compile_inspector.model.graph_reader import GraphReader
    from compile_inspector.model.nodes import Op

OPERATORS = {
    "==": "eq", "!=": "ne", "<=": "le", ">=": "ge", "<<": "lshift", ">>": "rshift", "<": "lt", ">": "gt", "+": "add", "-": "sub",
    "**": "pow", "*": "mul", "//": "floordiv", "/": "truediv", "%": "mod", "@": "matmul", "&": "and_", "|": "or_", "^": "xor",
    "and": "and_", "or": "or_",
}  # fmt: skip
UNARY = {"-": "operator.neg", "+": "operator.pos", "~": "operator.invert"}
_OPERATOR_TARGETS = {sign: f"operator.{name}" for sign, name in OPERATORS.items()}

_WORD = r"[A-Za-z_][A-Za-z0-9_]*+"
_DOTTED = r"[A-Za-z_][A-Za-z0-9_.]*+"
_OPERAND = r"[A-Za-z0-9_.\-]++"
_PLAIN = r"[A-Za-z0-9_., ]*+(?=\))"
_FLAT = r"""[^'"#;()\[\]{}\n]*+"""
_LISTS = r"""[^'"#;(){}\n]*+"""


def _nested(flat: str) -> str:
    """Text with parentheses that close, two deep at most."""
    inner = rf"{flat}(?:\({flat}\){flat})*+"
    return rf"{flat}(?:\({inner}\){flat})*+"


ORDINARY = re.compile(
    rf' *+({_WORD})(?:: "([^"\n]*+)")? = '
    rf"(?:({_DOTTED})\((?:({_PLAIN})|({_nested(_LISTS)}))\)"
    rf"|({_OPERAND}) ({'|'.join(map(re.escape, OPERATORS))}) ({_OPERAND})"
    rf"|({_WORD})\[({_nested(_FLAT)})\]"
    rf"|([-~]?)({_WORD}))"
    r"""(?:;[^'"#()\[\]{}\n]*+)?"""
)
"""Groups: name, annotation; callee and arguments (plain: words and commas; or any); or left side, operator, right side; or what is indexed and the index; or a sign, if any, and another name."""

_PARAMETERS = re.compile(rf"""(\*{{0,2}}{_WORD})(?:: "([^"\\\n]*+)")?""")
_PARAMETER = rf"""\*{{0,2}}{_WORD}(?:: "[^"\\\n]*+")?"""
_SIGNATURE = re.compile(rf" *+def forward\(({_PARAMETER}(?:, {_PARAMETER})*+)\):")

_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*+(?! = )")
_PUNCTUATION = {ord(mark): " " for mark in "()[]{},:;+-*/%@&|^~<>!"}


def ordinary_parameters(line: str) -> list[tuple[str, str]] | None:
    """The parameters that a signature on one line declares, each with its annotation; None where it must be read carefully."""
    found = _SIGNATURE.fullmatch(line)
    return None if found is None else _PARAMETERS.findall(found[1])


def inputs_in(text: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes that a text without strings names, each once, in order; names of keyword arguments are none.

    Args:
        text: Arguments as they are printed.
        known: By name in the text: the node's.
    """
    if "=" in text or not text.isascii():
        words = _NAME.findall(text)
    else:
        words = text.translate(_PUNCTUATION).split()
        if "." in text:
            words = [word.partition(".")[0] for word in words]
    return _nodes(words, known)


def _nodes(words: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    found = [known[word] for word in words if word in known]
    return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))


def read_ordinary(reader: GraphReader) -> None:
    """Reads the lines that follow up to the first that is not ordinary, blank or a comment.

    All in one loop and on local names: this is where the time goes that reading takes.
    """
    scope = reader.scope
    assert scope is not None
    known, prefix, place = scope.known, scope.prefix, scope.location
    nodes, taken, types, lines, places = (
        reader.nodes, reader.taken, reader.annotations, reader.lines, reader.locations
    )  # fmt: skip
    match = ORDINARY.fullmatch
    at = reader.at
    for at in range(reader.at, len(lines)):
        line = lines[at].lstrip()
        if not line:
            continue
        if line[0] == "#":
            place = scope.location = places[line] if line in places else reader.locate(line)
            continue
        found = match(line)
        if found is None:
            break
        name, annotation, callee, plain, args, left, operator, right, base, item, sign, other = found.groups()
        unique = prefix + name
        if name == "return" or unique in taken:
            break
        op: Op = "call_function"
        if callee is not None:
            target = callee
            holder, _, method = callee.rpartition(".")
            if holder in known:
                op, target = "call_method", method
            elif callee == "getattr" or callee.startswith("self"):
                break
            if plain is not None:
                args = plain
                words = plain.replace(",", " ").split()
                if "." in plain:
                    words = [word.partition(".")[0] for word in words]
                if op == "call_method":
                    words.insert(0, holder)
                inputs = tuple([known[word] for word in words if word in known])
                if len(inputs) > 1:
                    inputs = tuple(dict.fromkeys(inputs))
            elif args.count("[") != args.count("]"):
                break
            else:
                inputs = inputs_in(f"{holder}, {args}" if op == "call_method" else args, known)
            if op == "call_method":
                args = f"{holder}, {args}" if args else holder
        elif operator is not None:
            args = f"{left}, {right}"
            target = _OPERATOR_TARGETS[operator]
            inputs = inputs_in(args, known) if "." in args or "-" in args else _nodes((left, right), known)
        elif base is not None:
            args = f"{base}, {item}"
            target = "operator.getitem"
            inputs = inputs_in(args, known)
        elif sign:
            args = other
            target = UNARY[sign]
            inputs = _nodes((other,), known)
        elif other in known:
            reader.rename(name, other)
            continue
        else:
            break
        kind = types.get(annotation)
        if kind is None:
            kind = types[annotation] = read_annotation(annotation)
        node = RawNode(unique, op, target, inputs, kind, place, args, at)
        known[name] = unique
        taken[unique] = node
        nodes.append(node)
    else:
        at = len(lines)
    reader.at = at
