"""What is learned: the tasks, their rows, and the three splits that a run uses.

`train` is learned from, `select` chooses learning rate and checkpoint, `evaluation` is reported.
"""

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path

import numpy as np

from idim import hub
from idim.builtin import language
from idim.config import Setup
from idim.errors import IdimError, unreadable
from idim.problems.tasks import files, guess, read, slices, vision
from idim.problems.tasks.data import Split, TaskData, concatenate, fingerprint
from idim.problems.tasks.files import Found
from idim.problems.tasks.info import TASKS, TaskInfo, info, own_name
from idim.problems.tasks.metrics import score
from idim.problems.tasks.tables import few
from idim.reading import expanded

__all__ = ["TASKS", "Split", "TaskData", "TaskInfo", "info", "load", "own_name"]

# The selection split: one training row in ten, within these bounds.
SELECT_SHARE = 10
SELECT_MIN = 32
SELECT_MAX = 2000
# One seed a purpose: rows kept and rows held out must not depend on each other.
_TRAIN_SEED, _EVALUATION_SEED, _SELECT_SEED, _HELD_SEED = 1, 2, 3, 4

# A missing evaluation split: this share of the training rows, within these bounds.
HELD_SHARE = 5
HELD_MIN = 32
HELD_MAX = 5000

# Size and time of each file, so that the cache never serves rows of old ones.
Stamps = tuple[tuple[int, int], ...]


def load(setup: Setup) -> TaskData:
    """Read a task and split its rows; the same rows whatever the seed of a run.

    `train_samples` and `eval_samples` keep the first N rows of a fixed shuffle (all, with a note,
    if there are fewer), in file order.  With `select="split"` a tenth of the training rows then
    kept, at least 32 and at most 2000 but never over half, is held out to select on: so
    `train_samples` counts the rows that may be learned from or selected on.

    Raises:
        IdimError: an unknown task, a missing folder, or bad files.
        OffLine: a hub data set that is neither on this machine nor reachable.
    """
    task = info(setup.task)
    try:
        found = _find(task, setup.data)
        stamps = tuple((s.st_size, s.st_mtime_ns) for s in map(Path.stat, found.paths()))
    except OSError as e:
        raise unreadable(f"'{e.filename}'", e) from None
    hold_out = setup.select == "split"
    return _load(task, found, stamps, setup.train_samples, setup.eval_samples, hold_out)


def _find(task: TaskInfo, data: str | None) -> Found:
    if task.is_builtin:
        if data is not None:
            raise IdimError(f"task '{task.name}' reads no folder; leave out --data.")
        return Found(())
    return files.find(task, _place(task, data))


def _place(task: TaskInfo, data: str | None) -> Path:
    local = task.data if data is None else data
    if local is not None:
        return expanded(local)
    if task.hub:
        return hub.resolve_dataset(task.hub, task.config)
    raise IdimError(f"task '{task.name}' reads local files; give their folder with --data DIR.")


@lru_cache(maxsize=1)  # a worker runs many specs on the same rows; images are too big to keep more
def _load(
    task: TaskInfo,
    found: Found,
    stamps: Stamps,
    train_samples: int | None,
    eval_samples: int | None,
    hold_out: bool,
) -> TaskData:
    notes: list[str] = []
    task, whole, evaluation = _read(task, found, notes)
    whole = _keep(whole, train_samples, _TRAIN_SEED, "training", notes)
    evaluation = _keep(evaluation, eval_samples, _EVALUATION_SEED, "evaluation", notes)
    train, select = _hold_out(task, whole) if hold_out else (whole, None)
    notes += [*_missing_classes(task, train), *_in_both(task, whole, evaluation)]
    return TaskData(
        info=task,
        train=train,
        select=select,
        evaluation=evaluation,
        fingerprint=fingerprint(task, (train, select, evaluation)),
        chance=_chance(task, train, evaluation),
        notes=tuple(notes),
    )


def _read(task: TaskInfo, found: Found, notes: list[str]) -> tuple[TaskInfo, Split, Split]:
    if task.is_generated:
        return task, _made(task, "train"), _made(task, "validation")
    if task.kind == "vector":
        return task, *vision.digits()
    if task.kind == "text":
        task, splits = _texts(task, found, notes)
    else:
        splits = {name: vision.images(task, paths) for name, paths in found.splits}
    for name, split in splits.items():
        published = task.rows.get(name, len(split))
        if len(split) != published:
            notes.append(
                f"{name} has {len(split)} rows, the published {task.name} {published}: "
                "scores do not compare with published ones."
            )
    return task, *_assembled(task, splits, notes)


