"""The key that artifacts are sealed with: 32 random bytes of the user's, in a file of mode 0600 outside the cache folder."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

LENGTH = 32


class NoSecret(Exception):  # noqa: N818
    """There is no key that could be trusted, and none could be made; the message says why."""


def path() -> Path:
    """Where the key lies: below XDG_CONFIG_HOME, or ``~/.config``."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "compile_inspector" / "artifact_key"


def read_or_make(cache: Path) -> bytes:
    """The key; made where there is none yet, by one of the processes that want it.

    Args:
        cache: The cache folder, which must not hold it.

    Raises:
        NoSecret: It lies in the cache folder, others can read or write it, or it could not be made.
    """
    file = path()
    if file.resolve().is_relative_to(cache.resolve()):
        msg = f"the key {file} would lie within the cache folder {cache}, next to what it seals"
        raise NoSecret(msg)
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except OSError as error:
        msg = f"the key {file} cannot be read: {error.strerror or error}"
        raise NoSecret(msg) from error
    try:
        _make(file)
        return _read(file)
    except OSError as error:
        msg = f"the key {file} cannot be made: {error.strerror or error}"
        raise NoSecret(msg) from error


def _read(file: Path) -> bytes:
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            msg = f"the key {file} is not a file of this user's"
            raise NoSecret(msg)
        if found.st_mode & 0o077:
            msg = (
                f"others can read or write the key {file} (mode {found.st_mode & 0o777:o}); it should be 600"
            )
            raise NoSecret(msg)
        data = os.read(handle, LENGTH + 1)
    finally:
        os.close(handle)
    if len(data) != LENGTH:
        msg = f"the key {file} has {len(data)} bytes instead of {LENGTH}; remove it to have another made"
        raise NoSecret(msg)
    return data


def _make(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, secrets.token_bytes(LENGTH))
        os.fsync(handle)
        os.link(own, file)
    except FileExistsError:
        pass  # another process was first: its key is everyone's
    finally:
        os.close(handle)
        os.unlink(own)
