"""Two processes under torchrun (gloo): a step sends d numbers, each rank projects its own rows."""

import os
import subprocess
import sys
from pathlib import Path

import distributed_jobs as jobs
import pytest
import torch
from torch import nn
from torch.distributed.tensor import Shard

from idim import Subspace
from idim.errors import IdimError
from idim.subspace import ranks
from idim.subspace.layout import SMALL


def torchrun(folder: Path, *job: str) -> list[dict[str, torch.Tensor]]:
    """Run a job in two processes; return what each rank found."""
    script = Path(jobs.__file__)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         script, *job, folder],
        env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def alone(**how):
    module = jobs.net()
    sub = Subspace(module, d=20, **how)
    jobs.train(module, sub, None)
    return module, sub


@pytest.mark.parametrize(("structure", "head"), [("did", "inside"), ("said", "free")])
def test_data_parallel_ranks_send_d_numbers_and_end_as_one_process(structure, head, tmp_path):
    """Once a step, whoever asks for the gradients before it, and however often."""
    found = torchrun(tmp_path, "parallel", structure, head)
    module, sub = alone(structure=structure, free=("2",) if head == "free" else ())
    for rank in found:
        flags = len(sub.parameters())  # which gradients there are
        assert rank["sent"].tolist() == [4 * (sub.trainable + flags)] * jobs.STEPS
        weight = dict(module.named_parameters())["0.weight"].detach()
        torch.testing.assert_close(rank["theta"], weight, rtol=1e-4, atol=1e-6)
        for name, value in sub.state().items():
            torch.testing.assert_close(rank[name], value, rtol=1e-4, atol=1e-6)
    assert torch.equal(found[0]["theta"], found[1]["theta"])


def test_ddp_round_a_bound_module_ends_as_one_process(tmp_path):
    found = torchrun(tmp_path, "wrapped")
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    for structure, free in (("did", ()), ("said", ("2",))):
        module = jobs.net()
        sub = Subspace(module, d=20, structure=structure, free=free)
        steps = torch.optim.AdamW(sub.parameters(), lr=0.05, weight_decay=0.0)
        for _ in range(jobs.STEPS):
            x, y = jobs.rows(None)
            nn.functional.cross_entropy(module(x), y).backward()
            nn.utils.clip_grad_norm_(sub.parameters(), 0.05)
            steps.step()
            steps.zero_grad()
        state = sub.state() | {"theta": module[0].weight.detach()}
        ours = {n: t for n, t in found[0].items() if f"/{structure}/" in n}
        assert len(ours) == 7 * len(state)
        for name, value in ours.items():
            expected = state[name.split("/")[2]]
            torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5, msg=name)


def test_what_ranks_cannot_do_right_is_one_line_on_each(tmp_path):
    for rank in torchrun(tmp_path, "refused"):
        lines = {name: bytes(t.tolist()).decode() for name, t in rank.items()}
        for name in ("around", "before", "part"):
            assert "before" in lines[name], name
            assert "DistributedDataParallel" in lines[name], name
        for name in ("theta_0", "P", "group"):
            assert "the ranks differ in theta_0, theta_d or P" in lines[name]


@pytest.mark.parametrize(("structure", "projection"), [("said", "fastfood"), ("did", "sparse")])
def test_a_rank_projects_its_own_shard_alone(structure, projection, tmp_path):
    found = torchrun(tmp_path, "sharded", structure, projection)
    module, sub = alone(structure=structure, projection=projection)
    weights = [p for n, p in module.named_parameters() if "subspace_" not in n]
    theta = torch.cat([p.detach().flatten() for p in weights])
    largest = max(p.numel() for p in weights)
    assert largest > SMALL
    for rank in found:
        torch.testing.assert_close(rank["theta"], theta, rtol=1e-4, atol=1e-6)
        for name, value in sub.state().items():
            torch.testing.assert_close(rank[name], value, rtol=1e-4, atol=1e-6)
        assert rank["large"] < 0.51 * largest
    assert sum(int(rank["held"]) for rank in found) == sub.D


def test_layouts_that_are_not_consecutive_rows_are_refused():
    class Mesh:
        def get_group(self):
            return "ranks"

    class Columns:
        placements, device_mesh = (Shard(1),), Mesh()

    with pytest.raises(IdimError, match="along the first dimension"):
        ranks.offset(Columns())
    with pytest.raises(IdimError, match="or none"):
        ranks.group_of([Columns(), torch.zeros(1)])
