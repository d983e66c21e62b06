"""Where runs execute: a worker executes one run, a launcher places workers.

A launcher is an entry of `LAUNCHERS`: given how many workers, a context that executes runs.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from idim.config import RunSpec
from idim.launch.local import Workers
from idim.launch.worker import Watch

__all__ = ["LAUNCHERS", "Launched", "Watch", "start"]


class Launched(Protocol):
    """Workers that were placed somewhere."""

    def run_all(self, specs: list[RunSpec], root: Path, watch: Watch) -> None:
        """Execute runs against the store in `root`, and tell of each start and end."""
        ...


LAUNCHERS: dict[str, Callable[[int], AbstractContextManager[Launched]]] = {"local": Workers}


def start(jobs: int, launcher: str = "local") -> AbstractContextManager[Launched]:
    """Place workers by a launcher's name; they start with the first runs they are given."""
    return LAUNCHERS[launcher](jobs)
