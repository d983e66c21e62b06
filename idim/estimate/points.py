"""Group scores by d and select the learning rate of each."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from idim.errors import IdimError
from idim.estimate.records import Point, Score, is_done, is_failed, places, reaches


def by_d(scores: Iterable[Score]) -> dict[int | None, list[Score]]:
    """Group by d; one entry for each learning rate and seed, in their order."""
    seen: dict[tuple[int | None, float, int], Score] = {}
    for new in scores:
        key = (new.d, new.lr, new.seed)
        old = seen.setdefault(key, new)
        if is_done(old) and is_done(new) and (old.score, old.select) != (new.score, new.select):
            raise IdimError(
                f"two results, {old.score:g} and {new.score:g}, for {places([new.d])}, "
                f"lr {new.lr:g}, seed {new.seed}; estimate one sweep at a time."
            )
        if not is_done(old):
            seen[key] = new
    groups: dict[int | None, list[Score]] = {}
    for run in sorted(seen.values(), key=lambda s: (s.lr, s.seed)):
        groups.setdefault(run.d, []).append(run)
    return groups


def point(runs: Sequence[Score], nothing: float = 0.0) -> Point | None:
    """Select the learning rate at one d; None when no run finished there.

    Args:
        runs: at one d.
        nothing: the score of a run that has learned nothing, as far as it is known.
    """
    done = [r for r in runs if is_done(r)]
    if not done:
        return None
    tried = tuple(sorted({r.lr for r in runs}))
    honest = all(r.select is not None and math.isfinite(r.select) for r in done)
    lr, means = _select(done, [r for r in runs if is_failed(r)], honest, nothing)
    chosen = tuple(r.score for r in done if r.lr == lr and r.score is not None)
    return Point(
        d=done[0].d, trainable=done[0].trainable, lr=lr, mean=_mean(chosen), std=_std(chosen),
        n=len(chosen), scores=chosen, edge=_is_edge(lr, tried, means),
        tried=tried, failed=sum(map(is_failed, runs)),
        on_evaluation=len(tried) > 1 and not honest,
    )  # fmt: skip


def _select(
    done: Sequence[Score], failed: Sequence[Score], honest: bool, nothing: float
) -> tuple[float, dict[float, float]]:
    """Return the best learning rate, and the mean of what each has finished.

    Every rate is judged by as many seeds as any has finished, or more where it failed more often: a
    seed that it has not, failed or never run, counts as `nothing`, or as the worst seen where
    that is less.  No failure is rewarded, and yet a rate that fails once beats one that never
    learns.
    """
    by_lr: dict[float, list[float]] = {}
    for run in done:
        value = run.select if honest else run.score
        assert value is not None
        by_lr.setdefault(run.lr, []).append(value)
    most = max(len(values) for values in by_lr.values())
    nothing = min(nothing, *(value for values in by_lr.values() for value in values))
    lost = Counter(run.lr for run in failed)
    judged = {
        lr: _mean([*values, *[nothing] * max(lost[lr], most - len(values))])
        for lr, values in by_lr.items()
    }
    best, means = max(judged.values()), {lr: _mean(values) for lr, values in by_lr.items()}
    return min(lr for lr, mean in judged.items() if reaches(mean, best)), means


def _is_edge(lr: float, tried: Sequence[float], means: dict[float, float]) -> bool:
    """Say whether a rate beyond those tried may be better: the last one beats the one before."""
    if len(tried) < 2 or lr not in (tried[0], tried[-1]):
        return False
    inner = means.get(tried[1] if lr == tried[0] else tried[-2], -math.inf)
    return not reaches(inner, means[lr])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _std(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
