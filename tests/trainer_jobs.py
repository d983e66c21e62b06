"""What test_trainer.py runs in one process, and in two under torchrun."""

import os
import sys
from pathlib import Path

import torch

from idim import Subspace

LR = 0.05


def model(folder):
    import transformers

    torch.manual_seed(0)
    kind = transformers.AutoModelForSequenceClassification
    found = kind.from_pretrained(folder, num_labels=2, hidden_dropout_prob=0.0,
                                 attention_probs_dropout_prob=0.0)  # fmt: skip
    return found.double()  # Adam makes much of the rounding of small gradients


def rows():
    g = torch.Generator().manual_seed(0)
    return [
        {
            "input_ids": [2, *(5 + torch.randint(0, 20, (6,), generator=g)).tolist(), 3],
            "attention_mask": [1] * 8,
            "labels": i % 2,
        }
        for i in range(16)
    ]


def trainer(model, sub, out, *, lr=LR, stop_at=None, ranks=1, **options):
    """Build a Trainer whose every step sees all rows; it makes its own optimizer without `sub`."""
    import transformers

    arguments = {
        "max_steps": 6, "logging_steps": 1, "save_strategy": "no", "report_to": [],
        "use_cpu": True, "disable_tqdm": True, "dataloader_pin_memory": False,
        "learning_rate": lr, "lr_scheduler_type": "constant", "weight_decay": 0.0,
        "per_device_train_batch_size": 16 // ranks, "optim": "adamw_torch",
        # transformers multiplies the loss of a model that ignores the token count by the ranks
        "average_tokens_across_devices": False,
    }  # fmt: skip

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == stop_at

    chosen = None if sub is None else torch.optim.AdamW(sub.parameters(), lr=lr, weight_decay=0.0)
    return transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(output_dir=str(out), **(arguments | options)),
        train_dataset=rows(),
        eval_dataset=rows(),
        optimizers=(chosen, None),
        callbacks=[Stop()] if stop_at else [],
    )


def loop(model, sub, steps):
    """Take the steps of a Trainer by hand; return the norms of the gradients."""
    optimizer, norms = torch.optim.AdamW(sub.parameters(), lr=LR, weight_decay=0.0), []
    batch = {k: torch.tensor([row[k] for row in rows()]) for k in rows()[0]}
    for _ in range(steps):
        optimizer.zero_grad()
        model.train()(**batch).loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(sub.parameters(), 1.0).item())
        optimizer.step()
    return norms


def assert_theta(bound, sub, folder):
    theta_0 = dict(model(folder).named_parameters())
    for s in sub.segments:
        moved = sub.projection.matvec(sub.theta_d.detach(), s.start, s.stop) * s.scale
        expected = theta_0[s.name].detach() + moved.view(s.parameter.shape)
        torch.testing.assert_close(s.parameter.detach(), expected, rtol=1e-4, atol=1e-6)


def main() -> None:
    """Train under torchrun: `folder optimizer checkpointing out`."""
    folder, optimizer, checkpointing, out = sys.argv[1:]
    bound = model(folder)
    sub = Subspace(bound, d=100, structure="said", seed=0, free=["classifier"])
    run = trainer(
        bound, sub if optimizer == "given" else None, Path(out) / "out", ranks=2,
        gradient_checkpointing=checkpointing == "checkpointing",
    )  # fmt: skip
    run.train()
    assert torch.distributed.get_world_size() == 2
    rank = torch.distributed.get_rank()
    theta = dict(bound.named_parameters())["bert.encoder.layer.0.attention.self.query.weight"]
    torch.save({**sub.state(), "theta": theta.detach()}, Path(out) / f"{rank}.pt")
    torch.distributed.destroy_process_group()
    # what was to be shown is written: threads that torch leaves may abort an interpreter that ends
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
