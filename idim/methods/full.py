"""Full fine-tuning: every parameter is trained; the baseline of every other method."""

from typing import TYPE_CHECKING, Any

from idim.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from idim.config import RunSpec
    from idim.problems.base import Model
    from idim.subspace.layout import Extent


class Full(Method):
    """All D parameters, the head with them.  A model as large as the original is not kept."""

    size = None

    def __init__(self, spec: "RunSpec", model: "Model", seed: int) -> None:
        self.module, self.lr = model.module, spec.lr

    @classmethod
    def trained(cls, size: int, span: "Extent") -> int:
        """D, and what a subspace of this setting would leave out."""
        return span.D + span.free + span.frozen

    @classmethod
    def stacks(cls, spec: "RunSpec") -> bool:
        """Always."""
        return True

    @property
    def trainable(self) -> int:
        """D."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def param_groups(self) -> list[dict[str, Any]]:
        """One group of all parameters."""
        return [{"params": list(self.module.parameters()), "lr": self.lr}]

    def state(self) -> "dict[str, Tensor]":
        """Every parameter, tied ones once, and every buffer: training changes BatchNorm's."""
        named = {**dict(self.module.named_parameters()), **self._buffers()}
        return {n: p.detach().to("cpu", copy=True).contiguous() for n, p in named.items()}

    def load_state(self, state: "dict[str, Tensor]") -> None:
        """Copy the saved parameters and buffers in; older states hold no buffers."""
        from torch import no_grad

        with no_grad():
            for name, p in self.module.named_parameters():
                p.copy_(state[name])
            for name, b in self._buffers().items():
                if name in state:
                    b.copy_(state[name])

    def _buffers(self) -> "dict[str, Tensor]":
        return {f"buffer.{n}": b for n, b in self.module.named_buffers()}
