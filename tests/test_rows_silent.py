"""What would make a wrong number and say nothing: each is refused in one line, or said."""

import math

import pytest
from made_rows import write
from test_task_own import own

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import TaskData, load


def days(n: int, shift: int = 0, labels: tuple = (0, 1)) -> list[dict]:
    return [{"text": f"day {i + shift}", "label": labels[i % len(labels)]} for i in range(n)]


def place(tmp_path, files: dict[str, list[dict]], card: str = ""):
    for name, rows in files.items():
        write(tmp_path / "rows" / name, rows)
    if card:
        (tmp_path / "rows/README.md").write_text(f"---\n{card}\n---\n")
    return tmp_path / "rows"


def read(task, **more) -> TaskData:
    return load(Setup(task=str(task), select="eval", **more))


def refused(task, line: str, **more) -> None:
    with pytest.raises(IdimError, match=line) as caught:
        read(task, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("", "a"), "row 1 has no label: '' in column 'label'"),
        ((" ", "a"), "row 1 has no label"),
        ((None, "a"), "row 1 has no label: None"),
        ((0, math.nan), "row 2 has no label: nan"),
        (("a",), "every training row has the label a; there is nothing to learn"),
        ((1,), "every training row has the label 1"),
        ((-1, 0, 1), "row 1 has label -1, an unlabelled row; .* put it into labels"),
        ((-1, 1), ("-1", "1")),
        (("+1", "-1"), ("-1", "1")),
        (("\u00b2", "1"), ("1", "\u00b2")),
        (("Pos", "neg"), ("Pos", "neg")),
    ],
)
def test_classes_that_are_guessed_are_classes(tmp_path, labels, found):
    path = write(tmp_path / "days.jsonl", days(60, labels=labels))
    if isinstance(found, str):
        refused(path, found)
    else:
        assert read(path).info.labels == found


def test_a_regression_by_guess_is_said(tmp_path):
    path = write(tmp_path / "days.csv", days(90, labels=tuple(range(21))))
    assert any("'label' is a number by guess" in note for note in read(path).notes)


@pytest.mark.parametrize("twice", ["text", "label"])
def test_of_two_columns_of_a_name_none_is_chosen(tmp_path, twice):
    path = tmp_path / "days.csv"
    path.write_text(f"text,label,{twice}\n" + "a b,0,1\nc d,1,0\n" * 30)
    refused(path, f"has 2 columns '{twice}'")
    path.write_text("text,label,,\n" + "a b,0,,\nc d,1,,\n" * 30)
    assert read(path).info.labels == ("0", "1")


def test_the_column_that_is_called_label_to_the_letter_is_meant(tmp_path):
    rows = [{"text": f"a {i}", "Label": i % 2, "label": i % 3} for i in range(60)]
    found = read(write(tmp_path / "days.csv", rows)).info
    assert (found.label, found.labels) == ("label", ("0", "1", "2"))


ONE = {"train.csv": days(60)}
CARD = "configs:\n- config_name: default\n  data_files:\n"
TRAIN, OTHER = "  - split: train\n    path: a.csv\n", "  - split: validation\n    path: {}\n"


@pytest.mark.parametrize(
    ("files", "card"),
    [({"train_dev.csv": days(60)}, ""), ({"train-validation.jsonl": days(60)}, ""),
     ({"a.csv": days(60)}, CARD + TRAIN + OTHER.format("a.csv"))],
)  # fmt: skip
def test_a_file_is_not_two_splits(tmp_path, files, card):
    refused(place(tmp_path, files, card), "would be both split 'train' and split 'validation'")


def test_a_link_to_a_file_is_the_file(tmp_path):
    folder = place(tmp_path, ONE)
    (folder / "validation.csv").symlink_to("train.csv")
    refused(folder, "would be both split")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"evaluation": "training"}, "both split 'train' and split 'training'"),
        ({"evaluation": "train.csv"}, "both split 'train' and split 'train.csv'"),
        ({"train": ["train[:50%]"], "evaluation": "training[50%:]"}, "both split"),
        ({"train": ["train", "train.csv"]}, "both split"),
        ({"train": ["train", "train[:50%]"]}, "'train' and 'train.:50%.' share 30 rows"),
        ({"train": ["train[:9]"], "evaluation": ["train[10:20]", "train[15:]"]}, "share 5 rows"),
    ],
)
def test_no_row_is_read_twice_under_two_names(tmp_path, keys, line):
    place(tmp_path, ONE)
    refused(own(tmp_path, **keys), line)


def test_files_of_another_format_are_not_left_out_in_silence(tmp_path):
    folder = place(tmp_path, {"train-1.csv": days(60), "train-2.jsonl": days(60, 60)})
    said = "split 'train' is read from train-2.jsonl; left out: train-1.csv."
    assert said in read(folder).notes


def test_the_files_of_a_card_are_those_that_are_meant(tmp_path):
    others = {"a.csv": days(60), "train.csv": days(60, 300), "validation.csv": days(9, 600)}
    found = read(place(tmp_path, others, CARD + TRAIN))
    assert {text for (text,) in [*found.train.inputs, *found.evaluation.inputs]} == {
        f"day {i}" for i in range(60)
    }
    place(tmp_path, {}, CARD + TRAIN + OTHER.format("b.csv"))
    refused(tmp_path / "rows", "has no file 'b.csv', which its README.md names for .*'validation'")
    place(tmp_path, {}, CARD + "  - split: train\n    path: x.csv\n")  # laid out otherwise
    assert len(read(tmp_path / "rows").evaluation) == 9


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"evaluation": "test"}, "is one file, and task 'boats' reads the splits train, test"),
        ({"evaluation": "validation[:5]"}, "reads the splits train, validation"),
        ({"train": ["one", "two"]}, "reads the splits one, two"),
        ({"train": "foo"}, (30, 30)),
        ({"train": "train[:20]", "evaluation": "train[20:]"}, (20, 40)),
    ],
)
def test_one_file_is_the_split_to_learn_from(tmp_path, keys, line):
    path = write(tmp_path / "days.csv", days(60))
    if isinstance(line, str):
        refused(own(tmp_path, **keys), line, data=str(path))
    else:
        found = read(own(tmp_path, **keys), data=str(path))
        assert (len(found.train), len(found.evaluation)) == line
    refused("anli", "reads the splits train_r1, train_r2, train_r3", data=str(path))
