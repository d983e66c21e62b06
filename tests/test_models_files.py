"""Only the folder is read, all that decides is in the fingerprint, nothing is unpickled."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from makers import make_tiny_roberta

from idim import hub
from idim.builtin import weights
from idim.config import Setup
from idim.errors import IdimError
from idim.problems import models, tasks

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def folder(tmp_path):
    return make_tiny_roberta(tmp_path / "model")


@pytest.fixture(scope="module")
def rows():
    return tasks.load(Setup(task="paraphrase", train_samples=16, eval_samples=16))


def built(folder: Path, rows: tasks.TaskData) -> dict[str, torch.Tensor]:
    source = models.source(str(folder))
    model = models.build(str(folder), source, rows, max_length=32, seed=0)
    return dict(model.module.named_parameters())


def sharded(folder: Path, rows: tasks.TaskData) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(held)
    table = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"model-0000{i + 1}-of-00002.safetensors"
        save_file({n: held[n] for n in part}, folder / file)
        table |= dict.fromkeys(part, file)
    (folder / INDEX).write_text(json.dumps({"weight_map": table}))


def test_shards_are_the_model_that_one_file_is(folder, rows):
    whole = built(folder, rows)
    sharded(folder, rows)
    parts = built(folder, rows)
    assert all(torch.equal(whole[n], parts[n]) for n in whole)


@pytest.mark.parametrize("name", ["evil.bin", "../evil.bin", "evil.pt", "evil.safetensors"])
def test_no_pickle_is_opened_whatever_names_it(name, folder, rows, tmp_path):
    trace = tmp_path / "exploded"
    evil = (folder / name).resolve()
    evil.write_bytes(pickle.dumps(Bomb(trace)))
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"a": name}}))
    (folder / WEIGHTS).unlink()
    for beside in ("pytorch_model.bin", "adapter_model.bin", ".metadata"):
        shutil.copy(evil, folder / beside)
    with pytest.raises(IdimError):
        built(folder, rows)
    assert not trace.exists()
    pickle.loads(evil.read_bytes())
    assert trace.exists(), "the bomb works"


def test_what_stands_beside_the_weights_is_not_read_in_their_place(folder, rows):
    """A shard of a distributed checkpoint, another weight file, a generation's settings."""
    before = built(folder, rows)
    for name in ("shard-00000-model-00001-of-00001.safetensors", "head.safetensors"):
        (folder / name).write_bytes(b"no tensors")
    (folder / "generation_config.json").write_text("null")
    (folder / "sub").mkdir()
    shutil.copy(folder / "config.json", folder / "sub" / WEIGHTS)
    after = built(folder, rows)
    assert all(torch.equal(before[n], after[n]) for n in before)


def test_code_beside_a_known_model_is_not_run(folder, rows, tmp_path):
    trace = tmp_path / "ran"
    (folder / "m.py").write_text(f"open({str(trace)!r}, 'w')\nclass M: pass\n")
    path = folder / "config.json"
    table = json.loads(path.read_text())
    names = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
    path.write_text(json.dumps(table | {"auto_map": dict.fromkeys(names, "m.M")}))
    built(folder, rows)
    assert not trace.exists()


def test_a_link_to_the_hub_caches_blobs_is_read_and_no_other(folder, rows, tmp_path):
    snapshot = tmp_path / "models--o--n" / "snapshots" / "abc"
    blobs = tmp_path / "models--o--n" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(i))
        (snapshot / path.name).symlink_to(f"../../blobs/{i}")
    assert built(snapshot, rows)
    shutil.copy(snapshot / "config.json", tmp_path / "config.json")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../../config.json")
    with pytest.raises(IdimError, match=r"'config.json' .* is a link out of the folder"):
        built(snapshot, rows)


def first_fingerprint(*folders: Path) -> str:
    """As the first stores have it."""
    kinds = (".json", ".safetensors", ".txt", ".model")
    paths = sorted(p for f in set(folders) for p in f.iterdir() if p.suffix in kinds)
    top = folders[-1].absolute()
    total = hashlib.sha256()
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{digest} {path.absolute().relative_to(top).as_posix()}\n".encode())
    return total.hexdigest()[:16]


def test_a_good_folder_keeps_its_fingerprint(folder):
    for name in ("README.md", "training_args.bin", "chat_template.jinja", "model.onnx"):
        (folder / name).write_text("beside the model")
    assert models.fingerprint("m", folder) == first_fingerprint(folder)
    tiny = weights.folder("tiny")
    assert models.fingerprint("tiny", tiny) == first_fingerprint(tiny, weights.shared(tiny))


@pytest.mark.parametrize(
    "name",
    ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt",
     "source.spm", "bpe.codes", "o200k.tiktoken", "tokenizer.model.v3", "vocab.bpe"],
)  # fmt: skip
def test_each_file_that_decides_is_in_the_fingerprint(name, folder):
    before = models.fingerprint("m", folder)
    with (folder / name).open("ab") as f:
        f.write(b"\n")
    assert models.fingerprint("m", folder) != before


def test_each_shard_and_the_index_are_in_the_fingerprint(folder, rows):
    sharded(folder, rows)
    read = {p.name for p in hub.weight_files(folder, "m")}
    assert len(read) == 2
    assert read | {INDEX} <= {p.name for p in hub.deciding(folder, "m")}
