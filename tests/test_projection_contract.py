"""What every projection promises; a new kind in PROJECTIONS is held to all of it."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from idim.errors import IdimError
from idim.kernels.bits import gaussian, key, subkeys, word
from idim.kernels.reference import fwht, permutation
from idim.projection import PROJECTIONS

# (D, d): one row, ragged ends, d not a power of two, more columns than a group has rows, and
# sizes on both sides of the limit below which P is kept as a matrix
SHAPES = [(1, 1), (7, 3), (1000, 10), (5000, 300), (40_000, 33), (70_000, 5000)]
LARGE = [(D, d) for D, d in SHAPES if D * d > 1 << 20]

kinds = pytest.mark.parametrize("kind", PROJECTIONS)
shapes = pytest.mark.parametrize(("D", "d"), SHAPES)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@kinds
@shapes
def test_rmatvec_is_the_exact_adjoint(kind, D, d):
    P = PROJECTIONS[kind](D, d, seed=1)
    u, v = draw(d), draw(D, seed=1)
    torch.testing.assert_close(P.matvec(u) @ v, u @ P.rmatvec(v), rtol=1e-12, atol=1e-12)


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
@pytest.mark.parametrize(("D", "d"), LARGE)
def test_the_products_without_a_matrix_equal_those_with_one(kind, D, d):
    P = PROJECTIONS[kind](D, d, seed=3)
    rows = slice(D // 3, D // 3 + 500)
    M = P.to_dense(rows.start, rows.stop)
    u, v = draw(d), draw(500, seed=1)
    torch.testing.assert_close(P.matvec(u, rows.start, rows.stop), M @ u)
    torch.testing.assert_close(P.rmatvec(v, rows.start, rows.stop), v @ M)


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
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(kind):
    make = PROJECTIONS[kind]
    u = draw(40, dtype=torch.float32)
    assert torch.equal(make(30_000, 40, 5).matvec(u), make(30_000, 40, 5).matvec(u))
    assert not torch.equal(make(30_000, 40, 5).matvec(u), make(30_000, 40, 6).matvec(u))


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
    assert abs(off.square().mean() * D - GRAM_VARIANCE[kind]) < 0.15
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


@kinds
def test_wrong_lengths_and_ranges_are_refused(kind):
    P = PROJECTIONS[kind](100, 10, 0)
    with pytest.raises(IdimError, match=r"theta_d must have shape \(10,\), got \(9,\)"):
        P.matvec(torch.zeros(9))
    with pytest.raises(IdimError, match=r"v must have shape \(40,\)"):
        P.rmatvec(torch.zeros(41), 10, 50)
    with pytest.raises(IdimError, match=r"rows \[50, 101\) are not within \[0, 100\)"):
        P.matvec(torch.zeros(10), 50, 101)


@kinds
def test_rows_beyond_two_to_the_32_are_made_like_any_other(kind):
    D, d = 1 << 33, 20
    P = PROJECTIONS[kind](D, d, seed=0)
    u = draw(d, dtype=torch.float64)
    high, low = P.matvec(u, D - 300_000, D), P.matvec(u, 0, 300_000)
    assert torch.equal(P.matvec(u, D - 1000, D), high[-1000:])
    assert not torch.equal(high, low)
    # each row's variance is |u|^2 / D
    assert abs(high.square().mean() * D / u.square().sum() - 1) < 0.5


def test_projections_are_for_ever():
    """A theta_d saved today restores the same model in five years: these hashes never change."""
    golden = Path(__file__).parent / "golden" / "projections.json"
    now = {}
    for kind, make in PROJECTIONS.items():
        for D, d, seed in ((100, 7, 0), (5000, 300, 1), (70_000, 1500, 2**40)):
            rows = make(D, d, seed).to_dense(D - 100, D, dtype=torch.float64)
            # an entry is an exact multiple: rounding keeps the order of additions out of it
            text = " ".join(f"{x:.9e}" for x in (rows * 2**20).flatten().tolist())
            now[f"{kind} {D} {d} {seed}"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    if os.environ.get("IDIM_GOLDEN") == "rewrite":
        golden.write_text(json.dumps(now, indent=1) + "\n")
    held = json.loads(golden.read_text())
    assert {k: v for k, v in now.items() if k in held} == held


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
