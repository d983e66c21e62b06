"""The rows of a task in memory: a split, the three splits of a run, and their fingerprint."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from idim.problems.tasks.info import TaskInfo


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows and what they should become.

    `inputs` is one tuple of texts a row, or a float32 array (N, ...): pixels in [0, 1], channels
    first.  `targets` is (N,): int64 class codes, or float32 values for regression.
    """

    inputs: list[tuple[str, ...]] | np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.targets)

    @classmethod
    def nothing(cls) -> "Split":
        """Return one row that stands for none, for a problem without rows."""
        return cls(np.zeros((1, 1), np.float32), np.zeros(1, np.float32))

    def take(self, rows: np.ndarray) -> "Split":
        """Return the rows of these indices, in this order."""
        if isinstance(self.inputs, np.ndarray):
            return Split(self.inputs[rows], self.targets[rows])
        return Split([self.inputs[i] for i in rows], self.targets[rows])

    def keys(self) -> Iterator[Hashable]:
        """Yield for each row what equals another's where all inputs are the same to the byte."""
        if isinstance(self.inputs, np.ndarray):
            return (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in self.inputs)
        return iter(self.inputs)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TaskData:
    """All that a run reads of a task."""

    info: TaskInfo
    train: Split
    # Held out of the training rows to choose learning rate and checkpoint on; None: `evaluation`.
    select: Split | None
    evaluation: Split
    # Hash of the rows used in all three splits, of the label order and of the metrics.
    fingerprint: str
    # By metric: the score on `evaluation` of the constant answer that the training rows commend.
    chance: dict[str, float]
    # What a reader of the results must know about the rows, one sentence each.
    notes: tuple[str, ...] = ()


def concatenate(splits: Sequence[Split]) -> Split:
    """Join splits in order."""
    if len(splits) == 1:
        return splits[0]
    targets = np.concatenate([s.targets for s in splits])
    arrays = [s.inputs for s in splits if isinstance(s.inputs, np.ndarray)]
    if arrays:
        return Split(np.concatenate(arrays), targets)
    return Split([row for s in splits for row in s.inputs], targets)


def fingerprint(task: TaskInfo, splits: Sequence[Split | None]) -> str:
    """Hash what decides a score: each row, its place, label order and metrics; 16 hex digits."""
    digest = hashlib.sha256(repr((task.kind, task.labels, task.metrics)).encode())
    for split in splits:
        for chunk in [b"none"] if split is None else _chunks(split):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _chunks(split: Split) -> Iterator[bytes | memoryview]:
    """Yield a split's content with every length first, so that ("ab", "c") is not ("a", "bc")."""
    yield len(split).to_bytes(8, "little")
    yield np.ascontiguousarray(split.targets).data
    if isinstance(split.inputs, np.ndarray):
        yield repr(split.inputs.shape).encode()
        yield np.ascontiguousarray(split.inputs).data
        return
    for row in split.inputs:
        for text in row:
            encoded = text.encode()
            yield len(encoded).to_bytes(8, "little") + encoded
