"""What can be read of a run, whichever version wrote it."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from idim.config import RunSpec
from idim.store.files import Damaged
from idim.store.result import Ended
from idim.store.seal import Record

FIELDS = {f.name for f in fields(RunSpec)}


class Stored:
    """What can be read of a run, whichever version wrote it."""

    folder: Path

    @property
    def trained_file(self) -> Path:
        """The file of `Subspace.save` that a finished run keeps."""
        return self.folder / "subspace.safetensors"

    def spec(self) -> RunSpec | None:
        """Return the spec of the run, None if its folder holds none."""
        raise NotImplementedError

    def result(self) -> Ended | None:
        """Return what a finished run came to, None otherwise."""
        raise NotImplementedError

    def failure(self) -> str | None:
        """Return the reason of the last failed try, None if there was none since."""
        raise NotImplementedError

    def provenance(self) -> Record | None:
        """Return by what and where the run was last started."""
        raise NotImplementedError

    def checkpoint(self) -> tuple[Record, list[Record]] | None:
        """Return where an unfinished run stands and its metrics so far, None at its start."""
        raise NotImplementedError

    def pause(self) -> tuple[Record, list[Record]] | None:
        """Return where a run was stopped early and its metrics, None if it was not."""
        raise NotImplementedError

    def check(self) -> Iterator[Damaged]:
        """Find what is not as it was written, one file after another."""
        raise NotImplementedError


def damages(readers: list[Any]) -> Iterator[Damaged]:
    """Yield what each of several readings finds damaged."""
    for read in readers:
        try:
            read()
        except Damaged as e:
            yield e


def until(state: Record, metrics: list[Record]) -> list[Record]:
    """Return the metrics up to the step of a state."""
    return [record for record in metrics if record["step"] <= int(state["step"])]


def tuples(record: Record) -> Record:
    """Return a record of JSON with tuples for lists, as specs have them."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
