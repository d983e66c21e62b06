"""What the numbers of a sweep rest on: its setting, the runs left out, software and machines."""

from dataclasses import dataclass
from typing import Literal

from idim.config import SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A run without a say in the score of its d."""

    fate: Literal["failed", "diverged", "stopped"]
    d: int | None
    lr: float
    seed: int
    # Why it has no score; None where it was stopped.
    error: str | None = None
    # The share of its steps after which it was stopped.
    stop_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Runs that were made on one machine by the same software."""

    host: str
    machine: str
    cpus: int
    kernels: str
    python: str
    # By package; None: it was not installed.
    versions: dict[str, str | None]
    runs: int
    # When the first and the last of them began, in UTC.
    began: tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a report says beside the summary."""

    # With the model, the task and the data by the names that the runs were given.
    setting: SweepSpec
    # How many tensors the subspace lies in; None: an older folder does not say.
    tensors: int | None
    model_fingerprint: str
    excluded: tuple[LeftOut, ...]
    sources: tuple[Source, ...]
    # Whether the model drops something in training; an older folder does not say, and may.
    dropout: bool = True
