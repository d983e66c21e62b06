"""No path leads out of a data set's folder, no file unpacks without a bound, nothing is left."""

import gzip
import json
import socket
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_rows import MRPC_LABELS, mrpc_folder, pairs, write
from test_refusals_reading import bomb, grown
from test_task_own import own

from idim import reading
from idim.config import Setup
from idim.errors import IdimError
from idim.hub import layout
from idim.problems.tasks import TaskInfo, load
from idim.problems.tasks.formats import table

SECRET = [{"text": f"secret {i}", "label": i % 2} for i in range(40)]
PLAIN = [{"text": f"plain {i}", "label": i % 2} for i in range(40)]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the data set's, whose rows nobody gave."""
    write(tmp_path / "outside/train.csv", SECRET)
    write(tmp_path / "outside/validation.csv", SECRET)
    (tmp_path / "rows").mkdir()
    return tmp_path / "outside"


def texts(tmp_path: Path, **keys) -> set[str]:
    """Return all texts that a task over `rows` reads, or what it is refused with."""
    try:
        read = load(Setup(task=str(own(tmp_path, **keys)), select="eval"))
    except IdimError as e:
        return {str(e)}
    return {row[0] for split in (read.train, read.evaluation) for row in split.inputs}


def card(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows/README.md").write_text(f"---\nconfigs:\n- {text}\n---\n")


FILES = "data_files: [{split: train, path: train.csv}, {split: validation, path: validation.csv}]"
WAYS_OUT = [
    f"{{data_dir: ../outside, {FILES}}}",
    f"{{data_dir: OUTSIDE, {FILES}}}",
    f"{{data_dir: link, {FILES}}}",
    f"{{data_dir: ./link/., {FILES}}}",
    "{data_dir: link}",
    "{data_dir: OUTSIDE}",
    "{data_files: '../outside/*.csv'}",
    "{data_files: 'OUTSIDE/train.csv'}",
    "{data_files: 'link/*.csv'}",
    "{data_files: '**/train.csv'}",
    "{data_files: 'file://OUTSIDE/train.csv'}",
    "{data_files: ['one.csv', '../outside/train.csv']}",
    "{data_files: 'x/../../outside/train.csv'}",
    "{data_files: {train: 'OUTSIDE/train.csv'}}",
    "{data_files: [{split: train, path: ['OUTSIDE/train.csv']}]}",
    "{data_files: 'memory://x.csv'}",
]


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_card_reads_nothing_outside_its_folder(tmp_path, outside, way):
    (tmp_path / "rows/link").symlink_to(outside)
    (tmp_path / "rows/one.csv").symlink_to(outside / "train.csv")
    card(tmp_path, way.replace("OUTSIDE", str(outside)))
    assert not any("secret" in text for text in texts(tmp_path))


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_read(tmp_path, outside):
    rows = tmp_path / "rows"
    write(rows / "stored/blob.csv", PLAIN)
    (rows / "train.csv").symlink_to(rows / "stored/blob.csv")
    assert len(texts(tmp_path)) == 40
    (rows / "validation.csv").symlink_to(outside / "validation.csv")
    (refusal,) = texts(tmp_path)
    assert refusal == f"'validation.csv' leads out of '{rows}'; put the file itself there."
    (rows / "validation.csv").unlink()
    (rows / "validation").symlink_to(outside)
    (refusal,) = texts(tmp_path)
    assert refusal.startswith(f"'{rows}/validation' is a link to a folder, which is not followed")


@pytest.mark.parametrize("name", ["../outside/train.csv", "x/../../outside/train.csv"])
def test_a_task_file_names_no_file_outside_its_data(tmp_path, outside, name):
    (tmp_path / "rows/x").mkdir()
    write(tmp_path / "rows/validation.csv", PLAIN)
    (refusal,) = texts(tmp_path, train=name)
    assert "leads out of" in refusal


@pytest.mark.parametrize("config", ["../outside", "x/../../outside", "OUTSIDE"])
def test_a_configuration_is_no_way_out(tmp_path, outside, config):
    found = texts(tmp_path, config=config.replace("OUTSIDE", str(outside)))
    assert len(found) == 1
    assert "no file for split 'train'" in found.pop()


def test_what_is_given_itself_may_be_a_link(tmp_path, outside):
    (tmp_path / "there").symlink_to(outside)
    (tmp_path / "one.csv").symlink_to(outside / "train.csv")
    for place in ("there", "one.csv"):
        assert len(load(Setup(task=str(tmp_path / place))).train) > 0


def test_the_files_of_a_hub_snapshot_are_links_to_its_blobs(tmp_path):
    cache = tmp_path / "datasets--o--n"
    for name in ("train.csv", "validation.csv"):
        blob = write(cache / "blobs/0a.csv", PLAIN).rename(cache / f"blobs/{name}-hash")
        (cache / "snapshots/c0ffee/en").mkdir(parents=True, exist_ok=True)
        (cache / "snapshots/c0ffee/en" / name).symlink_to(Path("../../../blobs", blob.name))
    for place in ("snapshots/c0ffee", "snapshots/c0ffee/en"):
        task = own(tmp_path, data=f"datasets--o--n/{place}", config="en")
        assert len(load(Setup(task=str(task), select="eval")).evaluation) == 40


@pytest.mark.parametrize("pattern", ["**/" * 160 + "x", "*a" * 249, "[a" * 200, "**/*" * 120])
def test_no_pattern_takes_for_ever(pattern):
    names = ["/".join("a" * 30 for _ in range(12)) + f"/{i}.csv" for i in range(50)]
    assert layout.matching(names, [pattern]) == []


# Bounds


PACKED = {
    "train.jsonl.gz": (b"", b'{"text": "a b", "label": 1}\n'),
    "train.json.gz": (b'[{"text": "a b", "label": 1}', b', {"text": "a b", "label": 1}'),
    "train.csv.gz": (b"text,label\n", b"one two three four five,1\n"),
    "train.tsv.gz": (b"text\tlabel\n", b"one two three four five\t1\n"),
}


def refusal_of(path: Path, most: int) -> str:
    """Return what a file is refused with that unpacks to more than `most` bytes."""
    assert path.stat().st_size < most
    with pytest.raises(IdimError) as caught:
        table(TaskInfo(name="words", kind="text", about=""), path, most=most)
    return str(caught.value)


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_file_is_bounded_while_it_is_unpacked(tmp_path, name):
    head, row = PACKED[name]
    (tmp_path / name).write_bytes(gzip.compress(head + row * 100_000, 1))
    is_list = head.startswith(b"[")
    refusal = refusal_of(tmp_path / name, 4 * reading.MB if is_list else reading.MB)
    assert refusal.endswith("unpacks to more; at most 1 MB are read.")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet", "arrow"])
def test_a_task_reads_no_file_of_more_than_2_gb(tmp_path, suffix):
    (tmp_path / "rows").mkdir()
    with (tmp_path / f"rows/train.{suffix}").open("wb") as file:
        file.truncate(2_500_000_000)  # no byte of it is written
    (refusal,) = texts(tmp_path)
    assert refusal.endswith("holds 2.5 GB; at most 2 GB are read.")


def test_a_packed_line_without_an_end_is_refused(tmp_path):
    (tmp_path / "rows").mkdir()
    bomb(tmp_path / "rows/train.jsonl.gz", b"", 100 * reading.MB)
    found = []
    assert grown(lambda: found.extend(texts(tmp_path))) < 80 * reading.MB
    assert found[0].endswith("has more in line 1; at most 16 MB are read.")


@pytest.mark.parametrize("cut", [5, 60])
def test_a_packed_file_that_is_cut_or_none_is_one_line(tmp_path, cut):
    (tmp_path / "rows").mkdir()
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in PLAIN).encode())
    (tmp_path / "rows/train.jsonl.gz").write_bytes(whole[:-cut])
    (refusal,) = texts(tmp_path)
    assert refusal.startswith(
        f"cannot read '{tmp_path}/rows/train.jsonl.gz': Compressed file ended"
    )
    (tmp_path / "rows/train.jsonl.gz").write_bytes(b"plain")
    (refusal,) = texts(tmp_path)
    assert refusal.endswith("Not a gzipped file (b'pl').")


