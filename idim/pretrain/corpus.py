"""The text of a pretraining: where its lines come from, and rows of tokens made of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idim import reading
from idim.config import PretrainSpec
from idim.errors import IdimError, unreadable

SUFFIXES = (".txt", ".txt.gz")


def lines(spec: PretrainSpec) -> list[str]:
    """Return the paragraphs to learn from: of the text folder, or of the package's language.

    Raises:
        IdimError: no such folder, no text in it, or a file that is not UTF-8.
    """
    if spec.text is None:
        from idim.builtin.language import paragraphs

        return list(paragraphs(spec.seed, spec.paragraphs))
    return list(from_folder(reading.expanded(spec.text)))


def from_folder(folder: Path, most: int = reading.ROWS) -> Iterator[str]:
    """Yield the paragraphs of a text folder.

    Args:
        folder: of .txt and .txt.gz files.
        most: bytes of one file, once unpacked; all together may hold twice as many characters.

    Raises:
        IdimError: as `lines`, or there is more than that.
    """
    if not reading.is_folder(folder):
        what = "is not a folder" if os.path.lexists(folder) else "does not exist"
        raise IdimError(f"text folder '{folder}' {what}; give one that holds .txt files.")
    try:
        files = sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and p.is_file())
    except OSError as e:
        raise unreadable(f"text folder '{folder}'", e) from None
    if not files:
        raise IdimError(f"text folder '{folder}' holds no .txt or .txt.gz file.")
    found, left = False, 2 * most
    for file in files:
        text = _read(file, most)
        left -= len(text)
        if left < 0:
            raise reading.too_large(f"text folder '{folder}'", 2 * most)
        for line in text.splitlines():
            if line.strip():
                found = True
                yield line.strip()
    if not found:
        raise IdimError(f"the files in text folder '{folder}' are empty; there is nothing to read.")


def _read(file: Path, most: int) -> str:
    try:
        return reading.unpacked(file, most).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise IdimError(f"'{file}' is not UTF-8 text (byte {e.start}); convert it.") from None


@dataclass(frozen=True, slots=True)
class Rows:
    """Token rows: `tokens` (N, max_length) padded on the right, `lengths` (N,)."""

    tokens: np.ndarray
    lengths: np.ndarray
    # The token of a full stop, if there is one.
    stop: int | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lengths)


def encode(text: list[str], tokenizer: Any, max_length: int) -> Rows:
    """Cut paragraphs into rows `<s> ... </s>` of at most `max_length` tokens."""
    bos, pad, eos = 0, 1, 2
    room = max_length - 2
    rows: list[list[int]] = []
    for start in range(0, len(text), 10_000):
        batch = tokenizer.encode_batch_fast(text[start : start + 10_000], add_special_tokens=False)
        for ids in (e.ids for e in batch):
            rows += [[bos, *ids[i : i + room], eos] for i in range(0, len(ids), room)]
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    tokens = np.full((len(rows), max_length), pad, dtype=np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
    return Rows(tokens, lengths, tokenizer.token_to_id("."))
