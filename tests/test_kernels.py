"""Fused kernels against the reference: equal products, adjoints as exact, on any machine."""

import logging
import re
import shutil
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch
from installed import beside

from idim import kernels
from idim.errors import IdimError
from idim.kernels import cpu, reference
from idim.kernels.map import KINDS, Kernels
from idim.projection import PROJECTIONS, Piece
from idim.subspace import Subspace

# lanes(n) from 16 to 1, n = 1, d a power of two or not, several kinds of last window
SIZES = (
    *((5000, 1), (70_000, 3), (70_001, 128), (70_003, 200), (100_003, 1000), (200_000, 5000)),
    *((300_001, 10_000), (300_000, 30_000), (400_007, 100_000)),
)
needs_cpu = pytest.mark.skipif(bool(cpu.why_not()), reason=cpu.why_not() or "-")


@pytest.fixture
def force(monkeypatch):
    def force(name):
        monkeypatch.setenv("IDIM_KERNELS", name)

    return force


@pytest.fixture
def no_library(monkeypatch):
    """A machine that loads no extension; why it does not."""

    def fails(path):
        raise OSError("wrong ELF class")

    monkeypatch.setattr("ctypes.CDLL", fails)
    monkeypatch.delenv("IDIM_KERNELS", raising=False)
    caches = (cpu._load, kernels._chosen)
    for cache in caches:
        cache.cache_clear()
    yield cpu.why_not()
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def make(kind, D, d, seed=3):
    """A P that never goes by way of a kept matrix."""
    P = PROJECTIONS[kind](D, d, seed)
    P.keep_entries = 0
    return P