def test_a_parquet_bomb_is_refused_before_the_library_unpacks_it(tmp_path):
    zeros = pa.array([0] * 1500)
    same = pa.DictionaryArray.from_arrays(zeros.cast(pa.int32()), ["a" * 1_000_000])
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": same, "label": zeros}), path, store_schema=False)
    found = []
    assert grown(lambda: found.append(refusal_of(path, 30 * reading.MB))) < 900 * reading.MB
    assert found[0].endswith("unpacks to more; at most 30 MB are read.")


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("packed", ["zstd", "lz4", None])
def test_arrow_is_read_unless_its_buffers_are_compressed(tmp_path, kind, packed):
    (tmp_path / "rows").mkdir()
    rows = pa.Table.from_pylist(PLAIN)
    rows = rows.append_column("word", rows["text"].dictionary_encode())
    options = pa.ipc.IpcWriteOptions(compression=packed)
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    path = str(tmp_path / "rows/train.arrow")
    with pa.OSFile(path, "wb") as file, new(file, rows.schema, options=options) as out:
        out.write_table(rows)
    found = texts(tmp_path)
    if packed is None:
        assert found == {row["text"] for row in PLAIN}
    else:
        assert found == {
            f"'{tmp_path}/rows/train.arrow' is not a good .arrow file: its buffers are compressed; "
            "save it as parquet."
        }


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("form", ["dictionary", "view"])
def test_one_long_text_in_many_rows_of_arrow_is_bounded(tmp_path, kind, form):
    long, codes = "a" * 1_000_000, pa.array([0] * 1500, pa.int8())
    same = pa.DictionaryArray.from_arrays(codes, [long])
    if form == "view":
        cell = pa.array([long], pa.string_view())
        views = pa.py_buffer(cell.buffers()[1].to_pybytes() * 1500)
        same = pa.Array.from_buffers(pa.string_view(), 1500, [None, views, *cell.buffers()[2:]])
    path = tmp_path / "train.arrow"
    written = pa.table({"text": same, "label": codes})
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, new(file, written.schema) as out:
        out.write_table(written)
    found = []
    assert grown(lambda: found.append(refusal_of(path, 30 * reading.MB))) < 900 * reading.MB
    assert found[0].endswith("unpacks to more; at most 30 MB are read.")


