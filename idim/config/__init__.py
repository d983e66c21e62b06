"""What a run and a sweep are, their defaults, files and overrides."""

from idim.config.load import load, parse_overrides, with_recipe
from idim.config.recipes import SMALL_NETS, Recipe, recipe
from idim.config.specs import (
    QUARTER,
    Lines,
    PretrainSpec,
    RunSpec,
    Setup,
    SweepSpec,
    TrajectorySpec,
    slug,
)

__all__ = [
    "QUARTER",
    "SMALL_NETS",
    "Lines",
    "PretrainSpec",
    "Recipe",
    "RunSpec",
    "Setup",
    "SweepSpec",
    "TrajectorySpec",
    "load",
    "parse_overrides",
    "recipe",
    "slug",
    "with_recipe",
]
