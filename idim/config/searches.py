"""Which strategy a sweep's settings mean, and what it says of them; asked of the strategies."""

from typing import Any

from idim.config.names import STRATEGIES

# Names none: the settings decide.
AUTO = STRATEGIES.word


def strategy_of(spec: Any) -> str:
    """Return the name of the strategy that a sweep's settings ask for.

    Args:
        spec: a SweepSpec.
    """
    if spec.search != AUTO:
        return spec.search
    return next(name for name in STRATEGIES.own if STRATEGIES[name].suits(spec))


def heeded_by(setting: str) -> list[str]:
    """Return the package's own strategies that heed a setting which others do not."""
    return [name for name in STRATEGIES.own if setting in STRATEGIES[name].heeds]


def unheeded(spec: Any) -> list[str]:
    """Return the settings that other strategies heed, and the one of this sweep does not."""
    every = dict.fromkeys(s for name in STRATEGIES.own for s in STRATEGIES[name].heeds)
    heeds = STRATEGIES[strategy_of(spec)].heeds
    return [setting for setting in every if setting not in heeds]
