"""Runs on disk: one folder a run, finished when its result.json exists.  Knows no model.

OUT/sweep.json                           what the sweep is: another in the same place is refused
OUT/runs/<xx>/<id>/spec.json             the resolved spec; its hash is the id, xx its first two
OUT/runs/<xx>/<id>/result.json           written last: a run is done when it exists
OUT/runs/<xx>/<id>/rows.safetensors      predictions and targets by row of the evaluation set
OUT/runs/<xx>/<id>/subspace.safetensors  theta_d of a finished subspace run
OUT/runs/<xx>/<id>/paused.safetensors    where a run was stopped early: a longer one may go on there
OUT/runs/<xx>/<id>/attempts/<n>/         each start of the run writes in a folder of its own
    provenance.json                      versions, machine, argv, time
    metrics.jsonl                        one line a look at the loss, appended
    state.safetensors                    the last checkpoint, gone when the run is finished
    failed.json                          why the try failed, where another may succeed
    traceback.log                        where it failed, if by an error
OUT/traceback.log                        where a strategy from outside failed, if by an error
OUT/damaged/                             what was not as it was written, set aside
OUT/sweep.log, OUT/trajectory.log        what the command line said, with times; never read

Every file that a number comes from carries a checksum and whose it is (`idim.store.seal`).  Stores
of schema 1 have neither, and their runs lie in OUT/runs/<id>/: they are read, never written.
"""

import errno
import itertools
import json
import os
import re
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import fields
from functools import cached_property
from pathlib import Path

from idim.config import MODULE, OBJECTIVE, SCHEMA, RunSpec, SweepSpec, current
from idim.errors import IdimError
from idim.store.files import (
    Damaged,
    alone,
    folders,
    make_folder,
    read_json,
    sweep_parts,
    write_bytes,
    write_json,
    write_text,
)
from idim.store.older import OlderRun, check_older_sweep
from idim.store.provenance import provenance
from idim.store.result import Ended, Failed, Result
from idim.store.run import RESULTS, Place, Run, shard
from idim.store.seal import Record, read_sealed, unsealed, write_sealed
from idim.store.stored import Stored
from idim.store.taken import finished, take

__all__ = [
    "Damaged",
    "Ended",
    "Failed",
    "OlderRun",
    "Place",
    "Record",
    "Result",
    "Run",
    "Store",
    "Stored",
    "alone",
    "finished",
    "folders",
    "make_folder",
    "provenance",
    "read_json",
    "read_sealed",
    "stored",
    "sweep_parts",
    "take",
    "write_bytes",
    "write_json",
    "write_sealed",
    "write_text",
]

# Says how a run came about; no number comes from it.
ABOUT = ("provenance.json", "failed.json")
# What people look at beside the runs.
WRITTEN = ("summary.json", "points.csv", "curve.png", "curve.svg")
_SHARD = re.compile("[0-9a-f]{2}")
# What a sweep's record holds beside the fields of its spec.
_OF_A_SWEEP = (
    "model_fingerprint", "data_fingerprint", "changed", "kernels", "full_stacked", "D", "tensors",
    "metric", "chance", "notes", "problem", "held_out", "eval_rows",
    "dropout",
)  # fmt: skip
_SWEEP_KEYS = {f.name for f in fields(SweepSpec)} | set(_OF_A_SWEEP)
# What tells a sweep of schema 1, which has no checksum, from anything else.
_IN_1 = {"model", "task", "d", "seeds", "threshold", "baseline", "D", "metric", "chance", "notes"}
_IN_1 |= {"model_fingerprint", "data_fingerprint"}

# Fields that came after a folder was made have their defaults there.
_DEFAULTS = json.loads(json.dumps({f.name: f.default for f in fields(SweepSpec)}))
del _DEFAULTS["data"]


