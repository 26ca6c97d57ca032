"""Several sources in one folder: their names, patients, classes and windows."""

import csv
import json
import os
from pathlib import Path

import pytest

from datasets.card import read_card
from datasets.data_folder import FolderSummary
from datasets.intensity import UNIT_RANGE
from datasets.sources.source import SourceCase
from preparation.conversion.convert import convert
from preparation.conversion.options import ConversionOptions
from tests.preparation.conversion.drawn_cases import make_case, make_source
from utils.errors import UserError

PLAIN = ConversionOptions(describe=False)


def run(root: Path, *cases: SourceCase) -> FolderSummary:
    """Convert the cases of one source to <root>/out."""
    return convert([make_source(root / "in", *cases)], root / "out", PLAIN)


def rows(root: Path) -> dict[str, dict[str, str]]:
    with (root / "out" / "manifest.csv").open(newline="") as stream:
        return {row["file"].removesuffix(".png"): row for row in csv.DictReader(stream)}


def cases_of(*names: str) -> list[SourceCase]:
    return [make_case(name) for name in names]


def test_names_of_two_sources_get_their_source_before_them(tmp_path: Path) -> None:
    first = make_source(tmp_path / "in", *cases_of("a", "b"))
    second = make_source(tmp_path / "in", make_case("A", seed=7), make_case("c"), name="second")
    convert([first, second], tmp_path / "out", PLAIN)
    cases = {row["case"] for row in rows(tmp_path).values()}
    assert cases == {"first_a", "second_A", "b", "c"}


def test_a_patient_of_two_sources_is_not_divided(tmp_path: Path) -> None:
    sources = [
        make_source(
            tmp_path / "in",
            *[make_case(f"{name}{n}", patient=f"p{n}") for n in range(9)],
            name=name,
        )
        for name in ("first", "second")
    ]
    convert(sources, tmp_path / "out", PLAIN)
    splits = json.loads((tmp_path / "out/splits.json").read_text())
    assert sorted(name for names in splits.values() for name in names) == [
        f"p{n}" for n in range(9)
    ]


def test_a_name_that_stands_twice_in_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="first: several cases are called A and a; rename"):
        run(tmp_path, *cases_of("a", "A"))
    assert not (tmp_path / "out").exists()


def test_a_slice_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    single = make_case("a_z001", lesion_rows=(8,), is_volume=False, seed=5)
    with pytest.raises(UserError, match="a_z001: a second slice of this name"):
        run(tmp_path, make_case("a"), single)
    assert os.listdir(tmp_path) == ["in"]


def test_classes_that_sources_number_differently_become_lesion_or_none(tmp_path: Path) -> None:
    first = make_source(tmp_path / "in", *cases_of("a", "b"))
    classes = {1: "ground-glass opacity", 2: "consolidation"}
    second = make_source(tmp_path / "in", *cases_of("c"), name="second", labels=classes)
    summary = convert([first, second], tmp_path / "out", PLAIN)
    assert read_card(tmp_path / "out").labels == {1: "lesion"}
    assert "number their classes differently" in summary.notes[0]


@pytest.mark.parametrize(("other", "is_kept"), [(None, True), (UNIT_RANGE, False)])
def test_the_card_has_the_rule_of_the_sources_that_have_one(
    other: object, is_kept: bool, tmp_path: Path
) -> None:
    first = make_source(tmp_path / "in", *cases_of("a", "b"))
    second = make_source(tmp_path / "in", *cases_of("c"), name="second", intensity=other)
    summary = convert([first, second], tmp_path / "out", PLAIN)
    card = read_card(tmp_path / "out")
    assert [facts.name for facts in card.sources] == ["first", "second"]
    assert card.intensity == (first[0].intensity if is_kept else None)
    assert bool(summary.notes) == (not is_kept)


def test_ct_and_x_rays_do_not_go_into_one_folder(tmp_path: Path) -> None:
    (ct, tree), (x_ray, _) = (
        make_source(tmp_path / "in", make_case(name), name=name) for name in ("first", "second")
    )
    sources = [(ct, tree), (x_ray._replace(modality="DX"), tree)]
    with pytest.raises(UserError, match=r"first \(CT\), second \(DX\): of different modalities"):
        convert(sources, tmp_path / "out", PLAIN)
    convert(sources[1:], tmp_path / "out", PLAIN)
    assert read_card(tmp_path / "out").modality == "DX"
