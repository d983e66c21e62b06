"""What a run and a sweep are, their defaults, files and overrides."""

from idim.config.load import load, parse_overrides, with_recipe
from idim.config.names import MODULE, OBJECTIVE
from idim.config.recipes import SMALL_NETS, Recipe, recipe
from idim.config.schema import SCHEMA, current, older_id
from idim.config.specs import (
    ID_DIGITS,
    QUARTER,
    Aim,
    Conditions,
    Lines,
    PretrainSpec,
    RunSpec,
    Setup,
    SweepSpec,
    TrajectorySpec,
    slug,
)

__all__ = [
    "ID_DIGITS",
    "MODULE",
    "OBJECTIVE",
    "QUARTER",
    "SCHEMA",
    "SMALL_NETS",
    "Aim",
    "Conditions",
    "Lines",
    "PretrainSpec",
    "Recipe",
    "RunSpec",
    "Setup",
    "SweepSpec",
    "TrajectorySpec",
    "current",
    "load",
    "older_id",
    "parse_overrides",
    "recipe",
    "slug",
    "with_recipe",
]
