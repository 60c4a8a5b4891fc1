"""How long large sessions take to judge and to compare; hand-made tables, so that nothing but that is timed.

python tests/benchmarks/findings.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from compile_inspector.analyze.diff import diff_sessions
from compile_inspector.analyze.findings import judge
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.tables import Tables
from factory import CALL_LINE, make_compile, make_dim, make_entry, make_failing, make_guard, make_tables


def many() -> Tables:
    """500 compiles of 50 functions, 100,000 guards, 450 recompiles with up to nine entries each."""
    compiles = [make_compile(f"{n // 10}/{n % 10}") for n in range(500)]
    failing = tuple(make_failing(f"L['a{k}'].size()[0]") for k in range(8))
    return make_tables(
        compiles=compiles,
        guards=[
            make_guard(one.id, source=f"L['x{n}']", dropped=n % 50 == 0)
            for one in compiles
            for n in range(200)
        ],
        recompiles=[
            Recompile(
                one.id,
                CALL_LINE,
                tuple(make_entry(f"{one.id.split('/')[0]}/{n}", *failing) for n in range(int(one.id[-1]))),
            )
            for one in compiles
            if not one.id.endswith("/0")
        ],
        dims=[make_dim(f"L['a{k}']", 0, compile_id=one.id) for one in compiles for k in range(20)],
    )


def seconds(call: Callable[[], object], rounds: int) -> float:
    times: list[float] = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    tables = many()
    print(
        f"judged, 500 compiles and 100,000 guards: {seconds(lambda: judge(tables), rounds):.2f} s of CPU (limit 1)"
    )
    print(f"compared with itself: {seconds(lambda: diff_sessions(tables, tables), rounds):.2f} s of CPU")


if __name__ == "__main__":
    main()
