"""Check and time what ships on a CUDA GPU, from products to training steps: JSON lines to stdout.

    python scripts/bench_gpu.py                  # all of it, some ten minutes on an H100
    python scripts/bench_gpu.py check products   # some parts: check, products, tune, steps, large
    TRITON_INTERPRET=1 python scripts/bench_gpu.py --rehearse   # tiny sizes, no GPU: a test

Not measured yet: this script has run in rehearsal only, so no number of it is published.

Everything goes by way of `Projection` and `Subspace`, as a training does, but for `tune`, which
gives the kernels other constants.  Yardsticks are measured in the same run: `copy_gb_s` is what
`dst.copy_(src)` moves, read and written; `over_copy` is a product's time over the time to move its
bytes at that rate (write: read theta_0, write theta; adjoint: read the gradient).  `over_full` is a
subspace step over the fused AdamW step of the same model, batch and precision.  Times are medians
of device events, with what the host adds where it is the slower.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from idim import Subspace, kernels
from idim.kernels.map import KINDS
from idim.projection import PROJECTIONS, Fastfood, Orthogonal, Piece, Projection

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
ROBERTA_LARGE: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "vocab_size": 50265, "max_position_embeddings": 514,
    "type_vocab_size": 1,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "vocab_size": 100,
}  # fmt: skip


def say(part: str, **fields: Any) -> None:
    print(json.dumps({"part": part, **fields}), flush=True)


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Make projections use some kernels."""
    before = os.environ.get(kernels.VARIABLE, "")
    os.environ[kernels.VARIABLE] = name
    try:
        yield
    finally:
        os.environ[kernels.VARIABLE] = before


def milliseconds(run: Callable[[], object], repeats: int, warmup: int = 3) -> float:
    """Median time of a call on the device, after some that are not counted."""
    for _ in range(warmup if CUDA else 0):
        run()
    if not CUDA:
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    times = []
    for _ in range(repeats):
        before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        before.record()
        run()
        after.record()
        after.synchronize()
        times.append(before.elapsed_time(after))
    return statistics.median(times)


# check: every product against float64


def relative(x: Tensor, exact: Tensor) -> float:
    return float((x.double() - exact).norm() / exact.norm().clamp_min(1e-300))


def check(rows: int, dims: Iterable[int]) -> None:
    """Errors against float64 beside the reference's own in float32; forward bits against it.

    The sparse P may sum a row's entries in another order than the reference.
    """
    span = (1000, 1000 + rows)
    for kind in KINDS:
        for d in dims:
            P = PROJECTIONS[kind](4 * rows, d, 0)
            u, v = torch.randn(d, device=DEVICE), torch.randn(rows, device=DEVICE)
            y, r = P.matvec(u, *span), P.rmatvec(v, *span)
            with forced("reference"):
                theirs = P.matvec(u, *span), P.rmatvec(v, *span)
                exact = P.matvec(u.double(), *span), P.rmatvec(v.double(), *span)
            gap = y.double() @ v.double() - u.double() @ r.double()
            say("check", kind=kind, d=d, rows=rows, same_bits=torch.equal(y, theirs[0]),
                error=relative(y, exact[0]), reference_error=relative(theirs[0], exact[0]),
                adjoint_error=relative(r, exact[1]),
                reference_adjoint_error=relative(theirs[1], exact[1]),
                adjoint_repeats=torch.equal(r, P.rmatvec(v, *span)),
                inner_product_gap=float(gap.abs() / (y.double().norm() * v.double().norm())),
                )  # fmt: skip
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            check_dtype(kind, PROJECTIONS[kind](4 * rows, max(dims), 0), span, dtype)


def check_dtype(kind: str, P: Projection, span: tuple[int, int], dtype: torch.dtype) -> None:
    """Check theta in its dtype: the reference's sum rounded once; gradients summed in float32."""
    u = torch.randn(P.d, device=DEVICE)
    theta_0, v = torch.randn(2, span[1] - span[0], device=DEVICE).to(dtype)
    theta = torch.empty_like(theta_0)
    P.write(u, [Piece(theta, theta_0, span[0], 1.0)])
    r = P.rmatvec(v, *span)
    with forced("reference"):
        single = P.matvec(u, *span), P.rmatvec(v, *span)
        exact = P.matvec(u.double(), *span), P.rmatvec(v.double(), *span)
    say("check", kind=kind, d=P.d, dtype=name_of(dtype),
        same_bits=torch.equal(theta, (theta_0 + single[0]).to(dtype)),
        error=relative(theta, theta_0.double() + exact[0]),
        adjoint_error=relative(r, exact[1]),
        reference_adjoint_error=relative(single[1], exact[1]))  # fmt: skip


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# products: time against the copy bandwidth


