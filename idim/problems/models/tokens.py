"""From rows of text to token ids: pairs, empty texts, and rows cut at the longest length."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from idim.errors import IdimError
from idim.problems.tasks import Split

# Rows tokenised at a time: bounds the tokenizer's own records, which are larger than the ids.
CHUNK = 10_000
# A reading that limits nothing, of tokenizers that know no limit.
NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Token ids of a split, end to end: row i is `ids[starts[i]:starts[i + 1]]`."""

    ids: np.ndarray  # int32
    types: np.ndarray | None  # int8, which of two texts a token belongs to; None: not told
    starts: np.ndarray  # int64, (N + 1,)
    # Rows that lost tokens to the longest length, and rows of which no token was there.
    cut: int
    empty: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, (N,)."""
        return np.diff(self.starts)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenizer with the rules that a model's rows follow.

    Equal for equal files and rules, so that a process tokenises a split once for all its runs.
    """

    tokenizer: Any
    # What the tokenizer's files were when it was loaded.
    stamp: tuple[tuple[str, int, int], ...]
    # Most tokens of a row.
    longest: int
    pad: int
    # What stands between two texts where the tokenizer puts nothing; empty: it does, or one text.
    between: tuple[int, ...] = ()

    @property
    def _rules(self) -> tuple[Any, ...]:
        return self.stamp, self.longest, self.pad, self.between

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._rules == other._rules

    def __hash__(self) -> int:
        return hash(self._rules)

    def encode(self, split: Split) -> Encoded:
        """Tokenise a split, or return what was made of it last."""
        return _encode(self, split)

    def up_to(self, longest: int) -> "Tokens":
        """Return the same with another longest row."""
        return replace(self, longest=longest)


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return path, size and time of the files in a folder that may decide its tokens."""
    found = [(p, p.stat()) for p in folder.iterdir() if p.suffix != ".safetensors" and p.is_file()]
    return tuple(sorted((str(p), s.st_size, s.st_mtime_ns) for p, s in found))


def tokens(name: str, tokenizer: Any, folder: Path, longest: int, columns: int) -> Tokens:
    """Choose what a tokenizer leaves open: a token to pad with, and one between two texts.

    Raises:
        IdimError: it has no token to pad with.
    """
    pad = _pad(name, tokenizer)
    longest = max(1, int(min(longest, tokenizer.model_max_length, NO_LIMIT)))
    between = _between(tokenizer) if columns == 2 else ()
    return Tokens(tokenizer, stamp(folder), longest, pad, between)


def _pad(name: str, tokenizer: Any) -> int:
    """Padding is masked, so that any token will do: decoders such as GPT-2 have none of their own.

    The end of a text is best, since decoders that look for the last token which is no padding
    then only pass over ends.
    """
    if tokenizer.pad_token is None:
        first = tokenizer.convert_ids_to_tokens(0)
        known = (tokenizer.eos_token, tokenizer.unk_token, first)
        token = next((t for t in known if t is not None), None)
        if token is None:
            raise IdimError(
                f"the tokenizer of '{name}' has no token to pad with; "
                'name one as "pad_token" in its tokenizer_config.json.'
            )
        tokenizer.pad_token = token
    return tokenizer.pad_token_id


def _between(tokenizer: Any) -> tuple[int, ...]:
    """Return what to put between two texts of which this tokenizer would make one."""
    first, second = (_bare(tokenizer, [text])[0] for text in ("one", "two"))
    pair = tokenizer(["one"], ["two"])
    (ids,), types = pair["input_ids"], pair.get("token_type_ids", [[]])
    joined = any(ids[i : i + len(first + second)] == first + second for i in range(len(ids)))
    if not (first and second and joined) or len(set(types[0])) > 1:
        return ()
    known = (tokenizer.sep_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id)
    ends = next((i for i in known if i is not None), None)
    if ends is not None:
        return (ends,)
    line = tuple(_bare(tokenizer, ["\n"])[0])
    return line or (tokenizer.pad_token_id,)


def _bare(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


@lru_cache(maxsize=3)  # train, select and evaluation of one task
def _encode(rules: Tokens, split: Split) -> Encoded:
    chunks = [
        _chunk(rules, [split.inputs[i] for i in range(at, min(at + CHUNK, len(split)))])
        for at in range(0, len(split), CHUNK)
    ]
    types = [chunk.types for chunk in chunks if chunk.types is not None]
    return Encoded(
        ids=np.concatenate([chunk.ids for chunk in chunks]),
        types=np.concatenate(types) if types else None,
        starts=np.cumsum([0, *(n for chunk in chunks for n in chunk.lengths)]),
        cut=sum(chunk.cut for chunk in chunks),
        empty=sum(chunk.empty for chunk in chunks),
    )


@dataclass(frozen=True, slots=True)
class _Chunk:
    ids: np.ndarray
    types: np.ndarray | None
    lengths: list[int]
    cut: int
    empty: int


def _chunk(rules: Tokens, rows: list[Any]) -> _Chunk:
    columns = [list(column) for column in zip(*rows, strict=True)]
    ids, types, cut = _joined(rules, *columns) if rules.between else _plain(rules, columns)
    empty = [i for i, row in enumerate(ids) if not row]
    for i in empty:
        ids[i] = [_first(rules.tokenizer)]
        if types is not None:
            types[i] = [0]
    return _Chunk(
        ids=np.fromiter(chain.from_iterable(ids), np.int32),
        types=None if types is None else np.fromiter(chain.from_iterable(types), np.int8),
        lengths=[len(row) for row in ids],
        cut=cut,
        empty=len(empty),
    )


def _plain(rules: Tokens, columns: list[list[str]]) -> tuple[list[list[int]], Any, int]:
    made = rules.tokenizer(*columns, truncation=True, max_length=rules.longest)
    ids, types = made["input_ids"], made.get("token_type_ids")
    if made.encodings is not None:
        return ids, types, sum(bool(e.overflowing) for e in made.encodings)
    full = [i for i, row in enumerate(ids) if len(row) >= rules.longest]
    whole = [rules.tokenizer(*(c[i] for c in columns), truncation=False) for i in full]
    return ids, types, sum(len(w["input_ids"]) > rules.longest for w in whole)


def _joined(
    rules: Tokens, first: list[str], second: list[str]
) -> tuple[list[list[int]], None, int]:
    """Put a token between two texts, and what the tokenizer puts round one text round both."""
    start, end = _round(rules.tokenizer)
    room = max(0, rules.longest - len(start) - len(end) - len(rules.between))
    ids, cut = [], 0
    for a, b in zip(_bare(rules.tokenizer, first), _bare(rules.tokenizer, second), strict=True):
        cut += len(a) + len(b) > room
        # the longer text gives way first, as where a tokenizer joins pairs itself
        keep_a = max(room - len(b), min(len(a), (room + 1) // 2))
        keep_b = room - min(len(a), keep_a)
        ids.append([*start, *a[:keep_a], *rules.between, *b[:keep_b], *end])
    return ids, None, cut


def _round(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return what a tokenizer puts before and after one text."""
    bare, whole = _bare(tokenizer, ["one"])[0], tokenizer(["one"])["input_ids"][0]
    at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    return whole[:at], whole[at + len(bare) :]


def _first(tokenizer: Any) -> int:
    """Return what stands for a text of no token."""
    known = (
        tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id,
        tokenizer.unk_token_id,
    )  # fmt: skip
    return next((i for i in known if i is not None), tokenizer.pad_token_id)
