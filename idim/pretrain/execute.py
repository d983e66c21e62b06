"""Carry a pretraining out: checkpoints in a folder, resumed after a kill.

OUT/pretrain.json         what it is: another pretraining in the same place is refused
OUT/provenance.json       versions, machine, argv, time of the last start
OUT/metrics.jsonl         one line a look at the loss
OUT/state.safetensors     where it stands, gone when it is finished
OUT/step-<n>/             a checkpoint that transformers loads: config, float16 weights, tokenizer
OUT/result.json           written last
"""

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from idim.config import PretrainSpec
from idim.errors import IdimError
from idim.pretrain import corpus, tokenizer
from idim.pretrain.learn import Look, Pretraining
from idim.store import Damaged, Place, make_folder, provenance, read_json, write_json

log = logging.getLogger(__name__)

# Whose its checkpoints are, for their seals.
_OWNER = "pretraining"
# A pretraining loses at most this much work to a kill.
SAVE_EVERY_S = 20.0

Progress = Callable[[int, int, float], None]


def pretrain(
    spec: PretrainSpec,
    out: Path,
    progress: Progress = lambda *_: None,
    accepted: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Pretrain, or go on where a killed pretraining stopped; the same bits either way.

    Args:
        spec: what to do.
        out: the folder.
        progress: told (step, steps, loss) at each look.
        accepted: called once the folder is this pretraining's, if there is anything to do.

    Returns:
        the result: steps, last loss, parameters, tokens, rows, seconds of this call, checkpoints.

    Raises:
        IdimError: a bad text, a tokenizer larger than the model, or another pretraining in `out`.
        RunFailed: the loss is no longer a number.
    """
    run = Place(out, _OWNER)
    _check_free(spec, out)
    if (result := read_json(out / "result.json")) is not None:
        return result
    started = time.monotonic()
    torch.set_num_threads(spec.threads)
    text = corpus.lines(spec)
    made = tokenizer.make(spec, text)
    rows = corpus.encode(text, made, spec.max_length)
    _claim(spec, out)
    accepted()
    work = Pretraining(spec, made.get_vocab_size())
    if (saved := _saved(run)) is not None:
        work.restore(saved)
    run.begin_metrics([record for record in run.metrics() if record["step"] <= work.done])
    last = _learn(work, rows, made, run, progress)
    result = {
        "steps": spec.steps, "loss": last.loss, "seconds": round(time.monotonic() - started, 1),
        "parameters": sum(p.numel() for p in work.model.parameters()),
        "tokens": made.get_vocab_size(), "rows": len(rows),
        "checkpoints": [str(folder_of(out, step)) for step in spec.kept],
    }  # fmt: skip
    write_json(out / "result.json", result)
    run.forget_checkpoint()
    return result


def _saved(run: Place) -> dict[str, Any] | None:
    """Return the last checkpoint; one that is not as it was written is set aside."""
    try:
        return run.load_checkpoint()
    except Damaged as e:
        aside = e.path.with_name(f"{e.path.name}.damaged")
        e.path.replace(aside)
        log.warning(f"'{e.path}' is damaged ({e.why}); set aside as '{aside}': from the start.")
        return None


def folder_of(out: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return out / f"step-{step}"


def _learn(work: Pretraining, rows: corpus.Rows, made: Any, run: Place, progress: Progress) -> Look:
    spec = work.spec
    kept = frozenset(spec.kept)
    saved, look = time.monotonic(), Look(work.done, math.nan)
    for look in work.looks(rows, kept):
        if look.step:
            run.append({"step": look.step, "steps": spec.steps, "loss": look.loss})
        if look.step in kept:
            _keep(work, made, folder_of(run.folder, look.step))
        if time.monotonic() - saved > SAVE_EVERY_S and look.step < spec.steps:
            run.checkpoint(work.state())
            saved = time.monotonic()
        progress(look.step, spec.steps, look.loss)
    return look


def _keep(work: Pretraining, made: Any, folder: Path) -> None:
    """Write a checkpoint in one step: its folder is whole or absent."""
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        beside.chmod(0o755)
        _half(work).save_pretrained(beside)
        tokenizer.save(made, beside, work.spec.max_length)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _half(work: Pretraining) -> Any:
    """Return a copy of the model in float16."""
    copy = type(work.model)(work.model.config)
    copy.load_state_dict(work.model.state_dict())
    return copy.half()


def _check_free(spec: PretrainSpec, out: Path) -> None:
    """Refuse a folder that holds another pretraining, or something else."""
    held = read_json(out / "pretrain.json")
    if held is None:
        if out.is_dir() and any(out.iterdir()):
            raise IdimError(f"'{out}' holds something else; choose an empty or new --out.")
        return
    wanted = json.loads(json.dumps(asdict(spec)))
    keys = [k for k in wanted | held if wanted.get(k) != held.get(k)]
    if keys:
        first = ", ".join(f"{k}={held.get(k)!r} there, {wanted.get(k)!r} here" for k in keys[:2])
        raise IdimError(f"'{out}' holds another pretraining ({first}); choose another --out.")


def _claim(spec: PretrainSpec, out: Path) -> None:
    """Make the folder this pretraining's, once its text is known to be good."""
    make_folder(out)
    write_json(out / "pretrain.json", asdict(spec))
    write_json(out / "provenance.json", provenance())
