"""How long a large trace log takes to open: time to its first table, and memory.

Run: ``python tests/benchmarks/big_log.py [--mb 100] [LOG]``. Needs no torch. The log is made of real recorded records, repeated under other
compile ids, and is read in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

DATA = Path(__file__).parents[1] / "data"


def make_log(source: Path, path: Path, megabytes: int) -> None:
    """Writes a log of about this size from the records of a real one, each round under frame ids of its own."""
    from compile_inspector.recording.trace_file import read_log
    from compile_inspector.recording.trace_writer import encode_record

    records = read_log(source).records
    strings = [record for record in records if record.event == "str"]
    others = [record for record in records if record.event != "str"]
    frames = 1 + max(record.envelope.get("frame_id") or 0 for record in others)
    with path.open("wb") as file:
        for record in strings:
            file.write(encode_record(record))
        round_number = 0
        while file.tell() < megabytes << 20:
            for record in others:
                envelope = dict(record.envelope)
                if "frame_id" in envelope:
                    envelope["frame_id"] += frames * round_number
                file.write(encode_record(msgspec.structs.replace(record, envelope=envelope)))
            round_number += 1


def measure(path: Path) -> dict[str, float]:
    """Reads a log in this process: seconds to the records, to the first table and to each further one, and memory at the peak."""
    from compile_inspector.recording.fold import Trace
    from compile_inspector.recording.stacks import Places
    from compile_inspector.recording.tables.caches import caches
    from compile_inspector.recording.tables.compiles import compiles
    from compile_inspector.recording.tables.environment import environment
    from compile_inspector.recording.trace_file import read_log

    begin, busy = time.perf_counter(), time.process_time()
    log = read_log(path)
    read = time.perf_counter()
    trace = Trace(log.records, losses=log.losses, path=str(log.path))
    places = Places(trace)
    environment(trace, places)
    folded = time.perf_counter()
    rows = compiles(trace, places)
    first, used = time.perf_counter(), time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lookups = caches(trace, places)
    done = time.perf_counter()
    return {
        "records": len(log.records),
        "compiles": len(rows),
        "lookups": len(lookups),
        "read_s": read - begin,
        "first_table_s": first - begin,
        "of_it_cpu_s": used,
        "fold_s": folded - read,
        "compiles_s": first - folded,
        "caches_s": done - first,
        "peak_mb": peak,
        "losses": len(trace.losses.rows()),
    }


def main() -> None:
    """Prints one row a log: medians of five processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "log", nargs="*", type=Path, help="logs to repeat; those of tests/data when none is named"
    )
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    header = False
    for source in options.log or sorted(DATA.glob("*.log.gz")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "big.log"
            make_log(source, path, options.mb)
            command = [sys.executable, __file__, "--measure", str(path)]
            runs = [
                json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(5)
            ]
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        if not header:
            print(f"{'log':24}" + "".join(f"{key:>15}" for key in row))
            header = True
        print(
            f"{source.name[:23]:24}"
            + "".join(
                f"{value:>15.2f}" if isinstance(value, float) else f"{value:>15}" for value in row.values()
            )
        )


if __name__ == "__main__":
    main()
