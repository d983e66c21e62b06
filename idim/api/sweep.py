"""`idim sweep` from Python."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from idim.api.summary import Summary
from idim.config import SweepSpec, load, with_recipe
from idim.errors import IdimError, refused
from idim.reading import expanded
from idim.sweeps import Event, Plan, default_out, execute, neighbours, plan, write


def silent(_: Any) -> None:
    """Say nothing."""


def sweep(
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    share: bool = True,
    progress: Callable[[Event], None] = silent,
    tell: Callable[[str], None] = silent,
    **settings: Any,
) -> Summary:
    """Measure d90 of a model on a task, or go on where an earlier call was stopped.

    Does the same runs in the same folder as `idim sweep` with the same settings.

    Args:
        out: folder of the results; by default one in ./idim-out, by what is measured.
        jobs: processes.  With more than one, a script must call this below
            `if __name__ == "__main__":`, as any that starts processes.
        share: whether equal runs that sweeps in folders beside have done are linked from there.
        progress: told of every event of a run.
        tell: given a line for whatever was damaged in the folder, and is done again, and for what
            was found in folders beside.
        **settings: the options of `idim sweep` by their names there, with underscores, for
            instance model="tiny", task="paraphrase", d=(10, 100), projection="sparse".

    Returns:
        d90 with its evidence.

    Raises:
        IdimError: a setting that is unknown, of a wrong type, out of range or of no use, or a
            folder that holds another sweep.
        RunFailed: the machine failed.

    Example:
        `idim.sweep(model="toy", baseline=1.0).d90` is 10.
    """
    with explained():
        spec = load(SweepSpec, None, {k: plain(v) for k, v in settings.items()}, tell)
        place = folder(default_out(with_recipe(spec)) if out is None else out)
        beside = neighbours(place) if share else []
        planned = plan(spec, place)
        return run_plan(planned, place, jobs=jobs, share=beside, progress=progress, tell=tell)


def run_plan(
    planned: Plan,
    out: Path,
    *,
    jobs: int,
    share: Sequence[Path] = (),
    progress: Callable[[Event], None],
    tell: Callable[[str], None],
) -> Summary:
    """Do what is missing of a plan, and write the files that people look at."""
    if not isinstance(jobs, int) or jobs < 1:
        raise IdimError(f"jobs must be at least 1, got {jobs!r}.")
    with _undisturbed():
        summary = execute(planned, out, jobs=jobs, share=share, progress=progress, tell=tell)
    write(summary, out)
    return Summary.of(summary)


def plain(value: Any) -> Any:
    """Return a setting as specs hold it: lists, ranges and numpy's arrays and numbers too."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(plain, value)) if isinstance(value, list | tuple | range) else value


def folder(out: str | Path) -> Path:
    """Return the folder that a user names.

    Raises:
        IdimError: no folder can have this name.
    """
    name = os.fspath(out) if isinstance(out, os.PathLike) else out
    if not isinstance(name, str) or not name or "\0" in name:
        raise IdimError(f"out must name a folder, got {out!r}.")
    return expanded(name)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the machine refuses into one line.

    Raises:
        IdimError: or RunFailed, as the command line would say it.
    """
    try:
        yield
    except OSError as e:
        raise refused(e) from e


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the caller's torch as it was: runs set threads, seeds and deterministic kernels."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    strict = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        torch.use_deterministic_algorithms(strict, warn_only=warn)
