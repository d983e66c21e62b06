"""Write a sweep's report."""

from pathlib import Path

from idim.report import figure, formats, table
from idim.report.canvas import save
from idim.report.document import document
from idim.results import Evidence, Summary
from idim.store import make_folder, write_text


def publish(summary: Summary, evidence: Evidence, command: str, out: Path) -> list[Path]:
    """Write report.html, report.md, report.tex, points.csv and the figure.

    The page says what the figure's headings would, and so does a paper's caption: the page holds
    the figure without them, and so does curve.pdf.

    Args:
        summary: of the sweep.
        evidence: from `idim.sweeps.evidence`.
        command: what does the sweep again.
        out: folder, made where it does not exist.

    Returns:
        The paths, the page first.

    Raises:
        OSError: the folder cannot be written to, or its disk is full.
    """
    doc = document(summary, evidence, command)
    drawn = figure.render(summary)
    bare = figure.render(summary, ("svg", "pdf"), titled=False)
    drawn["pdf"] = bare["pdf"]
    texts = {
        "report.html": formats.page(doc, bare["svg"].decode()),
        "report.md": formats.markdown(doc, "curve.png"),
        "report.tex": formats.latex(doc),
        "points.csv": table.csv(summary),
    }
    make_folder(out)
    for name, text in texts.items():
        write_text(out / name, text)
    return [*(out / name for name in texts), *save(drawn, out / "curve")]
