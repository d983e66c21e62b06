"""Run a notebook from its first cell to its last and keep what it prints and draws.

Jupyter is no dependency of idim: it is installed in an environment of its own, for this once.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

from blocks import environment

NEEDS = ("nbclient", "ipykernel")
RUN = """
import sys, nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=1200, kernel_name="python3", record_timing=False).execute()
nbformat.write(book, sys.argv[1])
"""


def renew(path: Path, root: Path) -> None:
    """Execute a notebook in an empty folder, and store its outputs in it.

    Args:
        path: of the notebook.
        root: where idim is.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        python = jupyter(place / "jupyter")
        (place / "work").mkdir()
        (place / "book.ipynb").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        subprocess.run(
            [python, "-c", RUN, place / "book.ipynb"], check=True, cwd=place / "work",
            env=environment(root),
        )  # fmt: skip
        book = json.loads((place / "book.ipynb").read_text(encoding="utf-8"))
    path.write_text(json.dumps(plain(book), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def jupyter(folder: Path) -> Path:
    """Make an environment with Jupyter in which all that this one has can be imported too."""
    venv.create(folder, with_pip=True)
    bin = folder / ("Scripts" if os.name == "nt" else "bin")
    python = bin / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *NEEDS], check=True)
    asked = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    own = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(own.strip(), "idim.pth").write_text("\n".join(paths), encoding="utf-8")
    return python


def plain(book: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without what only says where and when it ran."""
    book["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(book["cells"]):
        cell |= {"id": f"cell-{number}", "metadata": {}}
    return book


if __name__ == "__main__":
    renew(Path(sys.argv[1]), Path(__file__).resolve().parents[1])
