"""Measure the intrinsic dimension of fine-tuning."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Subspace", "__version__", "restore"]

if TYPE_CHECKING:
    from idim.api.restored import restore
    from idim.subspace import Subspace


def __getattr__(name: str) -> Any:
    """Import torch only when the library is used: `idim --help` must feel instant."""
    if name == "Subspace":
        from idim.subspace import Subspace

        return Subspace
    if name == "restore":
        from idim.api.restored import restore

        return restore
    raise AttributeError(f"module 'idim' has no attribute '{name}'")
