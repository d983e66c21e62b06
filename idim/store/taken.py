"""A finished run of another store becomes one of this store: its files are linked."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from idim.config import RunSpec
from idim.errors import IdimError
from idim.store.files import Damaged, beside, read_bytes, write_bytes
from idim.store.provenance import now
from idim.store.result import Ended
from idim.store.run import Place, Run, shard
from idim.store.seal import Record, write_sealed

# What a finished run has beside its result; from a pause a longer run goes on.
_BEFORE = ("rows.safetensors", "subspace.safetensors", "paused.safetensors")
# What must be equal for an id to stand for equal bits: "on one machine, by one software".
_SAME = ("versions", "host", "machine", "kernels")


def finished(root: Path, name: str, here: Record) -> Ended | None:
    """Return what a run of another store came to; None where it is not to be taken.

    It is where it has ended, is sealed, and was made on this machine by the software of this
    process: then it has the bits that it would have here.  What is in progress, damaged, or made
    elsewhere is none of ours.

    Args:
        root: of the other store.
        name: the id of the run.
        here: what `provenance` says of this process, and the `kernels` that would run it.
    """
    run = Run(root / "runs" / shard(name) / name)
    try:
        found, about = run.result(), run.provenance()
        is_ours = about is not None and all(about.get(key) == here[key] for key in _SAME)
        return found if is_ours and run.spec() is not None else None
    except (IdimError, OSError):  # of a newer version, or not to be read
        return None


def take(run: Run, spec: RunSpec, root: Path) -> bool:
    """Make a finished run of another store one of ours, file by file; False: it cannot be.

    Its files are linked, or copied where they cannot be, and checked where they then lie; the
    result comes last, as when a run ends: a kill before leaves a run that is not done.

    Args:
        run: of this store, without a result.
        spec: of the run; the other store may name its model and rows by another place.
        root: of the other store.
    """
    there = Run(root / "runs" / shard(run.id) / run.id)
    is_new = not run.folder.exists()
    place = run.new_place(spec)
    try:
        made_by, was = there.provenance(), there.last_attempt()
        if made_by is None or was is None:  # set aside since it was found
            raise Damaged(there.folder, "it has no attempt")
        for name in _BEFORE:
            _link(there.folder / name, run.folder / name)
        _link(was.folder / "metrics.jsonl", place.folder / "metrics.jsonl")
        about = made_by | {"taken": {"from": str(root), "utc": now()}}
        write_sealed(place.folder / "provenance.json", about, "provenance", run.id)
        for damage in run.check():
            raise damage
        _link(there.folder / "result.json", run.folder / "result.json")
        if run.result() is None:
            raise Damaged(run.folder, "it has no result")
    except (IdimError, OSError):
        _undo(run, place, is_new=is_new)
        return False
    run.forget_others(place)
    return True


def _undo(run: Run, place: Place, *, is_new: bool) -> None:
    """Leave nothing that another store's files have brought; the result goes first."""
    (run.folder / "result.json").unlink(missing_ok=True)
    if is_new:
        shutil.rmtree(run.folder, ignore_errors=True)
        return
    shutil.rmtree(place.folder, ignore_errors=True)
    for name in _BEFORE:
        (run.folder / name).unlink(missing_ok=True)


def _link(source: Path, to: Path) -> None:
    """Give a file a second name, in place of what has that name; what is not there is left out.

    No file of a run is ever written into: a change is another file, renamed.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(source.lstat().st_mode):
            raise Damaged(source, "not a file")
        part = beside(to)
        try:
            os.link(source, part)
            os.replace(part, to)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one without links
            if (content := read_bytes(source)) is not None:
                write_bytes(to, content)
        finally:
            part.unlink(missing_ok=True)  # two names of one file: a rename leaves both
