"""Every test runs on one thread of its own, sees no user's files, and may share two cores."""

import os
from pathlib import Path

# before torch is imported: two test processes on two cores must not wait for each other's threads
os.environ.setdefault("OMP_NUM_THREADS", "1")
# before triton is imported, which torch may do: where there is no GPU its interpreter runs kernels
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

import outside  # noqa: F401  a projection that is not the package's own
import pytest
import torch
from budget import Budget


def pytest_configure(config):
    """Sum the tests' time by room, in the process that sees them all."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Budget(), "budget")


def pytest_collection_modifyitems(items):
    """Leave out what takes minutes, unless IDIM_SLOW=1, and what needs a GPU that is not there."""
    left_out = {}
    if os.environ.get("IDIM_SLOW") != "1":
        left_out["slow"] = "takes minutes; IDIM_SLOW=1 runs it"
    if not torch.cuda.is_available():
        left_out["gpu"] = "needs a GPU"
    for item in items:
        for marker, reason in left_out.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """Keep the user's pins and hub cache out of sight and out of reach."""
    monkeypatch.setenv("IDIM_HOME", str(tmp_path / "idim-home"))


@pytest.fixture(autouse=True)
def _own_threads():
    """Give the next test the thread count this one found: a run sets its own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
