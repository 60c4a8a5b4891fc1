"""The cache folder: who may write in it, artifacts found, written, listed and removed.

Layout: ``ROOT/<group>/<key>-<identity>.artifact``; a group is one program (class and prefix) of one rank. A file is written under another name and
renamed, so that a reader sees all of it or nothing. Beside each artifact, ``.uses`` grows by a byte a load: its size is their number, its
time that of the last; ``.misses`` holds the latest lookups that came to it in vain (misses.py). Both go with it.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from compile_inspector.engine.artifacts import envelope, misses, secret
from compile_inspector.engine.artifacts.header import Header, digest

SUFFIX = ".artifact"
USES = ".uses"
_BESIDE = (USES, misses.SUFFIX)
LIMIT_BYTES = 4 << 30
"""What all artifacts of a folder may take together where nothing else is said."""
_STALE_S = 3600.0


class Refused(Exception):  # noqa: N818
    """A file or folder is not to be trusted, or cannot be used; the message says why."""


class Stored(NamedTuple):
    """One file of the folder.

    Attributes:
        path: It.
        size_bytes: Its length.
        uses: How often it was loaded.
        used_s: When it was last loaded or written, seconds since the epoch.
        header: None where it cannot be trusted.
        problem: Why not; None where it can.
    """

    path: Path
    size_bytes: int
    uses: int
    used_s: float
    header: Header | None
    problem: str | None

    @property
    def name(self) -> str:
        """What tells it from the others, also from those of the same key."""
        return self.path.stem.rpartition("-")[2]

    def row(self) -> dict[str, Any]:
        """What there is to say of it, as plain values; None of what a header would say that cannot be trusted."""
        told = {"name": self.name, "size_bytes": self.size_bytes, "uses": self.uses, "used_s": self.used_s}
        of_header = ("program", "backend", "created_s", "compile_ns", "graphs")
        told |= {one: getattr(self.header, one, None) for one in of_header}
        return {**told, "module": getattr(self.header, "prefix", "") or None, "problem": self.problem}


class Store:
    """A cache folder.

    Args:
        root: It; made when something is written.
        limit_bytes: What all artifacts may take together.

    Raises:
        secret.NoSecret: There is no key to seal and open with.
    """

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root = root
        self._limit_bytes = limit_bytes
        self._secret = secret.read_or_make(root)

    def group(self, program: str, prefix: str, rank: str) -> Path:
        """The folder of one program's artifacts."""
        name = "".join(one if one.isalnum() else "_" for one in program.rpartition(".")[2])[:40]
        return self.root / f"{name}-{digest(program, prefix, rank)[:16]}"

    def candidates(self, group: Path) -> list[Path]:
        """The artifacts of a program, the latest first.

        Raises:
            Refused: Others can write in the folder, or it cannot be read.
        """
        found: list[tuple[float, Path]] = []
        for folder in (self.root, group):
            if not folder.exists():
                return []
            check_folder(folder)
        with _refusing(group):
            for entry in os.scandir(group):
                if entry.name.endswith(SUFFIX):
                    with suppress(OSError):
                        found.append((entry.stat(follow_symlinks=False).st_mtime, Path(entry.path)))
        return [path for _, path in sorted(found, reverse=True)]

    @contextmanager
    def opened(self, path: Path, *, named: bool = True) -> Generator[tuple[envelope.Opened, BinaryIO]]:
        """An artifact whose header is the user's own; the file, for `payload`.

        Args:
            path: The file.
            named: Whether it must lie under its own name; False for one that was asked for by its path.

        Raises:
            Refused: Others could have written it, or it cannot be read.
            envelope.Corrupted: It is not what was written, or lies under another's name.
        """
        with _refusing(path), _own_file(path) as (file, size_bytes):
            found = envelope.open_header(file, size_bytes, self._secret)
            if named and path.name != _name(found.header):
                raise envelope.Corrupted("It lies under another artifact's name.")
            yield found, file

    def payload(self, file: BinaryIO, opened: envelope.Opened) -> bytes:
        """The code of an artifact, sealed by the user.

        Raises:
            envelope.Corrupted: It is not what was written.
        """
        return envelope.open_payload(file, opened, self._secret)

    def write(self, group: Path, header: Header, payload: bytes) -> Path:
        """Puts an artifact into the folder, and others out of it where they take too much room.

        Raises:
            Refused: It could not be written; nothing of it is left.
        """
        data = envelope.seal(header, payload, self._secret)
        path = group / _name(header)
        with _refusing(path):
            for attempt in (1, 2):
                self._make(group)
                try:
                    write_whole(path, data)
                    break
                except FileNotFoundError:  # the folder was removed since
                    if attempt == 2:
                        raise
        self.prune(keep=path)
        return path

    def copy(self, path: Path, to: Path) -> None:
        """Writes an artifact under another path, whose folder is there.

        Raises:
            Refused: One of the two cannot be trusted, read or written.
            envelope.Corrupted: It is not what was written.
        """
        check_folder(to.parent)
        with self.opened(path, named=False) as (opened, file):
            data = envelope.seal(opened.header, self.payload(file, opened), self._secret)
        with _refusing(to):
            write_whole(to, data)

    def _make(self, group: Path) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        group.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.root, group):
            check_folder(folder)

    def used(self, path: Path) -> None:
        """Counts a load."""
        with suppress(OSError):
            handle = os.open(
                path.with_suffix(USES), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600
            )
            try:
                os.write(handle, b".")
            finally:
                os.close(handle)

    def missed(self, path: Path, miss: misses.Miss) -> None:
        """Writes down that a lookup came to an artifact in vain."""
        with suppress(OSError):
            shorter = misses.note(path, miss)
            if shorter is not None:
                write_whole(misses.file_of(path), shorter)

    def stored(self, group: Path | None = None) -> list[Stored]:
        """Every artifact, or those of a program, the last used first."""
        paths = (path for path in self._files() if group is None or path.parent == group)
        return sorted((self._stored(path) for path in paths), key=lambda one: -one.used_s)

    def _files(self) -> Iterator[Path]:
        with suppress(OSError):
            for group in sorted(self.root.iterdir()):
                if group.is_dir() and not group.is_symlink():
                    yield from sorted(one for one in group.iterdir() if one.suffix == SUFFIX)

    def _stored(self, path: Path) -> Stored:
        size_bytes, uses, used_s = _usage(path)
        try:
            check_folder(path.parent)
            with self.opened(path) as (opened, _):
                return Stored(path, size_bytes, uses, used_s, opened.header, None)
        except (Refused, envelope.Corrupted) as error:
            return Stored(path, size_bytes, uses, used_s, None, str(error))

    def prune(self, *, limit_bytes: int | None = None, keep: Path | None = None) -> list[Path]:
        """Removes what was used longest ago, until the rest fits, and files that broken-off writes left.

        Args:
            limit_bytes: For the rest; the store's own when None.
            keep: Not to be removed.
        """
        limit = self._limit_bytes if limit_bytes is None else limit_bytes
        files = [(_usage(path), path) for path in self._files()]
        total, removed = sum(usage[0] for usage, _ in files), list[Path]()
        for (size_bytes, _, _), path in sorted(files, key=lambda one: one[0][2]):
            if total > limit and path != keep:
                total -= size_bytes
                removed += self.remove([path])
        self._sweep()
        return removed

    def _sweep(self) -> None:
        for left in [one for suffix in _BESIDE for one in self.root.glob(f"*/*{suffix}")]:
            if not left.with_suffix(SUFFIX).exists():
                with suppress(OSError):
                    left.unlink()
        with suppress(OSError):
            for left in self.root.glob("*/.*.tmp"):
                with suppress(OSError):
                    if time.time() - left.lstat().st_mtime > _STALE_S:
                        left.unlink()

    def remove(self, paths: Iterable[Path]) -> list[Path]:
        """Removes artifacts and the folders that they leave empty; those that were there."""
        removed: list[Path] = []
        for path in paths:
            with suppress(OSError):
                path.unlink()
                removed.append(path)
            for suffix in _BESIDE:
                with suppress(OSError):
                    path.with_suffix(suffix).unlink()
            with suppress(OSError):
                path.parent.rmdir()
        return removed

    def clear(self) -> list[Path]:
        """Removes every artifact."""
        return self.remove(list(self._files()))


