"""How each model is trained unless the user says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a family of models is trained unless the user says otherwise."""

    about: str
    epochs: float | None
    steps: int | None
    batch_size: int
    baseline_lr: tuple[float, ...]
    # The values of d on the grid, or how many points it takes between the ends; the ends bound
    # an adaptive search.
    d: tuple[int, ...] = ()
    d_min: int = 10
    d_max: int = 10_000
    points: int = 10
    # The runs at which an adaptive search stops in any case.
    max_runs: int = 100
    # What the model is for, where only one task fits or one is the custom.
    task: str | None = None
    # 0 uses every core.  Small nets lose more to thread hand-over than they gain.
    threads: int = 0
    # How many runs of this net train together as one stack; 0: each alone.
    stack: int = 0


TRANSFORMER = Recipe(
    about="a hub id or a local folder of a transformers model",
    epochs=3.0,
    steps=None,
    batch_size=32,
    baseline_lr=(3e-5, 1e-4, 3e-4),
)
SMALL_NETS = {
    "toy": Recipe(
        about="Li et al.'s problem of known answer: D = 1,000, intrinsic dimension 10 (task toy)",
        task="toy", epochs=None, steps=2000, batch_size=1, baseline_lr=(0.01, 0.1),
        d=(5, 8, 9, 10, 11, 12, 20), d_min=2, d_max=100, threads=1, stack=64,
    ),
    "digits-mlp": Recipe(
        about="64-100-100-10 net, D = 17,610 (task digits)",
        task="digits", epochs=20.0, steps=None, batch_size=64, baseline_lr=(3e-3, 1e-2, 3e-2),
        d_min=10, d_max=500, points=8, threads=1, stack=64,
    ),
    "mnist-fc": Recipe(
        about="Li et al.'s 784-200-200-10 net, D = 199,210 (task mnist; cifar10 too)",
        task="mnist", epochs=10.0, steps=None, batch_size=128, baseline_lr=(1e-3, 3e-3),
        d_min=100, d_max=1500, points=10, threads=1, stack=8,
    ),
    "lenet": Recipe(
        about="Li et al.'s LeNet, D = 44,426 on mnist, 62,006 on cifar10",
        task="mnist", epochs=10.0, steps=None, batch_size=128, baseline_lr=(1e-3, 3e-3),
        d_min=50, d_max=1500, points=10, threads=1,
    ),
}  # fmt: skip
# Checkpoints that come with the package (`idim.builtin.weights`), by family.
SHIPPED = {
    "tiny": Recipe(
        about="RoBERTa of 3 layers, 96 wide, pretrained on the package's own language",
        task="paraphrase", epochs=2.0, steps=None, batch_size=32, baseline_lr=(7e-4,),
        d_min=10, d_max=30_000, max_runs=24, threads=1,
    ),
}  # fmt: skip


def recipe(model: str) -> Recipe:
    """Return the training recipe of a name: `tiny@300` has that of `tiny`."""
    return SMALL_NETS.get(model) or SHIPPED.get(model.partition("@")[0], TRANSFORMER)
