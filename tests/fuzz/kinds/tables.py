"""manifest.csv of a data folder, per_case.csv and metrics.json of a scored run."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from datasets.pairing import find_slices
from evaluation.comparison import compare_runs, format_comparison, save_comparison
from metrics.confidence import Bootstrap
from tests.datasets.written_images import saved
from tests.evaluation.scored_runs import make_rows, write_run
from tests.fuzz.kind import Files, Kind
from tests.fuzz.kinds.commands import run_prepare
from tests.fuzz.raw import spoil
from tests.fuzz.values import odd_scalars, spoil_tree

_SLICES = {"train": ("p1_z000", "p1_z001", "p2_z000"), "val": ("p3_z000",), "test": ("p4_z000",)}
_MANIFEST = [
    ["file", "split", "patient", "spacing_mm"],
    *([f"{s}/image/{n}.png", s, n[:2], "0.7x0.8"] for s, names in _SLICES.items() for n in names),
]
_CELLS = ("", " ", "train", "val", "p1_z000.png", "../p1.png", "C:\\train\\image\\p1_z000.png",
          "0", "-1",
          "nan", "inf", "1e400", "0.7x", "0.7x0.8x2.5x1", "=1+1", "'=1", "a\nb", '"', "0,7", "1_0",
          "p3", "\0", "\ufeff", "\u2028", "dice", "name")  # fmt: skip


def data_folder() -> dict[str, bytes]:
    """The images of a data folder in miniature."""
    rng = np.random.default_rng(0)
    files = {}
    for split, names in _SLICES.items():
        for name in names:
            mask = np.zeros((16, 16), np.uint8)
            mask[4:9, 5:9] = 255
            image = rng.integers(0, 200, (16, 16)).astype(np.uint8) + mask // 5
            files[f"{split}/image/{name}.png"] = saved(image, "PNG")
            files[f"{split}/mask/{name}.png"] = saved(mask, "PNG")
    return files


_FOLDER = data_folder()


@st.composite
def tables(draw: DrawFn, rows: list[list[str]]) -> bytes:
    """A table with other cells, rows or columns, in another dialect or encoding; then bytes."""
    rows = [list(row) for row in rows]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.integers(0, max(len(rows) - 1, 0)))
        way = draw(st.sampled_from(("cell", "cell", "head", "drop", "double", "short", "long")))
        if way in ("cell", "head") and rows and rows[0 if way == "head" else row]:
            cells = rows[0 if way == "head" else row]
            cells[draw(st.integers(0, len(cells) - 1))] = str(
                draw(st.sampled_from(_CELLS) | odd_scalars)
            )
        elif way == "drop" and rows:
            del rows[row]
        elif way == "double" and rows:
            rows.append(rows[row])
        elif way == "short" and rows:
            rows[row] = rows[row][:-1]
        elif way == "long" and rows:
            rows[row] = [*rows[row], draw(st.sampled_from(_CELLS))]
    text = io.StringIO()
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE)))
    csv.writer(
        text, delimiter=draw(st.sampled_from(",,,;\t|")), quoting=quoting, escapechar="\\"
    ).writerows(rows)
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252")))
    data = text.getvalue().encode(encoding, errors="replace")
    return draw(spoil(data)) if draw(st.booleans()) else data


def read_data_folder(folder: Path) -> None:
    """The slices of every split, and prepare.py check."""
    for split in _SLICES:
        find_slices(folder / "in", split)
    run_prepare("check", folder / "in")


def _runs() -> dict[str, bytes]:
    """Two scored runs."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate("ab"):
            write_run(Path(folder) / name, make_rows(seed))
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in Path(folder).rglob("*.*")
        }


_RUNS = _runs()
_CASES = list(csv.reader(io.StringIO(_RUNS["a/per_case.csv"].decode())))
_SUMMARY = json.loads(_RUNS["a/metrics.json"])


@st.composite
def metrics_files(draw: DrawFn) -> bytes:
    """A spoilt metrics.json, as JSON or in its bytes."""
    tree: Any = draw(spoil_tree(_SUMMARY)) if draw(st.integers(0, 3)) else _SUMMARY
    data = json.dumps(tree, ensure_ascii=draw(st.booleans())).encode()
    return draw(spoil(data)) if draw(st.integers(0, 2)) == 0 else data


def read_runs(folder: Path) -> None:
    """Compare them, print that and write it."""
    bootstrap = Bootstrap(num_resamples=20, seed=0, level=0.95)
    comparison = compare_runs(folder / "in" / "a", folder / "in" / "b", bootstrap=bootstrap)
    format_comparison(comparison).encode()
    save_comparison(comparison, folder / "out" / "comparison.json")


def _with_manifest(data: bytes) -> Files:
    return _FOLDER | {"manifest.csv": data}


MANIFEST = Kind(tables(_MANIFEST).map(_with_manifest), read_data_folder)
PER_CASE = Kind(tables(_CASES).map(lambda data: _RUNS | {"a/per_case.csv": data}), read_runs)
METRICS = Kind(metrics_files().map(lambda data: _RUNS | {"a/metrics.json": data}), read_runs)
