"""Records the traces of this folder: ``python tests/data/record.py [NAME…]``.

Each program of ``programs/`` runs in a process of its own under ``TORCH_TRACE``. Folders of the machine are then replaced by neutral ones
(checksums are made anew), and the log is compressed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import msgspec

from compile_inspector.model.records import Record
from compile_inspector.model.text import HeldText
from compile_inspector.recording.trace_file import read_log
from compile_inspector.recording.trace_writer import write_log

HERE = Path(__file__).parent
LINEAGE = "compile_inspector.lineage"


def record(program: Path) -> Path:
    """Runs one program and writes its trace beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        trace, cache = Path(folder) / "trace", Path(folder) / "inductor"
        environment = {**os.environ, "TORCH_TRACE": str(trace), "TORCHINDUCTOR_CACHE_DIR": str(cache)}
        subprocess.run(
            [sys.executable, str(program)],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        names = neutral_names(cache, program.parent)
        found = read_log(trace).records
        records = [renamed(one, names) for one in found]
        digests = {digest(was): digest(now) for was, now in zip(found, records, strict=True)}
        kept = [renamed(one, digests) if one.artifact == LINEAGE else one for one in records]
        return write_log(kept, HERE / f"{program.stem}.log.gz")


def digest(found: Record) -> str:
    """Tells a record's payload from others, as the facts about graphs name the printout that they are of."""
    return hashlib.md5(b"" if found.payload is None else found.payload.read().encode()).hexdigest()


def neutral_names(cache: Path, programs: Path) -> dict[str, str]:
    """The machine's folders, and what to call them."""
    return {
        str(cache): "/tmp/torchinductor",
        str(programs): "/home/user",
        sysconfig.get_path("purelib"): "/opt/venv/lib/python3.11/site-packages",
        sysconfig.get_path("stdlib"): "/usr/lib/python3.11",
        sys.prefix: "/opt/venv",
        sys.base_prefix: "/usr",
        str(Path.home()): "/home/user",
    }


def renamed(found: Record, names: dict[str, str]) -> Record:
    """A record with neutral folders."""

    def rename(text: str) -> str:
        for name, neutral in names.items():
            text = text.replace(name, neutral)
        return text

    payload = None if found.payload is None else HeldText(rename(found.payload.read()))
    body, envelope = json.loads(rename(json.dumps([found.body, dict(found.envelope)])))
    return msgspec.structs.replace(
        found, body=body, envelope=envelope, payload=payload, header=rename(found.header)
    )


if __name__ == "__main__":
    for program in sorted((HERE / "programs").glob("*.py")):
        if not sys.argv[1:] or program.stem in sys.argv[1:]:
            path = record(program)
            print(f"{path.name}: {path.stat().st_size} bytes")