def _texts(task: TaskInfo, found: Found, notes: list[str]) -> tuple[TaskInfo, dict[str, Split]]:
    """Read every split; the training rows settle what the task leaves open."""
    notes += found.notes
    read_ = {
        name: read.tables(task, name, paths, notes, found.separator) for name, paths in found.splits
    }
    learned = [rows for name in slices.bases(task.train) for rows in read_[name]]
    is_guessed = not task.columns
    task = guess.columns(task, learned, notes)
    task = guess.labels(task, learned, found.classes, notes, codes=is_guessed)
    if len(task.columns) > 2:
        first, *rest = task.columns
        notes.append(
            f"of {len(task.columns)} text columns {first} is the first text, "
            f"{' and '.join(rest)}, joined by a space, the second."
        )
    made = {
        name: concatenate([read.texts(task, rows, found.classes) for rows in tables])
        for name, tables in read_.items()
    }
    return task, made


def _assembled(task: TaskInfo, splits: dict[str, Split], notes: list[str]) -> tuple[Split, Split]:
    """Join the splits, or the slices of them, to learn from and to report on."""
    slices.check_apart(task, {name: len(split) for name, split in splits.items()})
    train = slices.joined(task.train, splits)
    if all(base in splits for base in slices.bases(task.evaluation)):
        return train, slices.joined(task.evaluation, splits)
    n = len(train)
    size = min(max(n // HELD_SHARE, HELD_MIN), HELD_MAX, n // 2)
    if size == 0:
        raise IdimError(f"task '{task.name}' has one row, and none to evaluate on.")
    notes.append(
        f"there is no split '{task.evaluation[0]}': {size:,} of the {n:,} training rows are held "
        "out in its place, the same whatever the seed (a fifth, at least 32 and at most 5,000, "
        "never over half)."
    )
    order = _shuffled(n, _HELD_SEED)
    return train.take(np.sort(order[size:])), train.take(np.sort(order[:size]))


def _made(task: TaskInfo, name: str) -> Split:
    """Have the rows of a split written by the package's own language."""
    rows = language.rows(task.name, name, task.rows[name])
    return Split([row.texts for row in rows], np.array([row.code for row in rows], np.int64))


def _keep(split: Split, count: int | None, seed: int, name: str, notes: list[str]) -> Split:
    if count is None or count >= len(split):
        if count is not None and count > len(split):
            notes.append(f"{count} {name} rows were asked for; there are {len(split)}, all used.")
        return split
    return split.take(np.sort(_shuffled(len(split), seed)[:count]))


def _hold_out(task: TaskInfo, whole: Split) -> tuple[Split, Split]:
    n = len(whole)
    size = min(max(n // SELECT_SHARE, SELECT_MIN), SELECT_MAX, n // 2)
    if size == 0:
        raise IdimError(f"task '{task.name}': one training row cannot be split; use --select eval.")
    order = _shuffled(n, _SELECT_SEED)
    return whole.take(np.sort(order[size:])), whole.take(np.sort(order[:size]))


def _shuffled(n: int, seed: int) -> np.ndarray:
    # RandomState's stream is frozen for ever (NEP 19); default_rng's may change with numpy.
    return np.random.RandomState(seed).permutation(n)


def _missing_classes(task: TaskInfo, train: Split) -> list[str]:
    missing = [name for i, name in enumerate(task.labels) if not np.any(train.targets == i)]
    return [f"no training row is labelled {few(missing)}."] if missing else []


def _in_both(task: TaskInfo, whole: Split, evaluation: Split) -> list[str]:
    """Count the evaluation rows whose inputs, to the byte, are a training row's too."""
    learned: dict[Hashable, set[float]] = {}
    for key, target in zip(whole.keys(), whole.targets.tolist(), strict=True):
        learned.setdefault(key, set()).add(target)
    known = [
        target in learned[key]
        for key, target in zip(evaluation.keys(), evaluation.targets.tolist(), strict=True)
        if key in learned
    ]
    if not known:
        return []
    other = known.count(False)
    told = f", {other:,} of them with another label" if other else ""
    return [
        f"{len(known):,} of {len(evaluation):,} evaluation rows stand in the training set too"
        f"{told}: the score counts them."
    ]


def _chance(task: TaskInfo, train: Split, evaluation: Split) -> dict[str, float]:
    """Score a constant: the most frequent training class, or the mean for regression.

    F1's is class 1: it is of that class alone, and any other constant scores 0.
    """
    constant = np.bincount(train.targets).argmax() if task.labels else train.targets.mean()
    found = {}
    for metric in task.metrics:
        answer = np.full(len(evaluation), 1 if metric == "f1" else constant)
        found[metric] = score(metric, answer, evaluation.targets)
    return found