def copy_rate(size: int) -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.empty(size // 4, device=DEVICE)
    target = torch.empty_like(source)
    ms = milliseconds(lambda: target.copy_(source), 30)
    rate = 2 * 4 * source.numel() / ms * 1e3
    say("copy", bytes=2 * 4 * source.numel(), ms=ms, copy_gb_s=rate / 1e9)
    return rate


def cut_up(theta: Tensor, theta_0: Tensor, sizes: list[int]) -> list[Piece]:
    """Pieces of these sizes, one after the other."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    parts = zip(theta.split(sizes), theta_0.split(sizes), starts, strict=True)
    return [Piece(part, base, start, 1.0) for part, base, start in parts]


def products(sizes: dict[str, list[int]], dims: Iterable[int], rate: float) -> None:
    """Theta written and gradients folded, over the tensors of a model."""
    for name, tensors in sizes.items():
        D = sum(tensors)
        for dtype in (torch.bfloat16, torch.float32):
            theta_0 = torch.randn(D, device=DEVICE).to(dtype)
            pieces = cut_up(torch.empty_like(theta_0), theta_0, tensors)
            copy = D * theta_0.element_size() / rate * 1e3  # ms to move D numbers one way
            for kind in KINDS:
                for d in dims:
                    P, u = PROJECTIONS[kind](D, d, 0), torch.randn(d, device=DEVICE)
                    write = milliseconds(partial(P.write, u, pieces), 50)
                    whole = milliseconds(partial(P.rmatvec, theta_0), 50)
                    each = milliseconds(partial(fold_each, P, pieces), 50)
                    say("products", model=name, D=D, d=d, kind=kind, dtype=name_of(dtype),
                        write_ms=write, write_over_copy=write / (2 * copy),
                        adjoint_ms=whole, adjoint_over_copy=whole / copy,
                        adjoint_by_tensor_ms=each)  # fmt: skip


def fold_each(P: Projection, pieces: list[Piece]) -> None:
    """Fold tensor by tensor, as backward brings gradients."""
    for p in pieces:
        P.rmatvec(p.theta_0, p.start, p.stop)


def tune(D: int, dims: Iterable[int], rate: float) -> None:
    """What the size of a program and its registers do: the constants in kernels/gpu/fastfood.py."""
    from idim.kernels.gpu import fastfood
    from idim.kernels.gpu.pieces import Laid

    theta_0 = torch.randn(D, device=DEVICE).to(torch.bfloat16)
    theta = torch.empty_like(theta_0)
    for kind in (Orthogonal, Fastfood):
        for d in dims:
            P, u = kind(D, d, 0).map, torch.randn(d, device=DEVICE)
            for numbers in (1 << 12, 1 << 13, 1 << 14, 1 << 15):
                if numbers < P.n:
                    continue
                table = fastfood.table_of(P, [Laid(theta, 0, theta_0)], numbers)
                gradient = fastfood.table_of(P, [Laid(theta_0, 0)], numbers)
                fold = milliseconds(partial(fastfood.fold, P, gradient), 20)
                for registers in (None, 64, 80) if table.cut.warps == 16 else (None,):
                    write = partial(fastfood.write, P, u, table, registers=registers)
                    say("tune", kind=P.kind, d=d, numbers=numbers, registers=registers,
                        write_over_copy=milliseconds(write, 20) / 1e3 * rate / (4 * D),
                        adjoint_over_copy=fold / 1e3 * rate / (2 * D))  # fmt: skip


# steps: whole training steps


def train(
    module: nn.Module, batch: dict[str, Tensor], optimizer: torch.optim.Optimizer, autocast: bool
) -> dict[str, Any]:
    """Time whole steps: forward, backward, optimizer, theta; the host is free to run ahead."""
    together = 10 if CUDA else 1

    def run() -> None:
        for _ in range(together):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
                loss = module(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    ms = milliseconds(run, 5, warmup=1) / together
    peak, D = torch.cuda.max_memory_allocated() if CUDA else 0, size_of(module)
    return {"D": D, "step_ms": ms, "peak_gb": peak / 1e9, "bytes_each": peak / D}


def size_of(module: nn.Module) -> int:
    """D: how many numbers a module has, but for those of a subspace."""
    return sum(p.numel() for p in module.parameters() if not hasattr(p, "subspace"))


def adamw(module: nn.Module, **subspace: Any) -> torch.optim.Optimizer:
    """Make the optimizer of full fine-tuning, or of a subspace with these options."""
    if not subspace:
        return torch.optim.AdamW(module.parameters(), lr=1e-5, fused=CUDA)
    return torch.optim.AdamW(Subspace(module, **subspace).parameters(), lr=1e-2, fused=CUDA)


def fresh() -> None:
    gc.collect()
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def build(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """Make a module on the device, in its dtype from the start."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    with torch.device(DEVICE):
        module = make()
    torch.set_default_dtype(before)
    return module.to(dtype).train()


def encoders(is_tiny: bool) -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    small = SMALL if is_tiny else {}
    large = ROBERTA_LARGE | small
    bert, roberta = BertConfig(**small), RobertaConfig(**large)
    yield "bert-base", lambda: BertForSequenceClassification(bert), bert.vocab_size
    yield "roberta-large", lambda: RobertaForSequenceClassification(roberta), roberta.vocab_size


def steps(is_tiny: bool, d: int) -> None:
    """Subspace steps beside full fine-tuning, batch 32 x 128 tokens."""
    shape = (2, 8) if is_tiny else (32, 128)
    for name, make, words in encoders(is_tiny):
        for autocast in (True, False):
            dtype = torch.float32 if autocast else torch.bfloat16
            tokens = torch.randint(5, words, shape, device=DEVICE)
            batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens),
                     "labels": torch.randint(0, 2, shape[:1], device=DEVICE)}  # fmt: skip
            full = 0.0
            for kind in ("full", "orthogonal", "fastfood"):
                fresh()
                module = build(make, dtype)
                options = {} if kind == "full" else {"d": d, "projection": kind}
                optimizer = adamw(module, **options)
                seen = train(module, batch, optimizer, autocast)
                full = full or seen["step_ms"]
                say("steps", model=name, method=kind, d=None if kind == "full" else d,
                    precision="float32, bf16 autocast" if autocast else "pure bfloat16",
                    batch=shape, **seen, over_full=seen["step_ms"] / full)  # fmt: skip
                del module, optimizer


