"""Pictures: idx and parquet files become pixels, and a spoilt one is named."""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_rows import write

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import load


def idx(path: Path, array: np.ndarray, magic: int = 8) -> Path:
    head = bytes([0, 0, magic, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))
    return path


@pytest.fixture
def little_mnist(tmp_path: Path) -> Path:
    for name, n in (("train", 70), ("t10k", 20)):
        pixels = np.arange(n * 6).reshape(n, 2, 3) % 256
        idx(tmp_path / f"{name}-images-idx3-ubyte.gz", pixels)
        idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    return tmp_path


def test_idx_files_become_pixels_in_the_unit_interval(little_mnist):
    read = load(Setup(task="mnist", data=str(little_mnist), select="eval"))
    assert read.train.inputs.shape == (70, 1, 2, 3)
    assert read.train.inputs.dtype == np.float32
    assert read.train.inputs[0].ravel().tolist() == pytest.approx([i / 255 for i in range(6)])
    assert read.evaluation.targets.tolist() == [*range(10)] * 2


BAD_IDX = {
    "magic": (lambda f: idx(f, np.zeros((70, 2, 3)), magic=9), "is not an idx file of bytes"),
    "count": (lambda f: idx(f, np.zeros((69, 2, 3))), "69 images, .* 70 labels"),
    "gzip": (lambda f: f.write_bytes(b"pixels"), "cannot read .*Not a gzipped file"),
    "cut": (lambda f: f.write_bytes(f.read_bytes()[:-9]), "cannot read .*train-images"),
    "short": (
        lambda f: f.write_bytes(gzip.compress(gzip.decompress(f.read_bytes())[:-1])),
        "should hold 420 bytes of data and holds 419",
    ),
    "gone": (lambda f: f.unlink(), "has no train-images-idx3-ubyte.gz, which the train split"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_IDX.values(), ids=BAD_IDX)
def test_a_spoilt_idx_file_is_named(little_mnist, spoil, message):
    spoil(little_mnist / "train-images-idx3-ubyte.gz")
    with pytest.raises(IdimError, match=message):
        load(Setup(task="mnist", data=str(little_mnist)))


def photographs(path: Path, shapes: list[tuple[int, ...]], column: str = "image") -> Path:
    from PIL import Image

    rows = []
    for i, shape in enumerate(shapes):
        out = io.BytesIO()
        Image.fromarray(np.full(shape, 17 * i % 256, np.uint8)).save(out, format="PNG")
        rows.append({column: {"bytes": out.getvalue(), "path": None}, "label": i % 10})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(("column", "shape"), [("image", (4, 5, 3)), ("img", (4, 5))])
def test_encoded_images_are_decoded_channels_first(tmp_path, column, shape):
    for split in ("train", "test"):
        photographs(tmp_path / f"{split}.parquet", [shape] * 12, column)
    read = load(Setup(task="cifar10", data=str(tmp_path), select="eval"))
    assert read.train.inputs.shape == (12, 3 if len(shape) == 3 else 1, 4, 5)
    assert read.train.inputs[3].max() == pytest.approx(51 / 255)


def test_an_image_of_another_size_or_no_image_is_named_by_row(tmp_path):
    photographs(tmp_path / "train.parquet", [(4, 4, 3), (4, 4, 3), (5, 4, 3)])
    photographs(tmp_path / "test.parquet", [(4, 4, 3)])
    with pytest.raises(IdimError, match=re.escape("row 3 is (3, 5, 4), the first is (3, 4, 4)")):
        load(Setup(task="cifar10", data=str(tmp_path)))
    rows = [{"image": {"bytes": b"not a picture", "path": None}, "label": 0}]
    write(tmp_path / "train.parquet", rows)
    with pytest.raises(IdimError, match="image of row 1 cannot be decoded"):
        load(Setup(task="cifar10", data=str(tmp_path)))
    write(tmp_path / "train.parquet", [{"image": "cat.png", "label": 0}])
    with pytest.raises(IdimError, match="row 1 holds no image bytes"):
        load(Setup(task="cifar10", data=str(tmp_path)))
