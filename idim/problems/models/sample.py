"""A few rows of a task, to try a module on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idim.problems.models.tokens import Encoded

# Rows tried: by their length, evenly from the shortest to the longest.
TRIED = 6


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of one row, and which of two texts each belongs to, if that is told."""

    ids: np.ndarray
    types: np.ndarray | None


def cut(row: Row, n: int) -> Row:
    """Return a row's first and last tokens, n in all: ends of a text stay."""
    if n >= len(row.ids):
        return row
    keep = np.r_[0 : n - n // 2, len(row.ids) - n // 2 : len(row.ids)]
    return Row(row.ids[keep], None if row.types is None else row.types[keep])


def sample(encoded: Sequence[Encoded], pad: int) -> list[Row]:
    """Return different rows from the shortest to the longest, two of them of one length."""
    places = [(split, i) for split in encoded for i in range(len(split))]
    lengths = np.concatenate([split.lengths for split in encoded])
    order = np.argsort(lengths, kind="stable")
    at = [order[round(q * (len(order) - 1))] for q in np.linspace(0, 1, TRIED)]
    common = np.flatnonzero(lengths == np.bincount(lengths).argmax())
    hollow = np.flatnonzero(np.concatenate([_is_hollow(split, pad) for split in encoded]))
    rows: dict[bytes, Row] = {}
    for place in [*at, *common[:3], *hollow[:1]]:
        split, i = places[place]
        where = slice(split.starts[i], split.starts[i + 1])
        row = Row(split.ids[where], None if split.types is None else split.types[where])
        rows.setdefault(row.ids.tobytes(), row)
    return sorted(rows.values(), key=lambda row: len(row.ids))


def _is_hollow(split: Encoded, pad: int) -> np.ndarray:
    """Tell which rows hold nothing but the token that fills rows up, (N,)."""
    return ~np.logical_or.reduceat(split.ids != pad, split.starts[:-1])


def packed(rows: Sequence[Row]) -> Encoded:
    """Return rows as a split."""
    types = [row.types for row in rows if row.types is not None]
    starts = np.cumsum([0, *(len(row.ids) for row in rows)])
    ids = np.concatenate([row.ids for row in rows])
    return Encoded(ids, np.concatenate(types) if types else None, starts, 0, 0)
