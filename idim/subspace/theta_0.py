"""Where theta_0 is kept while theta moves: beside it in memory, or in a file."""

import hashlib
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from idim.errors import IdimError

# Bytes read at a time where theta_0 goes through the CPU to another device.
CHUNK = 1 << 26


class Theta0(Protocol):
    """Gives theta_0 back."""

    def bases(self, thetas: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors that hold theta_0 now; they may be `thetas`, which are then overwritten.

        Args:
            thetas: those it was made from, in the same order.
        """
        ...

    def base(self, index: int, like: Tensor) -> Tensor:
        """Return theta_0 of one tensor, flat, where `like` is; not to be written to."""
        ...


class InMemory:
    """A second copy of the parameters: theta is exact after every step."""

    def __init__(self, thetas: Sequence[Tensor]) -> None:
        self._kept = [theta.clone() for theta in thetas]

    def bases(self, thetas: Sequence[Tensor]) -> list[Tensor]:
        """Return the copies, moved once where the parameters were moved."""
        for kept, theta in zip(self._kept, thetas, strict=True):
            if kept.device != theta.device:
                self._kept = [k.to(t.device) for k, t in zip(self._kept, thetas, strict=True)]
                break
        return self._kept

    def base(self, index: int, like: Tensor) -> Tensor:
        """Return the copy."""
        return self._kept[index].to(like.device)


class OnDisk:
    """A nameless file of theta_0, gone with this object: memory holds theta alone.

    The file lies where Python puts temporary files; set TMPDIR if that is memory or too small.

    Raises:
        IdimError: the file cannot be written.
    """

    def __init__(self, thetas: Sequence[Tensor]) -> None:
        try:
            self._sizes = [(theta.numel(), theta.dtype) for theta in thetas]
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

    def base(self, index: int, like: Tensor) -> Tensor:
        """Read one tensor."""
        length, dtype = self._sizes[index]
        content = torch.empty(length, dtype=dtype)
        self._file.seek(sum(n * t.itemsize for n, t in self._sizes[:index]))
        for part in _bytes(content).split(CHUNK):
            self._read(part.numpy().data)
        return content.to(like.device)

    def _write(self, content: memoryview) -> None:
        while content:
            content = content[self._file.write(content) :]

    def _read(self, target: memoryview) -> None:
        while target:
            count = self._file.readinto(target)
            if not count:
                raise IdimError("the temporary file of theta_0 was cut short.")
            target = target[count:]


class Buffers:
    """The start values of a module's buffers, to tell what training changed (BatchNorm's sums)."""

    def __init__(self, module: nn.Module) -> None:
        self._start = {n: b.detach().clone() for n, b in module.named_buffers()}

    def changed(self, module: nn.Module) -> dict[str, Tensor]:
        """Return the buffers that no longer hold their start value."""
        return {
            n: b.detach()
            for n, b in module.named_buffers()
            if n not in self._start or not _equal(b, self._start[n])
        }

    @torch.no_grad()
    def restore(self, module: nn.Module, changed: dict[str, Tensor]) -> None:
        """Set the buffers to what `changed` returned once; the others to their start values."""
        for name, b in list(module.named_buffers()):
            value = changed.get(name, self._start.get(name))
            if value is None or _equal(b, value):
                continue
            if value.shape == b.shape:
                b.copy_(value)
            else:
                path, _, last = name.rpartition(".")
                module.get_submodule(path)._buffers[last] = value.to(b.device, copy=True)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and (a.is_meta or torch.equal(a, b.to(a.device)))


def digest(tensor: Tensor) -> str:
    """Return 12 hexadecimal digits of a hash of a tensor's bits."""
    found = hashlib.blake2b(digest_size=6)
    for part in _parts(tensor):
        found.update(part.cpu().numpy().data)
    return found.hexdigest()


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    flat = tensor.detach().contiguous().reshape(-1)
    yield from _bytes(flat).split(CHUNK) if flat.numel() else ()


def _bytes(theta: Tensor) -> Tensor:
    return theta.detach().view(torch.uint8)
