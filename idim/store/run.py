"""One run on disk."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from idim.config import ID_DIGITS, SCHEMA, RunSpec, current
from idim.records import to_json
from idim.store.files import Damaged, folders, write_text
from idim.store.provenance import now, provenance
from idim.store.result import Ended, ended
from idim.store.seal import (
    Record,
    read_last_line,
    read_lines,
    read_sealed,
    read_tensors,
    sealed_line,
    write_sealed,
    write_tensors,
)
from idim.store.stored import FIELDS, Stored, damages, tuples, until

# What a finished run consists of.
RESULTS = ("spec.json", "result.json", "rows.safetensors", "subspace.safetensors")


def shard(name: str) -> str:
    """Return the folder among `runs` that holds a run: so none gets too many entries."""
    return name[-ID_DIGITS:][:2]


class Place:
    """A folder in which something is trained: its metrics and its last checkpoint."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder, self.owner = folder, owner

    def append(self, record: Record) -> None:
        """Add one line of metrics."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as f:
            f.write(sealed_line(record, self.owner))

    def metrics(self) -> list[Record]:
        """Return every whole line of metrics."""
        return read_lines(self.folder / "metrics.jsonl", self.owner)

    def last_metrics(self) -> Record | None:
        """Return the newest whole line of metrics, None before the first."""
        return read_last_line(self.folder / "metrics.jsonl", self.owner)

    def begin_metrics(self, records: list[Record]) -> None:
        """Begin the metrics with what was done before."""
        lines = (sealed_line(record, self.owner) for record in records)
        write_text(self.folder / "metrics.jsonl", "".join(lines))

    def checkpoint(self, state: Record) -> None:
        """Replace the checkpoint in one step: a kill leaves the old one or the new one."""
        write_tensors(self.folder / "state.safetensors", state, "state", self.owner)

    def load_checkpoint(self) -> Record | None:
        """Return the last checkpoint; None if there is none.

        Raises:
            Damaged: it is not what was written.
        """
        return read_tensors(self.folder / "state.safetensors", "state", self.owner)

    def forget_checkpoint(self) -> None:
        """Remove the checkpoint."""
        (self.folder / "state.safetensors").unlink(missing_ok=True)


class Run(Stored):
    """The folder of one run; `older` is one of an earlier version that it goes on from."""

    def __init__(self, folder: Path, older: Stored | None = None) -> None:
        self.folder, self.id, self.older = folder, folder.name, older

    # Writing: one process at a time

    def begin(self, spec: RunSpec, kernels: str, metrics: list[Record]) -> Place:
        """Note what is about to run, where, and on which kernels; return where it writes.

        Args:
            spec: of the run.
            kernels: which run it.
            metrics: what was done before.
        """
        attempt = self.new_place(spec)
        about = provenance() | {"kernels": kernels}
        write_sealed(attempt.folder / "provenance.json", about, "provenance", self.id)
        if metrics:
            attempt.begin_metrics(metrics)
        return attempt

    def new_place(self, spec: RunSpec) -> Place:
        """Say what the run is, and make the folder of another attempt."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = asdict(spec) | {"schema": SCHEMA}
        write_sealed(self.folder / "spec.json", record, "spec", self.id)
        number = 1 + max((int(p.name) for p in self._attempts()), default=0)
        place = Place(self.folder / "attempts" / str(number), self.id)
        place.folder.mkdir(parents=True)
        return place

    def finish(self, attempt: Place, result: Ended, rows: Record | None = None) -> None:
        """Make the run finished: its result is written last, and other attempts go.

        Args:
            attempt: where it was trained.
            result: what it came to.
            rows: predictions and targets by row of the evaluation set.
        """
        if rows:
            write_tensors(self.folder / "rows.safetensors", rows, "rows", self.id)
        write_sealed(self.folder / "result.json", to_json(result), "result", self.id)
        attempt.forget_checkpoint()
        self.forget_others(attempt)

    def forget_others(self, attempt: Place) -> None:
        """Remove every other attempt of a finished run."""
        for other in self._attempts():
            if other != attempt.folder:
                shutil.rmtree(other, ignore_errors=True)

    def save_trained(self, state: Record, header: dict[str, str]) -> None:
        """Keep what training has chosen, as a file of `Subspace.save`."""
        write_tensors(self.trained_file, state, "subspace", self.id, header)

    def save_pause(self, state: Record) -> None:
        """Keep where a run stops early: a longer run may go on from it."""
        write_tensors(self.folder / "paused.safetensors", state, "paused", self.id)

    def forget_pause(self) -> None:
        """Remove what a longer run could have gone on from."""
        (self.folder / "paused.safetensors").unlink(missing_ok=True)

    def fail(self, attempt: Place, reason: str, trace: str = "") -> None:
        """Note why a try failed; the next sweep tries again.

        Args:
            attempt: where it was trained.
            reason: in one line.
            trace: the traceback, which is for whoever looks for the cause.
        """
        record = {"error": reason, "utc": now()}
        attempt.folder.mkdir(parents=True, exist_ok=True)
        if trace:
            write_text(attempt.folder / "traceback.log", trace)
        write_sealed(attempt.folder / "failed.json", record, "failed", self.id)

    def last_attempt(self) -> Place | None:
        """Return where the run was last begun."""
        attempts = self._attempts()
        return Place(attempts[-1], self.id) if attempts else None

    # Reading

    def spec(self) -> RunSpec | None:
        """Return the spec, checked against the name of the folder."""
        record = read_sealed(self.folder / "spec.json", "spec", self.id)
        if record is None:
            if (self.folder / "result.json").exists():
                raise Damaged(self.folder / "spec.json", "it is missing")
            return None
        spec = RunSpec(**tuples(current(record, FIELDS, f"'{self.folder / 'spec.json'}'")))
        if spec.id != self.id or self.folder.parent.name != shard(self.id):
            raise Damaged(self.folder / "spec.json", "it is of another run")
        return spec

    def result(self) -> Ended | None:
        """Return what the run came to, or the older run did."""
        path = self.folder / "result.json"
        own = read_sealed(path, "result", self.id)
        if own is None:
            return self.older.result() if self.older else None
        return ended(own, f"'{path}'")

    def failure(self) -> str | None:
        """Return why the last attempt failed, or the older run did."""
        attempt = self.last_attempt()
        if attempt is None:
            return self.older.failure() if self.older else None
        record = read_sealed(attempt.folder / "failed.json", "failed", self.id)
        return None if record is None else str(record["error"])

    def provenance(self) -> Record | None:
        """Return by what and where the last attempt began."""
        attempt = self.last_attempt()
        if attempt is None:
            return None
        return read_sealed(attempt.folder / "provenance.json", "provenance", self.id)

    def checkpoint(self) -> tuple[Record, list[Record]] | None:
        """Return where the attempt that came furthest stands."""
        found = []
        for folder in self._attempts():
            place = Place(folder, self.id)
            if (state := place.load_checkpoint()) is not None:
                found.append((state, until(state, place.metrics())))
        if found:
            return max(found, key=lambda f: int(f[0]["step"]))
        return self.older.checkpoint() if self.older else None

    def pause(self) -> tuple[Record, list[Record]] | None:
        """Return the end of the part that was done."""
        state = read_tensors(self.folder / "paused.safetensors", "paused", self.id)
        if state is None:
            return self.older.pause() if self.older else None
        attempt = self.last_attempt()
        return state, until(state, attempt.metrics() if attempt else [])

    def rows(self) -> Record | None:
        """Return predictions and targets by row of the evaluation set, None if not stored."""
        return read_tensors(self.folder / "rows.safetensors", "rows", self.id)

    def trained(self) -> Record | None:
        """Return what training has chosen, None where it is not kept."""
        return read_tensors(self.trained_file, "subspace", self.id)

    def last_metrics(self) -> Record | None:
        """Return the newest whole line of metrics, None before the first."""
        attempt = self.last_attempt()
        return attempt.last_metrics() if attempt else None

    def check(self) -> Iterator[Damaged]:
        """Read everything that a number comes from."""
        readers = [
            self.spec,
            lambda: read_sealed(self.folder / "result.json", "result", self.id),
            self.rows,
            self.trained,
            lambda: read_tensors(self.folder / "paused.safetensors", "paused", self.id),
            self.failure, self.provenance,
        ]  # fmt: skip
        for folder in self._attempts():
            readers.append(Place(folder, self.id).load_checkpoint)
        yield from damages(readers)
        place = self.folder / "attempts"
        inside = [p for p in place.iterdir() if p.name.isdecimal()] if place.is_dir() else [place]
        for path in inside:
            if os.path.lexists(path) and not path.is_dir():
                yield Damaged(path, "not a folder")

    def _attempts(self) -> list[Path]:
        numbered = (p for p in folders(self.folder / "attempts") if p.name.isdecimal())
        return sorted(numbered, key=lambda p: int(p.name))
