"""What every figure shares: colours, style, and files of equal bytes for equal content."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from idim.plain import harmless
from idim.store import make_folder, write_bytes

# Okabe and Ito's palette, told apart by colour-blind readers; text needs the darker vermilion.
BLUE, VERMILION, DARK_VERMILION = "#0072B2", "#D55E00", "#A84300"
INK, GREY, PALE = "#222222", "#5A5A5A", "#8A8A8A"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 9.0, "axes.linewidth": 0.8,
    "axes.edgecolor": GREY, "xtick.color": GREY, "ytick.color": GREY, "text.color": INK,
    "axes.unicode_minus": True, "svg.hashsalt": "idim", "svg.fonttype": "path",
    "pdf.fonttype": 42,  # TrueType: publishers refuse matplotlib's own Type 3
    "text.parse_math": False,  # a dollar sign in a name is one
}  # fmt: skip
Kind = Literal["png", "svg", "pdf"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What is written where nobody asks for another.
USUAL: tuple[Kind, ...] = ("png", "svg")
# What a file says of itself: neither version nor date, so that equal content is equal bytes.
_ABOUT: dict[Kind, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
# Characters of a text that is made to fit.
LONGEST = 300


@contextmanager
def styled() -> Iterator[None]:
    """Set our style alone: a person's matplotlibrc must not change what a sweep looks like."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def files(figure: Figure, title: str, kinds: Sequence[Kind] = USUAL) -> dict[Kind, bytes]:
    """Return the bytes of each kind of file.

    Args:
        figure: what to write.
        title: of the file, where a kind has a place for it.
        kinds: of files.
    """
    made: dict[Kind, bytes] = {}
    for text in figure.findobj(Text):
        text.set_text(harmless(text.get_text(), keep="\n"))
    with styled(), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph")
        for kind in kinds:
            named = {} if kind == "png" else {"Title": harmless(title)}
            file = io.BytesIO()
            figure.savefig(file, format=kind, metadata=_ABOUT[kind] | named)
            made[kind] = file.getvalue()
    return made


def asked(stem: Path, kinds: Sequence[Kind] = ()) -> tuple[Path, tuple[Kind, ...]]:
    """Read what to write off a name: one that ends in a kind asks for that kind.

    >>> asked(Path("a/x.pdf")), asked(Path("x.1")), asked(Path("x.pdf"), ["svg"])
    ((PosixPath('a/x'), ('pdf',)), (PosixPath('x.1'), ('png', 'svg')), (PosixPath('x'), ('svg',)))
    """
    by_name: tuple[Kind, ...] = tuple(k for k in KINDS if stem.suffix.lower() == f".{k}")
    bare = stem.with_suffix("") if by_name else stem
    return bare, tuple(kinds) or by_name or USUAL


def save(made: Mapping[Kind, bytes], stem: Path) -> list[Path]:
    """Write each kind of file, whole or not at all; return the paths.

    Raises:
        OSError: the folder cannot be written to, or its disk is full.
    """
    paths = []
    make_folder(stem.parent)
    for kind, data in made.items():
        path = stem.with_name(f"{stem.name}.{kind}")
        write_bytes(path, data)
        paths.append(path)
    return paths


def fit(text: Text, length: float) -> None:
    """Shrink a text to a length in pixels, and cut it where that would be too small to read."""
    text.set_text(harmless(text.get_text())[:LONGEST])
    size = float(text.get_fontsize())
    while _length(text) > length and size > 6.5:
        size -= 0.25
        text.set_fontsize(size)
    while _length(text) > length:
        text.set_text(text.get_text()[:-2] + "\N{HORIZONTAL ELLIPSIS}")


def _length(text: Text) -> float:
    """Return how long a text is along its own direction, which is level or upright."""
    box = text.get_window_extent()
    return box.height if text.get_rotation() == 90 else box.width


def ink(colour: str) -> str:
    """Darken the palette's lighter colours, which are fit for lines and not for words."""
    return {"#D55E00": "#A84300", "#009E73": "#00714F", "#CC79A7": "#9A3F72",
            "#56B4E9": "#1F73A8", "#E69F00": "#8A5F00"}.get(colour, colour)  # fmt: skip
