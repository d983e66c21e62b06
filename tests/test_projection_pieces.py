"""The kernels see addresses: what they would read or write beside is refused at the door."""

import pytest
import torch

from idim.errors import IdimError
from idim.kernels.map import Piece
from idim.projection import PROJECTIONS


def flat(n: int = 50, **more) -> torch.Tensor:
    return torch.zeros(n, **more)


@pytest.mark.parametrize("keep_entries", [0, 10**6])
@pytest.mark.parametrize("kind", PROJECTIONS)
@pytest.mark.parametrize(
    ("theta", "theta_0", "line"),
    [
        (lambda: flat(100)[::2], flat, "flat and contiguous"),
        (flat, lambda: flat(100)[::2], "flat and contiguous"),
        (lambda: flat().view(5, 10), lambda: flat().view(5, 10), "flat and contiguous"),
        (flat, lambda: flat(dtype=torch.float64), "of one dtype"),
        (lambda: flat(dtype=torch.int64), lambda: flat(dtype=torch.int64), "must be floating"),
        (flat, lambda: flat(3), "one shape"),
        (flat, lambda: flat(device="meta"), "one device"),
    ],
)
def test_a_piece_that_is_no_plain_memory_is_refused(kind, keep_entries, theta, theta_0, line):
    P = PROJECTIONS[kind](2000, 8, seed=0)
    P.keep_entries = keep_entries
    with pytest.raises(IdimError, match=line):
        P.write(torch.ones(8), [Piece(theta(), theta_0(), 9, 1.0)])


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_the_adjoint_reads_floating_numbers_only(kind):
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(IdimError, match="v must be floating"):
            PROJECTIONS[kind](20, 8, seed=0).rmatvec(torch.ones(20, dtype=dtype))
