"""What a power cut leaves: a file is on the disk before it has its name.

`os.replace` alone orders nothing: a machine that loses power may keep the new name and none of the
bytes.  So the calls are watched: the whole content, then fsync of that file, then its name.
"""

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

import pytest

from idim import store
from idim.config import RunSpec
from idim.errors import IdimError
from idim.sweeps import plan_run, run

# What gives a file its name.
NAMING = ("replace", "rename", "link")


class Call(NamedTuple):
    """A call that decides what a power cut leaves."""

    what: str
    inode: int
    # Of a file as it was then.
    content: bytes
    # Of the name it got.
    path: Path | None = None


@pytest.fixture
def calls(monkeypatch):
    """Keep every fsync and every naming of a file, in order."""
    seen: list[Call] = []

    def sync(original):
        def call(fd):
            found = os.stat(fd)
            whole = b"" if stat.S_ISDIR(found.st_mode) else Path(f"/proc/self/fd/{fd}").read_bytes()
            what = "folder" if stat.S_ISDIR(found.st_mode) else "fsync"
            seen.append(Call(what, found.st_ino, whole))
            return original(fd)

        return call

    def name(original):
        def call(source, target, **options):
            seen.append(
                Call("name", os.stat(source).st_ino, Path(source).read_bytes(), Path(target))
            )
            return original(source, target, **options)

        return call

    for what in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, what, sync(getattr(os, what)))
    for what in NAMING:
        monkeypatch.setattr(os, what, name(getattr(os, what)))
    return seen


def check(calls: list[Call], path: Path) -> None:
    """Hold the order of the calls for a file that is there."""
    named = [i for i, c in enumerate(calls) if c.path == path]
    assert named, f"{path.name} was not written beside and named"
    last = calls[named[-1]]
    assert last.content == path.read_bytes()
    before = [c for c in calls[: named[-1]] if c.what == "fsync" and c.inode == last.inode]
    assert before, f"{path.name} got its name before it was on the disk"
    assert before[-1].content == last.content
    # if the folder is synced too, then with the name in it
    folders = [i for i, c in enumerate(calls) if c.what == "folder" and c.inode == parent(path)]
    assert not folders or folders[-1] > named[-1]


def parent(path: Path) -> int:
    return path.parent.stat().st_ino


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads an open file again")


@linux
@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000])
@pytest.mark.parametrize("old", [None, b"old"])
def test_bytes_are_on_the_disk_before_they_have_a_name(content, old, calls, tmp_path):
    path = tmp_path / "a file"
    if old is not None:
        path.write_bytes(old)
    store.write_bytes(path, content)
    assert path.read_bytes() == content
    check(calls, path)


@linux
def test_a_record_is_on_the_disk_before_it_has_a_name(calls, tmp_path):
    for record in ({"score": 0.1}, {"score": 0.2, "more": "x" * 100_000}):
        store.write_json(tmp_path / "result.json", record)
        check(calls, tmp_path / "result.json")


@linux
@pytest.mark.parametrize("change", [{"d": 3}, {"method": "full"}])
def test_every_file_that_a_number_comes_from_is_written_so(change, calls, tmp_path):
    run(plan_run(RunSpec(model="toy", steps=20, **change)), tmp_path)
    written = [
        path
        for name in ("spec.json", "result.json", "subspace.safetensors")
        for path in tmp_path.rglob(name)
    ]
    assert len(written) == (3 if "d" in change else 2)
    for path in written:
        check(calls, path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_beside_it(
    step, old, monkeypatch, tmp_path
):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "result.json"
    if old is not None:
        path.write_bytes(old)
    monkeypatch.setattr(os, step, fail)
    with pytest.raises((OSError, IdimError), match="No space"):
        store.write_bytes(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == (
        [] if old is None else [("result.json", old)]
    )