class Store:
    """A folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, spec: RunSpec) -> Run:
        """Return the folder of a spec's run, which may not exist yet."""
        older = OlderRun(self.root / "runs" / spec.older_id, self._older_kernels)
        is_same = older.folder.is_dir() and _same(older, spec)
        folder = self.root / "runs" / shard(spec.id) / spec.id
        return Run(folder, older if is_same else None)

    def runs(self) -> Iterator[Stored]:
        """Yield every run that was begun, those of older versions first."""
        shards = []
        for path in folders(self.root / "runs"):
            if _SHARD.fullmatch(path.name):
                shards.append(path)
            elif _is_begun(path):
                yield OlderRun(path, self._older_kernels)
            elif any(folders(path)):
                raise Damaged(path, "it is no folder of runs")
        for folder in shards:
            for path in folders(folder):
                if _is_begun(path):
                    yield Run(path)

    @cached_property
    def _older_kernels(self) -> str | None:
        """Return what schema 1 noted beside its runs only: whether plain torch made P theta_d."""
        for folder in folders(self.root / "runs"):
            with suppress(Damaged):
                about = OlderRun(folder).provenance() or {}
                if str(about.get("kernels")).startswith("reference"):
                    return "reference"
        return None

    def mend(self) -> list[str]:
        """Set aside what is not as it was written, so that it is done again; say what.

        A run that would not be begun again without it, or not whole, goes as a whole; a checkpoint
        goes alone.  What killed processes have left half written is removed.
        """
        sweep_parts(self.root)
        said = []
        for path in folders(self.root / "runs"):
            if not (_SHARD.fullmatch(path.name) or _is_begun(path)) and any(folders(path)):
                said.append(self._set_aside(path, "it is no folder of runs"))
        for run in list(self.runs()):
            said += self.mend_run(run)
        return said

    def mend_run(self, run: Stored) -> list[str]:
        """Do what `mend` does for one run."""
        found = list(run.check())
        whole = [e for e in found if e.path.parent == run.folder and e.path.name in RESULTS]
        if whole:
            return [self._set_aside(run.folder, f"{whole[0].path.name}: {whole[0].why}")]
        return [self._set_aside(e.path, e.why) for e in found]

    def set_aside(self, found: Damaged) -> str:
        """Move one damaged file out of the way; say so."""
        return self._set_aside(found.path, found.why)

    def _set_aside(self, path: Path, why: str) -> str:
        """Move a file or folder out of the way, to where nothing is read; say so."""
        home = self.root / "damaged"
        if os.path.lexists(home) and not home.is_dir():
            raise IdimError(f"'{home}' is no folder; remove it: what is damaged is moved there.")
        home.mkdir(exist_ok=True)
        name = "-".join(path.relative_to(self.root).parts)
        free = (home / f"{name}.{n}" for n in itertools.count(1))
        to = next(p for p in free if not os.path.lexists(p))
        path.rename(to)
        again = "" if path.name in ABOUT else ", and done again"
        return f"'{path}' is damaged ({why}); set aside as '{to}'{again}."

    def claim(self, sweep: Record, loose: Container[str] = ()) -> list[str]:
        """Make the folder this sweep's; return what had to be set aside for it.

        Args:
            sweep: what it is.
            loose: keys that may differ from what the folder holds; the new values stay.

        Raises:
            IdimError: it holds another sweep; the line names the first keys that differ.
        """
        held, damage = self.check(sweep, loose)
        said = [] if damage is None else [self.set_aside(damage)]
        if held is None:
            make_folder(self.root)
        # what an older folder does not say at all makes it no other
        if held is None or _differing(sweep, held).keys() & held.keys():
            write_sealed(self.root / "sweep.json", sweep | {"schema": SCHEMA}, "sweep", "sweep")
        return said

    def check(
        self, sweep: Record, loose: Container[str] = ()
    ) -> tuple[Record | None, Damaged | None]:
        """Refuse what `claim` refuses of a folder that is there, and write nothing.

        Returns:
            what the folder says its sweep is, and what is wrong with the file that says it.

        Raises:
            IdimError: as `claim`.
            OSError: there is a file in the folder's place.
        """
        held = damage = None
        try:
            held = self.held()
        except Damaged as e:
            damage = e
        self._refuse_foreign(is_new=held is None, damage=damage)
        differ = _differing(sweep, held)
        if held is None:
            _refuse_file(self.root)
        elif strict := [k for k in differ if k not in loose]:
            first = ", ".join(f"{k}={held.get(k)!r} there, {differ[k]!r} here" for k in strict[:2])
            what = "holds another sweep"
            if "schema" not in read_json(self.root / "sweep.json"):
                what = "was made by an older version, and holds what this one calls another sweep"
            raise IdimError(f"'{self.root}' {what} ({first}); choose another --out.")
        return held, damage

    def held(self) -> Record | None:
        """Return what the folder says its sweep is, in today's schema; None if it has none.

        Raises:
            Damaged: it is not as it was written.
        """
        path = self.root / "sweep.json"
        record = read_json(path)
        if record is None:
            return None
        if not isinstance(record, dict):
            raise Damaged(path, "not a sweep")
        if "schema" in record or "seal" in record:  # schema 1 had neither
            record = unsealed(path, record, "sweep", "sweep")
        elif not _IN_1 <= record.keys() <= _SWEEP_KEYS:
            raise Damaged(path, "not a sweep")
        else:
            try:
                record = current(record, _SWEEP_KEYS, "it") | {"kernels": self._older_kernels}
                check_older_sweep(record)
            except IdimError as e:
                raise Damaged(path, str(e).rstrip(".")) from None
            return _filled(record)
        return _filled(current(record, _SWEEP_KEYS, f"'{path}'"))

    def _refuse_foreign(self, *, is_new: bool, damage: Damaged | None) -> None:
        """Refuse a folder that holds what nobody may move or write over: it is not ours.

        Raises:
            IdimError: naming what it holds.
        """
        runs = [path.name for path in folders(self.root / "runs")]
        ours = [n for n in runs if _SHARD.fullmatch(n) or _is_begun(self.root / "runs" / n)]
        if ours:  # what else lies there was moved or damaged
            return
        names = [f"runs/{name}" for name in runs]
        if damage is not None:
            names += [damage.path.name]
        elif is_new:
            names += [name for name in WRITTEN if (self.root / name).exists()]
        if names:
            raise IdimError(
                f"'{self.root}' holds {names[0]}, which no sweep wrote; choose another --out."
            )

    def older(self) -> int:
        """Count the runs that an older version stored, without checksums."""
        return sum(isinstance(run, OlderRun) for run in self.runs())

    def sweep(self) -> Record:
        """Return what `claim` wrote.

        Raises:
            IdimError: the folder holds no sweep.
        """
        record = self.held()
        if record is None:
            raise IdimError(
                f"'{self.root}' holds no sweep (no sweep.json); give the --out of an idim sweep."
            )
        return record


