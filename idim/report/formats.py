"""A report as Markdown, as LaTeX and as one HTML page that needs no other file; pure."""

import html
import re
from collections.abc import Callable

from idim.plain import harmless
from idim.report.document import Document, Rows

STYLE = """
:root { color: #222; background: #fff; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2.5rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
p.subject + p { font-size: 1.15rem; font-weight: 600; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .5rem; }
p.subject { color: #5a5a5a; margin: .2rem 0 1rem; }
figure { margin: 1.5rem 0; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; }
th { color: #5a5a5a; font-weight: 500; border-bottom: 1px solid #8a8a8a; }
td { border-bottom: 1px solid #eee; }
.points td:nth-child(-n+5), .points th:nth-child(-n+5) { text-align: right; white-space: nowrap; }
sub, sup { line-height: 0; font-size: .75em; }
tr.found td { background: #fdeee6; font-weight: 600; }
.wide { overflow-x: auto; }
pre { background: #f5f5f5; padding: .8rem 1rem; overflow-x: auto; white-space: pre-wrap; }
dt { color: #5a5a5a; } dd { margin: 0 0 .5rem 1.5rem; }
@media print { body { margin: 0; max-width: none; } }
""".strip()
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<=": r"$\le$", ">=": r"$\ge$", "+-": r"$\pm$", "<": "$<$", ">": "$>$",
    "|": r"$|$",
    # what the methods paragraph writes without signs
    "theta = ": r"$\theta$ = ", "theta_0": r"$\theta_0$", "theta_d": r"$\theta_d$",
    "lambda": r"$\lambda$", "P^T": r"$P^\top$", "log2 ": r"$\log_2$ ", "Pi ": r"$\Pi$ ",
    "sqrt(D/d)": r"$\sqrt{D/d}$", "sqrt(D)": r"$\sqrt{D}$", "lr_full": r"$\mathrm{lr}_{full}$",
}  # fmt: skip
SIGNS = {
    "theta = ": "θ = ", "theta_0": "θ<sub>0</sub>", "theta_d": "θ<sub>d</sub>", "lambda": "λ",
    "P^T": "P<sup>T</sup>", "log2 ": "log<sub>2</sub> ", "Pi ": "Π ",
    "lr_full": "lr<sub>full</sub>", "sqrt": "√", "&lt;=": "≤", "&gt;=": "≥", "+-": "±",
}  # fmt: skip
NONE_LEFT_OUT = "No run was left out."


def markdown(doc: Document, figure: str) -> str:
    """Write Markdown.

    Args:
        doc: the report.
        figure: file name of the figure, beside the report's.
    """
    methods = " ".join(doc.methods.values())
    excluded = _markdown_table(doc.excluded) if len(doc.excluded) > 1 else NONE_LEFT_OUT
    parts = [
        f"# {_md(doc.subject)}", _md(doc.facts), *map(_md, doc.findings),
        f"![score against d]({figure})", _markdown_table(doc.points),
        *(f"- {_md(note)}" for note in doc.notes),
        "## Other lines", _markdown_table(doc.lines),
        "## Methods", _md(methods),
        "## Protocol", "\n".join(f"- {k}: {_md(v)}" for k, v in doc.protocol.items()),
        "## Left out", excluded,
        "## Do it again", f"```sh\n{harmless(doc.command)}\n```",
        "## Made with", _markdown_table(doc.sources),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def latex(doc: Document) -> str:
    """Write a LaTeX table (of booktabs) and the methods paragraph, to be read by input."""
    caption = f"{doc.subject}. {doc.findings[0]}."
    head, *rows = (" & ".join(map(_tex, row)) + r" \\" for row in doc.points)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}", r"\centering", rf"\caption{{{_tex(caption)}}}",
        r"\begin{tabular}{rrrrrl}", r"\toprule", head, r"\midrule",
        rows[0], r"\midrule", *rows[1:],
        r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
        r"\paragraph{Methods.}", *map(_tex, doc.methods.values()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def page(doc: Document, svg: str) -> str:
    """Write one HTML page.

    Args:
        doc: the report.
        svg: the figure, as a file of its own holds it.
    """
    e = _html
    notes = "".join(f"<li>{e(note)}</li>" for note in doc.notes)
    protocol = "".join(f"<dt>{e(k)}</dt><dd>{e(v)}</dd>" for k, v in doc.protocol.items())
    excluded = _html_table(doc.excluded) if len(doc.excluded) > 1 else f"<p>{NONE_LEFT_OUT}</p>"
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{e(doc.title)}</title>\n<style>\n{STYLE}\n</style>\n<main>",
        f'<h1>{e(doc.subject)}</h1>\n<p class="subject">{e(doc.facts)}</p>',
        *(f"<p>{e(finding)}</p>" for finding in doc.findings),
        f"<figure>{_inline(svg)}</figure>",
        _html_table(doc.points, "points", doc.marked),
        f"<ul>{notes}</ul>" if notes else "",
        f"<h2>Other lines</h2>\n{_html_table(doc.lines)}",
        f"<h2>Methods</h2>\n<p>{_signs(e(' '.join(doc.methods.values())))}</p>",
        f"<h2>Protocol</h2>\n<dl>{protocol}</dl>",
        f"<h2>Left out</h2>\n{excluded}",
        f"<h2>Do it again</h2>\n<pre>{e(doc.command)}</pre>",
        f"<h2>Made with</h2>\n{_html_table(doc.sources)}",
        "</main>\n</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _inline(svg: str) -> str:
    """Keep what HTML needs of an SVG file: its first lines and its metadata name other places."""
    return re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)


def _markdown_table(rows: Rows) -> str:
    head, *rest = rows
    lines = ["| " + " | ".join(map(_md, row)) + " |" for row in (head, *rest)]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])


def _html_table(rows: Rows, kind: str = "", marked: int | None = None) -> str:
    def line(i: int, row: tuple[str, ...]) -> str:
        cell = "td" if i else "th"
        found = ' class="found"' if i == marked else ""
        return f"<tr{found}>{''.join(f'<{cell}>{_html(c)}</{cell}>' for c in row)}</tr>"

    body = "\n".join(line(i, row) for i, row in enumerate(rows))
    return f'<div class="wide"><table class="{kind}">\n{body}\n</table></div>'


def _html(text: str) -> str:
    return html.escape(harmless(text))


def _replaced(table: dict[str, str]) -> Callable[[str], str]:
    """Replace every key by its value at once, the longest first."""
    keys = re.compile("|".join(map(re.escape, sorted(table, key=len, reverse=True))))
    return lambda text: keys.sub(lambda found: table[found[0]], harmless(text))


_tex, _signs = _replaced(TEX), _replaced(SIGNS)
# what would start emphasis, code, a link, a tag, an entity, mathematics, a heading or a new cell
_md = _replaced({sign: "\\" + sign for sign in "\\`*_[]<|&$~#"})
