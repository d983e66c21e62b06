"""d90 of a user's own training: `idim.measure`."""

import logging
import multiprocessing
import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from idim.api.summary import Summary
from idim.api.sweep import explained, folder, plain, run_plan, silent
from idim.config import MODULE, OBJECTIVE, SweepSpec, load, slug
from idim.config.unused import unused
from idim.errors import IdimError, RunFailed
from idim.plain import brief
from idim.problems import given, source
from idim.problems.given import METRICS, Given, Objective, Own, Trial
from idim.store import Damaged, Store
from idim.sweeps import Event, evidence, plan

log = logging.getLogger(__name__)

Direction = Literal["maximize", "minimize"]

# How a sweep of a user's own code is searched unless the call says otherwise.
_DEFAULTS: dict[str, Any] = {
    "baseline_lr": (3e-4, 1e-3, 3e-3), "d_max": 10_000, "max_runs": 40, "threads": 1,
    "batch_size": 1,
}  # fmt: skip
# Settings of the search, which are all that an objective leaves to us.
_SEARCH = (
    "d", "d_min", "d_max", "points", "lr", "lr_multiples", "baseline_lr", "seeds", "threshold",
    "baseline", "target", "floor", "search", "tolerance", "max_runs", "lr_transfer",
)  # fmt: skip
# Settings of rows, of which a module has none that we know.
_OF_ROWS = (
    "batch_size", "max_length", "train_samples", "eval_samples", "select", "keep_head",
)  # fmt: skip


def measure(
    objective: Callable[[Trial], float] | None = None,
    *,
    D: int | None = None,
    module: Callable[[], nn.Module] | None = None,
    loss: Callable[[nn.Module], Tensor] | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
    head_modules: str | Sequence[str] = (),
    direction: Direction = "maximize",
    out: str | Path | None = None,
    version: str = "",
    jobs: int = 1,
    progress: Callable[[Event], None] = silent,
    tell: Callable[[str], None] = silent,
    **settings: Any,
) -> Summary:
    """Measure d90 of a training of your own, or go on where an earlier call was stopped.

    Give either an objective, which trains and scores by itself, or a module with its loss and its
    evaluation, which idim trains.

    Args:
        objective: called with a `Trial`: trains in a subspace of `trial.d` dimensions (None: all
            parameters; 0: none, the untrained model, asked for once a seed and process) at the
            rate `trial.lr`, with whatever is drawn fixed by `trial.seed`; returns the score, or
            the loss if direction is "minimize".
        D: how many parameters it trains where `trial.d` is None.
        module: makes a new module at each call; torch's generator is seeded before, so each seed
            has its own.
        loss: of the module, a tensor of one number to minimise; called once a step, in training
            mode, with torch's generator seeded by the run's seed and the step, so that rows may be
            drawn by torch.randint or torch.randperm.
        evaluate: returns the score of the module, or its loss if direction is "minimize"; called
            in evaluation mode, without gradients; must leave the module as it is.
        head_modules: names of the submodules that are new, for the setting `head` ("subspace",
            "free" or "frozen").
        direction: "minimize" if losses are returned.  The target then is the threshold's share of
            the gain, from the loss of the untrained model of the same seed to that of full
            training.
        out: folder of the results; by default one in ./idim-out, by the name of the function.
        version: say another one when code has changed that the function calls; a change of its
            own source is seen, and of what it is bound to when this is called: defaults, what it
            closes over, the attributes and the class of an object.  What has no source, or no
            content that could be told (a lock, an open file), is refused unless this is given;
            it then counts by its name or its type's, with the object of another module around it.
        jobs: processes.  With more than one, a script must call this below
            `if __name__ == "__main__":`, as any that starts processes.
        progress: told of every event of a run.
        tell: given a line for whatever was damaged in the folder, and is done again.
        **settings: options of `idim sweep` by their names there, with underscores: of the search
            for an objective (baseline_lr, lr, seeds, d_min, d_max, max_runs, ...), of the training
            too for a module (steps, projection, weight_decay, ...).

    Returns:
        d90 with its evidence.

    Raises:
        IdimError: arguments that do not go together, a setting that is of no use, or a folder
            that holds runs of other code.
        RunFailed: the machine failed, or every run: the line says why the first one did.

    Source:
        Li et al. 2018, section 2: the smallest d that reaches 0.9 of the baseline.
    """
    _refuse_second_main()
    if direction not in METRICS:
        raise IdimError(f"direction must be 'maximize' or 'minimize', not {direction!r}.")
    if direction == "minimize" and settings.get("baseline", "own") != "own":
        raise IdimError("a gain has no fixed baseline; leave out baseline=, which is measured.")
    if direction == "minimize" and "floor" in settings:
        raise IdimError("a gain counts from the untrained model's loss; leave out floor=.")
    settings = {name: plain(value) for name, value in settings.items()}
    form = module, loss, evaluate
    if objective is not None and form == (None, None, None) and not head_modules:
        code = _objective(objective, D, direction, version, settings)
        task, more = OBJECTIVE, {"steps": 1, "pruning": "none", "d_min": min(10, code.D)}
    elif objective is None and D is None and module and loss and evaluate:
        code = _module(module, loss, evaluate, head_modules, direction, version, settings)
        task, more = MODULE, {"steps": 1000, "d_min": 10}
    else:
        raise IdimError(
            "give an objective and D, or module, loss and evaluate (and head_modules); not both."
        )
    given.register(code)
    with explained():
        spec = _spec(code.name, task, _DEFAULTS | more, settings, tell)
        # absolute: the user's code may change the working directory
        place = folder(Path("idim-out", slug(code.name)) if out is None else out).absolute()
        _refuse_changed(code, place)
        jobs = _possible(code, jobs)
        found = run_plan(plan(spec, place), place, jobs=jobs, progress=progress, tell=tell)
    _refuse_nothing(found, place)
    return found


