"""What a report says, in order, before it is Markdown, LaTeX or HTML; pure."""

from dataclasses import dataclass

from idim.records import to_json
from idim.report import table
from idim.report.methods import choices
from idim.report.words import beside, crossing, floor, interval, score, setting, titled
from idim.results import Evidence, LeftOut, Reading, Source, Summary

Rows = tuple[tuple[str, ...], ...]

EXCLUDED = ("why", "d", "lr", "seeds")
LINES = ("", "line", "crossing", "95% interval", "smallest d tried that passes")
SOURCES = ("runs", "on", "kernels", "software", "from", "to")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A report's parts; every table has its names in the first row."""

    # The answer in one line, for where a page is listed.
    title: str
    # What was measured, by which the page is headed: the answer is the first of its findings.
    subject: str
    facts: str
    # d90 with its interval, the papers' reading, what the search did.
    findings: tuple[str, ...]
    points: Rows
    # The row of `points` of the smallest d that passes; None where none does.
    marked: int | None
    notes: tuple[str, ...]
    # The same curve at other lines.
    lines: Rows
    # By topic, to be read as one paragraph.
    methods: dict[str, str]
    protocol: dict[str, str]
    excluded: Rows
    command: str
    sources: Rows


def document(summary: Summary, evidence: Evidence, command: str) -> Document:
    """Put a report together.

    Args:
        summary: of the sweep.
        evidence: from `idim.sweeps.evidence`.
        command: what does the sweep again.
    """
    points = tuple(tuple(cell.strip() for cell in row) for row in table.rows(summary))
    ds = [p.d for p in summary.points]
    found = summary.smallest.d
    return Document(
        title=titled(summary),
        subject=setting(summary),
        facts=f"D = {summary.D:,}; {summary.metric}",
        findings=tuple(table.findings(summary)),
        points=points,
        marked=None if found is None else 2 + ds.index(found),
        notes=summary.notes,
        lines=_lines(summary),
        methods=choices(summary, evidence),
        protocol=to_json(summary.protocol),
        excluded=_excluded(evidence.excluded),
        command=command,
        sources=(SOURCES, *map(_source, evidence.sources)),
    )


def _lines(summary: Summary) -> Rows:
    letter = summary.letter
    of = "gain " * (summary.target == "gain")
    readings: dict[str, Reading] = {
        f"{of}{letter}{n[1:]}": r for n, r in summary.thresholds.items()
    }
    share = f"{100 * summary.threshold:g}% of the"
    if (found := beside(summary)) and of:
        readings[f"{share} score, as the papers"] = found
    elif found:
        readings[f"{share} way from {floor(summary)}"] = found
    rows = []
    for name, r in readings.items():
        within = interval(r.interval) or "none"
        found = crossing(r.d, r.under, r.over) or "none"
        rows.append((name, score(r.line, summary), found, within, _number(r.smallest)))
    return (tuple(head.replace(" d ", f" {letter} ") for head in LINES), *rows)


def _number(d: int | None) -> str:
    return "none" if d is None else f"{d:,}"


def _excluded(runs: tuple[LeftOut, ...]) -> Rows:
    """Group the runs that count for nothing by their reason, d and learning rate."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for run in sorted(runs, key=lambda r: (_why(r), r.d or 0, r.lr)):
        d = {None: "baseline", 0: "untrained"}.get(run.d) or f"{run.d:,}"
        groups.setdefault((_why(run), d, f"{run.lr:g}"), []).append(run.seed)
    rows = ((*key, ", ".join(map(str, sorted(found)))) for key, found in groups.items())
    return (EXCLUDED, *rows)


def _why(run: LeftOut) -> str:
    if run.fate == "stopped":
        return f"stopped after {run.stop_at:g} of its steps: another learning rate was better"
    return f"{run.fate}: {' '.join((run.error or '').split())}"


def _source(source: Source) -> tuple[str, ...]:
    versions = {"python": source.python} | source.versions
    software = ", ".join(f"{name} {v}" for name, v in versions.items() if v)
    machine = f"{source.host}: {source.machine}, {source.cpus} CPUs"
    return (str(source.runs), machine, source.kernels, software, *source.began)
