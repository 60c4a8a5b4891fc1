"""Scanning lines of printed Python: strings, comments, brackets. Nothing here recurses or evaluates."""

from __future__ import annotations

import re

_STRING = re.compile(r"""(?:\b[rbufRBUF]{1,2})?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""")
_COMMENT = re.compile(r"#.*")
_MODULE_PART = re.compile(r"self|getattr\(|\.(\w+)|, *(?:\"([^\"]*)\"|'([^']*)')\)")
_BINARY = re.compile(r" (==|!=|<=|>=|<<|>>|<|>|\+|-|\*\*|\*|//|/|%|@|&|\||\^|and|or) ")
_OPEN, _CLOSE = "([{", ")]}"
_BRACKET = re.compile(r"[(\[{)\]}]")
_BRACKET_OR_BINARY = re.compile(rf"[(\[{{)\]}}]|{_BINARY.pattern}")
_SEPARATED = {mark: re.compile(rf"[(\[{{)\]}}{mark}]") for mark in ",;"}


def module_target(expression: str) -> str:
    """``layers.0.weight`` from ``getattr(self.layers, "0").weight``."""
    return ".".join(
        part for match in _MODULE_PART.finditer(expression) if (part := match[1] or match[2] or match[3])
    )


def blank(text: str) -> str:
    """The text with every quoted string replaced by as many spaces."""
    if "'" not in text and '"' not in text:
        return text
    return _STRING.sub(lambda found: " " * len(found[0]), text)


def uncommented(text: str) -> str:
    """The text without comments; a ``#`` in a string is none."""
    if "#" not in text:
        return text
    blanked = blank(text)
    kept: list[str] = []
    begin = 0
    for found in _COMMENT.finditer(blanked):
        kept.append(text[begin : found.start()])
        begin = found.end()
    return "".join(kept) + text[begin:]


def split(text: str, separator: str = ",") -> list[str]:
    """The text at its separators outside brackets and strings, up to a bracket that closes what it did not open; no comments."""
    text = uncommented(text)
    blanked = blank(text)
    parts: list[str] = []
    depth = begin = 0
    for found in _SEPARATED[separator].finditer(blanked):
        character = found[0]
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
            if depth < 0:
                return [*parts, text[begin : found.start()]]
        elif depth == 0:
            parts.append(text[begin : found.start()])
            begin = found.end()
    return [*parts, text[begin:]]


def open_brackets(line: str) -> int:
    """How many brackets a line opens more than it closes."""
    blanked = blank(line)
    if "#" in blanked:
        blanked = _COMMENT.sub("", blanked)
    return sum(map(blanked.count, _OPEN)) - sum(map(blanked.count, _CLOSE))


def closes_last(blanked: str, opening: int) -> bool:
    """Whether the bracket at ``opening`` is closed by the text's last character."""
    depth = 0
    for found in _BRACKET.finditer(blanked, opening):
        depth += 1 if found[0] in _OPEN else -1
        if depth == 0:
            return found.start() == len(blanked) - 1
    return False


def last_opening(blanked: str) -> int:
    """Where the bracket that the text's last character closes was opened; -1 where none was."""
    opened: list[int] = []
    last = -1
    for found in _BRACKET.finditer(blanked):
        if found[0] in _OPEN:
            opened.append(found.start())
        else:
            last = opened.pop() if opened else -1
    return last if blanked.endswith(")") and not opened else -1


def operator_at(blanked: str) -> re.Match[str] | None:
    """The binary operator outside all brackets."""
    depth = 0
    for found in _BRACKET_OR_BINARY.finditer(blanked):
        if found[0] in _OPEN:
            depth += 1
        elif found[0] in _CLOSE:
            depth -= 1
        elif depth == 0:
            return found
    return None
