"""Workers: one that dies takes no other's run along, and a run that fails says where."""

import os
import signal
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest
from alone import with_digits
from outside_method import LastTensors

from idim import launch
from idim.config import RunSpec, SweepSpec
from idim.errors import IdimError, RunFailed
from idim.launch import local, worker
from idim.methods import METHODS
from idim.store import Store
from idim.sweeps import execute, plan, plan_run

HERE = Path(__file__).parent


def spec(**change) -> RunSpec:
    # structure said: each trains alone
    words = {"model": "digits-mlp", "structure": "said", "d": 40, "lr": 0.1, "steps": 1500}
    return plan_run(RunSpec(**words | change))


class Killer:
    """A watch that kills one worker once all runs have begun."""

    def __init__(self, root) -> None:
        self.store, self.runs, self.ends, self.killed = Store(root), [], {}, False

    def started(self, spec: RunSpec) -> None:
        self.runs.append(spec)

    def tick(self) -> None:
        looks = [self.store.run(s).last_metrics() for s in self.runs]
        if not self.killed and all(looks) and (children := active_children()):
            self.killed = True
            os.kill(min(c.pid for c in children if c.pid), signal.SIGKILL)

    def ended(self, spec: RunSpec, failure: str | None) -> None:
        self.ends[spec.seed] = failure


def test_a_worker_that_is_killed_takes_no_other_run_along(tmp_path):
    watch = Killer(tmp_path)
    with launch.start(2) as workers:
        workers.run_all([spec(seed=seed) for seed in range(2)], tmp_path, watch)
        assert sorted(watch.ends.values(), key=str) == [None, local.KILLED]
        (lost,) = (seed for seed, failure in watch.ends.items() if failure)
        assert Store(tmp_path).run(spec(seed=lost)).failure() == local.KILLED
        # the workers go on, and so does the run
        workers.run_all([spec(seed=lost), spec(seed=2)], tmp_path, watch)
    assert set(watch.ends.values()) == {None}


def test_a_run_that_fails_keeps_its_whole_traceback(tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("made by the test")

    wanted = spec(steps=20)
    with_digits(monkeypatch, broken)
    (reason,) = worker.run_stack([wanted], tmp_path)
    assert reason == "ZeroDivisionError: made by the test"
    place = Store(tmp_path).run(wanted).last_attempt()
    assert place is not None
    text = (place.folder / "traceback.log").read_text()
    assert text.startswith("Traceback (most recent call last):")
    assert 'in broken\n    raise ZeroDivisionError("made by the test")' in text


class Forgetful:
    """A launcher that says of each run that it failed, and stores nothing."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None: ...

    def run_all(self, specs, root, watch) -> None:
        for each in specs:
            watch.started(each)
            watch.ended(each, "lost")


def test_a_launcher_that_stores_nothing_ends_the_sweep_in_one_line(tmp_path):
    planned = plan(SweepSpec(model="toy", d=(5,), seeds=1, steps=5))
    with pytest.raises(RunFailed, match="left neither a result nor a reason; its launcher lost it"):
        execute(planned, tmp_path, workers=Forgetful(1))


BELOW_THE_GUARD = """
import sys
from pathlib import Path
from outside import Stripes
from outside_method import LastTensors
from test_launch import Ends, spec
from idim import launch
from idim.methods import METHODS
from idim.projection import PROJECTIONS

class Mine(Stripes):
    pass

class Last(LastTensors):
    pass

if __name__ == "__main__":
    PROJECTIONS["mine"], METHODS["last"] = Mine, Last
    runs = [spec(steps=5, projection="mine"), spec(steps=5, d=None, size=2, method="last")]
    with launch.start(2) as workers:
        workers.run_all(runs, Path(sys.argv[1]), watch := Ends())
    print(watch.ends)
"""


class Ends:
    """A watch that notes how runs end."""

    def __init__(self) -> None:
        self.ends = []

    def started(self, spec) -> None: ...

    def tick(self) -> None: ...

    def ended(self, spec, failure) -> None:
        self.ends.append(failure)


def test_other_processes_are_told_of_what_a_program_has_entered(tmp_path):
    (tmp_path / "program.py").write_text(BELOW_THE_GUARD)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[None, None]\n"), done.stderr


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_cannot_go_to_another_process_is_one_line(tmp_path, jobs):
    class Local(LastTensors):
        pass

    METHODS["local"] = Local
    try:
        words = {
            "model": "digits-mlp",
            "method": "local",
            "lr": (0.1,),
            "baseline": 0.5,
            "steps": 5,
        }
        planned = plan(SweepSpec(**words, d=(2, 4), seeds=1))
        if jobs == 1:
            assert execute(planned, tmp_path, jobs=1).runs.done == 2
            return
        with pytest.raises(IdimError, match="method 'local' cannot go to another process: it is a"):
            execute(planned, tmp_path, jobs=2)
    finally:
        del METHODS["local"]
