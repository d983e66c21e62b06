"""What a model folder and a data set's configuration must hold, and what fingerprints fix."""

import json
from pathlib import Path

import pytest
from hubclient import write

from idim import hub
from idim.errors import IdimError
from idim.hub.files import matching, needed
from idim.hub.pins import Wanted


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    model = write(tmp_path / "my model", "config.json", "model.safetensors")

    assert hub.resolve_model(str(model)) == model
    assert hub.resolve_dataset(str(tmp_path), None) == tmp_path
    assert hub.prefetch(str(model), (str(tmp_path), None)) == []


def test_a_sharded_local_folder_needs_every_shard(tmp_path: Path) -> None:
    write(tmp_path, "config.json", "model-1-of-2.safetensors")
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))

    with pytest.raises(IdimError, match=r"lacks model-2-of-2\.safetensors\.$"):
        hub.resolve_model(str(tmp_path))
    write(tmp_path, "model-2-of-2.safetensors")
    assert hub.resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"lacks config\.json and model\.safetensors\."),
        (["config.json"], r"lacks model\.safetensors\."),
        (["config.json", "other.safetensors"], r"lacks model\.safetensors\."),
        (
            ["config.json", "pytorch_model.bin"],
            r"holds only pytorch_model\.bin, a pickle.*save_pretr",
        ),
        (
            ["config.json", "model.safetensors.index.json"],
            "lacks a readable model.safetensors.index",
        ),
    ],
)
def test_an_incomplete_local_folder_says_what_is_missing(
    tmp_path: Path, files: list[str], message: str
) -> None:
    write(tmp_path, *files)

    with pytest.raises(IdimError, match=message) as caught:
        hub.resolve_model(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./absent", "model folder './absent' does not exist."),
        ("/absent/model", "model folder '/absent/model' does not exist."),
        ("~nobody/m", "model folder '~nobody/m' does not exist."),
        ("a/b/c", "model folder 'a/b/c' does not exist."),
        (__file__, f"model folder '{__file__}' is not a folder."),
        ("two words", "'two words' is neither a model folder nor a hub id (owner/name)."),
        ("", "'' is neither a model folder nor a hub id (owner/name)."),
    ],
)
def test_what_is_neither_folder_nor_hub_id_is_refused(name: str, message: str) -> None:
    with pytest.raises(IdimError) as caught:
        hub.resolve_model(name)
    assert str(caught.value) == message


def declared(*configs: str) -> dict[str, object]:
    return {"configs": [{"config_name": c, "data_files": f"{c}-files/*"} for c in configs]}


FOLDERS = ["README.md", "mrpc/train.parquet", "rte/train.parquet"]


@pytest.mark.parametrize(
    ("config", "files", "card", "chosen"),
    [
        ("mrpc", FOLDERS, {}, ["README.md", "mrpc/train.parquet"]),
        (None, FOLDERS, {}, FOLDERS),
        ("plain_text", ["data/train.parquet", "x.csv"], {}, ["data/train.parquet"]),
        (None, ["a.parquet", "b.json"], {}, ["a.parquet"]),
        (None, ["a-files/x.csv", "b.parquet"], declared("a"), ["a-files/x.csv"]),
        ("b", ["a-files/x.csv", "b-files/y.csv"], declared("a", "b"), ["b-files/y.csv"]),
        (None, ["a.csv", "a.jsonl.gz"], {}, ["a.jsonl.gz"]),
    ],
)
def test_a_configuration_takes_its_own_files(
    config: str | None, files: list[str], card: dict[str, object], chosen: list[str]
) -> None:
    wanted = Wanted("dataset", "o/n", config=config, name="o/n")

    assert list(matching(wanted, files, needed(wanted, files, card))) == sorted(chosen)


@pytest.mark.parametrize(
    ("config", "files", "card", "message"),
    [
        ("mrcp", FOLDERS, {}, "unknown configuration of o/n 'mrcp'; did you mean 'mrpc'"),
        (
            "mrcp",
            [],
            declared("mrpc", "rte"),
            "unknown configuration of o/n 'mrcp'; did you mean 'mrpc'",
        ),
        (None, [], declared("mrpc", "rte"), "has several configurations; choose one: mrpc, rte."),
        ("mrpc", [], declared("mrpc"), r"has no file 'mrpc-files/\*' though its card names it"),
        (None, ["a.txt"], {}, "no file of rows on the hub; try 'o/n@refs/convert/parquet'"),
        (None, ["n.py", "a.zip"], {}, "is made by code of its own, which idim never runs; try 'o"),
        (None, ["a.zip"], {}, "has its rows in an archive, a.zip; try 'o/n@refs/convert/parquet'"),
        ("a", ["a-files/x.h5"], declared("a"), "no file of rows on the hub; try"),
    ],
)
def test_a_configuration_that_is_not_there_is_one_clear_error(
    config: str | None, files: list[str], card: dict[str, object], message: str
) -> None:
    wanted = Wanted("dataset", "o/n", config=config, name="o/n")

    with pytest.raises(IdimError, match=message):
        matching(wanted, files, needed(wanted, files, card))


def test_a_fingerprint_fixes_names_and_bytes_but_not_place_or_order(tmp_path: Path) -> None:
    files = ["config.json", "sub/model.safetensors"]
    here = [write(tmp_path / "here/m", *files) / f for f in files]
    there = [write(tmp_path / "there/m", *files) / f for f in files]
    first = hub.fingerprint(here)

    assert len(first) == 16
    assert hub.fingerprint(reversed(there)) == first
    there[0].write_text("edited")
    assert hub.fingerprint(there) != first
    moved = here[1].rename(here[1].with_name("other"))
    assert hub.fingerprint([here[0], moved]) != first
    with pytest.raises(IdimError, match="cannot read"):
        hub.fingerprint(here)
