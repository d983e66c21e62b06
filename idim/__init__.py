"""Measure the intrinsic dimension of fine-tuning."""

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Subspace",
    "Summary",
    "Trial",
    "__version__",
    "load",
    "measure",
    "restore",
    "sweep",
]

# When this was imported: code whose file is older is the code that runs.
LOADED = time.time()

if TYPE_CHECKING:
    from idim.api.measure import measure
    from idim.api.restored import restore
    from idim.api.summary import Summary, load
    from idim.api.sweep import sweep
    from idim.problems.given import Trial
    from idim.subspace import Subspace

_HOMES = {
    "Subspace": "idim.subspace",
    "Summary": "idim.api.summary",
    "Trial": "idim.problems.given",
    "load": "idim.api.summary",
    "measure": "idim.api.measure",
    "restore": "idim.api.restored",
    "sweep": "idim.api.sweep",
}


def __dir__() -> list[str]:
    """List the names that are imported when they are asked for, too."""
    return sorted({*globals(), *_HOMES})


def __getattr__(name: str) -> Any:
    """Import torch only when the library is used: `idim --help` must feel instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'idim' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
