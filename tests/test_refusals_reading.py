"""What others wrote: bounded when it is read, harmless where it is shown."""

import csv
import gzip
import io
import os
import re
import resource
import struct
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_results import EVIDENCE
from made_rows import mrpc_folder, pairs, write
from test_writeup import summary

from idim import reading
from idim.cli import options, screen
from idim.config import PretrainSpec, Setup, SweepSpec
from idim.errors import IdimError
from idim.hub import card, layout
from idim.hub.pins import read_pins
from idim.plain import harmless, harmless_json, scrubbed, shown
from idim.pretrain import corpus
from idim.problems.tasks import info, load
from idim.problems.tasks.formats import table as rows_of
from idim.report import figure, formats, table
from idim.report.document import document
from idim.results import LeftOut

# --- one door ---


def odd(folder: Path) -> dict[str, Path]:
    """Make what stands in a file's place."""
    os.mkfifo(folder / "pipe")
    os.symlink("loop", folder / "loop")
    os.symlink("/dev/zero", folder / "device")
    (folder / "folder").mkdir()
    names = ("pipe", "loop", "device", "folder", "gone", "a" * 300, "x\0y")
    return {name: folder / name for name in names}


def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path):
    for path in odd(tmp_path).values():
        for read in (reading.check, lambda p: reading.content(p, 9), lambda p: list(lines(p))):
            with pytest.raises(IdimError, match="cannot read"):
                read(path)


def lines(path: Path, **limits: int):
    return reading.lines(path, **limits)


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_a_bound_holds_to_the_byte(tmp_path, size):
    path, packed = tmp_path / "x", tmp_path / "x.gz"
    path.write_bytes(b"a" * size)
    packed.write_bytes(gzip.compress(b"a" * size))
    for read in (lambda: reading.content(path, 9), lambda: reading.unpacked(packed, 9)):
        if size <= 9:
            assert read() == b"a" * size
        else:
            with pytest.raises(IdimError, match="at most 9 bytes are read"):
                read()


def test_a_line_without_an_end_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"short\n" + b"a" * 200)
    with pytest.raises(IdimError, match=r"has more in line 2; at most 100 bytes"):
        list(lines(tmp_path / "x", line=100))


def grown(work) -> int:
    """Return by how many bytes the most memory ever used has grown."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


# --- bombs ---


def bomb(path: Path, head: bytes, size: int) -> None:
    """Write a gzip of zeros that says it is of any size."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(head)
        for _ in range(size // reading.MB):
            file.write(b"\0" * reading.MB)


def test_an_idx_file_gives_what_its_header_says_and_no_more(tmp_path):
    head = bytes([0, 0, 8, 3]) + struct.pack(">3i", 2, 2, 3)
    for split in ("train", "t10k"):
        bomb(tmp_path / f"{split}-images-idx3-ubyte.gz", head, 300 * reading.MB)
        labels = bytes([0, 0, 8, 1]) + struct.pack(">i", 2) + b"\0\1"
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))

    def refused():
        with pytest.raises(IdimError, match="should hold 12 bytes of data and holds more"):
            load(Setup(task="mnist", data=str(tmp_path)))

    assert grown(refused) < 150 * reading.MB


@pytest.mark.parametrize("shape", [(-1, 2, 3), (2**31 - 1, 2**31 - 1, 2), (0, 2**31 - 1, -5)])
def test_an_idx_header_of_nonsense_is_refused(tmp_path, shape):
    head = bytes([0, 0, 8, 3]) + struct.pack(">3i", *shape)
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        (tmp_path / name).write_bytes(head + b"xx")
    for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">i", 1) + b"\0")
    with pytest.raises(IdimError, match="at most 2 GB are read"):
        load(Setup(task="mnist", data=str(tmp_path)))


