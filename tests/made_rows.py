"""Made-up rows in every format that a task reads; shared by the tests of the tasks."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MRPC_LABELS = ["not_equivalent", "equivalent"]


def pairs(n: int, shift: int = 0) -> list[dict]:
    """Made-up sentence pairs; every third one is a repetition."""
    rows = []
    for i in range(shift, shift + n):
        same = i % 3 == 0
        second = f"the heron waits on stone {i}" if same else f"nobody counted boat {i}"
        rows.append({"sentence1": f"the heron waits on stone {i}", "sentence2": second})
        rows[-1] |= {"label": int(same), "idx": i}
    return rows


def write(path: Path, rows: list[dict], names: list[str] | None = None) -> Path:
    """Write rows in the format of the suffix; `names` become a parquet file's ClassLabel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table = pa.Table.from_pylist(rows)
        if names:
            label = {"names": names, "_type": "ClassLabel"}
            metadata = json.dumps({"info": {"features": {"label": label}}})
            table = table.replace_schema_metadata({"huggingface": metadata})
        pq.write_table(table, path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        quoting = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
        with path.open("w", newline="") as file:
            out = csv.DictWriter(file, list(rows[0]), **quoting)
            out.writeheader()
            out.writerows(rows)
    return path


def mrpc_folder(place: Path) -> Path:
    """Write 90 training and 30 validation rows in MRPC's shape."""
    write(place / "train.parquet", pairs(90), MRPC_LABELS)
    write(place / "validation.parquet", pairs(30, shift=90), MRPC_LABELS)
    return place