@pytest.mark.parametrize("content", [b"ARROW1\0\0", b"ARROW1", b"\xff\xff\xff\xff\x10", b"x" * 99])
def test_a_spoilt_arrow_file_is_one_line(tmp_path, content):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/train.arrow").write_bytes(content)
    (refusal,) = texts(tmp_path)
    assert refusal.startswith(f"'{tmp_path}/rows/train.arrow' is not a good .arrow file: ")


def test_an_arrow_file_cut_anywhere_is_one_line(tmp_path):
    (tmp_path / "rows").mkdir()
    path = tmp_path / "rows/train.arrow"
    rows = pa.Table.from_pylist(PLAIN)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as out:
        out.write_table(rows)
    whole = path.read_bytes()
    for at in range(9, len(whole) - 1, 97):
        path.write_bytes(whole[:at])
        found = texts(tmp_path)
        assert len(found) == 1 or found == {row["text"] for row in PLAIN}


# Nothing left, nothing asked, nothing run


def test_reading_leaves_nothing_behind_and_asks_nobody(tmp_path, monkeypatch):
    from datasets import config

    folder = mrpc_folder(tmp_path / "set [1]* ::x")
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def refused(*_):
        raise AssertionError("a connection is made")

    monkeypatch.setattr(socket.socket, "connect", refused)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    first = load(Setup(task="mrpc", data=str(folder))).fingerprint
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert [*(tmp_path / "t").iterdir()] == []
    assert not (tmp_path / "cache").exists()
    write(folder / "validation.parquet", pairs(30, shift=91), MRPC_LABELS)
    assert load(Setup(task="mrpc", data=str(folder))).fingerprint != first  # nothing stale


def test_code_beside_rows_is_not_run(tmp_path):
    folder = mrpc_folder(tmp_path / "set")
    (folder / "set.py").write_text("raise SystemExit('run')")
    (folder / "__init__.py").write_text("raise SystemExit('run')")
    assert len(load(Setup(task="mrpc", data=str(folder), select="eval")).train) == 90
