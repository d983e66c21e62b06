"""Build the fused CPU kernels; all else about the package is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

# Not a Python module: idim/kernels/cpu.py loads it with ctypes, so one build serves every Python.
# Without a C compiler the installation goes on, and the reference kernels run.
kernels = Extension(
    "idim.kernels._fused",
    sources=["idim/kernels/fused/fused.c"],
    depends=sorted(str(p) for p in Path("idim/kernels/fused").glob("*.h")),
    # no contraction to fused multiply-adds: sums must be those of the reference to the bit
    extra_compile_args=["-std=c11", "-O3", "-g0", "-ffp-contract=off", "-Wno-psabi", "-pthread"],
    extra_link_args=["-pthread"],
    optional=True,
    py_limited_api=True,
)
setup(ext_modules=[kernels], options={"bdist_wheel": {"py_limited_api": "cp311"}})
