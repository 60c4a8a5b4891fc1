"""Where a recording was made."""

from __future__ import annotations

import msgspec


class ConfigPatch(msgspec.Struct, frozen=True):
    """A setting of torch's compiler that was not at its default."""

    module: str
    name: str
    value: str
    default: str | None


class Environment(msgspec.Struct, frozen=True):
    """Versions and settings; each None where the record does not say.

    Attributes:
        packages: ``(name, version)`` pairs.
        seams: ``(seam, reason)`` of each observation that this torch could not give; empty when all were there.
    """

    torch: str | None = None
    cuda: str | None = None
    gpu: str | None = None
    python: str | None = None
    packages: tuple[tuple[str, str], ...] = ()
    config: tuple[ConfigPatch, ...] = ()
    seams: tuple[tuple[str, str], ...] = ()
    ranks: tuple[int, ...] = ()
