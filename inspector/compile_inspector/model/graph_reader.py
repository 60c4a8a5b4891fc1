"""Reads a printed graph line by line into raw nodes: one scope a class, one node a statement."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compile_inspector.model.graph_lines import (
    OPERATORS,
    UNARY,
    inputs_in,
    ordinary_parameters,
    read_ordinary,
)
from compile_inspector.model.graph_scan import (
    blank,
    closes_last,
    last_opening,
    module_target,
    open_brackets,
    operator_at,
    split,
    uncommented,
)
from compile_inspector.model.graph_types import Annotation, RawNode, read_annotation
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import Op

_STATEMENT = re.compile(r'\s*([A-Za-z_]\w*)(?: ?: ?(?:"([^"]*)"|([^="]+?)))? = (.*)', re.DOTALL)
_DECLARATION = re.compile(
    r'(\*{0,2}[A-Za-z_]\w*)(?: ?: ?(?:"([^"]*)"|([^="\s][^="]*)))? ?(?:=\s*(.*))?', re.DOTALL
)
_CALL = re.compile(r"([A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)
_ITEM = re.compile(r"([A-Za-z_]\w*)\[(.*)\]", re.DOTALL)
_CLASS = re.compile(r"class (.+?)(?:\(.*\))?:")
_FILE = re.compile(r"File: (.+?):(\d+) in (.*?), code: (.*)")
_IN_PLACE = re.compile(r"\s*([A-Za-z_]\w*) (\+|-|\*\*|\*|//|/|%|@|&|\||\^|<<|>>)= (.*)", re.DOTALL)
_SET_ITEM = re.compile(r"\s*([A-Za-z_]\w*)\[(.*?)\] = (.*)", re.DOTALL)
_UNPACK = re.compile(r"((?:[A-Za-z_]\w*, )+)= (.*)", re.DOTALL)
_LINE_START = re.compile(r'#|return\b|class |def |[A-Za-z_]\w*(?:: "[^"]*")? = ')

_LONGEST_COMMENT = 4000


class Scope:
    """One ``class … : def forward``: the graph itself, or the graph a higher-order operator calls."""

    def __init__(self, indent: int, prefix: str) -> None:
        self.indent = indent
        self.prefix = prefix
        self.known: dict[str, str] = {}
        self.location: Location | None = None
        self.signed = self.returned = False


class GraphReader:
    """Reads one printout.

    Attributes:
        nodes: In the order of the printout; complete after `read`.
        unread: Numbers of lines that were left out, each with the reason.
        scope: The graph that is being read: the printed one, or one that a higher-order operator calls.
        taken: Every node read so far, by name.
        annotations: Every type read so far, by its text.
        locations: Every comment read so far, by its text: the user's line that it names.

    Args:
        text: torch's printout.
        cells: Notebook cells: temporary file name to the number in ``In [n]``.
        careful: Whether ordinary lines are read as carefully as all others; it makes no difference but in time.
    """

    def __init__(self, text: str, cells: Mapping[str, int], *, careful: bool = False) -> None:
        self.lines = text.split("\n")
        self.at = 0
        self.begun = 0
        self.nodes: list[RawNode] = []
        self.taken: dict[str, RawNode] = {}
        self.scope: Scope | None = None
        self.open: list[Scope] = []
        self.unread: list[tuple[int, str]] = []
        self.cut: str | None = None
        self._cells = cells
        self._careful = careful
        self._repeats = 0
        self._dropped: set[str] = set()
        self.locations: dict[str, Location | None] = {}
        self.annotations: dict[str | None, Annotation] = {None: (None, None, None, None, None)}

    def problem(self) -> str | None:
        """What is missing of the graph, None when nothing is."""
        said: list[str] = []
        if self.unread:
            line, why = self.unread[0]
            more = f", and {len(self.unread) - 1} more" if len(self.unread) > 1 else ""
            said.append(f"line {line} could not be read ({why}){more}")
        if self.cut:
            said.append(self.cut)
        elif not self.nodes:
            said.append("the text holds no graph")
        elif self.scope is None or not self.scope.returned:
            said.append("the text ends before the graph's output")
        return "; ".join(said) or None

    def read(self) -> None:
        """Reads all of it into `nodes`."""
        self._read()
        if self._dropped:
            self.nodes = [
                node for node in self.nodes if node.op != "placeholder" or node.name not in self._dropped
            ]

    def _read(self) -> None:
        lines = self.lines
        while self.at < len(lines):
            line = lines[self.at]
            self.begun = self.at
            self.at += 1
            stripped = line.lstrip()
            if not stripped:
                continue
            first = stripped[0]
            if first == "#":
                if self.scope is not None:
                    self.scope.location = self.locate(stripped)
            elif stripped.startswith(("def ", "class ")) and stripped.endswith((":", "(", ",", "\\")):
                indent = len(line) - len(stripped)
                if first == "c":
                    self._enter(indent, stripped)
                else:
                    self._signature(indent, line)
            elif self.scope is None or not self.scope.signed:
                continue
            elif stripped.startswith("return") and not (stripped[6:7].isalnum() or stripped[6:7] == "_"):
                self._output(line)
            elif self.scope.returned:
                continue
            else:
                self._statement(line)
                if not self._careful:
                    read_ordinary(self)

    def _enter(self, indent: int, line: str) -> None:
        found = _CLASS.match(line)
        self._leave(indent)
        outer = self.open[-1].prefix if self.open else ""
        nested = bool(self.open) or bool(self.nodes)
        prefix = f"{outer}{found[1] if found else 'graph'}." if nested else ""
        self.scope = Scope(indent, prefix)
        self.open.append(self.scope)

    def _leave(self, indent: int) -> None:
        while self.open and self.open[-1].indent >= indent:
            self.open.pop()

    def locate(self, comment: str) -> Location | None:
        """The user's line that a comment names; None where it names none."""
        if comment not in self.locations:
            found = _FILE.search(comment[:_LONGEST_COMMENT])
            self.locations[comment] = None if found is None else self._place(found)
        return self.locations[comment]

    def _place(self, found: re.Match[str]) -> Location:
        file, line, function, code = found.groups()
        cell = self._cells.get(file)
        return Location(
            file if cell is None else f"In [{cell}]", int(line[:9]), function or None, code.strip() or None
        )

    def _gather(self, line: str, *, whole: bool = False) -> str | None:
        """A statement's text with its following lines, until its brackets close; strings keep their place, comments go.

        Args:
            line: Its first line.
            whole: Lines that look like another statement belong to it too (a signature's or an output's do).
        """
        begin, parts, depth = self.at, [line], open_brackets(line)
        while depth > 0 and self.at < len(self.lines):
            following = self.lines[self.at]
            if not whole and _LINE_START.match(following.lstrip()):
                break
            parts.append(following)
            depth += open_brackets(following)
            self.at += 1
        if depth <= 0:
            return "\n".join(parts)
        if self.at == len(self.lines):
            self.cut = f"the text ends inside the statement on line {begin}"
            return "\n".join(parts) if whole else None
        self.unread.append((begin, "a bracket is left open"))
        return None

    def _add(
        self, name: str, op: Op, target: str, inputs: tuple[str, ...], annotation: str | None, args: str
    ) -> None:
        scope = self.scope
        assert scope is not None
        unique = scope.prefix + name
        if unique in self.taken:
            self._repeats += 1
            unique = f"{unique}'{self._repeats}"
        scope.known[name] = unique
        types = self.annotations
        kind = types.get(annotation)
        if kind is None:
            kind = types[annotation] = read_annotation(annotation or "")
        place = None if op in ("placeholder", "output") else scope.location
        node = self.taken[unique] = RawNode(unique, op, target, inputs, kind, place, args, self.begun)
        self.nodes.append(node)

    def _signature(self, indent: int, line: str) -> None:
        while self.open and self.open[-1].indent >= indent and self.open[-1].signed:
            self.open.pop()
        if not self.open or self.open[-1].signed:
            self._enter(indent, "class forward:")
        scope = self.scope = self.open[-1]
        scope.signed = True
        scope.location = None
        if not self._careful and (ordinary := ordinary_parameters(line)) is not None:
            for number, (name, annotation) in enumerate(ordinary):
                if number or name != "self":
                    self._add(name.lstrip("*"), "placeholder", name, (), annotation or None, "")
            return
        text = self._gather(line, whole=True) or line
        for number, part in enumerate(split(text.partition("(")[2])):
            found = _DECLARATION.fullmatch(part.strip())
            if found is None or (number == 0 and found[1] == "self"):
                continue
            raw = found[1].lstrip("*")
            self._add(raw, "placeholder", found[1], (), found[2] or None, found[4] or "")

    def _output(self, line: str) -> None:
        assert self.scope is not None
        text = self._gather(line, whole=True)
        if text is None:
            return
        value = " ".join(uncommented(text).split())[6:].strip()
        self._add("output", "output", "output", self._inputs(blank(value)), None, value)
        self.scope.returned = True

    def _inputs(self, blanked: str) -> tuple[str, ...]:
        assert self.scope is not None
        return inputs_in(blanked, self.scope.known)

    def _statement(self, line: str) -> None:
        found = _STATEMENT.match(line)
        if found is not None:
            name, annotation, _, rest = found.groups()
            if (
                "'" not in rest
                and '"' not in rest
                and "#" not in rest
                and rest.count("(") == rest.count(")")
                and rest.count("[") == rest.count("]")
                and rest.count("{") == rest.count("}")
            ):
                value = rest.partition(";")[0].rstrip()
                self._assign(name, annotation, value, value)
                return
        begin = self.at
        text = self._gather(line)
        if text is None:
            return
        if not self._segments(text):
            self.unread.append((begin, f"{line.strip()[:60]!r} is no statement of a graph"))

    def _segments(self, text: str) -> bool:
        """Reads ``value;  deletions``, ``a += b;  c = a``, ``a[0] = b;  c = a`` and declarations of types alone."""
        segments = split(text, ";")
        first = segments[0]
        if len(segments) > 1 and (changed := self._changed(first)) is not None:
            target, inputs, args = changed
            found = _STATEMENT.match(segments[1])
            if found is None:
                return False
            self._add(found[1], "call_function", target, inputs, found[2], args)
            return True
        if (unpacked := _UNPACK.match(first.strip())) is not None:
            return self._unpack(unpacked)
        found = _STATEMENT.match(first)
        if found is not None:
            value = found[4].strip()
            self._assign(found[1], found[2], value, blank(value))
            return True
        return all(self._declare(segment.strip()) for segment in segments)

    def _declare(self, segment: str) -> bool:
        found = _DECLARATION.fullmatch(segment)
        if not segment:
            return True
        if found is None or not (found[2] or found[3]) or found[4]:
            return False
        self._add(found[1], "placeholder", found[1], (), found[2], "")
        return True

    def _unpack(self, found: re.Match[str]) -> bool:
        """``primals_1, tangents_1, = fx_pytree.tree_flatten_spec([primals, tangents], …)``: the true placeholders."""
        assert self.scope is not None
        known = self.scope.known
        for pytree in self._inputs(blank(found[2])):
            self._dropped.add(pytree)
            known.pop(self.taken.pop(pytree).target.lstrip("*"), None)
        for name in found[1].replace(",", " ").split():
            if name not in known:
                self._add(name, "placeholder", name, (), None, "")
        return True

    def _changed(self, text: str) -> tuple[str, tuple[str, ...], str] | None:
        if (found := _IN_PLACE.match(text)) is not None:
            operator = OPERATORS[found[2]].rstrip("_")
            values = f"{found[1]}, {found[3].strip()}"
            return f"operator.i{operator}", self._inputs(blank(values)), values
        if (found := _SET_ITEM.match(text)) is not None:
            values = ", ".join(part.strip() for part in found.groups())
            return "operator.setitem", self._inputs(blank(values)), values
        return None

    def _assign(self, name: str, annotation: str | None, value: str, blanked: str) -> None:
        """One node from the right-hand side of its statement; ``blanked`` is the same without what stands in strings."""
        scope = self.scope
        assert scope is not None
        call = _CALL.fullmatch(blanked)
        if (
            call is not None
            and call[1] != "getattr"
            and (") " not in blanked or closes_last(blanked, call.end(1)))
        ):
            callee = call[1]
            args = value[call.start(2) : call.end(2)]
            base, _, method = callee.rpartition(".")
            if base in scope.known:
                args = f"{base}, {args}" if args else base
                inputs = self._inputs(f"{base}, {call[2]}")
                self._add(name, "call_method", method, inputs, annotation, args)
            elif base == "self" or base.startswith("self."):
                self._add(name, "call_module", callee[5:], self._inputs(call[2]), annotation, args)
            else:
                self._add(name, "call_function", callee, self._inputs(call[2]), annotation, args)
        elif value in scope.known:
            self.rename(name, value)
        else:
            self._expression(name, annotation, value, blanked)

    def rename(self, name: str, value: str) -> None:
        """Reads ``name = value`` where ``value`` is a node: torch gives a placeholder its own name so."""
        assert self.scope is not None
        known = self.scope.known
        node = self.taken[known[value]]
        if node.op != "placeholder" or node.target.lstrip("*") != value or name in known:
            known[name] = node.name
            return
        del self.taken[node.name]
        node.name = self.scope.prefix + name
        self.taken[node.name] = node
        known[name] = known[value] = node.name

    def _expression(self, name: str, annotation: str | None, value: str, blanked: str) -> None:
        """A node that is printed as an operator, an attribute or an item."""
        scope = self.scope
        assert scope is not None
        inputs = self._inputs(blanked)
        item = _ITEM.fullmatch(blanked)
        if item is not None and closes_last(blanked, item.end(1)):
            args = f"{item[1]}, {value[item.start(2) : item.end(2)]}"
            self._add(name, "call_function", "operator.getitem", inputs, annotation, args)
        elif (position := operator_at(blanked)) is not None:
            target = f"operator.{OPERATORS[position[1]]}"
            args = f"{value[: position.start()]}, {value[position.end() :]}"
            self._add(name, "call_function", target, inputs, annotation, args)
        elif value[:1] in UNARY:
            self._add(name, "call_function", UNARY[value[0]], inputs, annotation, value[1:])
        elif value.startswith("not "):
            self._add(name, "call_function", "operator.not_", inputs, annotation, value[4:])
        elif value.lstrip("getar(").startswith("self"):
            self._module(name, annotation, value, blanked, inputs)
        elif (attribute := value.rpartition("."))[0] in scope.known:
            args = f"{attribute[0]}, {attribute[2]!r}"
            self._add(name, "call_function", "getattr", inputs, annotation, args)
        else:
            self._add(name, "call_function", value.partition("(")[0] or value, inputs, annotation, value)

    def _module(
        self, name: str, annotation: str | None, value: str, blanked: str, inputs: tuple[str, ...]
    ) -> None:
        opening = last_opening(blanked)
        if opening <= 0 or blanked[:opening].endswith("getattr"):
            self._add(name, "get_attr", module_target(value), (), annotation, "")
        else:
            target = module_target(value[:opening])
            self._add(name, "call_module", target, inputs, annotation, value[opening + 1 : -1])
