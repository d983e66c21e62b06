"""Runs that schema 1 stored: read, never written."""

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from idim.config import RunSpec, SweepSpec, current, older_id, slug
from idim.errors import IdimError
from idim.store.files import Damaged, parse, read_bytes, read_json
from idim.store.result import Ended, ended_in_1
from idim.store.seal import Record
from idim.store.stored import FIELDS, Stored, damages, tuples, until

# What schema 1 noted of a start, and a report reads.
_PROVENANCE = {"utc": str, "host": str, "machine": str, "python": str, "versions": dict}
_PROVENANCE |= {"cpus": int, "kernels": str}


class OlderRun(Stored):
    """A run that schema 1 stored: read, never written.  Its files have no checksums."""

    def __init__(self, folder: Path, kernels: str | None = None) -> None:
        self.folder, self.kernels = folder, kernels

    def spec(self) -> RunSpec | None:
        """Return the spec, checked against the name of the folder."""
        path = self.folder / "spec.json"
        record = read_json(path)
        if record is None:
            return None
        if not isinstance(record, dict):
            raise Damaged(path, "not a spec")
        if older_id(record, slug) != self.folder.name:
            raise Damaged(path, "it is of another run")
        try:
            record = current(record, FIELDS, "it")
            return RunSpec(**tuples(record | {"kernels": self.kernels}))
        except (IdimError, TypeError, ValueError) as e:
            raise Damaged(path, str(e).rstrip(".")) from None

    def result(self) -> Ended | None:
        """Return the result."""
        path = self.folder / "result.json"
        record = read_json(path)
        return None if record is None else ended_in_1(record, path)

    def failure(self) -> str | None:
        """Return why the last attempt failed."""
        record = read_json(self.folder / "failed.json")
        return str(record["error"]) if isinstance(record, dict) and "error" in record else None

    def provenance(self) -> Record | None:
        """Return by what and where the last attempt began."""
        record = read_json(self.folder / "provenance.json")
        is_sound = isinstance(record, dict) and all(
            isinstance(record.get(name), kind) for name, kind in _PROVENANCE.items()
        )
        return record if is_sound else None

    def check(self) -> Iterator[Damaged]:
        """Read everything that a number comes from."""
        yield from damages([self.spec, self.result, self.failure, self.provenance])

    def checkpoint(self) -> tuple[Record, list[Record]] | None:
        """Return where the attempt that came furthest stands."""
        return self._state("state.safetensors")

    def pause(self) -> tuple[Record, list[Record]] | None:
        """Return the end of the part that was done."""
        return self._state("paused.safetensors")

    def _state(self, name: str) -> tuple[Record, list[Record]] | None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        content = read_bytes(self.folder / name)
        if content is None:
            return None
        try:
            state = load(content)
        except SafetensorError:
            return None
        lines = []
        for line in (read_bytes(self.folder / "metrics.jsonl") or b"").splitlines():
            try:
                record: Any = parse(self.folder, line)
            except Damaged:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                lines.append(record)
        return (state, until(state, lines)) if "step" in state else None


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return is_number and math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False


def check_older_sweep(record: Record) -> None:
    """Refuse the record of a sweep of schema 1 that cannot be what was written.

    Raises:
        IdimError: a value of another type, or out of range.
    """
    known = {f.name for f in fields(SweepSpec)}
    SweepSpec(**tuples({k: v for k, v in record.items() if k in known}))
    facts = {
        "D": type(record["D"]) is int and record["D"] > 0,
        "metric": isinstance(record["metric"], str),
        "chance": record["chance"] is None or _is_finite(record["chance"]),
        "notes": isinstance(record["notes"], list)
        and all(isinstance(n, str) for n in record["notes"]),
        "model_fingerprint": isinstance(record["model_fingerprint"], str),
        "data_fingerprint": isinstance(record["data_fingerprint"], str),
        "tensors": type(record.get("tensors", 1)) is int,
        "steps": bool(record["steps"]) != bool(record["epochs"]),
    }
    for name, is_right in facts.items():
        if not is_right:
            raise IdimError(f"{name} is not what a sweep writes.")
