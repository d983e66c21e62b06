"""GLUE's nine tasks as its own downloads have them: other columns, no header, other file names.

Sources:
    Wang et al. 2019, GLUE (gluebenchmark.com/tasks: the archives' train.tsv and dev*.tsv); for
    MRPC the original msr_paraphrase_*.txt (Dolan and Brockett 2005) with GLUE's dev_ids.tsv.  The
    columns are those that the hub's former `glue` script read.
"""

from pathlib import Path, PurePosixPath

from idim import reading
from idim.errors import IdimError
from idim.hub.layout import Listing
from idim.problems.tasks.info import TaskInfo

# The hub's column to the download's, by task; tasks whose columns are the same are not here.
COLUMNS = {
    "cola": {},
    "mrpc": {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"},
    "qqp": {"label": "is_duplicate"},
    "stsb": {"label": "score"},
    "mnli": {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
}
# CoLA's files begin with a row.
_COLA = ["source", "label", "mark", "sentence"]
_MRPC = "msr_paraphrase_{}.txt"
_MRPC_HELD = ("dev_ids.tsv", "mrpc_dev_ids.tsv")
MRPC_ID = ("#1 ID", "#2 ID")


def is_glue(task: TaskInfo) -> bool:
    """Whether a task is one of the nine."""
    return task.hub == "nyu-mll/glue"


def header(task: TaskInfo, first: list[str]) -> list[str] | None:
    """Return the names of a file's columns where its first line is a row already."""
    bare = is_glue(task) and task.name == "cola" and len(first) == len(_COLA)
    return _COLA if bare and first[1] in ("0", "1") else None


def renamed(task: TaskInfo, there: list[str]) -> dict[str, str]:
    """Map the task's columns to the download's, where a file has those and not the task's own."""
    names = COLUMNS.get(task.name, {}) if is_glue(task) else {}
    is_own = {*task.columns, task.label} <= set(there)
    return {} if is_own or not set(names.values()) <= set(there) else names


def drops_short_rows(task: TaskInfo) -> bool:
    """Whether rows that lack cells are left out, as they are from the hub's copy: QQP has some."""
    return is_glue(task) and task.name == "qqp"


def listing(task: TaskInfo, names: list[str]) -> Listing:
    """Find MRPC's original files; with GLUE's list of ids they hold the validation split too."""
    if not (is_glue(task) and task.name == "mrpc"):
        return {}
    by_name = {PurePosixPath(name).name: name for name in reversed(names)}
    train = by_name.get(_MRPC.format("train"))
    if train is None or "train.tsv" in by_name:
        return {}
    ids = next((by_name[name] for name in _MRPC_HELD if name in by_name), None)
    return {"train": [train, ids], "validation": [train, ids]} if ids else {"train": [train]}


def held_ids(path: Path) -> set[tuple[str, ...]]:
    """Read the pairs of sentence ids that GLUE held out of MRPC's training file."""
    lines = [line.split() for line in reading.lines(path, whole=reading.SETTINGS)]
    found = {tuple(words) for words in lines if len(words) == 2}
    if not found:
        raise IdimError(f"'{path}' has no pairs of ids, which split MRPC.")
    return found
