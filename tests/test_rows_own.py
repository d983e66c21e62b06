"""Rows of one's own, as they are: a file is a task, and what is left open is found and said."""

import csv
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from made_rows import write
from test_task_own import own

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import info, load

MOODS = ["glad", "sad", "calm"]


def moody(n: int, **more) -> list[dict]:
    return [
        {"id": i, "text": f"it is day {i}", "label": MOODS[i % 3]}
        | {k: v(i) for k, v in more.items()}
        for i in range(n)
    ]


def guessed(path: Path, rows: list[dict] | None = None, **setup):
    if rows is not None:
        write(path, rows)
    return load(Setup(task=str(path), **setup))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".arrow"])
def test_a_file_of_rows_is_a_task(tmp_path, suffix):
    path = tmp_path / f"my days{suffix}"
    if suffix == ".arrow":
        import pyarrow as pa

        table = pa.Table.from_pylist(moody(90))
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
            out.write_table(table)
    read = guessed(path, None if suffix == ".arrow" else moody(90), select="eval")
    assert (read.info.name, read.info.columns, read.info.label) == ("my days", ("text",), "label")
    assert (read.info.labels, read.info.metrics) == (
        ("calm", "glad", "sad"), ("accuracy", "macro_f1"),
    )  # fmt: skip
    assert (len(read.train), len(read.evaluation)) == (58, 32)
    rows = [*read.train.inputs, *read.evaluation.inputs]
    assert sorted(rows) == sorted((row["text"],) for row in moody(90))
    assert read.notes[:2] == (
        "columns by guess: the text is 'text', the label 'label'.",
        "classes by guess, from the training rows: calm, glad, sad.",
    )
    assert read.notes[2].startswith("there is no split 'validation': 32 of the 90 training rows")
    assert read.fingerprint == guessed(path, select="eval").fingerprint


def test_a_folder_is_a_task_and_its_validation_rows_are_used(tmp_path):
    write(tmp_path / "days/train.csv", moody(60))
    write(tmp_path / "days/dev.csv", moody(9))
    read = load(Setup(task=str(tmp_path / "days")))
    assert len(read.evaluation) == 9


def test_a_known_task_reads_one_file_too(tmp_path):
    rows = [{"sentence1": f"a {i}", "sentence2": "b", "label": i % 2} for i in range(50)]
    read = load(Setup(task="mrpc", data=str(write(tmp_path / "rows.csv", rows)), select="eval"))
    assert (len(read.train), len(read.evaluation)) == (25, 25)


def column(name, value, n=40):
    return [{"text": f"it is day {i}", name: value(i)} for i in range(n)]


