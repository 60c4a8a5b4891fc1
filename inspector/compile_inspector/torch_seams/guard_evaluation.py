"""Every guard of one cache entry, held against one call: what fails, with what was expected and what came, and what cannot be judged.

torch stops at the first guard that fails. Here each leaf is asked on the value that its source names, the symbolic shape checks one by one.
Nobody's code is run: a leaf whose check would call a user's ``__eq__`` or ``__len__`` is not asked, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compile_inspector.torch_seams.dict_lengths import as_told, told
from compile_inspector.torch_seams.finding import Finding
from compile_inspector.torch_seams.guard_findings import describe
from compile_inspector.torch_seams.guard_refusals import ANY, askable_types, refusal
from compile_inspector.torch_seams.guard_walk import Reader
from compile_inspector.torch_seams.object_names import type_name
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.relation_checks import Relations
from compile_inspector.torch_seams.state_findings import global_state, names_of_modes
from compile_inspector.torch_seams.static_lookup import PLAIN_IDS, Missing, Unreadable
from compile_inspector.torch_seams.tensor_facts import is_tensor
from compile_inspector.torch_seams.value_text import shorten

USES = ("torch._C._dynamo.guards:DictGuardManager",)
LISTED = 200
"""Unevaluated guards are listed one by one up to this many an entry; the rest are counted in one row."""

_GATES = frozenset(
    {
        "TYPE_MATCH",
        "NONE_MATCH",
        "NOT_NONE",
        "LENGTH_CHECK",
        "DICT_LENGTH",
        "MAPPING_KEYS_MATCH",
        "TUPLE_ITERATOR_LEN",
        "RANGE_ITERATOR_MATCH",
    }
)
_WORDS = {
    "LENGTH_CHECK": "length",
    "DICT_LENGTH": "length",
    "TUPLE_ITERATOR_LEN": "length",
    "MAPPING_KEYS_MATCH": "keys",
}
_WEAK = frozenset({"GlobalWeakRefGuardAccessor", "WeakRefCallGuardAccessor"})
_SCALAR_IDS = PLAIN_IDS - {id(type(None))}
"""EQUALS_MATCH compares types before values: for a value of another type than such a one its answer is known."""
_RELATIONS = frozenset(
    {"NO_TENSOR_ALIASING", "OBJECT_ALIASING", "STORAGE_OVERLAPPING", "SYMBOLIC_SHAPE_GUARD"}
)


class Evaluation:
    """One entry against one call. `close` lets go of every value it read.

    Args:
        wrapper: The entry's guard manager, as torch's cache entry holds it.
        f_locals: The call's locals.
        f_globals: The frame's globals, for a torch whose entry does not say which ones ``G`` is.
        lengths: How long dicts were when the guards were built, by source.
        reason: Torch's own, None for none.

    Attributes:
        failing: What fails, in the order of the entry's checks.
        unevaluated: ``[source, kind, expr, reason]`` of what cannot be judged.
    """

    def __init__(
        self,
        wrapper: Any,
        f_locals: dict[str, Any],
        f_globals: dict[str, Any],
        lengths: Mapping[str, int] | None = None,
        reason: str | None = None,
    ) -> None:
        scope = getattr(wrapper, "global_scope", None) or {}
        self._wrapper = wrapper
        self._lengths = lengths or {}
        self._told = told(reason)
        self._locals = f_locals
        self._reader = Reader(f_locals, scope.get("G", f_globals))
        self._among = Relations(wrapper, self._reader)
        self._askable_types: dict[type, Any] = {}
        self._dict_manager = lookup("torch._C._dynamo.guards:DictGuardManager")
        self._relations: dict[tuple[str, str], Any] = {}
        self._missing: set[str] = set()
        self._unlisted: dict[str, int] = {}
        self._listed = 0
        self.failing = self._among.failing
        self.unevaluated = self._among.unevaluated

    def run(self) -> None:
        """Asks every guard."""
        root = self._wrapper.root
        self._visit(root, self._locals, root.get_source())
        for (kind, _), leaf in self._relations.items():
            self._among.relation(kind, leaf)
        for leaf in root.get_epilogue_lambda_guards():
            for part in leaf.verbose_code_parts():
                self._among.shape(type(leaf).__name__, part)
        for reason, count in self._unlisted.items():
            self.unevaluated.append(["", "", f"{count} more guards", reason])

    def close(self) -> None:
        """Lets go of the values."""
        self._among.close()
        self._relations.clear()
        del self._reader, self._locals, self._wrapper

    def _visit(self, manager: Any, value: Any, source: str, accessor: Any = None) -> None:
        self._among.values.setdefault(source, value)
        of_dict = type(manager) is self._dict_manager
        stop = self._dict_itself(manager, value, source) if of_dict else None
        value_type = id(type(value))
        for leaf in manager.get_leaf_guards():
            askable = self._askable_types.get(type(leaf)) or self._askable(type(leaf))
            if stop is None and (askable is ANY or value_type in askable) and leaf(value):
                continue
            kind = type(leaf).__name__
            if kind in _RELATIONS:
                self._relations.setdefault((kind, leaf.verbose_code_parts()[0]), leaf)
            elif stop is not None:
                self._skip(source, kind, leaf, stop)
            else:
                stop = self._leaf(manager, leaf, kind, value, source, accessor)
        children = manager.get_child_managers()
        if children:
            for accessor, child in zip(manager.get_accessors(), children, strict=True):
                if stop is None:
                    self._child(accessor, child, value, source)
                else:
                    self._block(child, stop)
        if of_dict:
            self._pairs(manager, value, stop)

    def _askable(self, leaf: type) -> Any:
        found = self._askable_types[leaf] = askable_types(leaf.__name__)
        return found

    def _pairs(self, manager: Any, value: Any, stop: str | None) -> None:
        pairs = self._reader.pairs(value) if stop is None else []
        for index, managers in sorted(manager.get_key_value_managers().items()):
            for side, child in enumerate(managers):
                if child is not None and stop is None:
                    self._visit(child, pairs[index][side], child.get_source(), manager)
                elif child is not None:
                    self._block(child, stop or "")

    def _child(self, accessor: Any, child: Any, value: Any, source: str) -> None:
        child_source = child.get_source()
        try:
            found = self._reader.child(accessor, value, source, child_source)
        except Missing:
            if child_source == source and hasattr(accessor, "get_attr_name"):
                child_source = f"{source}.{accessor.get_attr_name()}"
            if child_source not in self._missing:
                self._missing.add(child_source)
                text = f"{child_source} is there"
                self.failing.append(Finding(child_source, type(accessor).__name__, text, "there", "missing"))
            self._block(child, f"{child_source} is missing")
        except Unreadable as error:
            self._block(child, f"reading {child_source} could run code of the program: {error}")
        else:
            self._visit(child, found, child_source, accessor)

    def _dict_itself(self, manager: Any, value: Any, source: str) -> str | None:
        """The checks that torch's manager of a dict makes without a leaf: its exact type and its length."""
        wanted = manager.get_type_of_guarded_value()
        if type(value) is not wanted:
            name = type_name(wanted)
            self.failing.append(
                Finding(source, "TYPE_MATCH", f"type({source}) is {name}", name, type_name(type(value)))
            )
            return f"the type of {source} differs"
        length, wanted_length = dict.__len__(value), self._lengths.get(source)
        if wanted_length is None:
            wanted_length = self._told.get(as_told(source))
        least = max(manager.get_key_value_managers(), default=-1) + 1
        if wanted_length == length or (wanted_length is None and length >= least):
            return None
        expression, wanted_text = f"len({source}) == {wanted_length}", f"length {wanted_length}"
        if wanted_length is None:
            expression, wanted_text = f"len({source}) >= {least}", f"length {least} or more"
        self.failing.append(Finding(source, "DICT_LENGTH", expression, wanted_text, f"length {length}"))
        return f"the length of {source} differs"

    def _leaf(self, manager: Any, leaf: Any, kind: str, value: Any, source: str, accessor: Any) -> str | None:
        """Asks one leaf; the answer is why nothing below can be judged, None where it can. The root has no accessor."""
        at_root = accessor is None
        guarded = manager.get_type_of_guarded_value()
        other_type = kind == "EQUALS_MATCH" and type(value) is not guarded and id(guarded) in _SCALAR_IDS
        refused = None if at_root or other_type else refusal(kind, value, leaf)
        if refused is not None:
            self._skip(source, kind, leaf, refused)
            return None
        if kind == "NO_HASATTR":
            return self._no_attribute(leaf, value, source)
        if not other_type and leaf(value):
            return None
        if kind == "GLOBAL_STATE":
            self.failing.extend(global_state(leaf))
            return None
        if kind == "TORCH_FUNCTION_MODE_STACK":
            modes = names_of_modes()
            self.failing.append(
                Finding(
                    "torch_function_mode_stack",
                    kind,
                    "the stack of torch function modes is the same",
                    None,
                    modes,
                )
            )
            return None
        named = "WEAKREF_ALIVE" if kind == "NOT_NONE" and type(accessor).__name__ in _WEAK else kind
        held = getattr(self._wrapper, "id_matched_objs", None) or {}
        self.failing.extend(
            describe(
                leaf, named, value, "" if at_root else source, self._among.facts_of(value), held, guarded
            )
        )
        if kind == "ID_MATCH":
            return None if type(value) is guarded else f"{source} is of another type"
        if kind == "TENSOR_MATCH":
            return None if is_tensor(value) else f"{source} is no tensor"
        return f"the {_WORDS.get(kind, 'type')} of {source} differs" if kind in _GATES else None

    def _no_attribute(self, leaf: Any, value: Any, source: str) -> None:
        expression = leaf.verbose_code_parts()[0]
        name = expression.rpartition("hasattr(")[2].partition(")")[0].rpartition(",")[2].strip(" '\"")
        try:
            self._reader.attribute(value, name)
        except Missing:
            return
        except Unreadable as error:
            self._skip(source, "NO_HASATTR", leaf, f"asking could run code of the program: {error}")
            return
        self.failing.append(
            Finding(
                source,
                "NO_HASATTR",
                f"not hasattr({source}, {name!r})",
                f"no attribute {name}",
                f"attribute {name}",
            )
        )

    def _block(self, manager: Any, reason: str) -> None:
        source = manager.get_source()
        self._among.blocked.setdefault(source, reason)
        for leaf in manager.get_leaf_guards():
            kind = type(leaf).__name__
            if kind in _RELATIONS:
                self._relations.setdefault((kind, leaf.verbose_code_parts()[0]), leaf)
            else:
                self._skip(source, kind, leaf, reason)
        for child in manager.get_child_managers():
            self._block(child, reason)
        if type(manager) is self._dict_manager:
            for managers in manager.get_key_value_managers().values():
                for child in managers:
                    if child is not None:
                        self._block(child, reason)

    def _skip(self, source: str, kind: str, leaf: Any, reason: str) -> None:
        if self._listed < LISTED:
            self._listed += 1
            part = next(iter(leaf.verbose_code_parts()), "")
            self.unevaluated.append([source, kind, shorten(part.partition("  # ")[0].strip()), reason])
        else:
            self._unlisted[reason] = self._unlisted.get(reason, 0) + 1
