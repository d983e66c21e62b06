"""The newest line of metrics: read twice a second, so from the end of the file; torn lines too."""

import os
from pathlib import Path

import pytest

from idim.store import seal
from idim.store.run import Place

COUNTED = Path("/proc/self/io")  # its first line is rchar: N


@pytest.mark.parametrize("n", [0, 1, 2, 3, 40, 5000])
@pytest.mark.parametrize("torn", ["", '{"step": 7', "\n\n", "x" * 3 * seal._TAIL, "{}\n" * 3000])
def test_the_newest_whole_line_is_found_whatever_comes_after_it(tmp_path, n, torn):
    place = Place(tmp_path, "me")
    text = "".join(seal.sealed_line({"step": i, "pad": "y" * (i % 97)}, "me") for i in range(n))
    (tmp_path / "metrics.jsonl").write_text(text + torn)
    last = place.last_metrics()
    assert last == (place.metrics() or [None])[-1]
    assert (last or {}).get("step") == (n - 1 if n else None)


def test_lines_of_any_length_next_to_the_bound_are_found(tmp_path):
    place = Place(tmp_path, "me")
    for size in range(seal._TAIL - 150, seal._TAIL + 20, 7):
        line = seal.sealed_line({"step": 1, "pad": "z" * size}, "me")
        (tmp_path / "metrics.jsonl").write_text(line)
        assert place.last_metrics()["step"] == 1


def read_so_far() -> int:
    """Return how many bytes this process has read from anywhere."""
    return int(COUNTED.read_text().split()[1])


@pytest.mark.skipif(not COUNTED.exists(), reason="this system does not count what is read")
def test_a_long_file_is_not_read_whole(tmp_path):
    place = Place(tmp_path, "me")
    line = seal.sealed_line({"step": 3}, "me")
    (tmp_path / "metrics.jsonl").write_text(line * 200_000)
    before = read_so_far()
    assert place.last_metrics() == {"step": 3}
    read = read_so_far() - before
    assert len(line) < read < os.path.getsize(tmp_path / "metrics.jsonl") / 100
