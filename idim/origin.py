"""Where theta_0 is kept while theta moves: beside it in memory, or in a file."""

import tempfile
import weakref
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from idim.errors import IdimError

# Bytes read at a time where theta_0 goes through the CPU to another device.
CHUNK = 1 << 26


class Origin(Protocol):
    """Gives theta_0 back."""

    def bases(self, thetas: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors that hold theta_0 now; they may be `thetas`, which are then overwritten.

        Args:
            thetas: those the origin was made from, in the same order.
        """
        ...


class InMemory:
    """A second copy of the parameters: theta is exact after every step."""

    def __init__(self, thetas: Sequence[Tensor]) -> None:
        self._kept = [theta.clone() for theta in thetas]

    def bases(self, thetas: Sequence[Tensor]) -> list[Tensor]:
        """Return the copies."""
        del thetas
        return self._kept


class OnDisk:
    """A nameless file of theta_0, gone with this object: memory holds theta alone.

    The file lies where Python puts temporary files; set TMPDIR if that is memory or too small.

    Raises:
        IdimError: the file cannot be written.
    """

    def __init__(self, thetas: Sequence[Tensor]) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 it lives as long as self
            weakref.finalize(self, self._file.close)
            for theta in thetas:
                for part in _bytes(theta).split(CHUNK):
                    self._write(part.cpu().numpy().data)
        except OSError as e:
            raise IdimError(
                f"theta_0 cannot be written to {tempfile.gettempdir()} ({e.strerror}); "
                "set TMPDIR to a folder with room, or keep two copies."
            ) from None

    def bases(self, thetas: Sequence[Tensor]) -> list[Tensor]:
        """Read theta_0 into theta."""
        self._file.seek(0)
        for theta in thetas:
            for part in _bytes(theta).split(CHUNK):
                if part.device.type == "cpu":
                    self._read(part.numpy().data)
                else:
                    beside = torch.empty(part.shape, dtype=torch.uint8)
                    self._read(beside.numpy().data)
                    part.copy_(beside)
        return list(thetas)

    def _write(self, content: memoryview) -> None:
        while content:
            content = content[self._file.write(content) :]

    def _read(self, target: memoryview) -> None:
        while target:
            count = self._file.readinto(target)
            if not count:
                raise IdimError("the temporary file of theta_0 was cut short.")
            target = target[count:]


def _bytes(theta: Tensor) -> Tensor:
    return theta.detach().view(torch.uint8)
