"""GLUE's own downloads: small files with the official names, headers and quirks of all nine tasks.

The headers are those of the archives at gluebenchmark.com; the sentences are made up.
"""

from pathlib import Path

import pytest

from idim.config import Setup
from idim.errors import IdimError
from idim.problems.tasks import load

MNLI = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\t"
)
STSB = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
MRPC = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
# task: (folder, {file: text}, rows to learn from, rows to report on)
DOWNLOADS = {
    "cola": (
        "CoLA",
        {
            "train.tsv": 'gj04\t1\t\tThe "heron waits.\ngj04\t0\t*\tWaits heron the.\n',
            "dev.tsv": "gj04\t1\t\tBoats left.\n",
        },
        [('The "heron waits.', 1), ("Waits heron the.", 0)],
        [("Boats left.", 1)],
    ),
    "sst2": (
        "SST-2",
        {
            "train.tsv": "sentence\tlabel\na quiet delight \t1\nno more of this \t0\n",
            "dev.tsv": "sentence\tlabel\nit sinks \t0\n",
        },
        [("a quiet delight ", 1), ("no more of this ", 0)],
        [("it sinks ", 0)],
    ),
    "mrpc": (
        "MRPC",
        {
            "train.tsv": f'{MRPC}1\t10\t11\tHe said "no.\tHe said no.\n0\t12\t13\tOne.\tTwo.\n',
            "dev.tsv": f"{MRPC}1\t14\t15\tThree.\tThree!\n",
        },
        [('He said "no.', "He said no.", 1), ("One.", "Two.", 0)],
        [("Three.", "Three!", 1)],
    ),
    "qqp": (
        "QQP",
        {
            "train.tsv": f"{QQP}1\t2\t3\tWhy boats?\tWhy do boats?\t1\n4\t5\t6\tcut\n"
            "7\t8\t9\tWho?\tWhere?\t0\n",
            "dev.tsv": f'{QQP}1\t2\t3\tWhat is "5?\tWhat is 5"?\t1\n',
        },
        [("Why boats?", "Why do boats?", 1), ("Who?", "Where?", 0)],
        [('What is "5?', 'What is 5"?', 1)],
    ),
    "stsb": (
        "STS-B",
        {
            "train.tsv": f"{STSB}0\tmain\tMSR\t2012\t0001\tnone\tnone\tA plane.\tA jet.\t4.500\n"
            "1\tmain\tMSR\t2012\t0004\tnone\tnone\tA man.\tA cat.\t0.000\n",
            "dev.tsv": f"{STSB}0\tmain\tMSR\t2012\t0000\tnone\tnone\tSnow.\tSnow.\t5.000\n",
        },
        [("A plane.", "A jet.", 4.5), ("A man.", "A cat.", 0.0)],
        [("Snow.", "Snow.", 5.0)],
    ),
    "mnli": (
        "MNLI",
        {
            "train.tsv": f"{MNLI}label1\tgold_label\n"
            "0\t1\t1n\tfiction\t( b )\t( b )\t(R)\t(R)\tIt rains.\tIt is wet.\tn\tentailment\n"
            "1\t2\t2c\tfiction\t( b )\t( b )\t(R)\t(R)\tIt rains.\tIt is dry.\tneutral\t"
            "contradiction\n",
            "dev_matched.tsv": f"{MNLI}label1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
            "0\t1\t1n\tslate\tb\tb\tR\tR\tBirds.\tSome birds.\tn\tn\te\tn\tn\tneutral\n",
            "dev_mismatched.tsv": f"{MNLI}label1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
            "0\t1\t1n\tx\tb\tb\tR\tR\tUnread.\tUnread.\tn\tn\te\tn\tn\tneutral\n",
        },
        [("It rains.", "It is wet.", 0), ("It rains.", "It is dry.", 2)],
        [("Birds.", "Some birds.", 1)],
    ),
    "qnli": (
        "QNLI",
        {
            "train.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tShe did.\tentailment\n"
            "1\tWho?\tRain.\tnot_entailment\n",
            "dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWhen?\tIn May.\tentailment\n",
        },
        [("Who?", "She did.", 0), ("Who?", "Rain.", 1)],
        [("When?", "In May.", 0)],
    ),
    "rte": (
        "RTE",
        {
            "train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tnot_entailment\n"
            "1\tC.\tD.\tentailment\n",
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tE.\tF.\tentailment\n",
        },
        [("A.", "B.", 1), ("C.", "D.", 0)],
        [("E.", "F.", 0)],
    ),
    "wnli": (
        "WNLI",
        {
            "train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe cup fell.\t1\n"
            "1\tIt fell.\tThe table fell.\t0\n",
            "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tHe slept.\tBob slept.\t0\n",
        },
        [("It fell.", "The cup fell.", 1), ("It fell.", "The table fell.", 0)],
        [("He slept.", "Bob slept.", 0)],
    ),
}


