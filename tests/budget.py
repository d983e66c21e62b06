"""Seconds of tests by room, summed over workers, against what each room may take.

A plugin: tests/conftest.py loads it.  Machines differ: an excess fails only with IDIM_BUDGET=1.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

# By the first word of a test file's name, after `test_`; `idim` holds the doctests.  A third more
# than a quiet run took on two cores of a server.  Two cores have 1,800 s in a quarter of an hour:
# these are 1,280 of them, and a room that needs more takes it from another.
BUDGET = {
    "bound": 40, "cli": 30, "damage": 40, "distributed": 80, "docs": 40, "hub": 60, "kernels": 40,
    "launch": 50, "measure": 110, "one": 100, "projection": 40, "projections": 30, "real": 90,
    "refusals": 90, "source": 30, "subspace": 30, "sweep": 250, "train": 30, "trainer": 40,
    "triton": 100,
}  # fmt: skip
# Of a room that is not in the table.
OTHER = 20


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
