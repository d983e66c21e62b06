"""The main job: plan the runs, execute what is missing, summarise what is there."""

from idim.sweeps.evidence import evidence
from idim.sweeps.execute import Event, already, check, default_out, execute, folder_of, run
from idim.sweeps.outcomes import setting
from idim.sweeps.plan import Plan, against, hours, plan, plan_run
from idim.sweeps.summary import AS_ASKED, At, summarise, write

__all__ = [
    "AS_ASKED",
    "At",
    "Event",
    "Plan",
    "against",
    "already",
    "check",
    "default_out",
    "evidence",
    "execute",
    "folder_of",
    "hours",
    "plan",
    "plan_run",
    "run",
    "setting",
    "summarise",
    "write",
]