def large(is_tiny: bool, d: int) -> None:
    """A decoder of 7 billion parameters on one GPU, batch 4 x 512, with checkpointing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **(SMALL if is_tiny else {}), use_cache=False
    )  # its defaults are Llama's 7B
    shape = (1, 8) if is_tiny else (4, 512)
    tokens = torch.randint(0, config.vocab_size, shape, device=DEVICE)
    for copies in (2, 1):  # 1 keeps theta_0 in a temporary file of 14 GB
        fresh()
        module: Any = build(lambda: LlamaForCausalLM(config), torch.bfloat16)
        module.gradient_checkpointing_enable()
        optimizer = adamw(module, d=d, projection="orthogonal", copies=copies)
        seen = train(module, {"input_ids": tokens, "labels": tokens}, optimizer, autocast=False)
        say("large", model="7B decoder", method="orthogonal", d=d, batch=shape,
            copies=copies, **seen)  # fmt: skip
        del module, optimizer


PARTS = ("check", "products", "tune", "steps", "large")
# The tensors of the two encoders above, the small ones as one.
BERT = [30522 * 768, 512 * 768, *([768 * 768] * 4 + [3072 * 768] * 2) * 12, 768 * 768, 104_192]
ROBERTA = [50265 * 1024, 514 * 1024, *([1024**2] * 4 + [4096 * 1024] * 2) * 24, 1024**2, 302_080]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, to test this file")
    args = parser.parse_args()
    tiny, parts = args.rehearse, args.parts or PARTS
    if not (CUDA or tiny) or set(parts) - set(PARTS):
        parser.error(f"needs a CUDA device (or --rehearse) and parts of {', '.join(PARTS)}.")
    with forced("triton"):  # fails here where they cannot run
        kernels.choose(torch.device(DEVICE), torch.float32)
        say("machine", kernels=kernels.describe(DEVICE), torch=torch.__version__,
            is_rehearsal=tiny)  # fmt: skip
        if "check" in parts:
            check(3000 if tiny else 3_000_000, (8, 60) if tiny else (10, 100, 1000, 3000, 16000))
        rate = copy_rate(1 << 20 if tiny else 1 << 30) if {"products", "tune"} & set(parts) else 0.0
        if "products" in parts:
            sizes = {"tiny": [4096, 48]} if tiny else {"bert-base": BERT, "roberta-large": ROBERTA}
            products(sizes, (20,) if tiny else (100, 1000, 10_000), rate)
        if "tune" in parts:
            tune(20_000 if tiny else sum(BERT), (100,) if tiny else (100, 1000, 4000), rate)
        if "steps" in parts:
            steps(tiny, 20 if tiny else 1000)
        if "large" in parts:
            large(tiny, 20 if tiny else 1000)


if __name__ == "__main__":
    main()
