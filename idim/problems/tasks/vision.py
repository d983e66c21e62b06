"""Pictures as arrays: scikit-learn's digits, MNIST's idx files, parquet with encoded images.

Pixels are float32 in [0, 1], channels first; nothing is centred or augmented, so that a score
depends on the model and the subspace alone.
"""

import io
import math
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from idim import reading
from idim.errors import IdimError
from idim.problems.tasks.data import Split, concatenate
from idim.problems.tasks.formats import table
from idim.problems.tasks.info import TaskInfo
from idim.problems.tasks.read import targets
from idim.problems.tasks.tables import Table

_UINT8 = 0x08
# Pixels; a picture of a few kB may have a billion of them.
LONGEST_SIDE = 1024


def digits() -> tuple[Split, Split]:
    """Return train and test of scikit-learn's digits: a fixed fifth of each class is the test."""
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    whole = Split(np.asarray(pixels / 16.0, np.float32), np.asarray(classes, np.int64))
    # RandomState's stream is frozen for ever (NEP 19); default_rng's may change with numpy.
    random = np.random.RandomState(0)
    test = []
    for digit in range(10):
        rows = random.permutation(np.flatnonzero(whole.targets == digit))
        test.extend(rows[: round(len(rows) / 5)])
    is_test = np.isin(np.arange(len(whole)), test)
    return whole.take(np.flatnonzero(~is_test)), whole.take(np.flatnonzero(is_test))


def images(task: TaskInfo, files: tuple[Path, ...]) -> Split:
    """Read one split of an image task.

    Returns:
        inputs (N, channels, height, width), float32 in [0, 1].

    Raises:
        IdimError: a malformed file, or a bad row.
    """
    if "-ubyte" in files[0].name:
        return _idx_split(task, files[0], files[1])
    return concatenate([_encoded(task, file) for file in files])


def _idx_split(task: TaskInfo, images: Path, labels: Path) -> Split:
    pixels, codes = _idx(images, 3), _idx(labels, 1)
    if len(pixels) != len(codes):
        raise IdimError(f"'{images}' has {len(pixels)} images, '{labels}' {len(codes)} labels.")
    if len(codes) == 0:
        raise IdimError(f"'{labels}' has no rows.")
    rows = Table(labels, {task.label: codes.tolist()})
    return Split(_scaled(pixels[:, None]), targets(task, rows))


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """Read MNIST's format: 0, 0, type, number of dimensions, sizes (big endian), bytes."""
    start = 4 + 4 * dimensions
    with reading.stream(path) as file:
        head = file.read(start)
        if head[:4] != bytes([0, 0, _UINT8, dimensions]) or len(head) < start:
            raise IdimError(f"'{path}' is not an idx file of bytes with {dimensions} dimension(s).")
        shape = np.frombuffer(head, dtype=">i4", offset=4).tolist()
        wanted = math.prod(shape)
        if min(shape) < 0 or wanted > reading.ROWS:
            raise IdimError(
                f"'{path}' says it has {' x '.join(map(str, shape))} bytes; "
                f"at most {reading.size(reading.ROWS)} are read."
            )
        raw = reading.upto(file, wanted + 1)
    if len(raw) != wanted:
        there = "more" if len(raw) > wanted else str(len(raw))
        raise IdimError(
            f"'{path}' should hold {wanted} bytes of data and holds {there}; "
            "is the download complete?"
        )
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)


def _encoded(task: TaskInfo, path: Path) -> Split:
    """Decode a file whose image column holds {bytes, path}, as `datasets` writes it."""
    if path.suffix not in (".parquet", ".arrow"):
        raise IdimError(f"'{path}': images are read from .parquet and .arrow files.")
    rows, column = _image_table(task, path)
    # `path` only names the original file; the picture itself must be inside.
    arrays: list[np.ndarray] = []
    for i, cell in enumerate(rows.columns[column]):
        arrays.append(_pixels(path, i, cell))
        if arrays[i].shape != arrays[0].shape:
            raise IdimError(
                f"'{path}': image of row {i + 1} is {arrays[i].shape}, the first is "
                f"{arrays[0].shape} (channels, height, width); all must be alike."
            )
        if arrays[0].size * (i + 1) > reading.ROWS:
            raise reading.too_large(f"'{path}'", reading.ROWS, "unpacks to more")
    return Split(_scaled(np.stack(arrays)), targets(task, rows))


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return np.divide(pixels, 255, dtype=np.float32)


def _image_table(task: TaskInfo, path: Path) -> tuple[Table, str]:
    with suppress(IdimError):  # the hub's own cifar10 calls its column `img`
        return table(task, path, ("img", task.label)), "img"
    return table(task, path, (*task.columns, task.label)), task.columns[0]


def _pixels(path: Path, i: int, cell: Any) -> np.ndarray:
    """Decode one image to uint8 (channels, height, width): one channel if grey, else RGB."""
    from PIL import Image

    encoded = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(encoded, bytes):
        raise IdimError(f"'{path}': row {i + 1} holds no image bytes.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as image:
                if max(image.size) > LONGEST_SIDE:  # known before a pixel is decoded
                    raise IdimError(
                        f"'{path}': image of row {i + 1} is {image.size[0]} x {image.size[1]} "
                        f"pixels; at most {LONGEST_SIDE} a side are read."
                    )
                array = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except IdimError:
        raise
    # a spoilt picture may raise anything that its format's decoder does not expect
    except Exception as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        raise IdimError(f"'{path}': image of row {i + 1} cannot be decoded: {reason}.") from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
