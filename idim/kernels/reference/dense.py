"""Dense Gaussian rows in plain torch."""

import torch
from torch import Tensor

from idim.kernels.bits import Key, gaussian, subkeys, word
from idim.kernels.map import Span


def dense_rows(rows: Span, d: int, k: Key, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make rows of a Gaussian matrix: (rows, d), entries N(0, 1), unscaled."""
    index = torch.arange(rows.start, rows.stop, device=device)
    k0, k1 = subkeys(index, k)
    j = torch.arange(d, dtype=torch.int32, device=device)
    return gaussian(word(j, k0[:, None], k1[:, None]), dtype)
