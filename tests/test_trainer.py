"""transformers' Trainer, alone and under torchrun, against a plain loop of the same steps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import trainer_jobs as jobs
from makers import make_tiny_bert

from idim import Subspace

pytest.importorskip("transformers")
pytest.importorskip("accelerate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


def losses(trainer, key="loss"):
    return [log[key] for log in trainer.state.log_history if key in log]


@pytest.mark.parametrize("gives_optimizer", [True, False])
def test_a_trainer_takes_the_steps_of_a_plain_loop(folder, gives_optimizer, tmp_path):
    model = jobs.model(folder)
    sub = Subspace(model, d=100, structure="said", seed=0)
    trainer = jobs.trainer(model, sub if gives_optimizer else None, tmp_path, max_steps=6)
    trainer.train()
    plain = jobs.model(folder)
    other = Subspace(plain, d=100, structure="said", seed=0)
    norms = jobs.loop(plain, other, 6)
    torch.testing.assert_close(sub.theta_d, other.theta_d, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(sub.lambdas, other.lambdas, rtol=1e-6, atol=1e-9)
    assert losses(trainer, "grad_norm") == pytest.approx(norms, rel=1e-6)
    assert sub.theta_d.abs().max() > 0.1


def test_a_run_resumed_from_a_checkpoint_ends_as_one_that_was_not_stopped(folder, tmp_path):
    ends = []
    for out, stops in (("one", [8]), ("two", [4, 8])):
        for stop in stops:
            model = jobs.model(folder)
            sub = Subspace(model, d=100, seed=0)
            trainer = jobs.trainer(
                model, sub, tmp_path / out, max_steps=8, save_strategy="steps", save_steps=4,
                stop_at=stop,
            )  # fmt: skip
            trainer.train(resume_from_checkpoint=stop == 8 and out == "two")
        ends.append(sub.state())
        jobs.assert_theta(model, sub, folder)
    torch.testing.assert_close(ends[0]["theta_d"], ends[1]["theta_d"], rtol=0, atol=0)


def test_the_best_model_is_what_is_kept(folder, tmp_path):
    """The rate is far too large: the first checkpoint is the best."""
    model = jobs.model(folder)
    sub = Subspace(model, d=100, seed=0)
    trainer = jobs.trainer(
        model, sub, tmp_path / "out", lr=30.0, max_steps=2, save_strategy="steps", save_steps=1,
        eval_strategy="steps", eval_steps=1, load_best_model_at_end=True,
    )  # fmt: skip
    trainer.train()
    scores = losses(trainer, "eval_loss")
    assert scores[0] < 0.9 * scores[-1]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(scores))
    sub.save(tmp_path / "s.safetensors")
    fresh = jobs.model(folder)
    Subspace.load(fresh, tmp_path / "s.safetensors")
    for m in (fresh, sub.merge()):
        again = jobs.trainer(m, None, tmp_path / "again", max_steps=1)
        assert again.evaluate()["eval_loss"] == pytest.approx(min(scores))


@pytest.mark.parametrize(
    ("gives_optimizer", "checkpointing"), [("given", "plain"), ("none", "checkpointing")]
)
def test_two_ranks_under_torchrun_end_as_one_process(
    folder, gives_optimizer, checkpointing, tmp_path
):
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(jobs.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         jobs.__file__, folder, gives_optimizer, checkpointing, tmp_path],
        env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
    plain = jobs.model(folder)
    sub = Subspace(plain, d=100, structure="said", seed=0, free=["classifier"])
    jobs.loop(plain, sub, 6)
    for name, value in sub.state().items():
        torch.testing.assert_close(ranks[0][name], value, rtol=1e-6, atol=1e-9)
    weight = dict(plain.named_parameters())["bert.encoder.layer.0.attention.self.query.weight"]
    torch.testing.assert_close(ranks[0]["theta"], weight.detach(), rtol=1e-6, atol=1e-9)
