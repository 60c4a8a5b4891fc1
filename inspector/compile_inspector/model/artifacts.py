"""What the compile decorator has kept on disk."""

from __future__ import annotations

import msgspec


class Artifact(msgspec.Struct, frozen=True):
    """One compiled program in the cache folder, when the recording ended.

    Attributes:
        name: Tells it from the others; the command ``compile-inspector cache show`` takes it.
        program: The class that it is of, its module in front; None where its file cannot be trusted.
        module: The module's path, where it was given one.
        backend: What compiled it.
        size_bytes: Of its file.
        created_s: When it was compiled, seconds since 1970.
        used_s: When it was last loaded, or written.
        uses: How often it was loaded.
        compile_ns: How long the call took that compiled it, nanoseconds.
        graphs: Compiled graphs or pieces that it holds.
        problem: Why it will not be loaded; None where nothing speaks against it.
    """

    name: str
    program: str | None
    module: str | None
    backend: str | None
    size_bytes: int
    created_s: float | None
    used_s: float
    uses: int
    compile_ns: int | None
    graphs: int | None
    problem: str | None
