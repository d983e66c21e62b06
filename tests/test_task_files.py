"""Files: what is found under which name, how labels are read, and what a bad file answers."""

from pathlib import Path

import numpy as np
import pytest
from made_rows import MRPC_LABELS, mrpc_folder, pairs, write

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import TaskData, info, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mrpc_folder(tmp_path / "my data's")


def mrpc(place: Path, **settings) -> TaskData:
    return load(Setup(task="mrpc", data=str(place), **settings))


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json", ".csv", ".tsv"])
def test_every_format_gives_the_same_rows_and_fingerprint(tmp_path, folder, suffix):
    write(tmp_path / f"train{suffix}", pairs(90))
    write(tmp_path / f"dev{suffix}", pairs(30, shift=90))
    assert mrpc(tmp_path).fingerprint == mrpc(folder).fingerprint


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("mrpc/train-00000-of-00001.parquet", "mrpc/validation-00000-of-00001.parquet"),
        ("mrpc/train/0000.parquet", "mrpc/validation/0000.parquet"),
        ("data/train-00000-of-00001-0a1b2c3d4e5f6071.parquet", "data/valid.parquet"),
        ("mrpc/train.jsonl", "mrpc/val.csv"),
        ("Train.parquet", "DEV.parquet"),
    ],
)
def test_the_layouts_of_hub_mirrors_are_read(tmp_path, folder, train, validation):
    write(tmp_path / train, pairs(90))
    write(tmp_path / validation, pairs(30, shift=90))
    write(tmp_path / "rte" / "train.parquet", pairs(5))
    assert mrpc(tmp_path).fingerprint == mrpc(folder).fingerprint


def test_shards_are_joined_in_order_and_a_missing_one_is_refused(tmp_path, folder):
    rows = pairs(90)
    write(tmp_path / "train-00001-of-00002.parquet", rows[40:])
    write(tmp_path / "validation.parquet", pairs(30, shift=90))
    with pytest.raises(IdimError, match=r"2 shard.*found train-00001-of-00002.parquet"):
        mrpc(tmp_path)
    write(tmp_path / "train-00000-of-00002.parquet", rows[:40])
    assert mrpc(tmp_path).fingerprint == mrpc(folder).fingerprint


def test_a_card_may_put_any_name_anywhere(tmp_path, folder):
    write(tmp_path / "en" / "part-a.jsonl", pairs(50))
    write(tmp_path / "en" / "part-b.jsonl", pairs(40, shift=50))
    write(tmp_path / "en" / "held.jsonl", pairs(30, shift=90))
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: mrpc\n  data_dir: en\n  data_files:\n"
        "  - split: train\n    path: part-*.jsonl\n"
        "  - split: validation\n    path: [held.jsonl, ../secret.jsonl]\n---\n# A card\n"
    )
    assert mrpc(tmp_path).fingerprint == mrpc(folder).fingerprint


@pytest.mark.parametrize("card", ["---\n: [", "# no front matter", "---\nconfigs: 3\n---\n", "--"])
def test_a_card_without_files_leaves_the_names_to_speak(folder, card):
    before = mrpc(folder).fingerprint
    (folder / "README.md").write_text(card)
    assert mrpc(folder).fingerprint == before


def test_two_files_of_one_split_are_refused(folder):
    write(folder / "dev.parquet", pairs(3))
    with pytest.raises(IdimError, match=r"dev\.parquet and validation\.parquet both hold"):
        mrpc(folder)


def test_a_missing_split_names_the_ones_that_are_there(folder):
    (folder / "train.parquet").rename(folder / "test.parquet")
    with pytest.raises(IdimError, match=r"'train' of task 'mrpc' \(found: test, validation\)"):
        mrpc(folder)


def test_a_broken_link_is_a_missing_file(folder):
    (folder / "validation.parquet").unlink()
    (folder / "validation.parquet").symlink_to(folder / "gone")
    with pytest.raises(IdimError, match=r"validation\.parquet' is a link to nothing"):
        mrpc(folder)


def test_rounds_are_concatenated_in_order(tmp_path):
    task = info("anli")
    for i, split in enumerate((*task.train, *task.evaluation)):
        rows = [{"premise": f"round {i}", "hypothesis": "so", "label": k % 3} for k in range(3)]
        write(tmp_path / "plain_text" / f"{split}-00000-of-00001.parquet", rows)
    read = load(Setup(task="anli", data=str(tmp_path), select="eval"))
    assert [row[0] for row in read.train.inputs[::3]] == ["round 0", "round 1", "round 2"]
    assert [row[0] for row in read.evaluation.inputs[::3]] == ["round 3", "round 4", "round 5"]


def test_labels_may_be_names_codes_floats_or_booleans(tmp_path, folder):
    expected = mrpc(folder).fingerprint
    spellings = [lambda v: MRPC_LABELS[v], float, bool, str]
    for i, spelling in enumerate(spellings):
        rows = [row | {"label": spelling(row["label"])} for row in pairs(90)]
        write(tmp_path / str(i) / "train.jsonl", rows)
        write(tmp_path / str(i) / "validation.jsonl", pairs(30, shift=90))
        assert mrpc(tmp_path / str(i)).fingerprint == expected