def _module(
    make: Callable[[], nn.Module],
    loss: Callable[[nn.Module], Tensor],
    evaluate: Callable[[nn.Module], float],
    head: str | Sequence[str] | None,
    direction: str,
    version: str,
    settings: dict[str, Any],
) -> Own:
    for what, call in (("module", make), ("loss", loss), ("evaluate", evaluate)):
        if not callable(call):
            raise IdimError(f"{what} must be a function, not {brief(call)}.")
    if others := [name for name in settings if name in _OF_ROWS]:
        raise IdimError(
            f"{others[0]} would not be used: a module's loss draws its own rows; leave it out."
        )
    parts = (head,) if isinstance(head, str) else tuple(head or ())
    asked = f"/{[*parts]}/{direction}"
    prints = source.fingerprint(make, loss, evaluate, version=version, asked=asked)
    return Own(
        name=source.name_of(make), make=make, loss=loss, evaluate=evaluate,
        head=parts, direction=direction, fingerprint=prints,
    )  # fmt: skip


def _objective(
    call: Callable[[Trial], float],
    D: int | None,
    direction: str,
    version: str,
    settings: dict[str, Any],
) -> Objective:
    if not callable(call):
        raise IdimError("the objective must be a function of a trial.")
    try:
        D = 0 if D is None or isinstance(D, bool) else operator.index(D)
    except TypeError:
        D = 0
    if D < 1:
        raise IdimError("give D=, how many numbers full training chooses: a whole number above 0.")
    others = [name for name in settings if name in _known() and name not in _SEARCH]
    if others:
        raise IdimError(
            f"{others[0]} would not be used: an objective trains by itself; leave it out."
        )
    return Objective(
        name=source.name_of(call), call=call, D=D, direction=direction,
        fingerprint=source.fingerprint(call, version=version, asked=f"/{D}/{direction}"),
    )  # fmt: skip


def _known() -> set[str]:
    return set(SweepSpec.__dataclass_fields__)


def _spec(
    name: str,
    task: str,
    defaults: dict[str, Any],
    settings: dict[str, Any],
    tell: Callable[[str], None],
) -> SweepSpec:
    for own in ("model", "task", "data"):
        if own in settings:
            raise IdimError(f"{own} is the function itself here; leave it out.")
    if "epochs" in settings:
        raise IdimError("a module has no rows to count epochs by; give steps.")
    settings |= {"model": name, "task": task}
    of_no_use = set(unused(load(SweepSpec, None, settings)))
    if settings.get("d"):
        of_no_use |= {"d_min", "d_max"}
    defaults = {k: v for k, v in defaults.items() if k not in of_no_use}
    return load(SweepSpec, None, defaults | settings, tell)


def _refuse_changed(code: Given, out: Path) -> None:
    held = None
    with suppress(Damaged):  # set aside, and said, when the sweep begins
        held = Store(out).held()
    if held and held["model"] == slug(code.name) and held["model_fingerprint"] != code.fingerprint:
        raise IdimError(
            f"'{out}' holds runs of other code: '{code.name}' (or what it is bound to, its "
            "version, D or direction) has changed since; give another out=."
        )


def _refuse_nothing(found: Summary, out: Path) -> None:
    """Say why there is no number at all, which is most often one mistake in the function."""
    if found.runs.done:
        return
    why = next((run.error for run in evidence(out).excluded if run.error), "")
    raise RunFailed(
        f"no run has a score: {why.rstrip('.')}. The tracebacks are in '{out / 'runs'}'."
    )


def _possible(code: Given, jobs: int) -> int:
    """Return how many processes can be used: code that cannot be sent to another has this one."""
    if jobs <= 1:
        return jobs
    function = code.call if isinstance(code, Objective) else code.make
    if why := source.unsendable(code, function):
        log.warning("'%s' cannot go to another process: %s; jobs=1.", code.name, why)
        return 1
    return jobs


def _refuse_second_main() -> None:
    """Refuse the call that a started process makes by reading the script again."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(
            "error: with jobs above 1, call idim.measure below `if __name__ == '__main__':`."
        )
