"""A trained model again, from the few kB that its run has kept."""

from pathlib import Path

from torch import nn

from idim.errors import IdimError
from idim.methods import METHODS
from idim.problems import kinds
from idim.store import Result, Run, stored
from idim.training.schedule import stream
from idim.training.start import build


def restore(folder: str | Path) -> nn.Module:
    """Rebuild the trained model of a finished subspace run: body and head, exact to the bit.

    Args:
        folder: of the run, `OUT/runs/<xx>/<id>`, as `idim run` prints it.

    Returns:
        the module with theta = theta_0 + P theta_d, in evaluation mode, bound to nothing.

    Raises:
        IdimError: no such run, one that is not finished, one of full fine-tuning (which keeps no
            weights), a damaged file, or a model or rows that are no longer what they were.
    """
    run = stored(Path(folder))
    spec, result = run.spec(), run.result()
    if spec is None or not isinstance(result, Result):
        raise IdimError(f"'{folder}' holds no finished run; give OUT/runs/<xx>/<id>.")
    if not run.trained_file.exists():
        why = "has no subspace.safetensors any more; remove it and run it again"
        if spec.method == "full":
            why = "is full fine-tuning, which keeps no weights; train it again"
        elif not METHODS[spec.method].trains:
            why = "is the untrained model, which keeps no weights"
        raise IdimError(f"'{folder}' {why}.")
    if isinstance(run, Run):
        run.trained()  # its checksum
    problem = kinds.load(spec)
    now = {"model": problem.model_fingerprint(), "data": problem.data_fingerprint}
    for what, then in (("model", spec.model_fingerprint), ("data", spec.data_fingerprint)):
        if now[what] != then:
            raise IdimError(f"the {what} of '{folder}' is no longer what it was ({now[what]}).")
    method, model = METHODS[spec.method], build(spec, problem)
    seed = stream(spec.seed, "projection")
    return method.restored(spec, model, seed, run.trained_file).eval()
