"""What importing the package and loading the extension cost.

    python tests/benchmarks/startup.py [--rounds 15]

Each measurement is a process of its own, variants alternating; a row is the median. `import` is measured beside an empty import of the
standard library's modules that any program has loaded anyway (`typing`, `importlib`).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

IMPORT = """
import sys, time
import importlib, typing
begin = time.perf_counter()
import compile_inspector
print((time.perf_counter() - begin) * 1000)
assert "torch" not in sys.modules and "IPython" not in sys.modules
"""
BARE_IMPORT = IMPORT.replace("import importlib, typing\n", "")
EXTENSION = """
import time
import torch
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
begin = time.perf_counter()
shell.run_line_magic("load_ext", "compile_inspector")
print((time.perf_counter() - begin) * 1000)
"""
ROWS = {
    "import compile_inspector (nothing loaded before)": (BARE_IMPORT, 30),
    "import compile_inspector (typing, importlib loaded)": (IMPORT, 30),
    "%load_ext compile_inspector (torch, IPython loaded)": (EXTENSION, 150),
}


def once(code: str) -> float:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(rounds):
        for name, (code, _) in ROWS.items():
            times[name].append(once(code))
    for name, (_, limit) in ROWS.items():
        print(
            f"{name:52} median {statistics.median(times[name]):6.1f} ms  (limit {limit} ms, {rounds} rounds)"
        )


if __name__ == "__main__":
    main()
