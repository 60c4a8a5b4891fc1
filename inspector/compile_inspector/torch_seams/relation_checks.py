"""Guards that look at several values at once: shape relations, aliasing, shared memory."""

from __future__ import annotations

from typing import Any

from compile_inspector.torch_seams.finding import Finding
from compile_inspector.torch_seams.guard_findings import overlap_groups
from compile_inspector.torch_seams.guard_walk import Reader
from compile_inspector.torch_seams.probe import lookup
from compile_inspector.torch_seams.shape_expressions import Expression, Subject, evaluate, parse
from compile_inspector.torch_seams.static_lookup import ABSENT, Missing, Unreadable
from compile_inspector.torch_seams.tensor_facts import TensorFacts, facts_of, is_tensor, runs_user_code
from compile_inspector.torch_seams.value_text import shorten, text_of

USES = ("torch._C._dynamo.guards:compute_overlapping_tensors", "torch._C:DisableTorchFunction")


class Relations:
    """The values that a walk of the tree read, by source, and the checks between them.

    Args:
        wrapper: The entry's guard manager.
        reader: Reads what has no place of its own in the tree.

    Attributes:
        values: What was read, by source.
        blocked: Why a source was not read.
        failing: What fails, in order; shared with the walk.
        unevaluated: ``[source, kind, expr, reason]`` of what cannot be judged; shared with the walk.
    """

    def __init__(self, wrapper: Any, reader: Reader) -> None:
        self._wrapper = wrapper
        self._reader = reader
        self._names: dict[str, Any] = dict(getattr(wrapper, "closure_vars", None) or {})
        self._facts: dict[int, TensorFacts] = {}
        self.values: dict[str, Any] = {}
        self.blocked: dict[str, str] = {}
        self.failing: list[Finding] = []
        self.unevaluated: list[list[str]] = []

    def close(self) -> None:
        """Lets go of the values."""
        for held in (self.values, self._facts, self._names):
            held.clear()
        del self._wrapper, self._reader

    def facts_of(self, value: Any) -> TensorFacts | None:
        """A tensor's sizes and properties; None for what is none, or cannot be read."""
        if not is_tensor(value) or runs_user_code(value):
            return None
        known = self._facts.get(id(value))
        if known is None:
            known = self._facts[id(value)] = facts_of(value)
        return known

    def shape(self, kind: str, part: str) -> None:
        """Asks one symbolic shape check, by torch's text of it."""
        expression = parse(part)
        if expression is None:
            self.unevaluated.append(["", kind, shorten(part), "torch's text of it is no expression"])
            return
        sources = tuple(subject.text for subject in expression.subjects)
        try:
            holds, values = evaluate(expression, self._read, self._names)
        except Unreadable as error:
            self.unevaluated.append(
                [sources[0] if sources else "", kind, shorten(expression.text), str(error)]
            )
            return
        if not holds:
            self.failing.append(_relation_finding(kind, expression, sources, values))

    def _read(self, subject: Subject) -> Any:
        value = self._value(subject.base)
        if subject.what is None:
            return value
        facts = self.facts_of(value)
        if facts is None:
            raise Unreadable(f"{subject.base} is no tensor whose sizes can be read")
        if subject.what == "storage_offset":
            with lookup("torch._C:DisableTorchFunction")():
                return value.storage_offset()
        sizes = facts.size if subject.what == "size" else facts.stride
        if subject.index is None or subject.index >= len(sizes):
            raise Unreadable(f"{subject.base} has {len(sizes)} dimensions")
        return sizes[subject.index]

    def _value(self, source: str) -> Any:
        if source not in self.values:
            if source in self.blocked:
                raise Unreadable(self.blocked[source])
            try:
                self.values[source] = self._reader.resolve(source)
            except Missing as error:
                raise Unreadable(f"{source} is missing") from error
            except Unreadable as error:
                raise Unreadable(f"{source} cannot be read: {error}") from error
        return self.values[source]

    def relation(self, kind: str, leaf: Any) -> None:
        """Asks one guard between several values."""
        parts = leaf.verbose_code_parts()
        if kind == "NO_TENSOR_ALIASING":
            self._no_aliasing(kind, parts[0])
        elif kind == "STORAGE_OVERLAPPING":
            self._overlap(kind, parts[0])
        else:
            for part in parts:
                self.shape(kind, part)

    def _no_aliasing(self, kind: str, part: str) -> None:
        by_id: dict[int, list[str]] = {}
        for named in getattr(self._wrapper, "no_tensor_aliasing_sources", None) or ():
            source = named if isinstance(named, str) else str(named.name)  # a Source since torch 2.15
            try:
                by_id.setdefault(id(self._value(source)), []).append(source)
            except Unreadable as error:
                self.unevaluated.append([source, kind, shorten(part), str(error)])
        for same in by_id.values():
            if len(same) > 1:
                actual = " is ".join(same)
                text = f"{' and '.join(same)} are different tensors"
                self.failing.append(
                    Finding(same[0], kind, text, "different tensors", shorten(actual), tuple(same))
                )

    def _overlap(self, kind: str, part: str) -> None:
        together, apart = overlap_groups(part)
        sources = (*together, *apart)
        values = [self.values.get(source, ABSENT) for source in sources]
        if not sources or any(self.facts_of(value) is None for value in values):
            self.unevaluated.append(
                [sources[0] if sources else "", kind, shorten(part), "a tensor of it was not reached"]
            )
            return
        found: set[int] = lookup("torch._C._dynamo.guards:compute_overlapping_tensors")(
            values, symbolic=False
        )
        if found != set(range(len(together))):
            actual = ", ".join(sources[index] for index in sorted(found)) or "none"
            wanted = ", ".join(together) or "none"
            self.failing.append(
                Finding(
                    sources[0],
                    kind,
                    shorten(part),
                    f"sharing memory: {wanted}",
                    shorten(f"sharing memory: {actual}"),
                    sources,
                )
            )


def _relation_finding(
    kind: str, expression: Expression, sources: tuple[str, ...], values: tuple[Any, ...]
) -> Finding:
    if expression.only_identity:
        return Finding(sources[0], kind, expression.text, "the same object", "different objects", sources)
    if len(sources) == 1:
        actual = text_of(values[0])
    else:
        actual = ", ".join(
            f"{source} = {text_of(value)}" for source, value in zip(sources, values, strict=True)
        )
    return Finding(
        sources[0] if sources else "", kind, expression.text, expression.expected, shorten(actual), sources
    )
