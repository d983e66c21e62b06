"""Runs that schema 1 stored: read, never written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from idim.config import RunSpec, current, older_id, slug
from idim.errors import IdimError
from idim.store.files import Damaged, parse, read_bytes, read_json
from idim.store.seal import Record
from idim.store.stored import FIELDS, Stored, damages, tuples, until


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
        record = current(record, FIELDS, f"'{path}'")
        try:
            return RunSpec(**tuples(record | {"kernels": self.kernels}))
        except (IdimError, TypeError, ValueError) as e:
            raise Damaged(path, str(e).rstrip(".")) from None

    def result(self) -> Record | None:
        """Return the result."""
        path = self.folder / "result.json"
        record = read_json(path)
        if record is None:
            return None
        has_score = isinstance(record, dict) and (
            isinstance(record.get("score"), dict) or isinstance(record.get("error"), str)
        )
        if not has_score:
            raise Damaged(path, "not a result")
        return record

    def failure(self) -> str | None:
        """Return why the last attempt failed."""
        record = read_json(self.folder / "failed.json")
        return str(record["error"]) if isinstance(record, dict) and "error" in record else None

    def provenance(self) -> Record | None:
        """Return by what and where the last attempt began."""
        record = read_json(self.folder / "provenance.json")
        return record if isinstance(record, dict) else None

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