GUESSES = {
    # rows: columns, label, labels, first metric
    "codes": (column("label", lambda i: i % 2), ("text",), "label", ("0", "1"), "accuracy"),
    "stars": (column("stars", lambda i: i % 5 + 1), ("text",), "stars", tuple("12345"), "accuracy"),
    "truth": (column("label", lambda i: i % 2 == 0), ("text",), "label", ("False", "True"),
              "accuracy"),
    "floats": (column("label", lambda i: float(i % 2)), ("text",), "label", ("0", "1"), "accuracy"),
    "values": (column("score", lambda i: i / 8), ("text",), "score", (), "pearson"),
    "counts": (column("Score", lambda i: i), ("text",), "Score", (), "pearson"),
    "names": (column("Category", lambda i: "xyz"[i % 3]), ("text",), "Category", ("x", "y", "z"),
              "accuracy"),
    "pair": (
        [{"idx": i, "premise": f"a {i}", "hypothesis": "b c", "label": i % 3} for i in range(40)],
        ("premise", "hypothesis"), "label", ("0", "1", "2"), "accuracy",
    ),
    "prose": (
        [{"id": i, "headline": f"rain on day {i}", "when": "May", "class": "ab"[i % 2]}
         for i in range(40)],
        ("headline",), "class", ("a", "b"), "accuracy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize(("rows", "columns", "label", "labels", "metric"), GUESSES.values(),
                         ids=GUESSES)  # fmt: skip
def test_columns_and_classes_are_guessed(tmp_path, suffix, rows, columns, label, labels, metric):
    read = guessed(tmp_path / f"rows{suffix}", rows)
    found = read.info
    assert (found.columns, found.label, found.labels) == (columns, label, labels)
    assert found.metrics[0] == metric
    assert read.train.targets.dtype == (np.int64 if labels else np.float32)


def test_class_names_in_the_file_are_the_classes(tmp_path):
    rows = [{"text": f"day {i}", "label": i % 2} for i in range(40)]
    write(tmp_path / "x.parquet", rows, ["worse", "better", "same"])
    assert guessed(tmp_path / "x.parquet").info.labels == ("worse", "better", "same")


REFUSED = {
    "no label": ([{"text": "a b", "mood": "c"}] * 40, "no column called label; its columns are te"),
    "no text": ([{"a": "b", "label": 1}] * 40, "no column of text; one is wanted, or two; say whi"),
    "four texts": ([dict.fromkeys("abcd", "two words") | {"label": i % 2} for i in range(40)],
                   r"4 columns of text \(a, b, c, d\); one is wanted, or two; say which in a task"),
    "token": ([{"tokens": ["a", "b"], "label": [0, 1]}] * 40, "token, multi-label and sequence-to"),
    "multi-label": ([{"text": "a b", "labels": [0, 1]}] * 40,
                    r"row 1 has \[0, 1\] as its label; token, multi-label and sequence-to-seq"),
    "sequence": ([{"text": f"a b {i}", "target": f"c d {i}"} for i in range(90)],
                 "column 'target' has 90 different texts in 90 rows, which are no classes; token"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_guessed_or_measured_is_refused_in_a_line(tmp_path, rows, message):
    with pytest.raises(IdimError, match=message) as error:
        guessed(tmp_path / "rows.jsonl", rows)
    assert "\n" not in str(error.value)


def test_lists_in_parquet_are_refused_in_a_line_also_where_the_task_is_said(tmp_path):
    write(tmp_path / "rows/train.parquet", [{"text": ["a", "b"], "label": 0}] * 4)
    with pytest.raises(IdimError, match=r"\['a', 'b'\] in column 'text', not text; token, multi"):
        load(Setup(task=str(own(tmp_path))))
    write(tmp_path / "rows/train.parquet", [{"text": "a", "label": [0, 1]}] * 4)
    with pytest.raises(IdimError, match=r"row 1 has \[0, 1\] as its label; token, multi-label"):
        load(Setup(task=str(own(tmp_path))))


# A task file that leaves something open


def test_a_task_file_may_leave_its_classes_to_the_rows(tmp_path):
    write(tmp_path / "rows/train.csv", moody(90))
    read = load(Setup(task=str(own(tmp_path, labels=None))))
    assert (read.info.labels, read.info.metrics) == (("calm", "glad", "sad"), ("accuracy",))
    assert "classes by guess, from the training rows: calm, glad, sad." in read.notes
    asked = own(tmp_path, labels=None, metric=["macro_f1", "mcc"])
    assert load(Setup(task=str(asked))).info.metrics == ("macro_f1", "mcc")
    with pytest.raises(IdimError, match="f1 is for two classes, 3 were found; use macro_f1"):
        load(Setup(task=str(own(tmp_path, labels=None, metric="f1"))))


def test_whole_numbers_of_a_task_file_without_labels_stay_values_unless_classes_are_asked_for(
    tmp_path,
):
    write(tmp_path / "rows/train.csv", column("label", lambda i: i % 2))
    read = load(Setup(task=str(own(tmp_path, labels=None))))
    assert (read.info.labels, read.info.metrics) == ((), ("pearson",))
    read = load(Setup(task=str(own(tmp_path, labels=None, metric="accuracy"))))
    assert read.info.labels == ("0", "1")
    read = load(Setup(task=str(own(tmp_path, labels=None, metric=["spearman", "rmse"]))))
    assert sorted(read.chance) == ["rmse", "spearman"]
    assert read.chance["rmse"] == pytest.approx(0.5, abs=0.02)


def test_of_three_texts_the_second_and_third_are_joined_and_it_is_said(tmp_path):
    rows = [{"title": f"t{i}", "body": "b", "end": "e", "label": i % 2} for i in range(80)]
    write(tmp_path / "rows/train.csv", rows)
    keys = {"columns": ["title", "body", "end"], "labels": ["x", "y"]}
    read = load(Setup(task=str(own(tmp_path, **keys)), select="eval"))
    assert {row[1] for row in read.train.inputs} == {"b e"}
    assert read.notes[0] == (
        "of 3 text columns title is the first text, body and end, joined by a space, the second."
    )


# Labels and cells as files have them

SPELLINGS = {
    "True": (("no", "yes"), {"True": 1, "False": 0, "TRUE": 1, "false": 0}),
    "1.0": (("no", "yes"), {"1.0": 1, "0.0": 0, "1": 1, "0.000": 0}),
    "names first": (("yes", "no"), {"no": 1, "yes": 0, "0": 0, "1.0": 1}),
    "true is a name": (("true", "false"), {"True": 0, "False": 1, "true": 0, "FALSE": 1}),
    "numbers are names": (("1", "2"), {"1.0": 0, "2.0": 1, "1": 0}),
    "decimals are names": (("1.0", "2.5"), {"1.0": 0, "2.5": 1}),
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize(("labels", "codes"), SPELLINGS.values(), ids=SPELLINGS)
def test_labels_are_read_as_they_are_spelled(tmp_path, suffix, labels, codes):
    rows = [{"text": "a", "label": spelled} for spelled in codes]
    for name in ("train", "other"):
        write(tmp_path / f"rows/{name}{suffix}", rows)
    keys = {"labels": labels, "evaluation": f"other{suffix}"}
    both = load(Setup(task=str(own(tmp_path, **keys)), select="eval"))
    assert both.evaluation.targets.tolist() == [*codes.values()]


@pytest.mark.parametrize(("value", "labels", "code"), [
    (True, ("no", "yes"), 1), (False, ("no", "yes"), 0), (True, ("true", "false"), 0),
    (1.0, ("no", "yes"), 1), (2.0, ("1", "2"), 1),
])  # fmt: skip
def test_json_values_are_labels_too(tmp_path, value, labels, code):
    for name in ("train", "other"):
        write(tmp_path / f"rows/{name}.jsonl", [{"text": "a", "label": value}] * 4)
    keys = {"labels": labels, "evaluation": "other.jsonl"}
    read = load(Setup(task=str(own(tmp_path, **keys)), select="eval"))
    assert read.evaluation.targets.tolist() == [code] * 4


def test_a_cell_may_be_longer_than_pythons_own_bound(tmp_path):
    rows = [{"text": "a" * 400_000, "label": i % 2} for i in range(4)]
    for suffix in (".csv", ".tsv"):
        for name in ("train", "other"):
            write(tmp_path / f"rows/{name}{suffix}", rows)
        keys = {"evaluation": f"other{suffix}", "labels": ["x", "y"]}
        read = load(Setup(task=str(own(tmp_path, **keys)), select="eval"))
        assert [len(row[0]) for row in read.evaluation.inputs] == [400_000] * 4


def test_rows_that_the_library_would_change_in_silence_stay(tmp_path):
    """What `datasets` does to CSV and JSON, and why they are not read through it."""
    dates = [{"text": f"2020-01-{i % 28 + 1:02}", "label": i % 2} for i in range(80)]
    write(tmp_path / "rows/train.jsonl", dates)
    write(tmp_path / "rows/validation.csv", [row | {"text": w} for row, w in zip(
        dates, ["NA", "null", "", "nan", "None", "007", "1e5", "True"], strict=False)])  # fmt: skip
    read = load(Setup(task=str(own(tmp_path)), select="eval"))
    assert [row[0] for row in read.train.inputs] == [row["text"] for row in dates]
    assert [row[0] for row in read.evaluation.inputs] == [
        "NA", "null", "", "nan", "None", "007", "1e5", "True",
    ]  # fmt: skip
    for wrong in ("text,label\na,0\nb\n", "text,label\na,0,x\nb,1,x\n"):
        (tmp_path / "rows/validation.csv").write_text(wrong)
        with pytest.raises(IdimError, match=r"row \d has \d cells, the header 2"):
            load(Setup(task=str(own(tmp_path))))


def test_the_name_of_a_path_that_is_no_task_says_what_would_be(tmp_path):
    with pytest.raises(IdimError, match=r"a \.toml file, or rows \(\.csv, \.jsonl, \.parquet\)"):
        info("rows.xlsx")
    with pytest.raises(IdimError, match=r"absent\.csv' does not exist"):
        load(Setup(task=str(tmp_path / "absent.csv")))


def test_json_rows_are_written_as_they_are_read(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(moody(60)))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        out = csv.DictWriter(file, ["id", "text", "label"])
        out.writeheader()
        out.writerows(moody(60))
    assert guessed(path).fingerprint == guessed(tmp_path / "rows.csv").fingerprint


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("labels", "values", "wanted"),
    [
        (["1", "two"], ["1", "two"], [0, 1]),
        (["1", "two"], ["0", "1"], None),  # places, or a name?
        (["0", "one"], ["0", "1"], None),
        (["5", "7"], ["5", "7"], [0, 1]),
        (["5", "7"], ["0", "1"], None),
        (["glad", "sad"], ["0", "1"], [0, 1]),
    ],
)
def test_a_name_that_is_a_number_is_never_a_place(tmp_path, suffix, labels, values, wanted):
    rows = [{"text": f"it is day {i}", "label": values[i % 2]} for i in range(8)]
    for split in ("train", "validation"):
        write(tmp_path / f"{split}{suffix}", rows)
    task = str(own(tmp_path, data=None, labels=labels))
    if wanted is None:
        with pytest.raises(IdimError, match=r"has label|label"):
            load(Setup(task=task, data=str(tmp_path)))
    else:
        read = load(Setup(task=task, data=str(tmp_path), select="eval"))
        assert read.train.targets.tolist() == wanted * 4


@pytest.mark.parametrize("value", [1e39, -1e39, "nan", "inf", 1e400])
def test_a_value_beyond_float32_is_a_bad_row(tmp_path, value):
    rows = [{"text": f"it is day {i}", "label": value if i == 3 else i} for i in range(8)]
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.csv", rows)
    with pytest.raises(IdimError, match=r"row 4 .*where a number is wanted"):
        load(Setup(task=str(own(tmp_path, data=None, labels=None)), data=str(tmp_path)))


TIED = [f"{'0' * n}1" for n in range(8)] + [f"{'0' * n}2" for n in range(8)]


def test_classes_that_tie_as_numbers_have_one_order_in_every_process(tmp_path):
    """Of sixteen that a set lists in the process's own order, eight and eight of one value."""
    rows = [{"text": f"row {i}", "label": TIED[(7 * i) % 16]} for i in range(160)]
    write(tmp_path / "rows.csv", rows)
    found = guessed(tmp_path / "rows.csv")
    assert found.info.labels == tuple(sorted(TIED[:8])) + tuple(sorted(TIED[8:]))


def _walked(walk, step, place):
    """Walk as another file system may: each folder's names in another order."""
    return [(here, folders[::step], files[::step]) for here, folders, files in walk(place)]


@pytest.mark.parametrize("named", ["train", "validation"])
@pytest.mark.parametrize("names", [["1", "0"], ["0", "1"], ["no", "yes"], ["yes", "no"]])
def test_names_of_one_file_hold_beside_an_unnamed_one_in_any_order_of_files(
    tmp_path, monkeypatch, named, names
):
    """The parquet file says its classes by name, the CSV beside it writes the names."""
    for split, rows in (("train", 40), ("validation", 20)):
        said = [{"text": f"{split} {i}", "label": names[i % 2]} for i in range(rows)]
        if split == named:
            codes = [row | {"label": names.index(row["label"])} for row in said]
            write(tmp_path / "made" / f"{split}.parquet", codes, names)
        else:
            write(tmp_path / "made" / f"{split}.csv", said)
    task = str(own(tmp_path, data=None, labels=sorted(names)))
    walk, prints = os.walk, set()
    for step in (1, -1):
        turned = partial(_walked, walk, step)
        monkeypatch.setattr(os, "walk", turned)
        read = load(Setup(task=task, data=str(tmp_path / "made"), select="eval"))
        for split in (read.train, read.evaluation):
            assert [read.info.labels[t] for t in split.targets] == names * (len(split) // 2)
        prints.add(read.fingerprint)
    assert len(prints) == 1
