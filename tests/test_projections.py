"""What every kind of P promises: an exact adjoint, any rows alone, the same bits for ever."""

import hashlib
import itertools
import json
from pathlib import Path

import pytest
import torch

from idim.errors import IdimError
from idim.kernels import cpu
from idim.projection import PROJECTIONS, Piece

GOLDEN = json.loads((Path(__file__).parent / "golden" / "projections.json").read_text())
# (D, d): one column, padded columns, as many as rows, several groups, groups of fewer lanes
SIZES = ((1, 1), (40, 1), (1000, 10), (70, 70), (60_000, 100), (3000, 2000), (20_000, 9000))
CASES = [(kind, D, d) for kind in PROJECTIONS for D, d in SIZES if kind != "dense" or D * d < 1e7]


@pytest.fixture(params=["reference", "cpu"])
def kernel(request, monkeypatch):
    if request.param == "cpu" and cpu.why_not():
        pytest.skip(cpu.why_not())
    monkeypatch.setenv("IDIM_KERNELS", request.param)
    return request.param


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("kind", "D", "d"), CASES)
def test_the_adjoint_is_exact(kind, D, d):
    P = PROJECTIONS[kind](D, d, 3)
    u, v = draw(d), draw(D, seed=1)
    Pu = P.matvec(u)
    assert abs(Pu @ v - u @ P.rmatvec(v)) <= 1e-12 * Pu.norm() * v.norm()


