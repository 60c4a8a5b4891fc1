"""Which temporary file is which notebook cell."""

from __future__ import annotations

import sys
from typing import Any


def cell_numbers() -> dict[str, int]:
    """File name to the number in ``In [n]`` of each cell run so far; empty outside IPython.

    IPython is asked only if it is running: importing it is never worth this.
    """
    ipython: Any = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    names: Any = getattr(getattr(shell, "compile", None), "_filename_map", None)
    return dict(names) if isinstance(names, dict) else {}  # type: ignore[arg-type]
