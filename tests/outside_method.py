"""A method as a user would write it: not of the package, entered in its table by the tests."""

from idim.config import RunSpec
from idim.methods import METHODS, Method
from idim.problems.base import Model
from idim.subspace.layout import Extent


class LastTensors(Method):
    """Train the last `size` tensors of a model, and leave the others at theta_0."""

    symbol = "k"

    def __init__(self, spec: RunSpec, model: Model, seed: int) -> None:
        named = list(model.module.named_parameters())
        self.lr, self.tensors = spec.lr, dict(named[len(named) - (spec.size or 0) :])
        for name, p in named:
            p.requires_grad_(name in self.tensors)

    @classmethod
    def sizes(cls, span: Extent) -> int:
        return span.tensors

    @property
    def trainable(self) -> int:
        return sum(p.numel() for p in self.tensors.values())

    def param_groups(self):
        return [{"params": list(self.tensors.values()), "lr": self.lr}]

    def state(self):
        return {name: p.detach().clone() for name, p in self.tensors.items()}

    def load_state(self, state):
        for name, p in self.tensors.items():
            p.data.copy_(state[name])

    def header(self):
        return {"tensors": str(len(self.tensors))}


def enter() -> None:
    """Make it known, as a program would."""
    METHODS["last_tensors"] = LastTensors
