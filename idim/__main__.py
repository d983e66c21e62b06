"""Run the command line with `python -m idim`."""

from idim.cli import app

app(prog_name="idim")
