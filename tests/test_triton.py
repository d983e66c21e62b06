"""The Triton kernels make the reference's P: the same bits forward, its accuracy backward.

Without a GPU they run in Triton's interpreter, which shows what they compute but not that they
compile; that is the last test's claim.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton", reason="triton is not installed: its kernels are untested")

import triton.language as tl  # noqa: E402

from idim import kernels  # noqa: E402
from idim.kernels import bits, gpu, reference  # noqa: E402
from idim.kernels.gpu import fastfood, fastfood_device, hashes, onehot, products, sparse  # noqa: E402
from idim.kernels.gpu.pieces import Laid, key_words  # noqa: E402
from idim.kernels.map import KINDS, Kernels, Map, Span  # noqa: E402
from idim.projection import PROJECTIONS  # noqa: E402
from idim.subspace import Subspace  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
B, PI, G = KEYS = tuple(bits.key(7, f"fastfood/{part}") for part in ("B", "Pi", "G"))
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
FAR = 1 << 40  # groups there have numbers above 2^24, rows above 2^32


def blocks(d, kind="fastfood"):
    """A Fastfood of any number of rows: they do not depend on it."""
    return Map(kind, 2 * FAR, d, reference.next_pow2(d), KEYS)


def draw(size, dtype=torch.float32, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def error(x, exact):
    return float((x.double() - exact).norm() / exact.norm())


def as_int32(word):
    return word.cpu().view(torch.int32)


# Bits


@triton.jit
def _hashes(OUT, K, index, N: tl.constexpr):
    i = tl.arange(0, N)
    k0, k1 = hashes.subkeys(index + i.to(tl.int64), K, 0)
    x = hashes.word(i.to(tl.uint32), k0, k1)
    tl.store(OUT + i, k0.to(tl.int32, bitcast=True))
    tl.store(OUT + N + i, k1.to(tl.int32, bitcast=True))
    tl.store(OUT + 2 * N + i, x.to(tl.int32, bitcast=True))
    top = hashes.mixed(i.to(tl.uint32), k0, k1)
    tl.store(OUT + 3 * N + i, (top >> 16).to(tl.int32))


@pytest.mark.parametrize("index", [0, 2**31 - 5, 2**32 - 5, 2**45])
def test_words_and_subkeys_are_those_of_bits(index):
    out = torch.empty(4, 64, dtype=torch.int32, device=DEVICE)
    _hashes[(1,)](out, key_words((B,), out.device), index, 64)
    k0, k1 = bits.subkeys(torch.arange(index, index + 64), B)
    x = bits.word(torch.arange(64, dtype=torch.int32), k0, k1)
    assert torch.equal(out.cpu(), torch.stack([k0, k1, x, (x >> 16) & 0xFFFF]))


@triton.jit
def _permutations(OUT, K, index, n: tl.constexpr, LOG: tl.constexpr):
    i = tl.arange(0, n)
    a, b = hashes.subkeys(index, K, 0)
    SHIFT: tl.constexpr = (LOG + 1) // 2 if LOG > 0 else 1
    x = hashes.permute(i.to(tl.uint32), a, b, n, SHIFT)
    tl.store(OUT + i, x.to(tl.int32))
    tl.store(OUT + n + i, hashes.unpermute(x, a, b, n, SHIFT).to(tl.int32))


@pytest.mark.parametrize("n", [1, 2, 4, 8, 512, 16384])
def test_permutation_is_the_references_and_is_undone(n):
    for index in (0, 2**32 + 5):
        out = torch.empty(2, n, dtype=torch.int32, device=DEVICE)
        index_ = torch.tensor([index])
        _permutations[(1,)](out, key_words((PI,), out.device), index, n, n.bit_length() - 1)
        assert torch.equal(out[0].cpu().long(), reference.permutation(index_, n, PI)[0])
        assert torch.equal(out[1].cpu().long(), torch.arange(n))


@triton.jit
def _diagonals(OUT, K, LEVELS, group, n: tl.constexpr, L: tl.constexpr):
    row, lane = tl.arange(0, n * L) // L, (tl.arange(0, n * L) % L).to(tl.uint32)
    one = tl.full((n * L,), 1.0, tl.float32)
    words = fastfood_device.sign_words(row, group, K, 0, n, 1)
    tl.store(OUT + tl.arange(0, n * L), hashes.flip(one, words << lane))
    g = fastfood_device.diagonal(one, row, lane, group, K, LEVELS, n, L, 1, False)
    tl.store(OUT + n * L + tl.arange(0, n * L), g)


@pytest.mark.parametrize("group", [0, 2**33 + 1])
def test_signs_and_gaussians_are_the_references(group):
    n, L = 64, reference.lanes(64)
    out = torch.empty(2, n, L, device=DEVICE)
    levels = bits.gaussian_table(torch.float32, out.device)
    _diagonals[(1,)](out, key_words(KEYS, out.device), levels, group, n, L)
    cpu = torch.device("cpu")
    expected = reference.diagonals(blocks(n), range(group, group + 1), torch.float32, cpu)
    assert torch.equal(out[0].cpu(), expected.signs[0])
    assert torch.equal(out[1].cpu(), expected.last[0])


# Fastfood


@pytest.mark.parametrize("d", [1, 2, 3, 16, 60, 100, 500, 1000, 1100, 5000, 16384])
@pytest.mark.parametrize(("start", "rows"), [(0, 9000), (FAR + 777, 3001)])
def test_fastfood_has_the_references_bits_and_its_accuracy(d, start, rows):
    P, span = blocks(d), Span(start, start + rows)
    u, v = draw(d), draw(rows, seed=1)
    y = products.matvec(P, u, span)
    r = products.rmatvec(P, v, span)
    assert torch.equal(y, reference.matvec(P, u, span))
    exact = reference.rmatvec(P, v.double(), span)
    theirs = error(reference.rmatvec(P, v, span), exact)
    assert error(r, exact) <= 2 * theirs + 1e-7
    # each to about 1e-7 of the norms, so the two products to a few times that
    size = float(y.norm() * v.norm())
    assert abs(float(y.double() @ v.double() - u.double() @ r.double())) < 1e-6 * size


def test_rows_do_not_depend_on_the_range_or_the_tile():
    u, P = draw(200), blocks(200)
    whole = products.matvec(P, u, Span(0, 20000))
    assert torch.equal(products.matvec(P, u, Span(4099, 12345)), whole[4099:12345])
    for numbers in (1 << 11, 1 << 13):
        out = torch.empty_like(whole)
        fastfood.write(P, u, fastfood.table_of(P, [Laid(out, 0)], numbers))
        assert torch.equal(out, whole)


def _orthogonal(P, u, span):
    """Rows of H G Pi H B with G = +-1: G's words are made as B's are."""
    n, group = P.n, P.n * reference.lanes(P.n)
    groups = range(span.start // group, -(-span.stop // group))
    diag = reference.diagonals(blocks(P.d), groups, u.dtype, u.device)
    as_b = P._replace(kind="fastfood", keys=(G, PI, G))
    g = reference.diagonals(as_b, groups, u.dtype, u.device).signs
    x = torch.zeros(n, dtype=u.dtype, device=u.device)
    x[: P.d] = u
    y = reference.fwht(diag.signs * x[:, None])
    y = reference.fwht(y.gather(1, diag.order[:, :, None].expand_as(y)) * g).view(-1)
    return y[span.start - groups.start * group : span.stop - groups.start * group]


@pytest.mark.parametrize("d", [1, 50, 1024, 3000])
def test_orthogonal_blocks_have_signs_for_g(d):
    P, span, u = blocks(d, "orthogonal"), Span(501, 6000), draw(d)
    y = products.matvec(P, u, span)
    assert torch.equal(y, _orthogonal(P, u, span))
    v = draw(5499, seed=1)
    r = products.rmatvec(P, v, span)
    gap = abs(float(y.double() @ v.double() - u.double() @ r.double()))
    assert gap < 1e-6 * float(y.norm() * v.norm())


def test_a_whole_orthogonal_block_keeps_lengths():
    n = 256
    u = draw(n)
    y = products.matvec(blocks(n, "orthogonal"), u, Span(0, n * reference.lanes(n)))
    lengths = y.view(n, -1).norm(dim=0) / n
    torch.testing.assert_close(lengths, u.norm().expand_as(lengths))


# Pieces


SCALES = (0.5, 1.0, 2.0, 1.0, 1.0)


def _pieces(dtype):
    """Five tensors of a model: neighbours, a gap, a start that no wide load could take."""
    layout = ((0, 8192), (8192, 4096), (20000, 16), (20016, 7), (30001, 5000))
    return [Laid(torch.empty(size, dtype=dtype, device=DEVICE), start, draw(size, dtype, start), c)
            for (start, size), c in zip(layout, SCALES, strict=True)]  # fmt: skip


def _span(p):
    return Span(p.start, p.start + len(p.tensor))


def _same(theta, expected):
    if theta.dtype == torch.bfloat16 and DEVICE == "cpu":
        # the interpreter cuts a float32 off where a GPU rounds it to the nearest bfloat16
        return (as_short(theta) - as_short(expected)).abs().max() <= 1
    return torch.equal(theta, expected)


def as_short(x):
    return x.view(torch.int16).int()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("in_place", [False, True])
def test_theta_is_written_in_its_dtype_and_rounded_once(dtype, in_place):
    u, P, pieces = draw(100), blocks(100), _pieces(dtype)
    expected = [p.base + p.scale * reference.matvec(P, u, _span(p)) for p in pieces]
    if in_place:
        pieces = [p._replace(tensor=p.base) for p in pieces]
    fastfood.write(P, u, fastfood.table_of(P, pieces))
    assert all(_same(p.tensor, e.to(dtype)) for p, e in zip(pieces, expected, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_many_tensors_fold_in_one_launch_and_the_same_bits(dtype):
    P = blocks(100)
    pieces = [Laid(p.base, p.start, scale=p.scale) for p in _pieces(dtype)]
    table = fastfood.table_of(P, pieces)
    r = fastfood.fold(P, table)
    assert torch.equal(r, fastfood.fold(P, table))
    total = {
        kind: sum(reference.rmatvec(P, p.scale * p.tensor.to(kind), _span(p)) for p in pieces)
        for kind in (torch.float32, torch.float64)
    }
    exact = total[torch.float64]
    assert error(r, exact) <= 2 * error(total[torch.float32], exact) + 1e-7


def test_a_table_keeps_its_tensors():
    P, v = blocks(10), draw(5000)
    table = fastfood.table_of(P, [Laid(v.clone(), 0)])
    waste = [torch.full((5000,), 1e30, device=DEVICE) for _ in range(8)]
    assert torch.equal(fastfood.fold(P, table), products.rmatvec(P, v, Span(0, 5000)))
    del waste


def test_wide_loads_are_used_only_where_they_are_legal():
    P = blocks(16)
    aligned, odd = torch.empty(64, device=DEVICE), torch.empty(65, device=DEVICE)[1:]
    assert fastfood.table_of(P, [Laid(aligned, 32)]).is_aligned
    assert not fastfood.table_of(P, [Laid(aligned, 33)]).is_aligned
    assert not fastfood.table_of(P, [Laid(odd, 32)]).is_aligned


# Sparse


def even(D, d):
    return Map("sparse", D, d, round(D**0.5), (bits.key(7, "sparse"),))


@pytest.mark.parametrize(("D", "d", "start", "rows"), [
    (1, 1, 0, 1), (400, 1, 0, 400), (700, 30, 11, 679), (90, 90, 0, 90),
    (1 << 33, 300, 1 << 32, 200_000),
])  # fmt: skip
def test_sparse_makes_the_references_entries(D, d, start, rows):
    P, span = even(D, d), Span(start, start + rows)
    u, v = draw(d), draw(rows, seed=1)
    y = products.matvec(P, u, span)
    r = products.rmatvec(P, v, span)
    exact = reference.matvec(P, u.double(), span)
    assert torch.equal(y == 0, exact == 0)
    torch.testing.assert_close(y.double(), exact, rtol=1e-6, atol=1e-6)
    exact = reference.rmatvec(P, v.double(), span)
    torch.testing.assert_close(r.double(), exact, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("D", [1, 2, 5, 17, 997, 1000])
def test_every_row_is_in_its_sparse_block(D):
    cut = sparse.Blocks(D, round(D**0.5))
    for row in range(D):
        b = cut.cell(row)
        assert b * D // cut.blocks <= row < (b + 1) * D // cut.blocks


@pytest.mark.parametrize("dtype", DTYPES)
def test_sparse_theta_is_written_in_its_dtype(dtype):
    P, base, u = even(600, 40), draw(500, dtype), draw(40)
    theta = torch.empty_like(base)
    table = sparse.table_of(P, [Laid(theta, 50, base, 0.2)])
    sparse.write(P, u, table)
    delta = reference.matvec(P, u.double(), Span(50, 550)) * 0.2
    step = {torch.float32: 1e-6, torch.bfloat16: 2**-7, torch.float16: 2**-10}[dtype]
    torch.testing.assert_close(theta.double(), base.double() + delta, rtol=step, atol=step)
    assert torch.equal(sparse.fold(P, table), sparse.fold(P, table))


# One non-zero a row

ROW_KEYS = bits.key(7, "onehot/Pi"), bits.key(7, "onehot/sign")


@pytest.mark.parametrize(
    ("D", "d", "start", "rows"),
    [(700, 10, 0, 700), (5000, 300, 700, 2000), (1000, 1000, 0, 1000), (4096, 256, 256, 1024),
     (100, 7, 0, 100), (FAR, 50, FAR - 900, 900), (FAR, 50, 1 << 33, 600)],
)  # fmt: skip
def test_onehot_has_the_references_bits_and_its_accuracy(D, d, start, rows):
    P = Map("onehot", D, d, max(256, reference.next_pow2(d)), ROW_KEYS)
    x, v, span = draw(d), draw(rows, seed=1), Span(start, start + rows)
    assert torch.equal(products.matvec(P, x, span), reference.matvec(P, x, span))
    for given in (v, v.bfloat16()):
        exact = reference.rmatvec(P, given.double(), span)
        assert error(products.rmatvec(P, given, span), exact) < 1e-6


# Behind a projection


@pytest.fixture
def forced(monkeypatch):
    monkeypatch.setenv("IDIM_KERNELS", "triton")
    kernels._chosen.cache_clear()
    yield
    kernels._chosen.cache_clear()


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        pytest.param(k, d, marks=[] if d == DTYPES[0] or k == "fastfood" else pytest.mark.slow)
        for k in KINDS
        for d in DTYPES
    ],
)
def test_a_subspace_holds_the_references_weights_on_triton(kind, dtype, forced, monkeypatch):
    def train():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(60, 30), torch.nn.Linear(30, 2)).to(DEVICE, dtype)
        sub = Subspace(net, d=40, projection=kind, norm="tensor", seed=2)
        optimizer = torch.optim.SGD(sub.parameters(), lr=0.01)
        net(torch.ones(4, 60, device=DEVICE, dtype=dtype)).float().square().sum().backward()
        gradient = sub.theta_d.grad.clone()
        optimizer.step()
        sub.theta_d.data.copy_(torch.linspace(-1, 1, 40))
        sub.refresh()
        return gradient, [p.detach().clone() for p in net.parameters()]

    assert kernels.choose(torch.device(DEVICE), torch.float32) is products
    ours = train()
    monkeypatch.setenv("IDIM_KERNELS", "reference")
    theirs = train()
    assert error(ours[0], theirs[0].double()) < 1e-5
    for a, b in zip(ours[1], theirs[1], strict=True):
        if kind == "sparse":  # sums of a row's entries in another order
            torch.testing.assert_close(a, b)
        else:
            assert _same(a, b)


@pytest.mark.parametrize("kind", ["fastfood", "orthogonal"])
def test_longer_columns_than_the_kernels_take_are_the_references(kind, forced, monkeypatch):
    P = PROJECTIONS[kind](30_000, gpu.LONGEST + 1, 0)
    x = draw(P.d)
    ours = P.matvec(x), P.rmatvec(P.matvec(x))
    monkeypatch.setenv("IDIM_KERNELS", "reference")
    assert torch.equal(P.matvec(x), ours[0])
    assert torch.equal(P.rmatvec(ours[0]), ours[1])


@pytest.mark.parametrize("part", ["matvec", "rmatvec", "write"])
def test_the_door_is_that_of_all_kernels(part):
    assert getattr(products, part).__annotations__ == getattr(Kernels, part).__annotations__


def negated(kernel, launched):
    launched[kernel.arg_names.index("PARTIAL")].neg_()


def refused(kernel, launched):
    raise RuntimeError("no kernel image is available\nfor this device")


@pytest.mark.parametrize(
    ("kernel", "done", "line"),
    [
        (onehot._matvec, refused, "onehot fails (RuntimeError: no kernel image is available)"),
        (sparse._fold, negated, "sparse rmatvec differs from the reference's"),
    ],
    ids=["fails", "differs"],
)
def test_kernels_that_are_wrong_here_are_not_used(kernel, done, line, forced, monkeypatch):
    """Triton, its compiler or the driver, does one of the kernels wrong."""
    launch = type(kernel).run

    def run(self, *args, **how):
        launch(self, *args, **how)
        if self is kernel:
            done(self, args)

    monkeypatch.setattr(type(kernel), "run", run)
    products.what_fails.cache_clear()
    try:
        with pytest.raises(kernels.Unavailable, match=re.escape(f"but their {line}; unset it")):
            kernels.choose(torch.device(DEVICE), torch.float32)
    finally:
        products.what_fails.cache_clear()


# The rest


def test_describe_says_what_runs_and_where():
    line = gpu.describe()
    assert line.startswith("triton ")
    assert "16,384" in line
    assert gpu.why_not() is None


def test_without_triton_or_a_gpu_it_says_so(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.describe() == "triton: not in use, no CUDA device"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert gpu.describe() == "triton: not in use, triton is not installed"


@pytest.mark.slow
def test_every_kernel_compiles_for_a_hopper_gpu(tmp_path):
    """The interpreter accepts programs that the compiler refuses."""
    script = Path(__file__).parent / "compile_triton.py"
    env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    env |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(script.parent.parent)}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