@pytest.mark.parametrize(("kind", "D", "d"), [c for c in CASES if c[2] <= 2000])
def test_products_are_those_of_the_matrix(kind, D, d):
    P = PROJECTIONS[kind](D, d, 3)
    rows = slice(D // 3, D // 3 + 50)
    matrix, u = P.to_dense(rows.start, min(rows.stop, D)), draw(d)
    torch.testing.assert_close(P.matvec(u)[rows], matrix @ u, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("kind", "D", "d"), CASES)
def test_any_range_of_rows_is_made_without_the_rest(kind, D, d, kernel):
    P = PROJECTIONS[kind](D, d, -5)
    u, v = draw(d, dtype=torch.float32), draw(D, seed=1, dtype=torch.float32)
    whole = P.matvec(u)
    cuts = sorted(c for c in {0, 1, D // 3, D // 3 + 17, D - D // 7, D} if c <= D)
    ranges = list(itertools.pairwise(cuts))
    for a, b in [*ranges, (D, D)]:
        # a product with a kept matrix may round its rows in another order
        torch.testing.assert_close(P.matvec(u, a, b), whole[a:b], rtol=1e-5, atol=1e-6)
    parts = sum(P.rmatvec(v[a:b], a, b) for a, b in ranges)
    torch.testing.assert_close(parts, P.rmatvec(v), rtol=1e-4, atol=1e-5)
    assert not P.rmatvec(v[D:], D, D).any()


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_rows_near_the_end_of_an_immense_P_cost_only_themselves(kind, kernel):
    D = 1 << 33
    P = PROJECTIONS[kind](D, 1000, 1)
    u, v = draw(1000, dtype=torch.float32), draw(997, seed=1, dtype=torch.float32)
    tail = P.matvec(u, D - 1000, D)
    assert torch.equal(P.matvec(u, D - 1000, D - 3), tail[:-3])
    product = torch.dot(tail[:-3].double(), v.double())
    adjoint = torch.dot(u.double(), P.rmatvec(v, D - 1000, D - 3).double())
    assert abs(product - adjoint) <= 1e-5 * tail.norm() * v.norm()
    assert (tail != P.matvec(u, 0, 1000)).any()


@pytest.mark.parametrize("kind", [k for k in PROJECTIONS if k != "dense"])
def test_a_million_columns(kind, kernel):
    D, d, a, b = 1 << 24, 1_000_000, 5_000_001, 5_003_000
    P = PROJECTIONS[kind](D, d, 2)
    u, v = draw(d, dtype=torch.float32), draw(b - a, seed=1, dtype=torch.float32)
    rows = P.matvec(u, a, b)
    adjoint = torch.dot(u.double(), P.rmatvec(v, a, b).double())
    assert abs(torch.dot(rows.double(), v.double()) - adjoint) <= 1e-5 * rows.norm() * v.norm()


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_a_seed_is_a_draw_of_its_own(kind):
    first, again, other = (PROJECTIONS[kind](500, 20, s).to_dense() for s in (7, 7, 8))
    assert torch.equal(first, again)
    assert (first != other).float().mean() > 0.05


@pytest.mark.parametrize(("D", "d"), [(1 << 18, 700), (1 << 17, 128), (3 << 16, 10_000)])
def test_orthogonal_columns_are_orthonormal_when_groups_fill_D(D, d):
    P = PROJECTIONS["orthogonal"](D, d, 0)
    u = draw(d)
    torch.testing.assert_close(P.rmatvec(P.matvec(u)), u, rtol=1e-12, atol=1e-12)


def test_a_group_cut_short_moves_orthogonal_columns_by_its_share_of_the_rows():
    D, d = 100_000, 100
    gram = torch.stack([PROJECTIONS["orthogonal"](D, d, 0).rmatvec(c) for c in _columns(D, d)])
    excess = torch.linalg.matrix_norm(gram - torch.eye(d, dtype=gram.dtype), ord=2)
    assert excess <= 128 * 16 / D


def _columns(D, d):
    P = PROJECTIONS["orthogonal"](D, d, 0)
    return (P.matvec(e) for e in torch.eye(d, dtype=torch.float64))


@pytest.mark.parametrize(
    ("D", "d"), [(17, 17), (1000, 3), (1003, 100), (5000, 1000), (70_001, 640)]
)
def test_onehot_is_an_isometry_with_even_columns(D, d):
    P = PROJECTIONS["onehot"](D, d, 4)
    u = draw(d)
    torch.testing.assert_close(P.rmatvec(P.matvec(u)), u, rtol=1e-12, atol=0)
    matrix = P.to_dense() if D * d < 1 << 20 else P.matvec(torch.ones(d).double())[:, None]
    assert ((matrix != 0).sum(dim=1) == 1).all()
    if D * d < 1 << 20:
        assert set((matrix != 0).sum(dim=0).tolist()) <= {D // d, -(-D // d)}


@pytest.mark.parametrize("kind", ["dense", "fastfood"])
def test_gaussian_columns_have_unit_norm_in_expectation(kind):
    norms = PROJECTIONS[kind](20_000, 30, 0).to_dense().norm(dim=0)
    assert abs(norms.mean() - 1) < 0.02


def test_sparse_columns_have_unit_norm():
    norms = PROJECTIONS["sparse"](20_000, 30, 0).to_dense().norm(dim=0)
    torch.testing.assert_close(norms, torch.ones(30).double(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", PROJECTIONS)
@pytest.mark.parametrize("D", [500, 300_000])
def test_autograd_uses_the_adjoint(kind, D, kernel):
    P = PROJECTIONS[kind](D, 12, 0)
    u = draw(12, dtype=torch.float32).requires_grad_()
    v = draw(D, seed=1, dtype=torch.float32)
    (P.matvec(u) @ v).backward()
    torch.testing.assert_close(u.grad, P.rmatvec(v))


def test_wrong_arguments_are_named():
    P = PROJECTIONS["fastfood"](100, 10, 0)
    t = torch.zeros(5)
    for call, message in (
        (lambda: P.matvec(torch.zeros(9)), r"shape \(10,\), got \(9,\)"),
        (lambda: P.matvec(torch.zeros(10).half()), "float32 or float64, got torch.float16"),
        (lambda: P.matvec(torch.zeros(10), 5, 101), r"rows \[5, 101\) are not within \[0, 100\)"),
        (lambda: P.rmatvec(torch.zeros(9), 0, 8), r"shape \(8,\), got \(9,\)"),
        (lambda: P.write(torch.zeros(10), [Piece(t, t, 5, 1.0), Piece(t, t, 9, 1.0)]), "disjoint"),
        (lambda: PROJECTIONS["onehot"](10, 11, 0), "between 1 and D=10"),
    ):
        with pytest.raises(IdimError, match=message):
            call()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['kind']}-{c['D']}-{c['d']}-{c['what']}")
def test_P_is_what_it_was(case, kernel):
    """A theta_d file of any version restores the same model: these hashes never change."""
    P = PROJECTIONS[case["kind"]](case["D"], case["d"], case["seed"])
    rows = case["start"], case["stop"]
    u = ((torch.arange(P.d) * 7919) % 64 - 31.5) / 32
    out = P.to_dense(*rows, dtype=torch.float32) if case["what"] == "rows" else P.matvec(u, *rows)
    assert hashlib.sha256(out.contiguous().numpy().tobytes()).hexdigest() == case["sha256"]
