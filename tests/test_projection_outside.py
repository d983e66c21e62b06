"""A projection is one file and one entry: specs, the command line and shared tests take it."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import test_projection_statistics
import test_projections
import test_subspace
import test_sweep
from installed import assert_refused, package
from outside import Stripes

from idim.config import RunSpec, SweepSpec, load
from idim.errors import IdimError
from idim.projection import PROJECTIONS, Projection

HERE = Path(__file__).parent
SHARED = [
    test
    for module in (test_projections, test_projection_statistics, test_subspace, test_sweep)
    for name, test in inspect.getmembers(module, inspect.isfunction)
    if name.startswith("test_") and "kind" in inspect.signature(test).parameters
]
# Of some of the package's own, by name, for what they alone promise.
OF_SOME = {"test_gaussian_columns_have_unit_norm_in_expectation"}


@pytest.mark.parametrize("test", SHARED, ids=lambda t: t.__name__)
def test_every_shared_test_takes_it(test):
    given = [m.args for m in test.pytestmark if m.name == "parametrize" and "kind" in m.args[0]]
    kinds = {row if isinstance(row, str) else row[0] for _, rows in given for row in rows}
    assert ("stripes" in kinds) != (test.__name__ in OF_SOME)


def test_the_contract_and_the_statistics_are_among_them():
    assert len(SHARED) > 15
    assert test_projections.test_the_adjoint_is_exact in SHARED


def test_a_spec_may_name_it_and_a_slip_is_one_line():
    assert load(SweepSpec, None, {"projection": "stripes"}).projection == "stripes"
    assert RunSpec(projection="stripes", d=9).id.startswith("unnamed-tiny-stripes-d9-s0-")
    with pytest.raises(IdimError) as e:
        RunSpec(projection="strips", d=9)
    assert str(e.value) == (
        "unknown projection 'strips'; did you mean 'stripes'? "
        "Known: dense, sparse, fastfood, orthogonal, onehot, stripes."
    )
    with pytest.raises(IdimError, match=r"projection: expected one of dense, .*stripes, got 3"):
        RunSpec(projection=3, d=9)  # type: ignore[arg-type]


class Half(Projection):
    def _matvec(self, theta_d, rows):
        return theta_d


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("fastfood", Stripes, "projection 'fastfood' is idim's own; choose another name."),
        ("my kind", Stripes, "'my kind' is no name for a projection: use letters, digits and _."),
        ("mine", dict, "'mine' must be a subclass of idim.projection.base.Projection."),
        ("mine", Stripes(9, 3, 0), "'mine' must be a subclass of"),
        ("mine", Half, "projection 'mine' lacks _rmatvec, which Projection leaves to it."),
    ],
)
def test_an_entry_that_cannot_work_is_refused_when_it_is_made(name, value, line):
    assert_refused(PROJECTIONS, name, value, line)


def test_an_entry_may_be_made_again_and_taken_back():
    for _ in range(2):  # as a notebook's cell does
        PROJECTIONS["mine"] = Stripes
    assert PROJECTIONS["mine"] is Stripes
    del PROJECTIONS["mine"]
    assert "mine" not in PROJECTIONS


@pytest.fixture
def installed(tmp_path):
    """A package beside idim with entry points, and an environment that has it installed."""
    code = (HERE / "outside.py").read_text().partition("\nPROJECTIONS[")[0]
    return package(tmp_path, "idim.projections", {"theirs": "Stripes", "gone": "Gone"}, code)


def test_the_command_line_knows_those_of_installed_packages(installed, tmp_path):
    words = ["--model", "toy", "--d", "12", "--lr", "5", "--out", str(tmp_path / "out")]

    def run(name):
        command = [sys.executable, "-m", "idim", "run", "--projection", name, *words]
        return subprocess.run(command, env=installed, capture_output=True, text=True, check=False)

    done = run("theirs")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").rglob("*toy-theirs-d12-s0-*"))
    command = [sys.executable, "-m", "idim", "run", "-h"]
    told = subprocess.run(command, env=installed, capture_output=True, text=True, check=True)
    assert "orthogonal, onehot, theirs, gone" in " ".join(told.stdout.split())
    slip, gone = run("their"), run("gone")
    assert (slip.returncode, gone.returncode) == (2, 1)  # a run fails of what is not there
    assert "did you mean 'theirs'? Known: dense, " in slip.stderr
    assert "projection 'gone' cannot be imported from theirs:Gone: " in gone.stderr
    assert "Traceback" not in slip.stderr + gone.stderr
