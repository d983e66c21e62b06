"""Workers: one that dies takes no other's run along, and a run that fails says where."""

import os
import signal
from multiprocessing import active_children

from alone import with_digits

from idim import launch
from idim.config import RunSpec
from idim.launch import local, worker
from idim.store import Store
from idim.sweeps import plan_run


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
