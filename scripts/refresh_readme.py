"""Run `idim sweep` and put its table and figure into README.md: no number there is typed by hand.

Example:
  python scripts/refresh_readme.py
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copy

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "idim", "sweep", "--out", out]
        table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        copy(Path(out) / "curve.png", ROOT / "docs" / "digits.png")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    block = f"<!-- sweep -->\n```\n{table.rstrip()}\n```\n<!-- /sweep -->"
    new = re.sub(r"<!-- sweep -->.*?<!-- /sweep -->", lambda _: block, text, flags=re.DOTALL)
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
