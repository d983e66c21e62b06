"""Slices of splits, as `datasets` writes them: `train[:10%]`, `train[100:]+test[-5:]`."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from idim.errors import IdimError
from idim.problems.tasks.data import Split, concatenate
from idim.problems.tasks.info import TaskInfo


def parts(split: str) -> list[tuple[str, str]]:
    """Take `train[:10%]+test[5:]` apart: names, and the slice of each, empty for all of it.

    Raises:
        IdimError: it is no such text.

    >>> parts("train[:10%]+test"), parts("other days.jsonl")
    ([('train', '[:10%]'), ('test', '')], [('other days.jsonl', '')])
    """
    if "[" not in split:
        return [(split, "")]
    pieces = re.findall(r"([^\[\]+]+)(\[[^\[\]]*\])?(?:\+|$)", split)
    if "+".join(map("".join, pieces)) != split:
        raise _no_slice(split)
    return [(name.strip(), cut) for name, cut in pieces]


def bases(splits: Sequence[str]) -> list[str]:
    """Name the splits that are read, each once."""
    return list(dict.fromkeys(base for split in splits for base, _ in parts(split)))


def joined(wanted: Sequence[str], splits: Mapping[str, Split]) -> Split:
    """Join splits and slices in order.

    Raises:
        IdimError: a slice is empty, or none.
    """
    found = []
    for split in wanted:
        for base, cut in parts(split):
            rows = _rows(split, cut, len(splits[base]))
            found.append(splits[base].take(rows) if cut else splits[base])
    return concatenate(found)


def check_apart(task: TaskInfo, lengths: Mapping[str, int]) -> None:
    """Refuse slices that share rows: between training and evaluation, or within one of them."""
    every = [(split, *part) for split in (*task.train, *task.evaluation) for part in parts(split)]
    for (split, name, cut), (other, base, second) in combinations(every, 2):
        if name != base or name not in lengths:
            continue
        n = lengths[name]
        if both := set(_rows(split, cut, n)) & set(_rows(other, second, n)):
            raise IdimError(
                f"'{split}' and '{other}' share {len(both):,} rows; scores need unseen rows, each "
                "once."
            )


def _rows(split: str, cut: str, n: int) -> np.ndarray:
    if not cut:
        return np.arange(n)
    from datasets import ReadInstruction

    try:
        (found,) = ReadInstruction.from_spec(f"rows{cut}").to_absolute({"rows": n})
    except (ValueError, AssertionError):
        raise _no_slice(split) from None
    if found.from_ >= found.to:
        raise IdimError(f"'{split}' has no rows; {n:,} are there.")
    return np.arange(found.from_, found.to)


def _no_slice(split: str) -> IdimError:
    return IdimError(f"'{split}' is no slice; write it as train, train[:10%] or train[100:]+test.")
