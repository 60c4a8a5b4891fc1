"""One artifact as bytes: a header that can be read alone, a payload, and a seal on each.

``magic, length of the header, length of the payload, header, its seal, payload, its seal``. The payload's seal covers the header's, so that
no payload serves under another header. Nothing is decoded before its seal has been checked.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import BinaryIO, NamedTuple

import msgspec

from compile_inspector.engine.artifacts.header import Header

MAGIC = b"compile-inspector artifact 1\n"
CORRUPTED = "Compile cache file corrupted."
HEADER_LIMIT = 1 << 27
PAYLOAD_LIMIT = 1 << 34
_LENGTHS = struct.Struct(">QQ")
_SEAL = 32
_decode = msgspec.json.Decoder(Header).decode


class Corrupted(Exception):  # noqa: N818
    """The bytes are not what was written by this user; the message begins with `CORRUPTED`."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{CORRUPTED} {why}")


class Opened(NamedTuple):
    """A header whose seal is right, and what is needed to read its payload."""

    header: Header
    seal: bytes
    payload_length: int


def seal(header: Header, payload: bytes, secret: bytes) -> bytes:
    """An artifact's bytes."""
    text = msgspec.json.encode(header)
    front = MAGIC + _LENGTHS.pack(len(text), len(payload)) + text
    own = _seal(secret, b"header", front)
    return b"".join((front, own, payload, _seal(secret, b"payload", own, payload)))


def open_header(file: BinaryIO, size_bytes: int, secret: bytes) -> Opened:
    """The header, checked.

    Args:
        file: At its beginning; left at the payload's.
        size_bytes: How long the file is.
        secret: The user's key.

    Raises:
        Corrupted: It is not what was written.
    """
    fixed = file.read(len(MAGIC) + _LENGTHS.size)
    if not fixed.startswith(MAGIC) or len(fixed) != len(MAGIC) + _LENGTHS.size:
        raise Corrupted("It does not begin as an artifact of this version does.")
    length, payload = _LENGTHS.unpack(fixed[len(MAGIC) :])
    whole = len(fixed) + length + payload + 2 * _SEAL
    if length > HEADER_LIMIT or payload > PAYLOAD_LIMIT or whole != size_bytes:
        raise Corrupted(f"It has {size_bytes} bytes instead of {whole}.")
    text, found = file.read(length), file.read(_SEAL)
    if not hmac.compare_digest(found, _seal(secret, b"header", fixed + text)):
        raise Corrupted("The seal of its header is not this user's.")
    try:
        return Opened(_decode(text), found, payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Corrupted(f"Its header cannot be read: {error}.") from error


def open_payload(file: BinaryIO, opened: Opened, secret: bytes) -> bytes:
    """The payload, checked.

    Raises:
        Corrupted: It is not what was written.
    """
    payload, found = file.read(opened.payload_length), file.read(_SEAL + 1)
    if not hmac.compare_digest(found, _seal(secret, b"payload", opened.seal, payload)):
        raise Corrupted("The seal of its code is not this user's.")
    return payload


def _seal(secret: bytes, *parts: bytes) -> bytes:
    found = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        found.update(part)
    return found.digest()