def _differing(sweep: Record, held: Record | None) -> Record:
    """Return what is wanted of each key that a folder holds otherwise; None: it is not wanted."""
    wanted, there = json.loads(json.dumps(sweep)), held or {}
    return {k: wanted.get(k) for k in wanted | there if wanted.get(k) != there.get(k)}


def _refuse_file(folder: Path) -> None:
    """Raise what making a folder would, where a file is in its way."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return
        if os.path.lexists(place):
            code = errno.EEXIST if place == folder else errno.ENOTDIR
            raise OSError(code, os.strerror(code), str(folder))


def _filled(record: Record) -> Record:
    """Say what came after a folder was made, as it would have been said then."""
    record = _DEFAULTS | record
    task = record["task"]
    problem = task if task in (OBJECTIVE, MODULE) else "task"
    # the toy alone of the tasks has no rows
    held_out = record["select"] == "split" and problem == "task" and task != "toy"
    return {"problem": problem, "held_out": held_out} | record


def stored(folder: Path) -> Stored:
    """Return the run of a folder, whichever version wrote it."""
    return Run(folder) if _SHARD.fullmatch(folder.absolute().parent.name) else OlderRun(folder)


def _is_begun(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in ("spec.json", "result.json"))


def _same(older: OlderRun, spec: RunSpec) -> bool:
    """Tell whether an older run is what a spec asks for; its id alone does not say all of it."""
    found = older.spec()
    return found is not None and found.id == spec.id
