"""Pure functions of arrays: the random bits and transforms that make P.  Imports no other room."""


def describe() -> str:
    """Say which kernels run and why."""
    return "reference (plain torch): the only kernels in this version"
