"""The paper's set is joined from three downloads, by patient or by its own split by slice."""

import csv
from pathlib import Path

import pytest

from datasets.data_folder import FolderSummary
from datasets.sources.source import Source
from preparation.conversion.options import ConversionOptions
from preparation.conversion.paper import PAPER_SOURCES, convert_paper, paper_options
from tests.preparation.conversion.drawn_cases import make_case, make_source
from utils.errors import UserError

PLAIN = ConversionOptions(describe=False)


def make_sources(root: Path) -> dict[str, Source]:
    """100 slices in all: 10 single ones, 3 volumes of 10 and 6 of 10."""
    rows = (8,) * 10
    cases = {
        "medseg-slices": [make_case(f"s{n}", lesion_rows=(8,), is_volume=False) for n in range(10)],
        "medseg-volumes": [make_case(f"v{n}", lesion_rows=rows) for n in range(3)],
        "covid-ct-seg": [make_case(f"c{n}", lesion_rows=rows) for n in range(6)],
    }
    return {
        name: make_source(root / "in" / name, *found, name=name)[0] for name, found in cases.items()
    }


def run(root: Path, options: ConversionOptions) -> FolderSummary:
    return convert_paper(make_sources(root), root / "in", root / "out", options)


def patients(root: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with (root / "out" / "manifest.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["split"], set()).add(row["patient"])
    return found


def test_by_default_no_patient_is_divided(tmp_path: Path) -> None:
    summary = run(tmp_path, PLAIN)
    splits = patients(tmp_path)
    assert set(splits) == {"train", "val", "test"}
    assert sum(map(len, splits.values())) == 19
    assert summary.num_slices == 100
    assert summary.notes[0].startswith("100 slices (train ")
    assert "the paper has 4,449, 4,000 for training and 449 for testing" in summary.notes[0]


def test_the_papers_protocol_draws_slices_in_its_shares(tmp_path: Path) -> None:
    summary = run(tmp_path, PLAIN._replace(allow_leak=True))
    assert summary.slices_per_split == {"train": 90, "val": 10}  # 100 * 4000 / 4449 = 89.9
    assert any(note.startswith("leak, allowed: ") for note in summary.notes)
    shared = patients(tmp_path)["train"] & patients(tmp_path)["val"]
    assert shared


def test_the_papers_protocol_is_seeded(tmp_path: Path) -> None:
    for root, seed in (("1", 0), ("2", 0), ("3", 1)):
        run(tmp_path / root, PLAIN._replace(allow_leak=True, seed=seed))
    texts = [(tmp_path / root / "out/manifest.csv").read_text() for root in "123"]
    assert texts[0] == texts[1] != texts[2]


def test_folds_are_made_of_patients_even_where_leaks_are_allowed() -> None:
    options = ConversionOptions(allow_leak=True, folds=5)
    assert paper_options(options) == options


@pytest.mark.parametrize("missing", PAPER_SOURCES)
def test_a_missing_download_is_named(missing: str, tmp_path: Path) -> None:
    sources = make_sources(tmp_path)
    (tmp_path / "in" / missing).rmdir()
    with pytest.raises(UserError, match=f"no folder {missing} in it"):
        convert_paper(sources, tmp_path / "in", tmp_path / "out", PLAIN)
    assert not (tmp_path / "out").exists()
