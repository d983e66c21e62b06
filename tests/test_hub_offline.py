"""Without a network what is cached serves, and the rest is one line in a second."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hubclient import DATA, MODEL, complaint, folder, write, write_stubs
from hubserver import hub_env, serve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_stubs(tmp_path / "hub root")


def test_a_whole_cache_without_a_pin_is_used_and_pinned_offline(root: Path, tmp_path: Path) -> None:
    with serve(root) as hub:
        env = hub.env(tmp_path)
        first = folder(env, MODEL), folder(env, DATA)
    (tmp_path / "idim/pins.json").unlink()

    assert (folder(env, MODEL), folder(env, DATA)) == first
    assert (tmp_path / "idim/pins.json").exists()


@pytest.mark.parametrize(
    ("expression", "lost"),
    [
        (MODEL, "model.safetensors"),
        (MODEL, "*.json"),
        (DATA, "mrpc/train-*"),
        (DATA, "mrpc/test-*"),
    ],
)
def test_a_cache_with_a_hole_is_not_used(
    root: Path, tmp_path: Path, expression: str, lost: str
) -> None:
    with serve(root) as hub:
        env = hub.env(tmp_path)
        place = folder(env, expression)
    for file in place.glob(lost):
        file.unlink()

    assert "is pinned to commit" in complaint(env, expression, 1)
    (tmp_path / "idim/pins.json").unlink()
    assert "is not on this machine" in complaint(env, expression, 1)


def test_a_cache_under_the_name_without_owner_serves(root: Path, tmp_path: Path) -> None:
    with serve(root) as hub:
        env = hub.env(tmp_path)
        folder(env, MODEL)
    cache = tmp_path / "hf/hub"
    (cache / "models--FacebookAI--roberta-base").rename(cache / "models--roberta-base")
    (tmp_path / "idim/pins.json").unlink()

    assert "models--roberta-base" in str(folder(env, MODEL))


@pytest.fixture
def silent() -> Iterator[str]:
    """A hub that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("expression", [MODEL, DATA])
@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("closed", "cannot be reached (Connection refused)"),
        ("silent", "gave no answer within 1 s"),
        ("nowhere", "http://hub.invalid "),
        ("forbidden", "HF_HUB_OFFLINE forbids"),
    ],
)
def test_offline_without_a_cache_is_one_line_within_three_seconds(
    request: pytest.FixtureRequest, tmp_path: Path, case: str, why: str, expression: str
) -> None:
    fixed = {"nowhere": "http://hub.invalid", "forbidden": "https://huggingface.co"}
    url = fixed.get(case) or request.getfixturevalue(case)
    env = hub_env(url, tmp_path, HF_HUB_OFFLINE="1" if case == "forbidden" else "0")
    start = time.monotonic()

    line = complaint(env, expression, 1)

    assert time.monotonic() - start < 3
    assert why in line
    if expression == MODEL:
        assert line.startswith("error: model 'roberta-base' is not on this machine and ")
        assert "--model FOLDER, or run `idim prefetch --model roberta-base`" in line
    else:
        assert line.startswith("error: data set 'nyu-mll/glue' (mrpc) is not on this machine and ")
        assert "--data FOLDER, or run `idim prefetch --task TASK`" in line


def test_a_hub_out_of_order_is_not_asked_again_and_again(tmp_path: Path) -> None:
    with serve(tmp_path) as hub:
        hub.broken = 503

        assert "answers HTTP 503" in complaint(hub.env(tmp_path), MODEL, 1)
        assert len(hub.requests) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"pins": {"models/a/b@main": {"commit": 1}}}'])
def test_a_spoilt_pin_file_is_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path / "idim", "pins.json").joinpath("pins.json").write_text(text)

    line = complaint(hub_env("http://127.0.0.1:9", tmp_path), MODEL)

    assert line.endswith(
        "pins.json' is not a list of pins; delete it and run `idim prefetch` again."
    )
