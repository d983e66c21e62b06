"""Fused CPU kernels (fused/) through ctypes: `reference` again, with the same bits of P.

P theta_d comes out equal to the reference to the last bit.  The adjoint adds the same numbers in
another order, fixed by the rows alone: neither threads nor instruction sets change a bit of it.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import Tensor

from idim.kernels import reference
from idim.kernels.bits import gaussian_table
from idim.kernels.map import Map, Piece, Span
from idim.kernels.reference import lanes

# Must equal idim_version() in fused/fused.c: a library built from other sources is refused.
VERSION = 2
DTYPES = {torch.float32: 0, torch.bfloat16: 1}
# As numbered in fused/cells.h.
KINDS = ("fastfood", "orthogonal", "onehot", "sparse")


class _Map(ctypes.Structure):
    """`Map` of fused/cells.h: an unscaled P."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("n", ctypes.c_int32),
        ("d", ctypes.c_int32),
        ("lanes", ctypes.c_int32),
        ("D", ctypes.c_int64),
        ("count", ctypes.c_int64),
        ("keys", ctypes.c_uint32 * 4 * 3),
        ("table", ctypes.c_void_p),
    )


class _Piece(ctypes.Structure):
    """`Piece` of fused/fused.c."""

    _fields_ = (
        ("theta", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("start", ctypes.c_int64),
        ("stop", ctypes.c_int64),
        ("scale", ctypes.c_float),
        ("dtype", ctypes.c_int32),
    )


def why_not() -> str:
    """Say why these kernels cannot run here; empty if they can."""
    return _load()[1]


def describe() -> str:
    """Name the kernels and the instruction set in use."""
    return f"cpu (fused C, {use_isa(None)})"


def use_isa(name: str | None) -> str | None:
    """Switch to an instruction set (the best one for None); None if this machine lacks it."""
    used = _library().idim_isa(name.encode() if name else None)
    return used.decode() if used else None


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    paths = (Path(__file__).with_name(f"_fused{suffix}") for suffix in EXTENSION_SUFFIXES)
    path = next((p for p in paths if p.exists()), None)
    if path is None:
        return None, "the C kernels were not built when idim was installed (no C compiler?)"
    try:
        library = ctypes.CDLL(str(path))
        version = library.idim_version()
    except (OSError, AttributeError) as e:
        return None, f"the C kernels do not load ({e})"
    if version != VERSION:
        return None, "the C kernels were built from another version of idim"
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.idim_isa.argtypes, library.idim_isa.restype = (ctypes.c_char_p,), ctypes.c_char_p
    library.idim_write.argtypes = (pointer, pointer, pointer, number, ctypes.c_int)
    library.idim_fold.argtypes = (
        pointer, pointer, ctypes.c_int, number, number, pointer, ctypes.c_int
    )  # fmt: skip
    library.idim_use_team.argtypes = (pointer,)
    library.idim_isa(None)
    library.idim_use_team(_team())
    return library, ""


def _team() -> int | None:
    """Return the address of GOMP_parallel in the OpenMP library that torch has loaded, if any."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    loaded = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "omp" in line}
    for path in sorted(p for p in loaded if p.startswith(str(Path(torch.__file__).parent))):
        try:
            entry = ctypes.CDLL(path).GOMP_parallel
        except (OSError, AttributeError):  # a library of another name, or of another kind
            continue
        return ctypes.cast(entry, ctypes.c_void_p).value
    return None


def _library() -> ctypes.CDLL:
    library, reason = _load()
    if library is None:
        raise RuntimeError(reason)
    return library


def matvec(P: Map, theta_d: Tensor, rows: Span) -> Tensor:
    """Return rows of P theta_d, float32."""
    out = torch.empty(rows.stop - rows.start)
    _call_write(P, [_Piece(out.data_ptr(), None, *rows, 1.0, 0)] if out.numel() else [], theta_d)
    return out


def rmatvec(P: Map, v: Tensor, rows: Span) -> Tensor:
    """Return the adjoint of the same rows: float32, from float32 or bfloat16 v."""
    if rows.start == rows.stop:
        return torch.zeros(P.d)
    v = (v if v.dtype in DTYPES else v.float()).contiguous()
    total, m = torch.empty(P.d), _struct(P)
    threads = torch.get_num_threads()
    call: Callable[..., int] = _library().idim_fold
    _check(call(ctypes.byref(m), v.data_ptr(), DTYPES[v.dtype], *rows, total.data_ptr(), threads))
    return total


def write(P: Map, pieces: Sequence[Piece], theta_d: Tensor) -> None:
    """Write theta_0 + scale * P theta_d into each piece, in one pass over theta_0 and theta."""
    fused = [p for p in pieces if p.theta.dtype in DTYPES and p.theta.numel()]
    _call_write(P, [_piece(p) for p in fused], theta_d)
    # float16 and float64 parameters: rare on a CPU
    others = [p for p in pieces if p.theta.dtype not in DTYPES]
    reference.write_by(others, lambda rows: matvec(P, theta_d, rows))


@lru_cache(maxsize=256)
def _struct(P: Map) -> _Map:
    m = _Map(kind=KINDS.index(P.kind), d=P.d, D=P.D, table=_upper_table().data_ptr())
    if P.kind == "sparse":
        m.count = P.n
    else:
        m.n, m.lanes = P.n, lanes(P.n)
    for i, k in enumerate(P.keys):
        m.keys[i][:] = k
    return m


@cache
def _upper_table() -> Tensor:
    table = gaussian_table(torch.float32, torch.device("cpu"))
    return table[table.numel() // 2 :].contiguous()


def _piece(p: Piece) -> _Piece:
    for t in (p.theta, p.theta_0):
        assert (t.dtype, t.shape, t.device.type) == (p.theta.dtype, p.theta.shape, "cpu")
        assert t.is_contiguous()
    address = p.theta.data_ptr(), p.theta_0.data_ptr()
    return _Piece(*address, p.start, p.stop, p.scale, DTYPES[p.theta.dtype])


def _call_write(P: Map, pieces: list[_Piece], theta_d: Tensor) -> None:
    if not pieces:
        return
    m = _struct(P)
    x = torch.zeros(max(m.n, m.d) + 16)  # padded to n, and to whole vectors
    x[: m.d] = theta_d
    array = (_Piece * len(pieces))(*pieces)
    call = _library().idim_write
    _check(call(ctypes.byref(m), x.data_ptr(), array, len(array), torch.get_num_threads()))


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("the CPU kernels found no memory for one block of rows.")