def png(width: int, height: int) -> bytes:
    """Write the head of a picture of any size, and no pixel of it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((12_000, 12_000), "12000 x 12000 pixels; at most 1024 a side"),
        ((1025, 1), "1025 x 1 pixels; at most 1024 a side"),
        ((1, 1025), "1 x 1025 pixels; at most 1024 a side"),
        ((60_000, 60_000), "cannot be decoded"),  # the decoder's own bound
        ((1, 2**31 - 1), "cannot be decoded"),
    ],
)
def test_a_picture_is_measured_before_it_is_decoded(tmp_path, size, said):
    rows = [{"image": {"bytes": png(*size), "path": None}, "label": 0}]
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}.parquet")
    with pytest.raises(IdimError, match=f"row 1 (is )?{said}"):
        load(Setup(task="cifar10", data=str(tmp_path)))


def test_a_parquet_file_that_unpacks_to_more_than_is_read_is_refused(tmp_path):
    rows = [{"sentence1": "a" * 100_000, "sentence2": "b", "label": 0}] * 1000
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    assert path.stat().st_size < reading.MB
    with pytest.raises(IdimError, match=r"train\.parquet' unpacks to more; at most 20 MB are read"):
        rows_of(info("mrpc"), path, most=20 * reading.MB)


@pytest.mark.parametrize("most", [reading.ROWS, 100_000])  # which makes one batch, or four
def test_parquet_is_the_same_rows_however_many_batches(tmp_path, most):
    path = write(tmp_path / "train.parquet", pairs(900))
    names = ("sentence1", "sentence2", "label")
    expected = {name: [row[name] for row in pairs(900)] for name in names}
    assert rows_of(info("mrpc"), path, names, most=most).columns == expected


def test_text_that_unpacks_to_more_than_is_read_is_refused(tmp_path):
    bomb(tmp_path / "x.txt.gz", b"words\n", 50 * reading.MB)
    with pytest.raises(IdimError, match=r"x\.txt\.gz' unpacks to more; at most 5 MB are read"):
        list(corpus.from_folder(tmp_path, 5 * reading.MB))


def test_a_text_folder_is_bounded_file_by_file_and_as_a_whole(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text("words\n" * 15)
    assert len(list(corpus.from_folder(tmp_path, 135))) == 45
    with pytest.raises(IdimError, match=r"holds more; at most 268 bytes are read"):
        list(corpus.from_folder(tmp_path, 134))
    with (tmp_path / "3.txt").open("wb") as file:
        file.truncate(2_500_000_000)  # no byte of it is written
    with pytest.raises(IdimError, match=r"3\.txt' holds 2\.5 GB; at most 2 GB are read"):
        corpus.lines(PretrainSpec(text=str(tmp_path), tokenizer="bpe"))


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_a_pipe_in_the_place_of_rows_is_not_waited_for(tmp_path, suffix):
    folder = mrpc_folder(tmp_path)
    (folder / "train.parquet").unlink()
    os.mkfifo(folder / f"train.{suffix}")
    with pytest.raises(IdimError, match="no file for split 'train'"):  # it is none
        load(Setup(task="mrpc", data=str(folder)))


ANCHORS = "\n".join(f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]" for p, c in pairwise("abcdefghi"))
CARDS = {
    "bomb": f"a: &a [x, x]\n{ANCHORS}\nconfigs:\n- data_files:\n  - split: train\n    path: *i",
    "bomb as folder": f"a: &a [x, x]\n{ANCHORS}\nconfigs:\n- data_dir: *i\n  data_files: []",
    "deep": "x: " + "[" * 5000,
    "date": "x: 2001-99-99",
    "number": "x: !!int 'x'",
    "key": "? [a]\n: b",
    "up": "configs:\n- data_dir: ../..\n  data_files:\n  - {split: train, path: '*.parquet'}",
    "away": "configs:\n- data_dir: /etc\n  data_files:\n  - {split: train, path: passwd}",
    "stars": "configs:\n- data_files:\n  - {split: train, path: '" + "**/" * 50 + "x'}",
    "empty": "configs:\n- data_files:\n  - {split: train, path: ''}",
    "zero": 'configs:\n- data_files:\n  - {split: train, path: "a\\0b"}',
    "object": "x: !!python/object/apply:os.system ['true']",
}


NAMES_THERE = ["train.parquet", "data/x.csv", "etc/passwd.csv"]


@pytest.mark.parametrize("text", CARDS.values(), ids=CARDS)
def test_a_card_of_nonsense_names_no_file(tmp_path, text):
    (tmp_path / "README.md").write_text(f"---\n{text}\n---\n")
    found = card.patterns(card.configurations(card.read(tmp_path)).get("default", {}))
    assert {split: layout.matching(NAMES_THERE, names) for split, names in found.items()} in (
        {}, {"train": []},
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "3", '{"pins": []}', '{"pins": {"x": 3}}', "[" * 99_999,
     '{"pins": null}', "\xff",
     '{"pins": {"k": {"kind": "model", "repo": 3, "commit": "c", "files": []}}}',
     '{"pins": {"k": {"kind": "x", "repo": "r", "commit": "c", "files": []}}}',
     '{"pins": {"k": {"kind": "model", "repo": "r", "commit": "c", "files": ["../x"]}}}',
     '{"pins": {"k": {"kind": "model", "repo": "r", "commit": "c", "files": [null]}}}',
     '{"pins": {"k": {"kind": "model", "repo": "r", "commit": "c", "files": "config.json"}}}'],
)  # fmt: skip
def test_pins_of_another_shape_are_refused(tmp_path, monkeypatch, text):
    monkeypatch.setenv("IDIM_HOME", str(tmp_path))
    (tmp_path / "pins.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(IdimError, match="is not a list of pins; delete it"):
        read_pins()


# --- shown ---

NAMES = [
    "a\x1b[31mred", "a\x9b2Jb", "right\u202eleft", "zero\u200bwidth", "line\nbreak",
    "cell\tx|y",
    "`code` ```sh", "$\\bad{$", "<script>alert(1)</script>", "&lt;b&gt;", "=1+1", "+x",
    "@x", "-x",
    "\udcffbytes", "**bold** _x_ ~y~", "# head", "![x](http://x)", "100 % \\input{x}",
    "mod\u00e8le",
]  # fmt: skip
ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\ud800-\udfff]")


class Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_harmless_in_every_format(name):
    plain, odd_one = (
        document(
            summary(model=n, task=n, metric=n, notes=(n,)),
            replace(EVIDENCE, excluded=(LeftOut(fate="failed", error=n, d=5, lr=0.1, seed=0),)),
            options.command({"model": n}),
        )
        for n in ("name", name)
    )
    written = {f: getattr(formats, f) for f in ("markdown", "latex")}
    for write_out in (lambda d: formats.markdown(d, "x.png"), written["latex"]):
        assert not ACTIVE.search(write_out(odd_one))
        assert write_out(odd_one).count("\n") == write_out(plain).count("\n")
    page, expected = Parts(), Parts()
    page.feed(formats.page(odd_one, "<svg/>"))
    expected.feed(formats.page(plain, "<svg/>"))
    assert page.tags == expected.tags
    assert harmless(name) in "".join(page.texts)
    assert not ACTIVE.search(formats.page(odd_one, "<svg/>"))
    fences = re.findall(r"^`{3,}", formats.markdown(odd_one, "x.png"), re.MULTILINE)
    assert len(fences) == 2
    inside = formats.markdown(odd_one, "x.png").split(f"\n{fences[0]}")[1]
    assert inside.startswith("sh\nidim sweep")
    shown_lines = table.text(summary(model=name, task=name))
    assert not ACTIVE.search(shown_lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_harmless_on_a_figure(name):
    made = figure.render(summary(model=name, task=name, metric=name))
    assert not ACTIVE.search(made["svg"].decode())
    assert made["png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_harmless_on_the_terminal_and_in_json(capsys, name):
    import json

    screen.show({"model": name}, as_json=True)
    out = capsys.readouterr().out
    assert not ACTIVE.search(out)
    assert json.loads(out) == {"model": name}
    screen.show(screen.columns([("model", name)]), as_json=False)
    screen.note(name)
    seen = capsys.readouterr()
    assert seen.out.count("\n") == seen.err.count("\n") == 1
    assert not ACTIVE.search(seen.out + seen.err)


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_of_a_csv_file_is_a_formula(name):
    out = io.StringIO()
    csv.writer(out).writerow([table.cell(name), table.cell(-0.5)])
    (row,) = csv.reader(io.StringIO(out.getvalue()))
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row[1] == "-0.5"
    assert not ACTIVE.search(row[0])


@pytest.mark.parametrize("name", [n for n in NAMES if "\udcff" not in n])
def test_the_command_of_a_report_names_the_same_model(name):
    import subprocess

    line = options.command({"model": name, "task": "mrpc"})
    assert not ACTIVE.search(line.replace("\n", ""))
    done = subprocess.run(
        ["bash", "-c", f"idim() {{ printf '%s' \"$3\"; }}; {line}"], capture_output=True,
        check=True, env=os.environ | {"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stdout.decode() == name
    assert SweepSpec(model=name)


def test_every_unicode_character_that_moves_others_is_spelled_out():
    import unicodedata

    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(code))
        if kind in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(chr(code)) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        ):  # fmt: skip
            assert harmless(chr(code)).isascii(), hex(code)
            assert harmless_json(f'"{chr(code)}"') != f'"{chr(code)}"' or code == 10


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://user:pass@host/x", "pass"), ("http://tok3n@host", "tok3n"),
        ("hf_AbCdEfGhIjKl is bad", "AbCd"), ("x?access_token=abc123&y", "abc123"),
        ("x?X-Amz-Signature=abc123", "abc123"), ("Authorization: Bearer abcdef123456", "abcdef1"),
        ("x?api_key=abc123'", "abc123"), ("s3://KEY:SECRET@bucket", "SECRET"),
    ],
)  # fmt: skip
def test_secrets_are_left_out_and_the_rest_stays(text, secret):
    assert secret in text
    assert secret not in scrubbed(text)
    assert "***" in scrubbed(text)
    assert (
        scrubbed("a/b@main lr=0.1 tokens=5 x?n=1 me@host")
        == "a/b@main lr=0.1 tokens=5 x?n=1 me@host"
    )
    assert len(shown("a/b " * 999)) == 2000


def test_numbers_of_rows_stay_what_they_are(tmp_path):
    """The bound of a value does not reach into what is read."""
    rows = [{"sentence1": "a" * 70_000, "sentence2": "b", "label": 1}] * 3
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "dev.csv", rows)
    read = load(Setup(task="mrpc", data=str(tmp_path), select="eval"))
    assert [len(row[0]) for row in read.train.inputs] == [70_000] * 3
    assert np.array_equal(read.evaluation.targets, [1, 1, 1])
