"""P is random as the theory says: moments, norms, inner products, and the bits behind them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from idim.errors import IdimError
from idim.kernels.bits import gaussian, key, subkeys, word
from idim.kernels.reference import fwht, permutation
from idim.projection import PROJECTIONS

kinds = pytest.mark.parametrize("kind", PROJECTIONS)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@kinds
@settings(max_examples=25, deadline=None)
@given(
    D=st.integers(1, 3000),
    d=st.integers(1, 200),
    seed=st.integers(0, 2**40),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_range_of_rows_is_that_range_of_the_whole(kind, D, d, seed, ends):
    P = PROJECTIONS[kind](D, min(d, D), seed)
    start, stop = sorted(int(e * D) for e in ends)
    u, v = draw(P.d, seed=seed % 99), draw(stop - start, seed=seed % 98)
    padded = torch.zeros(D, dtype=v.dtype)
    padded[start:stop] = v
    torch.testing.assert_close(P.matvec(u, start, stop), P.matvec(u)[start:stop])
    torch.testing.assert_close(P.rmatvec(v, start, stop), P.rmatvec(padded))


@kinds
def test_float32_products_are_as_good_as_float32_arithmetic(kind):
    P = PROJECTIONS[kind](40_000, 300, seed=0)
    u, v = draw(300), draw(40_000, seed=1)
    M = P.to_dense()
    for ours, exact, plain in (
        (P.matvec(u.float()), M @ u, M.float() @ u.float()),
        (P.rmatvec(v.float()), v @ M, v.float() @ M.float()),
    ):
        assert (ours - exact).abs().max() <= 4 * (plain - exact).abs().max() + 1e-7


@kinds
def test_no_global_random_state_is_read_or_moved(kind):
    before = torch.random.get_rng_state()
    PROJECTIONS[kind](5000, 300, 0).matvec(torch.ones(300))
    assert torch.equal(before, torch.random.get_rng_state())


# D times the variance of the inner product of two columns: 1 for independent entries; in a block of
# Fastfood it is that of a signed sum of n terms G^2, Var(G^2) = 2 (Le et al. 2013, theorem 9)
GRAM_VARIANCE = {"dense": 1.0, "sparse": 1.0, "fastfood": 2.0, "orthogonal": 0.0, "onehot": 0.0}


@kinds
def test_columns_have_unit_norm_and_are_as_orthogonal_as_theory_says(kind):
    D, d = 65_536, 64
    M = PROJECTIONS[kind](D, d, seed=0).to_dense()
    gram = M.T @ M
    # a squared norm has a standard deviation of about sqrt(2/D) = 0.006
    torch.testing.assert_close(gram.diag(), torch.ones(d, dtype=gram.dtype), rtol=0.03, atol=0)
    off = gram[~torch.eye(d, dtype=torch.bool)]
    variance = off.square().mean() * D
    if kind in GRAM_VARIANCE:
        assert abs(variance - GRAM_VARIANCE[kind]) < 0.15
    assert variance < 2.15  # no kind is less orthogonal than Fastfood
    # the sparse kind's tail is that of a signed Poisson variable: 8 sigma is one draw in 10^4
    assert off.abs().max() * D**0.5 <= 8


@kinds
def test_entries_have_mean_0_and_variance_1_over_D(kind):
    M = PROJECTIONS[kind](20_000, 50, seed=0).to_dense() * 20_000**0.5
    assert abs(M.mean()) < 5e-3
    assert abs(M.square().mean() - 1) < 2e-2


@kinds
@pytest.mark.parametrize("d", [0, -1, 11])
def test_d_outside_1_to_D_is_refused(kind, d):
    with pytest.raises(IdimError, match=rf"d={d} must lie between 1 and D=10"):
        PROJECTIONS[kind](10, d, 0)


def test_the_hash_is_the_published_one_when_unkeyed():
    """lowbias32 in Python integers, Wellons 2018."""

    def lowbias32(x: int) -> int:
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    i = torch.arange(1000, dtype=torch.int32)
    ours = [x & 0xFFFFFFFF for x in word(i, 12345, 0).tolist()]
    assert ours == [lowbias32(x + 12345) for x in range(1000)]


@pytest.mark.parametrize("n", [1, 2, 4, 16, 1024])
def test_each_group_has_its_own_permutation(n):
    orders = permutation(torch.arange(50), n, key(0, "test"))
    expected = torch.arange(n).expand(50, n)
    assert torch.equal(orders.sort(dim=1).values, expected)
    if n > 16:
        assert len({tuple(o) for o in orders.tolist()}) == 50


def test_gaussians_have_the_moments_of_a_normal():
    k0, k1 = subkeys(torch.arange(1), key(0, "test"))
    x = gaussian(word(torch.arange(1 << 20, dtype=torch.int32), k0, k1), torch.float64)
    moments = torch.stack([x.mean(), x.square().mean(), x.pow(3).mean(), x.pow(4).mean()])
    expected = torch.tensor([0.0, 1.0, 0.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(moments, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_fwht_is_hadamards_matrix(n):
    from scipy.linalg import hadamard

    x = draw(3, n, 2)
    H = torch.tensor(hadamard(n), dtype=torch.float64)
    torch.testing.assert_close(fwht(x.clone()), torch.einsum("ij,gjl->gil", H, x))
    torch.testing.assert_close(fwht(fwht(x.clone())), n * x)
