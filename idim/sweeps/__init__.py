"""The main job: plan the runs, execute what is missing, summarise what is there."""

from idim.sweeps.evidence import evidence
from idim.sweeps.execute import Event, already, check, default_out, execute, folder_of, run
from idim.sweeps.outcomes import setting
from idim.sweeps.plan import Plan, against, hours, plan, plan_run
from idim.sweeps.reduce import reductions
from idim.sweeps.rows import Credits, credits_of
from idim.sweeps.shared import Shared, neighbours
from idim.sweeps.summary import AS_ASKED, At, summarise, write

__all__ = [
    "AS_ASKED",
    "At",
    "Credits",
    "Event",
    "Plan",
    "Shared",
    "against",
    "already",
    "check",
    "credits_of",
    "default_out",
    "evidence",
    "execute",
    "folder_of",
    "hours",
    "neighbours",
    "plan",
    "plan_run",
    "reductions",
    "run",
    "setting",
    "summarise",
    "write",
]
