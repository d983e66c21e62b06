"""How a model is made trainable: all of it, in a random subspace, or as another method does.

A method is one file, a subclass of `Method`, and one entry: in the table of `idim.config.names`
here, `METHODS["mine"] = Mine` in a program, or in an installed package
`[project.entry-points."idim.methods"]` with `mine = "my_package:Mine"`.
"""

from collections.abc import MutableMapping

from idim.config import names
from idim.methods.ask import ask
from idim.methods.base import EXACT_EVERY, Method

METHODS: MutableMapping[str, type[Method]] = names.METHODS

__all__ = ["EXACT_EVERY", "METHODS", "Method", "ask"]
