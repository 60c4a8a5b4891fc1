"""The files that artifacts lie in: sealed, the user's own, whole or not there; whatever is wrong with one is said and nothing of it is used."""

from __future__ import annotations

import io
import os
import pickle
import random
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from compile_inspector.engine.artifacts import envelope, misses, secret, store
from compile_inspector.engine.artifacts.header import (
    Component,
    Difference,
    Header,
    component,
    differences,
    key_of,
)

SECRET = bytes(range(32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's key lies below the test's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def header(*lines: str, program: str = "m.Model") -> Header:
    parts = (component("class", [program]), component("forward", lines))
    return Header(key_of(parts), program, "", parts, (), (), "", None, "inductor", 1.0, 5, 1)


def written(folder: Path, payload: bytes = b"code", **given: str) -> tuple[store.Store, Path]:
    kept = store.Store(folder / "cache")
    made = header("return x", **given)
    return kept, kept.write(kept.group(made.program, "", "0 of 1"), made, payload)


def read(kept: store.Store, path: Path) -> tuple[Header, bytes]:
    with kept.opened(path) as (opened, file):
        return opened.header, kept.payload(file, opened)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """An artifact comes back whole; its file has mode 600, its folders 700, and no other file is left."""
    kept, path = written(tmp_path, b"x" * 100_000)
    assert read(kept, path) == (header("return x"), b"x" * 100_000)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(one.stat().st_mode) for one in (path.parent, kept.root)} == {0o700}
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(secret.path().stat().st_mode) == 0o600


def mutations(data: bytes, other: bytes) -> Iterator[bytes]:
    """Files that are not what was written: bits flipped, cut, lengthened, emptied, parts exchanged with another artifact's."""
    chance = random.Random(7)
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    for length in [0, 1, *chance.sample(range(2, len(data)), 60)]:
        yield data[:length]
        yield data[length:]
    yield data + b"\0"
    yield bytes(len(data))
    for _ in range(60):
        start, end = sorted(chance.sample(range(len(data)), 2))
        yield data[:start] + other[start:end] + data[end:]
        yield data[:start] + data[end:]


def test_every_mutation_of_an_artifact_is_refused() -> None:
    """Of more than 500 damaged files none is opened, and each says so; exchanged parts of another artifact of the same user too."""
    data = envelope.seal(header("return x"), b"some code", SECRET)
    other = envelope.seal(header("return y"), b"more code", SECRET)
    assert len(data) == len(other)
    refused = 0
    for damaged in mutations(data, other):
        if damaged in (data, other):
            continue
        file = io.BytesIO(damaged)
        with pytest.raises(envelope.Corrupted, match=r"Compile cache file corrupted\."):
            envelope.open_payload(file, envelope.open_header(file, len(damaged), SECRET), SECRET)
        refused += 1
    assert refused > 500


def test_a_payload_serves_under_its_own_header_only() -> None:
    """The sealed code of one artifact put after another's sealed header is refused."""
    one = envelope.seal(header("return x"), b"some code", SECRET)
    two = envelope.seal(header("return y"), b"more code", SECRET)
    tail = len(b"some code") + 32
    mixed = one[:-tail] + two[-tail:]
    file = io.BytesIO(mixed)
    opened = envelope.open_header(file, len(mixed), SECRET)
    with pytest.raises(envelope.Corrupted):
        envelope.open_payload(file, opened, SECRET)


def test_another_users_seal_is_refused(tmp_path: Path) -> None:
    """An artifact sealed with another key is damaged, as far as this user can tell."""
    kept, path = written(tmp_path)
    secret.path().unlink()
    with pytest.raises(envelope.Corrupted, match="not this user's"):
        read(store.Store(kept.root), path)


def test_an_artifact_under_anothers_name_is_refused(tmp_path: Path) -> None:
    """A whole artifact, copied over another's file."""
    kept, path = written(tmp_path)
    made = header("return y")
    second = kept.write(path.parent, made, b"other")
    second.write_bytes(path.read_bytes())
    with pytest.raises(envelope.Corrupted, match="another artifact's name"):
        read(kept, second)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_what_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A file, its folder, or the cache folder that others can write to."""
    kept, path = written(tmp_path)
    path.chmod(mode)
    with pytest.raises(store.Refused, match="others can write"):
        read(kept, path)
    path.chmod(0o600)
    for folder in (path.parent, kept.root):
        folder.chmod(0o777)
        with pytest.raises(store.Refused, match="others can write"):
            kept.candidates(path.parent)
        folder.chmod(0o700)
    assert kept.candidates(path.parent) == [path]


def test_what_belongs_to_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of file and folder is asked for."""
    kept, path = written(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(store.Refused, match="another user"):
        kept.candidates(path.parent)
    with pytest.raises(store.Refused, match="another user"):
        read(kept, path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link in an artifact's place, and one in a folder's."""
    kept, path = written(tmp_path)
    real = path.rename(tmp_path / "elsewhere")
    path.symlink_to(real)
    with pytest.raises(store.Refused):
        read(kept, path)
    folder = path.parent.rename(tmp_path / "folder")
    path.parent.symlink_to(folder)
    with pytest.raises(store.Refused, match="not a folder"):
        kept.candidates(path.parent)


def test_a_pipe_in_an_artifacts_place_does_not_block(tmp_path: Path) -> None:
    """A named pipe is refused at once."""
    kept, path = written(tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(store.Refused, match="not a file"):
        read(kept, path)


class Trap:
    """Leaves a file behind when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (Path.write_text, (self.mark, "ran"))  # type: ignore[return-value]


def test_a_crafted_pickle_is_not_run(tmp_path: Path) -> None:
    """An artifact whose code was exchanged for a pickle that runs code, sealed with a key that is not the user's: the seal is asked first."""
    mark = tmp_path / "mark"
    kept, path = written(tmp_path)
    path.write_bytes(envelope.seal(header("return x"), pickle.dumps(Trap(mark)), bytes(32)))
    with pytest.raises(envelope.Corrupted):
        read(kept, path)
    assert not mark.exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A write that breaks off (here at a limit on the file's size) is refused with a reason; the folder holds what it held."""
    import signal

    kept, path = written(tmp_path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(store.Refused, match="large"):
            kept.write(path.parent, header("return y"), bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [one.read_bytes() for one in path.parent.iterdir()] == [before]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file lies where the cache folder should."""
    (tmp_path / "cache").write_text("")
    kept = store.Store(tmp_path / "cache")
    with pytest.raises(store.Refused):
        kept.write(kept.group("m.Model", "", "0 of 1"), header("return x"), b"code")


def test_a_folder_deleted_in_use_is_made_again(tmp_path: Path) -> None:
    """The folder goes away between two writes, and while a file of it is open."""
    kept, path = written(tmp_path)
    with kept.opened(path) as (opened, file):
        kept.clear()
        assert kept.payload(file, opened) == b"code"
    assert not path.parent.exists()
    assert kept.candidates(path.parent) == []
    assert kept.write(path.parent, header("return x"), b"code").exists()


def test_the_least_used_goes_first(tmp_path: Path) -> None:
    """Where the limit is passed, what was used longest ago is removed, never what was just written."""
    kept = store.Store(tmp_path / "cache", limit_bytes=25_000)
    paths = []
    for index, program in enumerate(("m.A", "m.B", "m.C")):
        made = header("return x", program=program)
        paths.append(kept.write(kept.group(program, "", "0 of 1"), made, bytes(10_000)))
        os.utime(paths[-1], (index, index))
        if index == 1:
            kept.used(paths[0])
    assert [path.exists() for path in paths] == [True, False, True]
    assert [one.uses for one in kept.stored() if one.path == paths[0]] == [1]


def missed(kept: store.Store, path: Path, count: int, text: str = "1.5") -> None:
    for index in range(count):
        kept.missed(
            path, misses.Miss(float(index), (Difference("L['self'].scale", text, str(index), "m.py", 3),))
        )


def test_the_latest_misses_are_kept(tmp_path: Path) -> None:
    """However many there were and however long their texts, the file stays short, is the user's own, and tells the latest in order."""
    kept, path = written(tmp_path)
    missed(kept, path, 500, "x" * 5000)
    file = misses.file_of(path)
    assert file.stat().st_size < misses.LIMIT_BYTES + 2000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = misses.of(path)
    assert [one.at_s for one in found] == [float(at) for at in range(500 - misses.KEPT, 500)]
    assert {len(one.differs[0].was or "") for one in found} == {500}


def test_misses_go_with_their_artifact(tmp_path: Path) -> None:
    """Removed and cleared with it; one that a racing process left behind is swept with the next prune."""
    kept, path = written(tmp_path)
    missed(kept, path, 1)
    kept.clear()
    assert not path.parent.exists()
    kept, path = written(tmp_path)
    path.unlink()
    missed(kept, path, 1)
    kept.prune()
    assert list(path.parent.iterdir()) == []


def test_a_miss_that_cannot_be_written_or_read_is_no_failure(tmp_path: Path) -> None:
    """Lines that are damaged are left out; a link is not followed, and what others can write is not read."""
    kept, path = written(tmp_path)
    missed(kept, path, 2)
    file = misses.file_of(path)
    file.write_bytes(b"\xff{not json\n" + file.read_bytes() + b'{"at_s": "now"}\n[1')
    assert [one.at_s for one in misses.of(path)] == [0.0, 1.0]
    file.chmod(0o666)
    assert misses.of(path) == ()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    missed(kept, path, 1)
    assert misses.of(path) == ()
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_artifacts_are_listed_with_their_problem(tmp_path: Path) -> None:
    """`stored` names every file; of a damaged one it says what is wrong."""
    kept, path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    (found,) = kept.stored()
    assert found.header is None
    assert (found.problem or "").startswith("Compile cache file corrupted.")


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    """The key's mode, owner and length are asked for, and that it lies outside of the cache folder."""
    secret.read_or_make(tmp_path / "cache")
    secret.path().chmod(0o644)
    with pytest.raises(secret.NoSecret, match="others can read"):
        store.Store(tmp_path / "cache")
    secret.path().chmod(0o600)
    secret.path().write_bytes(b"short")
    with pytest.raises(secret.NoSecret, match="5 bytes"):
        store.Store(tmp_path / "cache")
    with pytest.raises(secret.NoSecret, match="within the cache folder"):
        store.Store(tmp_path)


def test_one_key_however_many_want_one(tmp_path: Path) -> None:
    """A key that another process made first is the one that is used."""
    first = secret.read_or_make(tmp_path / "cache")
    secret._make(secret.path())
    assert secret.read_or_make(tmp_path / "cache") == first
    assert [one.name for one in secret.path().parent.iterdir()] == ["artifact_key"]


def test_the_first_line_that_differs_is_told() -> None:
    """Of two keys the components that differ are named, each with the first line that differs; text that was cut is compared by its hash."""
    was = (component("a", ["1", "2", "3"]), component("b", ["same"]), Component("c", "h1", "cut"))
    now = (component("a", ["1", "5", "3", "4"]), component("b", ["same"]), Component("c", "h2", "cut"))
    assert [(one.component, one.was, one.now) for one in differences(was, now)] == [
        ("a", "2", "5"),
        ("c", None, None),
    ]
