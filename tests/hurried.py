"""A clock that hurries: whatever waits for its time is due at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest


@contextmanager
def hurried() -> Iterator[None]:
    """Let an hour pass between any two looks at the clock."""
    hours = map(float, count(0, 3600))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: next(hours))
        yield
