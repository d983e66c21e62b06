"""What docs/projections.md says of P: what one seed shares, and what its permutation lacks."""

import pytest
import torch

from idim.kernels.bits import key
from idim.kernels.reference.fastfood import permutation
from idim.projection import PROJECTIONS

D = 3000
NESTED = {
    "dense": [(10, 12), (60, 120)], "sparse": [(10, 12), (60, 120)],
    "fastfood": [(9, 16), (70, 128)], "orthogonal": [(9, 16), (70, 128)],
}  # fmt: skip
APART = {
    "fastfood": [(60, 120), (16, 17)], "orthogonal": [(60, 120), (16, 17)],
    "onehot": [(10, 12), (60, 120)],
}  # fmt: skip


def columns(kind: str, d: int) -> torch.Tensor:
    """Return the columns of a P of one seed, each of norm 1."""
    P = PROJECTIONS[kind](D, d, 3).to_dense()
    return P / P.norm(dim=0)


@pytest.mark.parametrize(
    ("kind", "small", "large"), [(kind, *two) for kind in NESTED for two in NESTED[kind]]
)
def test_a_smaller_p_is_the_first_columns_of_a_larger_one(kind, small, large):
    assert torch.allclose(columns(kind, small), columns(kind, large)[:, :small], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "small", "large"), [(kind, *two) for kind in APART for two in APART[kind]]
)
def test_where_p_is_not_nested_no_column_is_shared(kind, small, large):
    alike = (columns(kind, small).T @ columns(kind, large)).abs()
    assert alike.max() < 0.99


@pytest.mark.parametrize(("small", "large"), [(10, 20), (60, 120), (7, 21)])
def test_of_onehot_a_column_is_a_sum_of_columns_of_a_multiple(small, large):
    few, many = columns("onehot", small), columns("onehot", large)
    assert torch.allclose(many @ (many.T @ few), few, atol=1e-6)


def test_the_permutation_takes_32_of_1023_values_between_two_places():
    n = 1024
    orders = [permutation(torch.arange(64), n, key(s, "fastfood/Pi")) for s in range(40)]
    found = {int(x) for order in orders for x in order[:, 0] ^ order[:, n // 2]}
    assert len(found) == 32
