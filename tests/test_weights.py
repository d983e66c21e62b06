"""Checkpoints that come with the package: found by name, checked, whole."""

import shutil

import pytest
import torch
from installed import beside
from typer.testing import CliRunner

from idim.builtin import weights
from idim.cli import app
from idim.config import Setup
from idim.errors import IdimError
from idim.problems import kinds, models, tasks


@pytest.fixture
def copied(tmp_path):
    """The weights and the code beside them, in a place where they may be damaged."""
    return beside(weights.__file__, shutil.copytree(weights.HOME, tmp_path / "weights"))


def test_a_trajectory_of_six_or_more_is_shipped_and_small():
    names = list(weights.names())
    assert names[0] == "tiny"
    assert "tiny@0" in names
    assert len(names) >= 7
    size = sum(p.stat().st_size for p in weights.HOME.rglob("*") if p.is_file())
    assert size <= 12e6
    shown = CliRunner().invoke(app, ["models"], prog_name="idim").stdout
    assert all(name in shown for name in names)


@pytest.mark.parametrize("name", list(weights.names()))
def test_every_checkpoint_is_as_it_was_shipped(name):
    assert (weights.folder(name) / weights.WEIGHTS).is_file()


def test_the_plain_name_is_the_last_step():
    last = max(int(n.partition("@")[2]) for n in weights.names() if "@" in n)
    assert weights.folder("tiny") == weights.folder(f"tiny@{last}")
    assert models.fingerprint("tiny", weights.folder("tiny")) != models.fingerprint(
        "tiny@0", weights.folder("tiny@0")
    )


def test_the_head_is_drawn_from_the_seed_and_the_rest_is_not():
    data = tasks.load(Setup(task="paraphrase"))
    built = [
        models.build("tiny", models.source("tiny"), data, max_length=48, seed=s) for s in (0, 1)
    ]
    assert built[0].head == ("classifier",)
    for (name, a), (_, b) in zip(*(m.module.named_parameters() for m in built), strict=True):
        is_matrix_of_head = name.startswith("classifier") and a.ndim > 1
        assert torch.equal(a, b) != is_matrix_of_head, name
        assert a.dtype == torch.float32


def test_an_unknown_step_says_which_there_are():
    with pytest.raises(IdimError, match=r"unknown checkpoint 'tiny@7'.*tiny@0, "):
        models.source("tiny@7")


def test_a_damaged_file_is_found_and_the_remedy_told(copied):
    file = copied.HOME / "tiny" / "0" / copied.WEIGHTS
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(IdimError, match=r"damaged \(its checksum is wrong\); reinstall .*pip"):
        copied.folder("tiny@0")
    assert copied.folder("tiny").parent == file.parents[1]
    file.unlink()
    with pytest.raises(IdimError, match="is missing; reinstall"):
        copied.folder("tiny@0")
    (copied.HOME / "tiny" / copied.SUMS).write_text("nonsense")
    with pytest.raises(IdimError, match="is damaged; reinstall"):
        copied.folder("tiny")


def test_it_cannot_read_pictures():
    with pytest.raises(IdimError, match="model 'tiny' cannot read task 'digits'"):
        kinds.check_fits("tiny", tasks.info("digits"))
