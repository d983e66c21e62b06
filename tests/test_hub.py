"""Hub names are fetched once, pinned, and then local for good."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import makers
import pytest
from hubclient import (
    DATA,
    GLUE,
    MODEL,
    ROBERTA,
    ask,
    complaint,
    folder,
    program,
    write,
    write_stubs,
)
from hubserver import Hub, serve

LOAD = """
import sys
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
rows = load_dataset(sys.argv[2], "mrpc")["train"]
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
logits = model(**tokenizer(rows["sentence1"][:], return_tensors="pt", padding=True)).logits
print(len(logits), rows.features["label"].names)
"""
RACE = """
from concurrent.futures import ThreadPoolExecutor
from idim.hub import resolve_dataset, resolve_model
with ThreadPoolExecutor() as pool:
    model = pool.submit(resolve_model, "roberta-base")
    data = pool.submit(resolve_dataset, "nyu-mll/glue", "mrpc")
    print((str(model.result()), str(data.result())))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_stubs(tmp_path / "hub root")


@pytest.fixture
def hub(root: Path) -> Iterator[Hub]:
    with serve(root) as hub:
        yield hub


def inside(place: Path) -> set[str]:
    return {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}


def test_the_real_libraries_load_what_is_local_without_a_request(tmp_path: Path) -> None:
    makers.make_tiny_roberta(tmp_path / ROBERTA)
    makers.make_mrpc(tmp_path / GLUE, rows=8)
    makers.write_pairs(tmp_path / GLUE / "rte/train-00000-of-00001.parquet", 4, seed=3)
    makers.write_card(tmp_path / GLUE, {"mrpc": ["train", "validation", "test"], "rte": ["train"]})
    with serve(tmp_path) as hub:
        env = hub.env(tmp_path)
        model, data = folder(env, MODEL), folder(env, DATA)
        hub.requests.clear()

        done = program(env, LOAD, str(model), str(data))

        assert done.stdout.strip() == "8 ['not_equivalent', 'equivalent']", done.stderr
        assert hub.requests == []


def test_only_what_is_needed_is_fetched(hub: Hub, tmp_path: Path) -> None:
    env = hub.env(tmp_path)

    model, data = folder(env, MODEL), folder(env, DATA)

    needed = {"config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt"}
    splits = {f"mrpc/{s}-00000-of-00001.parquet" for s in ("train", "validation", "test")}
    assert inside(model) == needed
    assert inside(data) == {"README.md"} | splits
    assert hub.fetched() == needed | {"README.md"} | splits


def test_what_is_pinned_costs_no_request(hub: Hub, tmp_path: Path) -> None:
    env = hub.env(tmp_path)
    first = folder(env, MODEL), folder(env, DATA)
    hub.requests.clear()

    again = folder(env, MODEL), folder(env, DATA)

    assert again == first
    assert hub.requests == []


def test_prefetch_pins_commits_that_a_person_can_read(hub: Hub, tmp_path: Path) -> None:
    env = hub.env(tmp_path)

    done = ask(env, "[p.commit for p in prefetch('roberta-base', ('nyu-mll/glue', 'mrpc'))]")

    commits = [hub.commit(*k.split("/", 1)) for k in (ROBERTA, GLUE)]
    pins = json.loads((tmp_path / "idim/pins.json").read_text())["pins"]
    assert done.stdout.strip() == str(commits), done.stderr
    assert {key: pin["commit"] for key, pin in pins.items()} == {
        f"{ROBERTA}@main": commits[0],
        f"{GLUE}@main:mrpc": commits[1],
    }


def test_a_pin_stays_when_the_hub_moves_on(hub: Hub, root: Path, tmp_path: Path) -> None:
    env = hub.env(tmp_path)
    before = folder(env, MODEL)
    shutil.copytree(root / ROBERTA, root / f"{ROBERTA}@old")
    (root / ROBERTA / "model.safetensors").write_text("retrained")

    assert folder(env, MODEL) == before
    shutil.rmtree(tmp_path / "hf")  # even from an empty cache
    assert folder(env, MODEL) == before
    assert "retrained" not in (before / "model.safetensors").read_text()


def test_an_unknown_repository_is_named_with_the_nearest_known(hub: Hub, tmp_path: Path) -> None:
    env = hub.env(tmp_path)
    typo = complaint(env, "resolve_model('robeta-base')")
    builtin = complaint(env, "resolve_model('digits-mpl', ['toy', 'digits-mlp'])")
    data = complaint(env, "resolve_dataset('nyu-mll/gleu', 'mrpc')")

    assert typo == f"error: no model 'robeta-base' at {hub.url}; did you mean 'roberta-base'?"
    assert builtin.endswith("did you mean 'digits-mlp'?")
    assert data.startswith("error: no data set 'nyu-mll/gleu' (mrpc) at ")
    assert not (tmp_path / "idim/pins.json").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_asks_for_a_token(hub: Hub, tmp_path: Path, status: int) -> None:
    hub.gated["FacebookAI/roberta-base"] = status

    line = complaint(hub.env(tmp_path), MODEL)

    assert line.startswith("error: model 'roberta-base' is gated: accept its terms at ")
    assert line.endswith("set HF_TOKEN to your access token.")


def test_a_revision_is_a_pin_of_its_own(hub: Hub, root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / ROBERTA, root / f"{ROBERTA}@step1000")
    (root / f"{ROBERTA}@step1000/model.safetensors").write_text("after a thousand steps")
    env = hub.env(tmp_path)

    main, early = folder(env, MODEL), folder(env, "resolve_model('roberta-base@step1000')")
    line = complaint(env, "resolve_model('roberta-base@step7')")

    assert (early / "model.safetensors").read_text() == "after a thousand steps"
    assert early != main
    assert line.startswith("error: model 'roberta-base@step7' has no revision 'step7'; see ")


def test_a_moved_repository_is_followed(hub: Hub, tmp_path: Path) -> None:
    hub.moved["old-roberta"] = "FacebookAI/roberta-base"
    env = hub.env(tmp_path)
    first = folder(env, "resolve_model('old-roberta')")
    hub.requests.clear()

    assert folder(env, "resolve_model('old-roberta')") == first
    assert hub.requests == []


def test_a_repository_of_pickles_alone_is_refused_unfetched(
    hub: Hub, root: Path, tmp_path: Path
) -> None:
    write(root / "models/a/pickled", "config.json", "pytorch_model.bin", "vocab.txt")

    line = complaint(hub.env(tmp_path), "resolve_model('a/pickled')")

    assert "has only pytorch_model.bin on the hub, a pickle, which idim never opens" in line
    assert hub.fetched() == set()


def test_two_commands_at_once_keep_both_pins(hub: Hub, tmp_path: Path) -> None:
    env = hub.env(tmp_path)
    first = folder(env, MODEL), folder(env, DATA)
    (tmp_path / "idim/pins.json").unlink()
    done = program(env, RACE)

    assert done.stdout.strip() == str(tuple(map(str, first))), done.stderr
    assert len(json.loads((tmp_path / "idim/pins.json").read_text())["pins"]) == 2


def test_a_home_that_cannot_be_written_is_one_line(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    line = complaint(hub.env(tmp_path, IDIM_HOME=str(tmp_path / "file/below")), MODEL)

    assert "pins.json': Not a directory" in line
