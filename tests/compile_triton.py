"""Compile every Triton kernel for an H100 (sm_90), which needs no GPU; print what each uses.

Run by test_triton.py in a process of its own, since the interpreter is chosen at import.
"""

import sys

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from idim.kernels.gpu import fastfood, fastfood_device, onehot, pieces, sparse

SHARED = 227 * 1024  # bytes of shared memory that one program may use on an H100
TYPES = {
    "S": "i32", "tiles": "i32", "d": "i32", "D": "i64", "count": "i32", "most": "i32",
    "scale": "fp32",
    "start": "i64", "stop": "i64", "low": "i64", "high": "i64", "KEYS": "*i32", "PIECES": "*i64",
}  # fmt: skip


def compile_for_hopper(kernel, constants, warps=4, registers=None):
    """Compile one kernel; arguments that are not constants have a type of TYPES or *fp32."""
    types = {
        a: TYPES.get(a, "*fp32") if a not in constants else "constexpr" for a in kernel.arg_names
    }
    wide = {(i,): [["tt.divisibility", 16]] for i, t in enumerate(types.values()) if t[0] == "*"}
    options = {"num_warps": warps, "maxnreg": registers, **pieces.EXACT}
    return triton.compile(
        ASTSource(kernel, signature=types, constexprs=constants, attrs=wide),
        target=GPUTarget("cuda", 90, 32),
        options={k: v for k, v in options.items() if v is not None},
    )


def cases(sizes):
    """Name every kernel with its constants."""
    common = {"S2": 64, "dtype": tl.bfloat16, "IS_ALIGNED": True}
    for n in sizes:
        for is_orthogonal in (True, False):
            cut = fastfood.tile(n)
            constants = {**common, **cut._asdict(), "IS_ORTHOGONAL": is_orthogonal}
            registers = fastfood.REGISTERS if cut.warps == 16 else None
            name = f"n={n} orthogonal={is_orthogonal}"
            yield (f"write {name}", fastfood_device.write, constants | {"HAS_BASE": True},
                   cut.warps, registers)  # fmt: skip
            yield f"fold {name}", fastfood_device.fold, constants, cut.warps, None
    yield "total", pieces._total, {"P": 256, "BLOCK": 32}, 4, None
    yield ("sparse write", sparse._write,
           {**common, "HAS_BASE": True, "LOG_CHUNK": 10, "ROWS": sparse.ROWS}, 4, None)  # fmt: skip
    blocks = {"n": 1024, "SHIFT": 5}
    yield "onehot matvec", onehot._matvec, {**blocks, "BLOCK": onehot.BLOCK}, 4, None
    yield "onehot rmatvec", onehot._rmatvec, {**blocks, "COLUMNS": onehot.COLUMNS}, 4, None
    yield "sparse fold", sparse._fold, {**common, "COLUMNS": sparse.COLUMNS}, 4, None


def main():
    """Compile all, or the block sizes given."""
    for name, kernel, constants, warps, registers in cases(
        [int(a) for a in sys.argv[1:]] or [8, 1024]
    ):
        shared = compile_for_hopper(kernel, constants, warps, registers).metadata.shared
        print(f"{name}: {warps} warps, {shared} bytes of shared memory")
        assert shared <= SHARED, name


if __name__ == "__main__":
    main()
