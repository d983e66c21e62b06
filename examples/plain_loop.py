"""d90 of a training of your own: a plain torch loop, given to idim.measure as a function."""

import torch
from torch import nn
from torch.nn import functional as F

import idim


def rows(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in 20 dimensions; the class says on which side of a bent surface a point lies."""
    x = torch.randn(n, 20, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).long()


def train(trial: idim.Trial) -> float:
    """Train a small net, inside d dimensions or in full, and return its accuracy on new rows."""
    torch.manual_seed(trial.seed)
    net = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 2))
    sub = None
    if trial.d:
        sub = idim.Subspace(net, d=trial.d, seed=trial.seed)
    trained = net.parameters() if sub is None else sub.parameters()
    optimizer = torch.optim.AdamW(trained, lr=trial.lr, weight_decay=0.0)
    x, y = rows(1, 1000)
    for _ in range(200 if trial.d != 0 else 0):
        index = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[index]), y[index]).backward()
        optimizer.step()
    with torch.no_grad():
        x, y = rows(2, 1000)
        return (net(x).argmax(dim=1) == y).float().mean().item()


if __name__ == "__main__":
    found = idim.measure(train, D=1106, baseline_lr=[0.003, 0.01], max_runs=30, jobs=2)
    print(found)
    found.plot("plain_loop")