def pieces_of(P, dtype):
    """Tensors at odd offsets: tiny ones side by side, a gap, a long one, the last row."""
    cuts = (1, 3), (3, 4), (4, 700), (P.D // 2 + 5, P.D - 9), (P.D - 1, P.D)
    theta = [torch.empty(b - a, dtype=dtype) for a, b in cuts]
    return [
        Piece(t, draw(t.numel(), seed=i, dtype=dtype), a, 0.3 * (i + 1))
        for i, (t, (a, _)) in enumerate(zip(theta, cuts, strict=True))
    ]


@needs_cpu
@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
@pytest.mark.parametrize(("D", "d"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_products_equal_the_reference_on_every_instruction_set(kind, D, d, isa, force):
    P, u = make(kind, D, d), draw(d)
    force("reference")
    expected = P.matvec(u)
    force("cpu")
    if cpu.use_isa(isa) != isa:
        pytest.skip(f"this machine has no {isa}")
    try:
        assert torch.equal(P.matvec(u), expected)
        assert torch.equal(P.matvec(u, 7, D - 11), expected[7:-11])
    finally:
        cpu.use_isa(None)


@needs_cpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(("D", "d"), SIZES[::2])
@pytest.mark.parametrize("kind", KINDS)
def test_writing_in_place_equals_the_reference(kind, D, d, dtype, force):
    P, u = make(kind, D, d), draw(d)
    written = {}
    for name in ("reference", "cpu"):
        force(name)
        written[name] = pieces_of(P, dtype)
        P.write(u, written[name])
    for ours, theirs in zip(written["cpu"], written["reference"], strict=True):
        assert torch.equal(ours.theta, theirs.theta)
    last = written["cpu"][-1]
    expected = last.theta_0 + P.matvec(u, D - 1, D) * last.scale
    assert torch.equal(last.theta, expected.to(dtype))


@needs_cpu
@pytest.mark.parametrize("kind", KINDS)
def test_theta_may_be_its_own_theta_0(kind, force):
    force("cpu")
    P, u = make(kind, 100_003, 1000), draw(1000)
    theta_0 = draw(P.D, seed=1)
    theta = theta_0.clone()
    P.write(u, [Piece(theta, theta, 0, 0.5)])
    assert torch.equal(theta, theta_0 + P.matvec(u) * 0.5)


@needs_cpu
def test_bfloat16_is_rounded_as_torch_does_it(force):
    force("cpu")
    odd = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, 3.3895e38, 1.00390625]
    theta_0 = torch.tensor(odd * 500).bfloat16()
    P, u = make("fastfood", 4000, 8), draw(8) * 1e-2
    theta = torch.empty_like(theta_0)
    P.write(u, [Piece(theta, theta_0, 0, 1.0)])
    expected = (theta_0.float() + P.matvec(u)).bfloat16()
    torch.testing.assert_close(theta, expected, rtol=0, atol=0, equal_nan=True)


@needs_cpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("D", "d"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_adjoint_is_as_exact_as_the_reference(kind, D, d, dtype, force):
    P, errors = make(kind, D, d), {"reference": 0.0, "cpu": 0.0}
    for seed in range(max(1, 64 // d)):  # the error of few sums is all luck
        v = draw(D - 18, seed=seed, dtype=dtype)
        truth = P.rmatvec(v.double(), 7, D - 11)
        for name in errors:
            force(name)
            errors[name] += (P.rmatvec(v, 7, D - 11) - truth).square().sum()
    assert errors["cpu"] <= 4 * errors["reference"]


@needs_cpu
@pytest.mark.parametrize(("D", "d"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_neither_threads_nor_instruction_sets_change_a_bit(kind, D, d, force, threads):
    force("cpu")
    P, v = make(kind, D, d), draw(D)
    folded = []
    for count in (1, 2, 5):
        threads(count)
        folded.append(P.rmatvec(v))
    for isa in ("generic", "avx2", "avx512"):
        if cpu.use_isa(isa):
            folded.append(P.rmatvec(v))
    cpu.use_isa(None)
    assert all(torch.equal(f, folded[0]) for f in folded)


@pytest.mark.parametrize("name", ["reference", "cpu"])
@pytest.mark.parametrize("kind", PROJECTIONS)
def test_16_bit_gradients_are_folded_in_float32(kind, name, force):
    if name == "cpu" and cpu.why_not():
        pytest.skip(cpu.why_not())
    force(name)
    P = make(kind, 20_000, 50)
    for dtype in (torch.bfloat16, torch.float16):
        v = draw(P.D, dtype=dtype)
        assert P.rmatvec(v).dtype == torch.float32
        assert torch.equal(P.rmatvec(v), P.rmatvec(v.float()))


@needs_cpu
@pytest.mark.parametrize("structure", ["did", "said"])
def test_a_subspace_holds_the_same_weights_under_both(structure, force):
    weights = {}
    for name in ("reference", "cpu"):
        force(name)
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(300, 400), torch.nn.Linear(400, 3)).bfloat16()
        sub = Subspace(net, d=2000, structure=structure, norm="tensor", seed=1)
        sub.theta_d.data.copy_(draw(sub.theta_d.numel()))
        sub.refresh()
        weights[name] = [p.detach().clone() for p in net.parameters()]
    for ours, theirs in zip(weights["cpu"], weights["reference"], strict=True):
        assert torch.equal(ours, theirs)


def test_without_the_library_one_line_says_so_and_the_reference_runs(no_library, caplog):
    with caplog.at_level(logging.WARNING):
        first = make("fastfood", 3000, 10).matvec(draw(10))
        assert torch.equal(make("fastfood", 3000, 10).matvec(draw(10)), first)
    assert [r.message for r in caplog.records] == [
        f"kernels: the slower reference runs, as {no_library}."
    ]
    assert kernels.describe() == f"reference (plain torch); {no_library}"


def test_kernels_that_cannot_run_are_refused_at_once(no_library, force, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)  # conftest.py sets it
    for name, message in (
        ("cpu", f"IDIM_KERNELS=cpu, but {no_library}; reinstall"),
        ("fast", "unknown IDIM_KERNELS=fast; known: reference, cpu, triton"),
        ("triton", "IDIM_KERNELS=triton, but Triton's kernels run on a GPU"),
    ):
        force(name)
        with pytest.raises(IdimError, match=re.escape(message)):
            Subspace(torch.nn.Linear(9, 9), d=3)
        assert message in kernels.describe()


def test_a_library_that_is_missing_or_spoilt_is_refused(tmp_path):
    there = beside(cpu.__file__, tmp_path)
    missing = "the C kernels were not built when idim was installed (no C compiler?)"
    assert there.why_not() == missing
    (tmp_path / f"_fused{EXTENSION_SUFFIXES[0]}").write_bytes(b"spoilt")
    assert there.why_not() == missing  # looked for once
    assert beside(cpu.__file__, tmp_path).why_not().startswith("the C kernels do not load (")


@needs_cpu
def test_a_library_of_another_version_is_refused(tmp_path):
    built = next(Path(cpu.__file__).parent.glob("_fused*"))
    shutil.copy(built, tmp_path)
    assert beside(cpu.__file__, tmp_path).why_not() == ""
    newer, count = re.subn(r"(?m)^VERSION = ", r"\g<0>1 + ", Path(cpu.__file__).read_text())
    assert count == 1
    (tmp_path / "cpu.py").write_text(newer)
    reason = "the C kernels were built from another version of idim"
    assert beside(cpu.__file__, tmp_path).why_not() == reason


def test_forced_kernels_are_the_ones_that_run(force):
    device = torch.device("cpu")
    force("reference")
    assert kernels.choose(device, torch.float32) is reference
    assert kernels.describe() == "reference (plain torch); IDIM_KERNELS=reference"
    if not cpu.why_not():
        force("cpu")
        assert kernels.choose(device, torch.float32) is cpu
        assert kernels.choose(device, torch.float64) is reference
        with pytest.raises(kernels.Unavailable, match="cannot run on cuda"):
            kernels.choose(torch.device("cuda"), torch.float32)


@pytest.mark.parametrize("part", ["matvec", "rmatvec", "write"])
def test_all_kernels_have_one_door(part):
    expected = dict(getattr(Kernels, part).__annotations__)
    for module in (reference, cpu):
        assert getattr(module, part).__annotations__ == expected


def test_a_gpu_without_triton_gets_the_reference_and_one_line(monkeypatch, caplog):
    monkeypatch.delenv("IDIM_KERNELS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    kernels._chosen.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert kernels.choose(torch.device("cuda"), torch.float32) is reference
    kernels._chosen.cache_clear()
    assert [r.message for r in caplog.records] == [
        "kernels: the slower reference runs, as triton is not installed."
    ]
    assert kernels.describe("cuda") == "reference (plain torch); triton is not installed"
