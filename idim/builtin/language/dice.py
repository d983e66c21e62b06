"""Random choices that are the same on every Python: only `Random.random()` is promised for ever."""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of choices fixed by its seed words.

    >>> Dice("demo", 1).pick("abc") == Dice("demo", 1).pick("abc")
    True
    """

    def __init__(self, *seed: str | int) -> None:
        self._random = random.Random(_number(*seed)).random

    def chance(self, p: float) -> bool:
        """Return True with probability p."""
        return self._random() < p

    def below(self, n: int) -> int:
        """Return one of 0 .. n-1."""
        return int(self._random() * n)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[int(self._random() * len(choices))]

    def other(self, choices: Sequence[T], than: T) -> T:
        """Return one of the choices that differs from `than`; `than` itself if none does."""
        rest = [c for c in choices if c != than]
        return self.pick(rest) if rest else than

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a random order (Fisher-Yates)."""
        out = list(items)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out


def fold(*key: str, of: int = 10) -> int:
    """Place a meaning in one of `of` folds by its hash: the same for ever, whatever else exists."""
    return _number(*key) % of


def _number(*words: str | int) -> int:
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
