"""Seconds of tests by room, summed over workers, against what each room may take.

A plugin: tests/conftest.py loads it.  Machines differ: an excess fails only with IDIM_BUDGET=1.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

# By the first word of a test file's name, after `test_`; `idim` holds the doctests.
BUDGET = {
    "adaptive": 30, "bound": 90, "cli": 60, "damage": 60, "distributed": 90, "estimate": 60,
    "families": 60, "hub": 90, "kernels": 60, "measure": 90, "models": 90, "older": 30,
    "pretrain": 60, "projection": 60, "projections": 60, "refusals": 90, "report": 30, "rows": 90,
    "search": 30, "source": 60, "subspace": 120, "sweep": 60, "task": 30, "texts": 60,
    "together": 60, "trainer": 60, "trajectory": 60, "triton": 120, "writeup": 30,
}  # fmt: skip
# Of a room that is not in the table.
OTHER = 30


def room(nodeid: str) -> str:
    """Name the room of a test.

    >>> room("tests/test_rows_hub.py::test_x"), room("idim/plain.py::idim.plain.brief")
    ('rows', 'idim')
    """
    file = Path(nodeid.partition("::")[0])
    return file.stem.split("_")[1] if file.stem.startswith("test_") else file.parts[0]


class Budget:
    """Sums what the tests of each room took; under xdist only the controller is told of all."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[room(report.nodeid)] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        over = any(s > BUDGET.get(name, OTHER) for name, s in self.seconds.items())
        if over and os.environ.get("IDIM_BUDGET") == "1" and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("time by room")
        for name, s in self.seconds.most_common():
            most = BUDGET.get(name, OTHER)
            if s >= 1 or s > most:
                over = "  over its budget" if s > most else ""
                terminalreporter.line(f"{name:<14}{s:6.0f} s of {most}{over}")
