"""By what and where something was made."""

import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from idim.machine import cores
from idim.plain import scrubbed


def provenance() -> dict[str, Any]:
    """Describe the software and machine of this process."""
    packages = ("idim", "torch", "transformers", "numpy")
    return {
        "utc": now(),
        "argv": [scrubbed(word) for word in sys.argv],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "machine": platform.machine(),
        "cpus": cores(),
        "host": platform.node(),
    }


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