def put(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"test.tsv": "index\tsentence\n0\tunlabelled\n", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def rows_of(split) -> list[tuple]:
    return [(*row, t) for row, t in zip(split.inputs, split.targets.tolist(), strict=True)]


@pytest.mark.parametrize("own_folder", [True, False])
@pytest.mark.parametrize("name", DOWNLOADS)
def test_an_official_download_gives_its_rows(tmp_path, name, own_folder):
    folder, files, learned, reported = DOWNLOADS[name]
    put(tmp_path / "glue_data" / folder, files)
    put(tmp_path / "glue_data" / "other", {"train.tsv": "x\ty\n"})
    place = tmp_path / "glue_data" / folder if own_folder else tmp_path / "glue_data"
    read = load(Setup(task=name, data=str(place), select="eval"))
    assert rows_of(read.train) == learned
    assert rows_of(read.evaluation) == reported


def test_a_row_of_qqp_that_lacks_cells_is_left_out_and_said(tmp_path):
    folder, files, *_ = DOWNLOADS["qqp"]
    read = load(Setup(task="qqp", data=str(put(tmp_path / folder, files)), select="eval"))
    assert read.notes[0] == (
        "1 row(s) of 'train.tsv' lack cells and are left out, as the hub does."
    )
    longer = files["train.tsv"] + "7\t8\t9\tWho?\tWhere?\t0\tmore\n"
    (tmp_path / folder / "train.tsv").write_text(longer)
    with pytest.raises(IdimError, match="row 4 has 7 cells, the header 6"):
        load(Setup(task="qqp", data=str(tmp_path / folder)))


ORIGINAL = (
    f"{MRPC}1\t10\t11\tHe said.\tHe did say.\n0\t12\t13\tOne.\tTwo.\n1\t14\t15\tThree.\tThree!\n"
    "0\t16\t17\tFour.\tFive.\n"
)


@pytest.mark.parametrize("ids", ["dev_ids.tsv", "mrpc_dev_ids.tsv"])
def test_mrpcs_original_files_are_split_by_glues_list(tmp_path, ids):
    files = {"msr_paraphrase_train.txt": ORIGINAL, "msr_paraphrase_test.txt": MRPC}
    put(tmp_path / "MRPC", files | {ids: "#1 ID\t#2 ID\n14\t15\n"})
    read = load(Setup(task="mrpc", data=str(tmp_path / "MRPC"), select="eval"))
    assert rows_of(read.train) == [
        ("He said.", "He did say.", 1), ("One.", "Two.", 0), ("Four.", "Five.", 0)
    ]  # fmt: skip
    assert rows_of(read.evaluation) == [("Three.", "Three!", 1)]


def test_mrpcs_original_files_without_the_list_are_split_by_our_rule(tmp_path):
    put(tmp_path / "MRPC", {"msr_paraphrase_train.txt": ORIGINAL})
    read = load(Setup(task="mrpc", data=str(tmp_path / "MRPC"), select="eval"))
    assert (len(read.train), len(read.evaluation)) == (2, 2)
    assert any("there is no split 'validation': 2 of the 4" in note for note in read.notes)


def test_a_list_that_holds_no_pair_of_the_file_is_refused(tmp_path):
    files = {"msr_paraphrase_train.txt": ORIGINAL, "dev_ids.tsv": "1\t2\n"}
    put(tmp_path / "MRPC", files)
    with pytest.raises(IdimError, match=r"dev_ids\.tsv' holds no pair of"):
        load(Setup(task="mrpc", data=str(tmp_path / "MRPC")))


def test_an_untidy_file_of_another_task_is_still_refused(tmp_path):
    text = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n1\tC.\n"
    put(tmp_path / "RTE", {"train.tsv": text, "dev.tsv": text})
    with pytest.raises(IdimError, match="row 2 has 2 cells, the header 4"):
        load(Setup(task="rte", data=str(tmp_path / "RTE")))