def _name(header: Header) -> str:
    return f"{header.key[:32]}-{header.identity[:16]}{SUFFIX}"


def _usage(path: Path) -> tuple[int, int, float]:
    try:
        own = path.lstat()
    except OSError:
        return 0, 0, 0.0
    try:
        uses = path.with_suffix(USES).lstat()
    except OSError:
        return own.st_size, 0, own.st_mtime
    return own.st_size, uses.st_size, max(own.st_mtime, uses.st_mtime)


def check_folder(folder: Path) -> None:
    """Raises Refused unless only this user can put files into a folder."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        msg = f"{folder} is not a folder"
        raise Refused(msg)
    _check_owner(folder, found)


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        msg = f"{path} belongs to another user (uid {found.st_uid})"
        raise Refused(msg)
    if found.st_mode & 0o022:
        msg = f"others can write to {path} (mode {stat.S_IMODE(found.st_mode):o})"
        raise Refused(msg)


@contextmanager
def _own_file(path: Path) -> Generator[tuple[BinaryIO, int]]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            msg = f"{path} is not a file"
            raise Refused(msg)
        _check_owner(path, found)
        yield file, found.st_size


@contextmanager
def _refusing(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{error.filename or path}: {error.strerror or error}"
        raise Refused(msg) from error


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that others see whole or not at all; only this user can read it."""
    own = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.replace(own, path)
    except BaseException:
        with suppress(OSError):
            own.unlink()
        raise
