"""`idim tasks`, `models`, `info` and `prefetch`: what there is, and fetching what is missing."""

import platform
from dataclasses import asdict
from typing import Annotated, Any

import typer

from idim import __version__, config
from idim.cli import options
from idim.cli.screen import columns, note, show
from idim.errors import IdimError
from idim.machine import cores, cpu_name
from idim.reading import expanded, is_folder

PACKAGES = ("torch", "transformers", "huggingface_hub", "numpy")

Model = Annotated[
    str | None, typer.Option(metavar="NAME", help="Hub id of a model, e.g. roberta-base")
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A name of `idim tasks`, your own TOML file, or rows",
    ),
]


def tasks(*, as_json: options.Json = False) -> None:
    """List the tasks that --task knows.

    Example:
      idim tasks --json
    """
    from idim.problems.tasks import TASKS

    if as_json:
        show({name: asdict(task) for name, task in TASKS.items()}, as_json=True)
    else:
        rows = ((name, task.kind, task.metrics[0], task.about) for name, task in TASKS.items())
        show(columns([("task", "kind", "metric", ""), *rows]), as_json=False)


def models(*, as_json: options.Json = False) -> None:
    """List the built-in models; --model takes more.

    Any hub id or local folder of a transformers model is a name for --model too.

    Example:
      idim models
    """
    from idim.builtin import weights

    built_in = {name: recipe.about for name, recipe in config.SMALL_NETS.items()} | weights.names()
    if as_json:
        show(built_in, as_json=True)
        return
    show(columns([("model", ""), *built_in.items()]), as_json=False)
    note("Also: any hub id (roberta-base) or local folder of a transformers model.")


def info(*, as_json: options.Json = False) -> None:
    """Show versions, devices, kernels and hub pins.

    Example:
      idim info
    """
    from idim import kernels
    from idim.hub.pins import home

    gpus = _gpus()
    record = {
        "versions": {
            "idim": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "devices": {"cpu": cpu_name(), "cores": cores(), "gpus": gpus},
        "kernels": {d: kernels.describe(d) for d in ("cpu", "cuda") if d == "cpu" or gpus},
        "pins": str(home() / "pins.json"),
    }
    show(record if as_json else _lines(record), as_json=as_json)


def prefetch(*, model: Model = None, task: Task = None, as_json: options.Json = False) -> None:
    """Fetch a model and a task's data, and pin them.

    Later runs use exactly these revisions and ask the network for nothing; do this once
    where there is a network, e.g. on a login node.

    Example:
      idim prefetch --model roberta-base --task mrpc
    """
    if model is None and task is None:
        raise IdimError("nothing to fetch; give --model, --task or both.")
    from idim import hub

    wanted, dataset = _hub_model(model), _hub_dataset(task)
    pins = hub.prefetch(wanted, dataset) if wanted or dataset else []
    if as_json:
        show({"pins": [asdict(pin) for pin in pins]}, as_json=True)
    elif pins:
        show(columns((pin.key, pin.commit) for pin in pins), as_json=False)


def _hub_model(name: str | None) -> str | None:
    from idim.builtin import weights

    is_here = name in config.SMALL_NETS or (name and weights.is_shipped(name))
    if is_here or (name and is_folder(expanded(name))):
        note(f"model {name} needs nothing from the hub")
        return None
    return name


def _hub_dataset(name: str | None) -> tuple[str, str | None] | None:
    if name is None:
        return None
    from idim.problems.tasks import info as look_up

    task = look_up(name)
    if task.hub is None:
        note(f"task {name} needs nothing from the hub")
        return None
    return task.hub, task.config


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpus() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _lines(record: dict[str, Any]) -> str:
    devices = record["devices"]
    rows = [(name, found or "not installed") for name, found in record["versions"].items()]
    rows += [
        ("cpu", f"{devices['cpu']}, {devices['cores']} cores"),
        ("gpu", ", ".join(devices["gpus"]) or "none"),
        *((f"kernels on {device}", line) for device, line in record["kernels"].items()),
        ("pins", record["pins"]),
    ]
    return columns(rows)
