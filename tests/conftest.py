"""Every test runs on one thread of its own, sees no user's files, and may share two cores."""

import os

# before torch is imported: two test processes on two cores must not wait for each other's threads
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """Keep the user's pins and hub cache out of sight and out of reach."""
    monkeypatch.setenv("IDIM_HOME", str(tmp_path / "idim-home"))