def test_a_file_that_orders_its_classes_otherwise_is_read_by_name(folder):
    expected = mrpc(folder).fingerprint
    flipped = [row | {"label": 1 - row["label"]} for row in pairs(90)]
    write(folder / "train.parquet", flipped, MRPC_LABELS[::-1])
    assert mrpc(folder).fingerprint == expected


def test_class_names_that_are_numbers_say_nothing(folder):
    expected = mrpc(folder).fingerprint
    write(folder / "train.parquet", pairs(90), ["1", "2"])  # as the hub's yelp_polarity
    assert mrpc(folder).fingerprint == expected


def test_regression_targets_are_float32(tmp_path):
    rows = [{"sentence1": "a", "sentence2": "b", "label": i / 4} for i in range(20)]
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.csv", rows)
    read = load(Setup(task="stsb", data=str(tmp_path)))
    assert read.evaluation.targets.dtype == np.float32
    assert read.evaluation.targets.tolist() == [i / 4 for i in range(20)]
    assert read.chance == {"pearson": 0.0, "spearman": 0.0}


# Bad files: one clear line each


def bad_row(**change):
    rows = pairs(90)
    rows[6] |= change
    return rows


BAD_ROWS = {
    "unlabelled": (bad_row(label=-1), r"train\.jsonl': row 7 has label -1, an unlabelled row"),
    "beyond": (bad_row(label=2), "row 7 has label 2; task 'mrpc' wants not_equivalent, equivalent"),
    "named": (bad_row(label="maybe"), "row 7 has label 'maybe'.* or 0 to 1"),
    "half": (bad_row(label=0.5), r"row 7 has label 0\.5"),
    "no label": (bad_row(label=None), "row 7 has label None"),
    "no text": (bad_row(sentence2=None), "row 7 has None in column 'sentence2', not text"),
    "number": (bad_row(sentence1=5), "row 7 has 5 in column 'sentence1', not text"),
    "surrogate": (bad_row(sentence1="\ud800"), "row 7 has .*ud800' in column 'sentence1'"),
    "no column": ([{"sentence1": "a", "label": 0}], "no column 'sentence2'; its columns are sente"),
    "a list": ([["a", "b", 0]], "row 1 is not an object"),
}


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named_with_its_file(folder, rows, message):
    (folder / "train.parquet").unlink()
    write(folder / "train.jsonl", rows)
    with pytest.raises(IdimError, match=message):
        mrpc(folder)


HEADER = "sentence1\tsentence2\tlabel\n"
BAD_FILES = {
    "empty": ("train.parquet", b"", r"train\.parquet' is empty"),
    "not parquet": ("train.parquet", b"sentence1,label\n" * 9, r"not a good \.parquet file"),
    "lfs": ("train.parquet", b"version https://git-lfs.github.com/spec/v1\n", "run 'git lfs pull'"),
    "not json": ("train.jsonl", b'{"sentence1": "a"\n', "line 1"),
    "late": ("train.jsonl", b'{"a": 1}\n\n{"a": oh}\n', "line 3: Expecting value"),
    "list cut": ("train.json", b'[{"a": 1},\n {"a"', "line 2"),
    "latin-1": ("train.csv", "sentence1,sentence2,label\né,b,0\n".encode("latin-1"), "not UTF-8"),
    "ragged": ("train.tsv", f"{HEADER}a\tb\t0\na\tb\n".encode(), "row 2 has 2 cells, the header 3"),
    "open quote": ("train.csv", b'sentence1,sentence2,label\n"a,b,0\nc,d,1\n', "line 3"),
    "no rows": ("train.tsv", HEADER.encode(), r"train\.tsv' has no rows"),
    "no lines": ("train.jsonl", b"\n", "has no rows"),
    "no header": ("train.csv", b"\n", "no column 'sentence1'; its columns are none"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named_with_what_is_wrong(folder, name, content, message):
    (folder / "train.parquet").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(IdimError, match=message) as error:
        mrpc(folder)
    assert str(folder / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parquet_file_cut_short_is_refused(folder):
    path = folder / "train.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IdimError, match=r"train\.parquet' is not a good \.parquet file"):
        mrpc(folder)


def test_the_labels_of_another_task_are_refused(folder):
    with pytest.raises(IdimError, match=r"names its labels not_equivalent, .* wants entailment"):
        load(Setup(task="rte", data=str(folder)))


def test_a_missing_folder_and_a_file_as_folder_are_told_apart(folder):
    with pytest.raises(IdimError, match=r"data folder '.*nowhere' does not exist"):
        mrpc(folder / "nowhere")
    (folder / "rows.txt").touch()
    with pytest.raises(IdimError, match="no rows are read from; give a folder, or a file"):
        mrpc(folder / "rows.txt")


def test_a_folder_is_asked_for_and_refused_where_it_means_nothing(folder):
    with pytest.raises(IdimError, match="give their folder with --data DIR"):
        load(Setup(task="mnist"))
    for task in ("digits", "toy"):
        with pytest.raises(IdimError, match=f"'{task}' reads no folder; leave out --data"):
            load(Setup(task=task, data=str(folder)))


def test_glues_lone_quotation_marks_belong_to_the_sentence(tmp_path):
    row = '"so it began\t5 " boats\t1\n'
    for split in ("train", "dev"):
        (tmp_path / f"{split}.tsv").write_text(HEADER + row * 2)
    assert mrpc(tmp_path).train.inputs == [('"so it began', '5 " boats')]
