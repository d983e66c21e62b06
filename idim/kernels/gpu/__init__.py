"""Fused Triton kernels: P theta_d straight into theta, gradients straight into theta_d's.

Importable without triton; `why_not` says whether `gpu.fastfood` and `gpu.sparse` can be.  Both
write theta = theta_0 + P theta_d into many tensors in one launch, and fold many gradients in one,
with sums in float32 and in a fixed order.
"""

import importlib.util
import os

import torch

# The longest column that Fastfood's kernels take, the next power of two of d; beyond it the
# reference serves.
LONGEST = 1 << 14


def why_not() -> str | None:
    """Say why the kernels cannot run here, None if they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return None
    if not torch.cuda.is_available():
        return "no CUDA device"
    if torch.cuda.get_device_capability() < (8, 0):
        return f"{torch.cuda.get_device_name()} is older than compute capability 8.0"
    return None


def describe() -> str:
    """Say in one line what runs and on what, or why nothing does."""
    reason = why_not()
    if reason is not None:
        return f"triton: not in use, {reason}"
    import triton

    is_real = os.environ.get("TRITON_INTERPRET") != "1"
    where = torch.cuda.get_device_name() if is_real else "its interpreter, for tests"
    return (
        f"triton {triton.__version__} on {where}: Fastfood up to d = {LONGEST:,} "
        "(beyond it the reference), sparse"
    )
