"""The user's call of compiled code, read: which expression is passed for what, and the call rewritten around a fix."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from compile_inspector.analyze.findings.names import cut, listed, python_name, statement
from compile_inspector.model.compiles import Call
from compile_inspector.model.locations import Location

_LOCAL = re.compile(r"L\['([A-Za-z_]\w*)'\]")
_ON_STACK = re.compile(r"L\['___stack\d+'\]$")
_INDEX = re.compile(r"\[(\d{1,4})\]")
_ITEM = re.compile(r"^\[(\d+)\]")
_KEY = re.compile(r"\['(\w+)'\]")
_SIZE = re.compile(r"\.size\(\)\[(\d+)\]$")
_CHAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$")
_OWN_SCOPE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_RECEIVERS = frozenset({"self", "cls"})


class Pasted(NamedTuple):
    """Lines to paste, and where they belong."""

    code: str
    where: str


class _Passed(NamedTuple):
    node: ast.expr
    text: str
    rest: str
    """What is taken of the value: ``['x'][0]``, as the program spells it."""


class Site:
    """One call of compiled code.

    Args:
        location: The line; None where it is not known.
        call: What stands there; None where that is not known.
        torch: The version of torch that ran; None where that is not known.
        wraps: Whether what was compiled is torch's own function around what is called, which it knows as ``fn``.
        outer: The call of the function that a graph break cut, where what was compiled is what follows the break.

    Attributes:
        location: As given.
        call: The call, None where it is not known or not the user's.
        library: The line of an installed library that makes the call in the user's stead.
        lists_dims: Whether this torch takes single dimensions in ``torch.compiler.config.dynamic_sources``: before 2.13 it takes inputs.
    """

    def __init__(
        self,
        location: Location | None,
        call: Call | None = None,
        *,
        torch: str | None = None,
        wraps: bool = False,
        outer: Site | None = None,
    ) -> None:
        self.location = location
        self.outer = outer
        self._wraps = wraps
        self.library = None if call is None else call.library
        self.call = None if self.library is not None else call
        found = _VERSION.match(torch or "")
        self.lists_dims = found is not None and (int(found[1]), int(found[2])) >= (2, 13)

    @property
    def before(self) -> str:
        """Where a line belongs that an argument needs before it is passed."""
        if self.library is not None:
            return f"{self._in_library}, before that call"
        return (
            "before the first call" if self.location is None else f"before the call at {self.location.short}"
        )

    @property
    def instead(self) -> str:
        """Where a line belongs that stands for the call's."""
        if self.library is not None:
            return f"{self._in_library}, in the place of that call"
        return f"in the place of the call{'' if self.location is None else f' at {self.location.short}'}"

    @property
    def _in_library(self) -> str:
        """Where nothing of the user's can be written."""
        begun = "" if self.location is None else f", on the way from {self.location.short}"
        place = "" if self.library is None else self.library.short
        return f"by the compiled function's own names; a library calls it at {place}{begun}: there"

    @property
    def called(self) -> str | None:
        """What is called, as the user wrote it; None where that is not known or is long."""
        tree = self._tree
        text = None if tree is None else self._segment(tree.func)
        return text if text is not None and len(text) <= 60 and "\n" not in text else None

    def name(self, source: str) -> str | None:
        """The caller's own name for a source; the function's where the caller has none; None for what neither can name."""
        passed = self._passed(source)
        if passed is not None and _CHAIN.match(passed.text):
            return passed.text + passed.rest
        return python_name(source)

    def can_name(self, source: str) -> bool:
        """Whether a line before the call can name a source, as far as that is known."""
        if self.library is not None:
            return False
        found = _LOCAL.match(source)
        if found is not None and (self.outer is not None or self._is_held(found[1])):
            return False
        if self._tree is None or self.call is None or found is None:
            return True
        given = {name.lstrip("*") for name in self.call.parameters}
        return found[1] not in (given | {"args", "kwargs"}) or self._passed(source) is not None

    def _is_held(self, name: str) -> bool:
        """Whether what goes by this name is the module that is called: its tensors may not be there yet, and others take their place."""
        return (
            self.call is not None
            and self.call.module
            and (self.call.parameters[:1] == (name,) or (self._wraps and name == "fn"))
        )

    def passing(self, sources: Iterable[str]) -> Site:
        """The call that a line has to stand before to change all of these: behind a graph break the outer one, where it passes them."""
        outer = self.outer
        if outer is None or any(_LOCAL.match(one) and outer._passed(one) is None for one in sources):
            return self
        return outer

    def words(self, source: str) -> str:
        """A source in a sentence: by Dynamo's name, or as an argument of the call where torch's own wrapper has taken it."""
        found = _LOCAL.match(source)
        code = statement(self.location.code) if self.location is not None else ""
        if self.outer is not None and code and _ON_STACK.match(source):
            return f"what `{cut(code, 80)}` left for the code after it"
        given = () if self.call is None else self.call.parameters
        rest_at = 1 if given and given[0] in _RECEIVERS else 0
        if self.call is None or found is None or given[rest_at : rest_at + 1] != (f"*{found[1]}",):
            return source
        index = _INDEX.match(source, found.end())
        if index is None or not (found[1] == "args" or self.call.bound):
            return source
        rest = source[index.end() :]
        number = int(index[1]) - self.call.bound
        if number >= len(_ORDINALS) or (number < 0 and self.called is None):
            return source
        callee = f" of {self.called}" if self.called else ""
        argument = f"the {_ORDINALS[number]} argument{callee}" if number >= 0 else self.called or ""
        size = _SIZE.match(rest)
        return (
            f"dimension {size[1]} of {argument}"
            if size is not None
            else f"{rest.lstrip('.')} of {argument}"
            if rest
            else argument
        )

    def with_names(
        self, sources: Iterable[str], lines: Callable[[Mapping[str, str]], Iterable[str]]
    ) -> Pasted:
        """Lines before the call that name what is passed; an argument without a name gets one, and the call is rewritten with it.

        Args:
            sources: That the lines name.
            lines: Makes the lines, given a name for each source.
        """
        given = tuple(dict.fromkeys(sources))
        unnamed = [source for source in given if self._needs_name(source)]
        stand_ins = {source: f"x{number or ''}" for number, source in enumerate(unnamed)}
        names = {source: stand_ins.get(source) or self.name(source) or source for source in given}
        told = listed(f"{name} is {self.words(source)}" for source, name in stand_ins.items())
        where = f"{self.before}, where {told}" if told else self.before
        bound = dict[tuple[int, int], tuple[_Passed, str]]()
        for source in given:
            passed = self._passed(source)
            if passed is None or _CHAIN.match(passed.text):
                continue
            if not self._can_bind:
                return Pasted("\n".join(lines(names)), where)
            place = (passed.node.lineno, passed.node.col_offset)
            new = bound[place][1] if place in bound else self._free(source, len(bound))
            bound[place] = (passed, new)
            names[source] = new + passed.rest
        if not bound:
            return Pasted("\n".join(lines(names)), self.before)
        rewritten = self._rewritten([(passed.node, new) for passed, new in bound.values()])
        setup = [f"{new} = {passed.text}" for passed, new in bound.values()]
        return Pasted("\n".join([*setup, *lines(names), rewritten]), self.instead)

    def wrapped(self, wraps: Mapping[str, str], *, within: bool = False) -> Pasted:
        """The arguments changed: by a line before the call where each has a name, else within the call.

        Args:
            wraps: By source, an expression with ``{}`` for the argument.
            within: Within the call, where that can be, although the argument has a name.
        """
        edits: list[tuple[ast.expr, str]] = []
        lines: list[str] = []
        bound = dict[tuple[int, int], str]()
        for source, wrap in wraps.items():
            passed = self._passed(source)
            if passed is not None and passed.rest and _CHAIN.match(passed.text) is None and self._can_bind:
                place = (passed.node.lineno, passed.node.col_offset)
                if place not in bound:
                    bound[place] = self._free(source, len(bound))
                    lines.append(f"{bound[place]} = {passed.text}")
                    edits.append((passed.node, bound[place]))
                name = bound[place] + passed.rest
                lines.append(f"{name} = {wrap.format(name)}")
                continue
            if passed is None or passed.rest or (_CHAIN.match(passed.text) and not within):
                name = self.name(source) or source
                lines.append(f"{name} = {wrap.format(name)}")
                continue
            atom = isinstance(passed.node, _ATOMS) or not wrap.startswith("{}")
            edits.append((passed.node, wrap.format(passed.text if atom else f"({passed.text})")))
        if not edits:
            return Pasted("\n".join(lines), self.before)
        return Pasted("\n".join([*lines, self._rewritten(edits)]), self.instead)

    def _needs_name(self, source: str) -> bool:
        """Whether it is an argument that only torch's wrapper has a name for."""
        passed = self._passed(source)
        named = passed is not None and _CHAIN.match(passed.text) is not None
        return not named and self.words(source) != source

    @cached_property
    def _tree(self) -> ast.Call | None:
        if self.call is None:
            return None
        try:
            found = ast.parse(self.call.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return found if isinstance(found, ast.Call) else None

    def _segment(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.call.text, node) or "" if self.call is not None else ""

    def _passed(self, source: str) -> _Passed | None:
        """What the call passes for a source."""
        tree, found = self._tree, _LOCAL.match(source)
        if tree is None or found is None or self.call is None:
            return None
        node, rest = self._argument(tree, self.call, found[1], source[found.end() :])
        spelled = python_name(f"L['_']{rest}")
        if node is None or spelled is None:
            return None
        rest = spelled[1:]
        if node is tree.func and self.call.module:
            # what torch.compile makes of a module has its attributes, and no items
            rest = _ITEM.sub(r".get_submodule('\1')", rest)
        return _Passed(node, self._segment(node), rest)

    def _argument(self, tree: ast.Call, call: Call, name: str, rest: str) -> tuple[ast.expr | None, str]:
        receiver = bool(call.parameters) and call.parameters[0] in _RECEIVERS
        bound = tree.func.value if isinstance(tree.func, ast.Attribute) else None
        if self._wraps and name == "fn":
            return tree.func, rest
        if receiver and name == call.parameters[0]:
            return (tree.func if call.module else bound), rest
        positional = call.parameters[1:] if receiver else call.parameters
        keywords = {one.arg: one.value for one in tree.keywords}
        if [one.arg for one in tree.keywords].count(None) > 1:
            keywords.pop(None)
        if name in keywords:
            return keywords[name], rest
        if (key := _KEY.match(rest)) is not None and name == "kwargs":
            return (keywords[key[1]], rest[key.end() :]) if key[1] in keywords else (keywords.get(None), rest)
        if f"*{name}" in positional and (index := _INDEX.match(rest)) is not None:
            place, rest = positional.index(f"*{name}") + int(index[1]) - call.bound, rest[index.end() :]
            return _at(tree, place, rest) if place >= 0 else (tree.func if call.module else bound, rest)
        if name not in positional:
            return None, rest
        found = _at(tree, positional.index(name), rest)
        return found if found[0] is not None else (keywords.get(None), f"['{name}']{rest}")

    @property
    def _line(self) -> ast.stmt | None:
        """The call's line, where it is one statement that holds the call once."""
        if self.location is None or self.call is None:
            return None
        code = statement(self.location.code)
        if code.count(self.call.text) != 1:
            return None
        try:
            body = ast.parse(code).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return body[0] if len(body) == 1 else None

    @property
    def _can_bind(self) -> bool:
        """Whether a name that is bound before the line is one that the call sees, and nothing that the argument needs comes later."""
        line = self._line
        if line is None or hasattr(line, "body"):
            return False
        return not any(isinstance(node, _OWN_SCOPE) for node in ast.walk(line))

    def _free(self, source: str, number: int) -> str:
        """A name for an argument that has none: the parameter's, unless the line uses it."""
        found = _LOCAL.match(source)
        name = found[1] if found is not None and found[1] not in ("args", "kwargs") else f"x{number or ''}"
        used = {node.id for node in ast.walk(self._tree or ast.Pass()) if isinstance(node, ast.Name)}
        while name in used:
            name += "_"
        return name

    def _rewritten(self, edits: Iterable[tuple[ast.expr, str]]) -> str:
        """The line, or the call alone where the line does not hold all of it, with other texts for some arguments."""
        text = "" if self.call is None else self.call.text
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line.encode()))
        data = text.encode()
        for node, new in sorted(edits, key=lambda edit: -_place(edit[0], starts)[0]):
            start, end = _place(node, starts)
            data = data[:start] + new.encode() + data[end:]
        rewritten = data.decode(errors="replace")
        code = statement(self.location.code) if self.location is not None else ""
        return code.replace(text, rewritten) if code.count(text) == 1 else rewritten

    def __str__(self) -> str:
        code = "" if self.location is None else statement(self.location.code)
        if self.location is None:
            return "a line that torch did not keep"
        return f"{self.location.short} ({cut(code)})" if code else self.location.short


def _at(tree: ast.Call, index: int, rest: str) -> tuple[ast.expr | None, str]:
    """What is passed at an index, and what is taken of it: the item of a list that is passed with a star, where no other is before it."""
    before = tree.args[: index + 1]
    starred = next((at for at, one in enumerate(before) if isinstance(one, ast.Starred)), None)
    if starred is None:
        return (before[-1], rest) if len(before) > index else (None, rest)
    star = before[starred]
    if starred == len(tree.args) - 1 and isinstance(star, ast.Starred):
        return star.value, f"[{index - starred}]{rest}"
    return None, rest


def _place(node: ast.expr, starts: list[int]) -> tuple[int, int]:
    """Where a node stands in the bytes of its text."""
    last = node.lineno if node.end_lineno is None else node.end_lineno
    return starts[node.lineno - 1] + node.col_offset, starts[last - 1] + (node.end_col_offset or 0)
