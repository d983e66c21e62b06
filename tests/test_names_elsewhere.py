"""Names that are near to a known one, and names that only another program knows."""

import json
from contextlib import suppress

import pytest
from outside import Stripes
from outside_method import LastTensors
from outside_search import Bisection
from typer.testing import CliRunner

import idim
from idim.cli import app
from idim.config import SMALL_NETS, SweepSpec, with_recipe
from idim.config.names import METHODS, PROJECTIONS, STRATEGIES
from idim.config.recipes import SHIPPED
from idim.errors import IdimError, near

TOY = {"model": "toy", "steps": 2, "lr": [0.1], "baseline": 1.0, "seeds": 1}
DIGITS = TOY | {"model": "digits-mlp", "train_samples": 50, "eval_samples": 50}
# by field: the table, what is entered, and a sweep that names it
OUTSIDE = {
    "search": (STRATEGIES, Bisection, TOY | {"d_max": 9}),
    "projection": (PROJECTIONS, Stripes, TOY | {"d": [5]}),
    "method": (METHODS, LastTensors, DIGITS | {"d": [1], "search": "grid"}),
}


@pytest.fixture(scope="module", params=OUTSIDE)
def stranger(request, tmp_path_factory):
    """A folder that names what this program no longer knows, and the group of such names."""
    table, entered, words = OUTSIDE[request.param]
    out = tmp_path_factory.mktemp("stranger") / "s"
    table["zzz"] = entered
    idim.sweep(**words | {request.param: "zzz"}, out=out)
    del table["zzz"]
    return out, table.group


@pytest.mark.parametrize("command", ["estimate", "plot", "report"])
def test_a_folder_that_names_what_is_not_known_here_says_how_it_may_be(stranger, command):
    out, group = stranger
    done = CliRunner().invoke(app, [command, str(out)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "'zzz'. Known: " in done.stderr
    assert f"(an entry point in the group {group}), and in a program that enters" in done.stderr


def test_python_says_so_too_wherever_it_reads_the_name(stranger):
    out, group = stranger
    with pytest.raises(IdimError, match=f"'zzz'.*group {group}"):
        idim.load(out)
    read = idim.Summary.from_json(json.loads((out / "summary.json").read_text()))
    with suppress(IdimError):  # a KeyError would be a traceback
        str(read)


def test_a_table_is_a_mapping_still():
    for table, _, _ in OUTSIDE.values():
        assert table.get("zzz") is None
        with pytest.raises(KeyError):
            table["zzz"]


def slips(name: str):
    """A letter less, twice, two swapped, capitals."""
    yield from (name[:i] + name[i + 1 :] for i in range(1, len(name)) if len(name) > 4)
    yield from (name[: i + 1] + name[i:] for i in range(len(name)))
    yield name.upper()


@pytest.mark.parametrize("name", [*SMALL_NETS, *SHIPPED])
def test_a_model_a_letter_off_is_told_of_the_near_one(name):
    for slip in slips(name):
        if slip == name:
            continue
        with pytest.raises(IdimError) as told:
            with_recipe(SweepSpec(model=slip))
        assert str(told.value) == (
            f"model '{slip}' has no task of its own; did you mean '{name}'? Else give --task."
        )


@pytest.mark.parametrize("name", ["roberta-base", "bert-tiny", "o/digits-mlp-x", "gpt2", ""])
def test_other_models_are_asked_for_their_task_alone(name):
    with pytest.raises(IdimError, match=r"has no task of its own; give --task\.$"):
        with_recipe(SweepSpec(model=name))


def test_a_near_name_has_the_letters_of_the_known_one():
    assert near("FASTFOD", ["dense", "Fastfood"]) == "Fastfood"
    assert near("x", []) is None
