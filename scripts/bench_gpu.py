"""Check and time the Triton kernels, and whole training steps, on a CUDA GPU: JSON lines to stdout.

    python scripts/bench_gpu.py                  # all of it, below ten minutes on an H100
    python scripts/bench_gpu.py check kernels    # some parts: check, kernels, tune, steps, large
    TRITON_INTERPRET=1 python scripts/bench_gpu.py --rehearse   # tiny sizes, no GPU: a test

Not measured yet: this script has run in rehearsal only, so no number of it is published.

Yardsticks are measured in the same run: `copy_gb_s` is what `dst.copy_(src)` moves, read and
written; `over_copy` is a kernel's time over the time to move its bytes at that rate (projection:
read theta_0, write theta; adjoint: read the gradient).  `over_full` is a subspace step over the
fused AdamW step of the same model, batch and precision.  Times are medians.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from idim.kernels import bits, gpu, reference
from idim.kernels.gpu import fastfood, sparse
from idim.kernels.gpu.pieces import Piece
from idim.kernels.reference import Keys, Span, next_pow2

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
KEYS = Keys(*(bits.key(0, f"fastfood/{part}") for part in Keys._fields))
SPARSE = bits.key(0, "sparse")
KINDS = ("orthogonal", "fastfood", "sparse")
ROBERTA_LARGE: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "vocab_size": 50265, "max_position_embeddings": 514,
    "type_vocab_size": 1,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
    "vocab_size": 100,
}  # fmt: skip
# A step folds gradients when so many rows are waiting: enough to fill a GPU, 32 MiB in bfloat16.
FLUSH_ROWS = 1 << 24


def say(part: str, **fields: Any) -> None:
    print(json.dumps({"part": part, **fields}), flush=True)


def milliseconds(run: Callable[[], object], repeats: int, warmup: int = 3) -> float:
    """Median time of a call on the device, after some that are not counted."""
    for _ in range(warmup):
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


class Map:
    """One kind of P with its kernels: theta = theta_0 + P theta_d, and P^T v."""

    def __init__(self, kind: str, D: int, d: int) -> None:
        self.kind, self.D, self.d, self.n = kind, D, d, next_pow2(d)
        self.blocks = round(D**0.5)
        self.scale = self.blocks**-0.5 if kind == "sparse" else (self.n * D) ** -0.5
        self.is_orthogonal = kind == "orthogonal"

    def lay(self, pieces: list[Piece], numbers: int | None = None) -> Any:
        """Lay tensors out for `write` or `fold`."""
        if self.kind == "sparse":
            return sparse.table_of(pieces, self.D, self.blocks)
        return fastfood.table_of(pieces, self.n, numbers)

    def write(self, theta_d: Tensor, table: Any, **options: Any) -> None:
        """Write theta_0 + P theta_d."""
        if self.kind == "sparse":
            sparse.write(theta_d, table, SPARSE, scale=self.scale)
        else:
            fastfood.write(theta_d, table, KEYS, scale=self.scale,
                           is_orthogonal=self.is_orthogonal, **options)  # fmt: skip

    def fold(self, table: Any) -> Tensor:
        """Return P^T of the gradients."""
        if self.kind == "sparse":
            return sparse.fold(table, self.d, SPARSE, scale=self.scale)
        return fastfood.fold(table, self.d, KEYS, scale=self.scale,
                             is_orthogonal=self.is_orthogonal)  # fmt: skip


# check: every kernel against float64


def reference_pair(P: Map, u: Tensor, v: Tensor, rows: Span) -> tuple[Tensor, Tensor]:
    """P u and P^T v by the reference, in the dtype of u and v."""
    if P.kind == "sparse":
        made = (reference.sparse_matvec(u * P.scale, rows, P.D, P.blocks, SPARSE),
                reference.sparse_rmatvec(v, rows, P.D, P.blocks, P.d, SPARSE))  # fmt: skip
    elif P.kind == "fastfood":
        made = (reference.fastfood_matvec(u * P.scale, rows, P.n, KEYS),
                reference.fastfood_rmatvec(v, rows, P.d, P.n, KEYS))  # fmt: skip
    else:
        made = (reference.orthogonal_matvec(u * P.scale, rows, P.n, KEYS),
                reference.orthogonal_rmatvec(v, rows, P.d, P.n, KEYS))  # fmt: skip
    return made[0], made[1] * P.scale


def relative(x: Tensor, exact: Tensor) -> float:
    return float((x.double() - exact).norm() / exact.norm().clamp_min(1e-300))


def check(rows: int, dims: Iterable[int]) -> None:
    """Errors against float64 beside the reference's own in float32; forward bits against it.

    The sparse P may sum a row's entries in another order than the reference.
    """
    span = Span(1000, 1000 + rows)
    for kind in KINDS:
        for d in dims:
            P = Map(kind, 4 * rows, d)
            u, v = torch.randn(d, device=DEVICE), torch.randn(rows, device=DEVICE)
            theirs, exact = (
                reference_pair(P, u.to(t), v.to(t), span) for t in (torch.float32, torch.float64)
            )
            theta = torch.empty_like(v)
            P.write(u, P.lay([Piece(theta, span.start, torch.zeros_like(v))]))
            r, again = (P.fold(P.lay([Piece(v, span.start)])) for _ in range(2))
            gap = theta.double() @ v.double() - u.double() @ r.double()
            say("check", kind=kind, d=d, rows=rows, same_bits=torch.equal(theta, theirs[0]),
                error=relative(theta, exact[0]), reference_error=relative(theirs[0], exact[0]),
                adjoint_error=relative(r, exact[1]),
                reference_adjoint_error=relative(theirs[1], exact[1]),
                adjoint_repeats=torch.equal(r, again),
                inner_product_gap=float(gap.abs() / (theta.double().norm() * v.double().norm())),
                )  # fmt: skip
        for dtype in (torch.bfloat16, torch.float16):
            check_dtype(Map(kind, 4 * rows, max(dims)), span, dtype)


def check_dtype(P: Map, span: Span, dtype: torch.dtype) -> None:
    """Check theta in its dtype: the reference's sum rounded once; gradients summed in float32."""
    u = torch.randn(P.d, device=DEVICE)
    base, v = torch.randn(2, span.stop - span.start, device=DEVICE).to(dtype)
    theta = torch.empty_like(base)
    P.write(u, P.lay([Piece(theta, span.start, base)]))
    single = reference_pair(P, u, v.float(), span)
    exact = reference_pair(P, u.double(), v.double(), span)
    r = P.fold(P.lay([Piece(v, span.start)]))
    say("check", kind=P.kind, d=P.d, dtype=str(dtype)[6:],
        same_bits=torch.equal(theta, (base + single[0]).to(dtype)),
        error=relative(theta, base.double() + exact[0]),
        adjoint_error=relative(r, exact[1]),
        reference_adjoint_error=relative(single[1], exact[1]))  # fmt: skip


