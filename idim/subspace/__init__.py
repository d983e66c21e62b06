"""theta = theta_0 + P theta_d on a module's own parameters."""

from idim.subspace.bound import Subspace

__all__ = ["Subspace"]
