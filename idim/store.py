"""Runs on disk: one directory a run, finished when its result.json exists.  Knows no model.

OUT/sweep.json                      what the sweep is: another sweep in the same place is refused
OUT/runs/<id>/spec.json             the resolved spec, whose hash is the id
OUT/runs/<id>/provenance.json       versions, machine, argv, time of the last start
OUT/runs/<id>/metrics.jsonl         one line a look at the loss, appended
OUT/runs/<id>/state.safetensors     the last checkpoint, gone when the run is finished
OUT/runs/<id>/paused.safetensors    where a run was stopped early: a longer one may go on from it
OUT/runs/<id>/subspace.safetensors  theta_d of a finished subspace run
OUT/runs/<id>/failed.json           why the last try failed, where another may succeed
OUT/runs/<id>/result.json           written beside and renamed, last
"""

import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Container, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from idim.config import RunSpec
from idim.errors import IdimError
from idim.machine import cores
from idim.plain import scrubbed

Record = dict[str, Any]


class Run:
    """The directory of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, spec: RunSpec, kernels: str) -> None:
        """Note what is about to run, where, and on which kernels."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "spec.json", asdict(spec))
        write_json(self.folder / "provenance.json", provenance() | {"kernels": kernels})
        (self.folder / "failed.json").unlink(missing_ok=True)

    def append(self, record: Record) -> None:
        """Add one line of metrics."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as f:
            f.write(json.dumps(record) + "\n")

    def last_metrics(self) -> Record | None:
        """Return the newest whole line of metrics, None before the first."""
        try:
            lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            with contextlib.suppress(json.JSONDecodeError):  # a kill can cut the last line
                return json.loads(line)
        return None

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint in one step: a kill leaves the old one or the new one."""
        save_tensors(self.folder / "state.safetensors", state)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint; None if there is none or it is damaged."""
        return _load_tensors(self.folder / "state.safetensors")

    def load_pause(self) -> dict[str, Any] | None:
        """Return where a run was stopped early."""
        return _load_tensors(self.folder / "paused.safetensors")

    def rewind_metrics(self, step: int) -> None:
        """Drop the lines after a checkpoint's step: the resumed run writes them again."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        write_bytes(path, "".join(kept).encode())

    def finish(self, result: Record) -> None:
        """Make the run finished; its checkpoint is no longer needed."""
        write_json(self.folder / "result.json", result)
        (self.folder / "state.safetensors").unlink(missing_ok=True)

    def pause(self, result: Record, state: dict[str, Any]) -> None:
        """Make a run that stops early finished; a longer run may go on from its checkpoint."""
        self.finish(result)
        save_tensors(self.folder / "paused.safetensors", state)

    def forget_pause(self) -> None:
        """Remove what a longer run could have gone on from."""
        (self.folder / "paused.safetensors").unlink(missing_ok=True)

    def follow(self, first: "Run") -> dict[str, Any] | None:
        """Take over what a run that stopped early has done; return its checkpoint."""
        state = first.load_pause()
        if state is not None and (first.folder / "metrics.jsonl").exists():
            metrics = (first.folder / "metrics.jsonl").read_bytes()
            write_bytes(self.folder / "metrics.jsonl", metrics)
        return state

    def fail(self, reason: str) -> None:
        """Note why a try failed; the next sweep tries again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "failed.json", {"error": reason, "utc": _now()})

    def result(self) -> Record | None:
        """Return the result of a finished run, None otherwise."""
        return read_json(self.folder / "result.json")

    def failure(self) -> str | None:
        """Return the reason of the last failed try, None if there was none since."""
        record = read_json(self.folder / "failed.json")
        return None if record is None else record["error"]

    def provenance(self) -> Record | None:
        """Return by what and where the run was last started."""
        return read_json(self.folder / "provenance.json")

    def spec(self) -> RunSpec | None:
        """Return the spec of the run."""
        record = read_json(self.folder / "spec.json")
        return None if record is None else RunSpec(**record)


class Store:
    """A folder of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, spec: RunSpec) -> Run:
        """Return the directory of a spec's run, which may not exist yet."""
        return Run(self.root / "runs" / spec.id)

    def runs(self) -> Iterator[Run]:
        """Yield every run that was begun, in the order of ids."""
        folder = self.root / "runs"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / "spec.json").exists():
                yield Run(path)

    def claim(self, sweep: Record, loose: Container[str] = ()) -> None:
        """Make the folder this sweep's.

        Args:
            sweep: what it is.
            loose: keys that may differ from what the folder holds; the new values stay.

        Raises:
            IdimError: it holds another sweep; the line names the first keys that differ.
        """
        path = self.root / "sweep.json"
        held = read_json(path)
        wanted = json.loads(json.dumps(sweep))
        differ = [k for k in wanted | (held or {}) if wanted.get(k) != (held or {}).get(k)]
        strict = [k for k in differ if k not in loose]
        if held is None:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError:  # as /proc answers
                raise IdimError(f"'{self.root}' cannot be made; choose another --out.") from None
        elif strict:
            first = ", ".join(
                f"{k}={held.get(k)!r} there, {wanted.get(k)!r} here" for k in strict[:2]
            )
            raise IdimError(f"'{self.root}' holds another sweep ({first}); choose another --out.")
        if differ:
            write_json(path, sweep)

    def sweep(self) -> Record:
        """Return what `claim` wrote.

        Raises:
            IdimError: the folder holds no sweep.
        """
        record = read_json(self.root / "sweep.json")
        if record is None:
            raise IdimError(
                f"'{self.root}' holds no sweep (no sweep.json); give the --out of an idim sweep."
            )
        return record


def write_json(path: Path, record: Record) -> None:
    """Write a record so that the file is whole or absent.  NaN has no place in it."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text so that the file is whole or absent."""
    write_bytes(path, text.encode())


def read_json(path: Path) -> Any:
    """Return a record, None if the file does not exist.

    Raises:
        IdimError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise IdimError(f"'{path}' is damaged (not JSON); delete it and run again.") from None


def save_tensors(path: Path, tensors: dict[str, Any], header: dict[str, str] | None = None) -> None:
    """Write tensors so that the file is whole or absent."""
    from safetensors.torch import save

    write_bytes(path, save(tensors, metadata=header))


def _load_tensors(path: Path) -> dict[str, Any] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes so that the file is whole or absent."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def provenance() -> Record:
    """Describe the software and machine of this process."""
    packages = ("idim", "torch", "transformers", "numpy")
    return {
        "utc": _now(),
        "argv": [scrubbed(word) for word in sys.argv],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "machine": platform.machine(),
        "cpus": cores(),
        "host": platform.node(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
