"""Modules that the compile decorator compiles, and what of their inputs it marked dynamic."""

from __future__ import annotations

import msgspec

from compile_inspector.model.locations import Location


class MarkedDim(msgspec.Struct, frozen=True):
    """One dimension that was marked for the latest compile.

    Attributes:
        source: The tensor, as Dynamo names it (``L['x']``).
        dim: Counted from 0.
        size: What it was.
        kind: ``backed``, ``unbacked`` or ``backed_size_oblivious``.
        shape_id: The name it shares with other dimensions of its size, None where it has none.
    """

    source: str
    dim: int
    size: int | None
    kind: str
    shape_id: str | None = None


class UnmarkedDim(msgspec.Struct, frozen=True):
    """One dimension of the latest compile that had a marked one's size and was not marked itself.

    Attributes:
        source: The tensor, as Dynamo names it.
        dim: Counted from 0.
        size: What it was.
        like: The marked size (``L['hidden_states'].size()[1]``).
    """

    source: str
    dim: int
    size: int | None
    like: str


class Applied(msgspec.Struct, frozen=True):
    """One module that was decorated or applied, with its settings.

    Applied twice, a module has two rows.

    Attributes:
        module: Its path, where it was given one (``model.layers.0``).
        class_name: Its class, with the class's module (``models.llama.Llama``).
        how: ``decorated``, ``applied`` or ``ignored``.
        compiles: Whether its calls compile; False for one that is ignored, switched off, or in a mode that leaves it as it is.
        mode: The compilation mode's name.
        backend: The backend's name.
        dynamic_shapes: How dynamic dimensions become symbols: BACKED, UNBACKED or BACKED_SIZE_OBLIVIOUS.
        evaluate_guards: Whether guards on sizes are kept, and raise.
        dynamic_dims: ``x: 0, 1``: by argument, the dimensions asked to be dynamic.
        unbacked_dims: Likewise, those asked to be unbacked on top.
        dropped_guards: What is done where a dropped guard does not hold: ``recompile``, ``raise`` or ``ignore``.
        splitting_ops: Operators that its graph is split at.
        is_encoder: Whether it is compiled as an encoder.
        location: Its forward.
        compile_ids: Its compiles, in order; empty before its first call.
        marked: What was marked at its latest compile.
        unmarked: What had a marked size there and was not marked.
    """

    module: str | None
    class_name: str
    how: str
    compiles: bool
    mode: str
    backend: str
    dynamic_shapes: str
    evaluate_guards: bool
    dynamic_dims: tuple[str, ...]
    unbacked_dims: tuple[str, ...]
    dropped_guards: str
    splitting_ops: tuple[str, ...]
    is_encoder: bool
    location: Location | None
    compile_ids: tuple[str, ...] = ()
    marked: tuple[MarkedDim, ...] = ()
    unmarked: tuple[UnmarkedDim, ...] = ()

    @property
    def name(self) -> str:
        """Its path and the class's own name: ``model.layers.0 (Llama)``; the class's name where it has no path."""
        own = self.class_name.rpartition(".")[2]
        return own if self.module is None else f"{self.module} ({own})"