# kernels: time against the copy bandwidth


def copy_rate(size: int) -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.empty(size // 4, device=DEVICE)
    target = torch.empty_like(source)
    ms = milliseconds(lambda: target.copy_(source), 30)
    rate = 2 * 4 * source.numel() / ms * 1e3
    say("copy", bytes=2 * 4 * source.numel(), ms=ms, copy_gb_s=rate / 1e9)
    return rate


def cut_up(flat: Tensor, base: Tensor | None, sizes: list[int]) -> list[Piece]:
    """Pieces of these sizes, one after the other."""
    pieces, at = [], 0
    for size in sizes:
        part = slice(at, at + size)
        pieces.append(Piece(flat[part], at, None if base is None else base[part]))
        at += size
    return pieces


def kernels(sizes: dict[str, list[int]], dims: Iterable[int], rate: float) -> None:
    """Projection and adjoint over the tensors of a model, all in one launch."""
    for name, tensors in sizes.items():
        D = sum(tensors)
        for dtype in (torch.bfloat16, torch.float32):
            base = torch.randn(D, device=DEVICE).to(dtype)
            theta = torch.empty_like(base)
            copy = D * base.element_size() / rate * 1e3  # ms to move D numbers one way
            for kind in KINDS:
                for d in dims:
                    P, u = Map(kind, D, d), torch.randn(d, device=DEVICE)
                    table = P.lay(cut_up(theta, base, tensors))
                    gradients = P.lay(cut_up(base, None, tensors))
                    write = milliseconds(partial(P.write, u, table), 50)
                    fold = milliseconds(partial(P.fold, gradients), 50)
                    say("kernels", model=name, D=D, d=d, kind=kind, dtype=str(dtype)[6:],
                        projection_ms=write, projection_over_copy=write / (2 * copy),
                        adjoint_ms=fold, adjoint_over_copy=fold / copy)  # fmt: skip


def tune(D: int, dims: Iterable[int], rate: float) -> None:
    """What the size of a program and its registers do: the constants in fastfood.py."""
    base = torch.randn(D, device=DEVICE).to(torch.bfloat16)
    theta = torch.empty_like(base)
    for kind in ("orthogonal", "fastfood"):
        for d in dims:
            P, u = Map(kind, D, d), torch.randn(d, device=DEVICE)
            for numbers in (1 << 12, 1 << 13, 1 << 14, 1 << 15):
                if numbers < P.n:
                    continue
                table = P.lay([Piece(theta, 0, base)], numbers)
                fold = milliseconds(partial(P.fold, P.lay([Piece(base, 0)], numbers)), 20)
                for registers in (None, 64, 80) if table.cut.warps == 16 else (None,):
                    ms = milliseconds(partial(P.write, u, table, registers=registers), 20)
                    say("tune", kind=kind, d=d, numbers=numbers, registers=registers,
                        projection_over_copy=ms / 1e3 * rate / (4 * D),
                        adjoint_over_copy=fold / 1e3 * rate / (2 * D))  # fmt: skip


# steps: whole training steps


class Fused:
    """A subspace on the fused kernels: folds gradients as they come, writes theta after a step."""

    def __init__(self, module: nn.Module, kind: str, d: int, *, one_copy: bool = False) -> None:
        everything = [p for p in module.parameters() if p.requires_grad]
        # large tensors first, as Subspace lays them: odd sizes would cost the rest wide loads
        self.parameters = sorted(everything, key=lambda p: p.numel() < 1 << 16)
        self.D = sum(p.numel() for p in everything)
        self.P, self.one_copy = Map(kind, self.D, d), one_copy
        self.theta_d = nn.Parameter(torch.zeros(d, device=everything[0].device))
        self.written = torch.zeros_like(self.theta_d)
        self.optimizer = torch.optim.AdamW([self.theta_d], lr=1e-2, fused=CUDA)
        self.pieces, self.waiting, start = [], [], 0
        for p in self.parameters:
            theta = p.data.view(-1)
            self.pieces.append(Piece(theta, start, theta if one_copy else theta.clone()))
            p.register_post_accumulate_grad_hook(partial(self._take, start))
            start += theta.numel()
        self.table = self.P.lay(self.pieces)

    def _take(self, start: int, p: Tensor) -> None:
        gradient, p.grad = p.grad, None
        assert gradient is not None
        self.waiting.append(Piece(gradient.contiguous().view(-1), start))
        if sum(piece.tensor.numel() for piece in self.waiting) >= FLUSH_ROWS:
            self._fold()

    def _fold(self) -> None:
        if self.waiting:
            r = self.P.fold(self.P.lay(self.waiting))
            self.theta_d.grad = r if self.theta_d.grad is None else self.theta_d.grad.add_(r)
            self.waiting = []

    @torch.no_grad()
    def step(self) -> None:
        """Fold what is left, step theta_d, write theta."""
        self._fold()
        self.optimizer.step()
        self.optimizer.zero_grad()
        moved = self.theta_d - self.written if self.one_copy else self.theta_d
        self.P.write(moved.detach(), self.table)
        if self.one_copy:
            self.written.copy_(self.theta_d)


class Full:
    """Full fine-tuning with fused AdamW."""

    def __init__(self, module: nn.Module) -> None:
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.D = sum(p.numel() for p in self.parameters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-5, fused=CUDA)

    def step(self) -> None:
        """Step and forget the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def train(
    module: nn.Module, batch: dict[str, Tensor], method: Any, autocast: bool
) -> dict[str, Any]:
    """Time whole steps: forward, backward, optimizer, theta; the host is free to run ahead."""
    together = 10 if CUDA else 1

    def run() -> None:
        for _ in range(together):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
                loss = module(**batch).loss
            loss.backward()
            method.step()

    ms = milliseconds(run, 5, warmup=1) / together
    peak = torch.cuda.max_memory_allocated() if CUDA else 0
    return {"D": method.D, "step_ms": ms, "peak_gb": peak / 1e9, "bytes_each": peak / method.D}


def fresh() -> None:
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
                method = Full(module) if kind == "full" else Fused(module, kind, d)
                seen = train(module, batch, method, autocast)
                full = full or seen["step_ms"]
                say("steps", model=name, method=kind, d=None if kind == "full" else d,
                    precision="float32, bf16 autocast" if autocast else "pure bfloat16",
                    batch=shape, **seen, over_full=seen["step_ms"] / full)  # fmt: skip
                del module, method


def large(is_tiny: bool, d: int) -> None:
    """A decoder of 7 billion parameters on one GPU, batch 4 x 512, with checkpointing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **(SMALL if is_tiny else {}), use_cache=False
    )  # its defaults are Llama's 7B
    shape = (1, 8) if is_tiny else (4, 512)
    tokens = torch.randint(0, config.vocab_size, shape, device=DEVICE)
    for one_copy in (False, True):
        fresh()
        module: Any = build(lambda: LlamaForCausalLM(config), torch.bfloat16)
        module.gradient_checkpointing_enable()
        method = Fused(module, "orthogonal", d, one_copy=one_copy)
        seen = train(module, {"input_ids": tokens, "labels": tokens}, method, autocast=False)
        say("large", model="7B decoder", method="orthogonal", d=d, batch=shape,
            copies="theta" if one_copy else "theta and theta_0", **seen)  # fmt: skip
        del module, method


PARTS = ("check", "kernels", "tune", "steps", "large")
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
    say("machine", kernels=gpu.describe(), torch=torch.__version__, is_rehearsal=tiny)
    if "check" in parts:
        check(3000 if tiny else 3_000_000, (3, 60) if tiny else (10, 100, 1000, 3000, 16000))
    rate = copy_rate(1 << 20 if tiny else 1 << 30) if {"kernels", "tune"} & set(parts) else 0.0
    if "kernels" in parts:
        sizes = {"tiny": [4096, 48]} if tiny else {"bert-base": BERT, "roberta-large": ROBERTA}
        kernels(sizes, (20,) if tiny else (100, 1000, 10_000), rate)
    if "tune" in parts:
        tune(20_000 if tiny else sum(BERT), (100,) if tiny else (100, 1000, 4000), rate)
    if "steps" in parts:
        steps(tiny, 20 if tiny else 1000)
    if "large" in parts:
        large(tiny, 20 if tiny else 1000)


if __name__ == "__main__":
    main()
